// SPDX-License-Identifier: ISC
/* Searching: the fast way finds what the slow way finds, and no message upsets it. */
#include <stdlib.h>

#include "mail/search.h"
#include "mail/utf8.h"
#include "tests/fuzz/contains.h"

static bool slow(struct slice needle, struct slice text)
{
	struct buffer a = { 0 }, b = { 0 };
	bool found;

	if (utf8_ascii_prefix(needle) == needle.length)
		return contains_nocase(text, needle);
	mime_fold(needle, &a);
	mime_fold(text, &b);
	found = slice_search(buffer_slice(&b), buffer_slice(&a)) >= 0;
	buffer_free(&a);
	buffer_free(&b);
	return found;
}

/* The first byte tells how long the needle behind it is; the rest is a message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text, wanted;
	struct buffer clean = { 0 };
	struct mail_needle *needle;
	bool body, all;

	if (size == 0)
		return 0;
	text = slice_of(data + 1, size - 1);
	utf8_add_clean(&clean, slice_head(text, data[0]));
	wanted = buffer_slice(&clean);
	text = slice_tail(text, data[0]);
	needle = mail_needle_new(SLICE("utf-8"), wanted);
	/* The needle is folded, so text that folds to ASCII only (the Kelvin sign) is left to the slow way as it is. */
	if (needle && utf8_ascii_prefix(wanted) == wanted.length &&
		mail_search_utf8(needle, text) != slow(wanted, text))
		abort();
	if (needle && utf8_valid(text) && utf8_ascii_prefix(wanted) < wanted.length &&
		slow(wanted, text) != mail_search_utf8(needle, text)) {
		struct buffer folded = { 0 };

		mime_fold(wanted, &folded);
		if (utf8_ascii_prefix(buffer_slice(&folded)) < folded.length)
			abort();
		buffer_free(&folded);
	}
	if (needle) {
		body = mail_search_text(needle, text, MAIL_SEARCH_BODY);
		all = mail_search_text(needle, text, MAIL_SEARCH_TEXT);
		mail_search_header(needle, text, SLICE("Subject"));
		if (body && !all)
			abort();
	}
	mail_needle_free(&needle);
	buffer_free(&clean);
	return 0;
}
