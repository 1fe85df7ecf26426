// SPDX-License-Identifier: ISC
/* Case folding for searches. The table is made by gen_tables.py. */
#include "mail/fold_table.h"
#include "mail/mime.h"
#include "mail/utf8.h"

_Static_assert(sizeof(FOLD_INDEX) == FOLD_TOP / FOLD_BLOCK, "one index for each block");

static uint32_t fold(uint32_t c)
{
	if (c >= FOLD_TOP)
		return c;
	return c + (uint32_t)FOLD_DELTA[FOLD_BLOCKS[FOLD_INDEX[c / FOLD_BLOCK]][c % FOLD_BLOCK]];
}

bool mime_fold(struct slice utf8, struct buffer *out)
{
	while (utf8.length) {
		size_t ascii = utf8_ascii_prefix(utf8);
		char *to = buffer_reserve(out, ascii + 4);
		uint32_t c;
		unsigned n;

		if (!to)
			return false;
		for (size_t i = 0; i < ascii; i++)
			to[i] = ascii_upper(utf8.data[i]);
		out->length += ascii;
		utf8 = slice_tail(utf8, ascii);
		if (utf8.length == 0)
			break;
		n = utf8_get(utf8, &c);
		utf8_add(out, n ? fold(c) : 0xfffd);
		utf8 = slice_tail(utf8, n ? n : 1);
	}
	return !out->failed;
}
