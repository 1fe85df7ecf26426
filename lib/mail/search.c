// SPDX-License-Identifier: ISC
/*
 * Searching in messages. An ASCII needle, the usual case, is looked for in the bytes where they lie, wherever the charset leaves
 * ASCII alone; another needle cannot be in text that is all ASCII. Only what is left is decoded and folded. See search.h.
 */
#include "mail/search.h"

#include <stdlib.h>

#include "mail/header.h"
#include "mail/utf8.h"

enum {
	SEARCH_MEMORY = 16 << 20, /* for the tree of a message's parts */
	SHORT_NEEDLE = 64, /* longer ones are left to memmem, whose worst case is linear */
	BLOCK = 64, /* positions that are tried at once */
};

struct mail_needle {
	struct slice folded; /* upper case, as mime_fold makes it */
	bool ascii;
	struct arena arena;
	struct buffer decoded, utf8, upper, line;
	char text[];
};

struct mail_needle *mail_needle_new(struct slice charset, struct slice text)
{
	struct buffer utf8 = { 0 }, folded = { 0 };
	struct mail_needle *needle = NULL;

	if (mime_to_utf8(charset, text, &utf8) && mime_fold(buffer_slice(&utf8), &folded))
		needle = calloc(1, sizeof(*needle) + folded.length);
	if (needle) {
		if (folded.length)
			memcpy(needle->text, folded.data, folded.length);
		needle->folded = slice_of(needle->text, folded.length);
		needle->ascii = utf8_ascii_prefix(needle->folded) == folded.length;
		arena_init(&needle->arena, SEARCH_MEMORY);
	}
	buffer_free(&utf8);
	buffer_free(&folded);
	return needle;
}

void mail_needle_free(struct mail_needle **needle)
{
	if (!*needle)
		return;
	arena_free(&(*needle)->arena);
	buffer_free(&(*needle)->decoded);
	buffer_free(&(*needle)->utf8);
	buffer_free(&(*needle)->upper);
	buffer_free(&(*needle)->line);
	free(*needle);
	*needle = NULL;
}

/* ---- In text -------------------------------------------------------------------------------------------------------- */

static bool equal_folded(const char *text, const char *upper, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (ascii_upper(text[i]) != upper[i])
			return false;
	}
	return true;
}

/*
 * Positions whose first and last byte fit, but for bit 5, by blocks that the compiler makes vector code of; those few are
 * compared in full.
 */
static bool find_ascii(struct slice needle, struct slice text)
{
	size_t n = needle.length, positions = text.length - n + 1, i = 0;
	const char *p = text.data, *q = text.data + n - 1;
	char first = needle.data[0] | 0x20, last = needle.data[n - 1] | 0x20;

	for (; i + BLOCK <= positions; i += BLOCK) {
		unsigned char any = 0;

		for (size_t j = 0; j < BLOCK; j++)
			any |= (unsigned char)(((p[i + j] | 0x20) == first) &
					       ((q[i + j] | 0x20) == last));
		for (size_t j = 0; any && j < BLOCK; j++) {
			if (equal_folded(p + i + j, needle.data, n))
				return true;
		}
	}
	for (; i < positions; i++) {
		if (equal_folded(p + i, needle.data, n))
			return true;
	}
	return false;
}

bool mail_search_utf8(struct mail_needle *needle, struct slice text)
{
	struct slice wanted = needle->folded;

	if (wanted.length == 0)
		return true;
	if (needle->ascii && wanted.length <= SHORT_NEEDLE)
		return wanted.length <= text.length && find_ascii(wanted, text);
	if (!needle->ascii && utf8_ascii_prefix(text) == text.length)
		return false;
	buffer_clear(&needle->upper);
	mime_fold(text, &needle->upper);
	return slice_search(buffer_slice(&needle->upper), wanted) >= 0;
}

/* ---- In headers ----------------------------------------------------------------------------------------------------- */

/* One line without encoded-words is as it will be read. */
static bool is_plain(const struct mail_needle *needle, struct slice value)
{
	ptrdiff_t at;

	if (slice_find(value, '\n') >= 0)
		return false;
	for (;;) {
		at = slice_find(value, '=');
		if (at < 0)
			return needle->ascii || utf8_valid(value);
		value = slice_tail(value, (size_t)at + 1);
		if (value.length && value.data[0] == '?')
			return false;
	}
}

