// SPDX-License-Identifier: ISC
/* Keys with A-labels, as the suite asks for all domains, in the U-labels that a table may be written in. See table_impl.h. */
#include <idn2.h>
#include <stdio.h>

#include "table/table_impl.h"

bool table_unicode_key(struct slice key, char space[TABLE_MAX_KEY + 1], struct slice *unicode)
{
	ptrdiff_t at = slice_find_last(key, '@');
	size_t before = (size_t)(at + 1); /* user@, or nothing */
	char ascii[IDN2_DOMAIN_MAX_LENGTH + 1], *text = NULL;
	struct slice domain = slice_tail(key, before), rest, label;
	bool encoded = false, good;
	int length;

	/* ".example": a parent of the domain asked for. */
	if (domain.length && domain.data[0] == '.')
		domain = slice_tail(key, ++before);
	rest = domain;
	while (slice_split(&rest, '.', &label))
		encoded = encoded || slice_starts_nocase(label, SLICE("xn--"));
	if (!encoded || !slice_to_string(domain, ascii, sizeof(ascii)) ||
		idn2_to_unicode_8z8z(ascii, &text, 0) != IDN2_OK)
		return false;
	length = snprintf(
		space, TABLE_MAX_KEY + 1, "%.*s%s", SLICE_ARG(slice_head(key, before)), text);
	good = length > 0 && length <= TABLE_MAX_KEY;
	idn2_free(text);
	*unicode = slice_of(space, good ? (size_t)length : 0);
	return good && !slice_equal(*unicode, key);
}