/* In "Name: value". */
static bool in_field(struct mail_needle *needle, const struct header_field *field)
{
	size_t from = (size_t)(field->value.data - field->whole.data);

	if (is_plain(needle, field->value))
		return mail_search_utf8(
			needle, slice_head(field->whole, from + field->value.length));
	buffer_clear(&needle->line);
	buffer_add(&needle->line, field->name);
	buffer_add_text(&needle->line, ": ");
	header_decode(field->value, &needle->line);
	return mail_search_utf8(needle, buffer_slice(&needle->line));
}

static bool in_headers(struct mail_needle *needle, struct slice headers)
{
	struct header_field field;

	while (header_next_lax(&headers, &field)) {
		if (in_field(needle, &field))
			return true;
	}
	return false;
}

bool mail_search_header(struct mail_needle *needle, struct slice headers, struct slice name)
{
	struct header_field field;

	while (header_next_lax(&headers, &field)) {
		if (!slice_equal_nocase(field.name, name))
			continue;
		field.value = slice_trim(field.value);
		if (is_plain(needle, field.value)) {
			if (mail_search_utf8(needle, field.value))
				return true;
			continue;
		}
		buffer_clear(&needle->line);
		header_decode(field.value, &needle->line);
		if (mail_search_utf8(needle, buffer_slice(&needle->line)))
			return true;
	}
	return false;
}

/* ---- In bodies ------------------------------------------------------------------------------------------------------ */

static bool is_encoded(struct slice encoding)
{
	return slice_equal_nocase(encoding, SLICE("base64")) ||
	       slice_equal_nocase(encoding, SLICE("quoted-printable"));
}

static bool in_body(struct mail_needle *needle, const struct mime_part *part, struct slice body)
{
	struct slice charset = mime_parameter(part, "charset");

	if (is_encoded(part->encoding)) {
		buffer_clear(&needle->decoded);
		mime_decode(part->encoding, body, &needle->decoded); /* as far as memory goes */
		body = buffer_slice(&needle->decoded);
	}
	if (needle->ascii && mime_charset_keeps_ascii(charset))
		return mail_search_utf8(needle, body);
	if (!needle->ascii && mime_charset_keeps_ascii(charset) &&
		utf8_ascii_prefix(body) == body.length)
		return needle->folded.length == 0;
	buffer_clear(&needle->utf8);
	mime_to_utf8(charset, body, &needle->utf8);
	return mail_search_utf8(needle, buffer_slice(&needle->utf8));
}

/* Pictures and programs are not text; what could not be taken apart may be. */
static bool is_searched(const struct mime_part *part)
{
	return !part->is_multipart && !part->is_message &&
	       (slice_equal_nocase(part->type, SLICE("text")) ||
		       slice_equal_nocase(part->type, SLICE("message")) ||
		       slice_equal_nocase(part->type, SLICE("multipart")));
}

static const struct mime_part *next_part(const struct mime_part *part, const struct mime_part *top)
{
	if (part->children)
		return part->children;
	while (part != top && !part->next)
		part = part->parent;
	return part == top ? NULL : part->next;
}

bool mail_search_parts(struct mail_needle *needle, struct slice message,
	const struct mime_part *top, enum mail_search_where where)
{
	if (needle->folded.length == 0)
		return true;
	for (const struct mime_part *part = top; part; part = next_part(part, top)) {
		struct slice headers =
			slice_head(slice_tail(message, part->header_offset), part->header_length);
		bool enclosed = part->parent && part->parent->is_message;

		if ((where == MAIL_SEARCH_TEXT || enclosed) && in_headers(needle, headers))
			return true;
		if (is_searched(part) && in_body(needle, part,
						 slice_head(slice_tail(message, part->body_offset),
							 part->body_length)))
			return true;
	}
	return false;
}

bool mail_search_text(
	struct mail_needle *needle, struct slice message, enum mail_search_where where)
{
	struct mime_part *top;
	bool found;

	arena_reset(&needle->arena);
	top = mime_parse(message, &needle->arena);
	if (top)
		return mail_search_parts(needle, message, top, where);
	found = mail_search_utf8(needle, slice_tail(message, header_length_lax(message)));
	return found || (where == MAIL_SEARCH_TEXT && in_headers(needle, message));
}
