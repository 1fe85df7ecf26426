// SPDX-License-Identifier: ISC
/*
 * Looking for a text in headers and bodies, case folded. Plain ASCII, the usual case, is compared where it lies; only text that is
 * encoded or not ASCII is decoded and folded first.
 */
#include "imapd/search.h"

#include "mail/header.h"
#include "mail/utf8.h"

struct needle *needle_new(struct slice charset, struct slice text, struct arena *arena)
{
	struct needle *needle = arena_alloc(arena, sizeof(*needle));
	struct buffer utf8 = { 0 }, folded = { 0 };
	size_t n;

	if (needle && mime_to_utf8(charset, text, &utf8) && mime_fold(buffer_slice(&utf8), &folded))
		needle->folded = arena_slice(arena, buffer_slice(&folded));
	buffer_free(&utf8);
	buffer_free(&folded);
	if (!needle || !needle->folded.data)
		return NULL;
	n = needle->folded.length;
	needle->ascii = utf8_ascii_prefix(needle->folded) == n;
	for (unsigned i = 0; i < 256; i++)
		needle->skip[i] = (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
	for (size_t i = 0; i + 1 < n; i++) {
		unsigned char c = (unsigned char)needle->folded.data[i];
		uint16_t skip = (uint16_t)(n - 1 - i < UINT16_MAX ? n - 1 - i : UINT16_MAX);

		needle->skip[c] = skip;
		needle->skip[(unsigned char)ascii_lower((char)c)] = skip;
	}
	return needle;
}

static bool equal_folded(const char *text, const char *folded, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ascii_upper(text[i]) != folded[i])
			return false;
	}
	return true;
}

/* ASCII needle in bytes as they are. */
static bool find_ascii(const struct needle *needle, struct slice text)
{
	size_t n = needle->folded.length, at = 0;
	const char *folded = needle->folded.data;
	char last;

	if (n == 0)
		return true;
	last = folded[n - 1];
	while (at + n <= text.length) {
		char c = text.data[at + n - 1];

		if (ascii_upper(c) == last && equal_folded(text.data + at, folded, n - 1))
			return true;
		at += needle->skip[(unsigned char)c];
	}
	return false;
}

bool needle_in(const struct needle *needle, struct slice utf8, struct buffer *scratch)
{
	if (needle->ascii)
		return find_ascii(needle, utf8);
	buffer_clear(scratch);
	return mime_fold(utf8, scratch) && slice_search(buffer_slice(scratch), needle->folded) >= 0;
}

/* A field's value: unfolded and decoded only when it is more than one line of plain text. */
static bool in_value(const struct needle *needle, struct slice value, struct buffer *scratch)
{
	struct buffer text = { 0 };
	bool found;

	value = slice_trim(value);
	if (needle->ascii && slice_find(value, '\n') < 0 && slice_search(value, SLICE("=?")) < 0)
		return find_ascii(needle, value);
	header_decode(value, &text);
	found = needle_in(needle, buffer_slice(&text), scratch);
	buffer_free(&text);
	return found;
}

/* The next line that is not a continuation begins behind this. */
static size_t field_length(struct slice text)
{
	size_t at = 0;

	for (;;) {
		ptrdiff_t end = slice_find(slice_tail(text, at), '\n');

		if (end < 0)
			return text.length;
		at += (size_t)end + 1;
		if (at >= text.length || (text.data[at] != ' ' && text.data[at] != '\t'))
			return at;
	}
}

/* Whether `field` has that name; *value is what stands behind the colon. */
static bool field_named(struct slice field, struct slice name, struct slice *value)
{
	size_t at = name.length;

	if (name.length == 0) {
		*value = field;
		return true;
	}
	if (field.length <= at || ascii_lower(field.data[0]) != ascii_lower(name.data[0]) ||
		!slice_starts_nocase(field, name))
		return false;
	while (at < field.length && (field.data[at] == ' ' || field.data[at] == '\t'))
		at++;
	if (at >= field.length || field.data[at] != ':')
		return false;
	*value = slice_tail(field, at + 1);
	return true;
}

bool needle_in_field(const struct needle *needle, struct slice headers, struct slice name,
	struct buffer *scratch)
{
	while (headers.length && headers.data[0] != '\r' && headers.data[0] != '\n') {
		struct slice field = slice_head(headers, field_length(headers)), value;

		if (field_named(field, name, &value) && in_value(needle, value, scratch))
			return true;
		headers = slice_tail(headers, field.length);
	}
	return false;
}

static bool plain_encoding(struct slice encoding)
{
	return !slice_equal_nocase(encoding, SLICE("BASE64")) &&
	       !slice_equal_nocase(encoding, SLICE("QUOTED-PRINTABLE"));
}

static bool in_text_part(const struct needle *needle, const struct mime_part *part,
	struct slice body, struct buffer *scratch)
{
	struct slice charset = mime_parameter(part, "charset");
	struct buffer decoded = { 0 }, utf8 = { 0 };
	bool found, latin = charset.data && !slice_equal_nocase(charset, SLICE("US-ASCII")) &&
			    !slice_equal_nocase(charset, SLICE("UTF-8"));

	if (needle->ascii && plain_encoding(part->encoding) &&
		!slice_starts_nocase(latin ? charset : SLICE(""), SLICE("ISO-2022")) &&
		!slice_starts_nocase(latin ? charset : SLICE(""), SLICE("UTF-")))
		return find_ascii(needle, body);
	mime_decode(part->encoding, body, &decoded);
	if (latin)
		mime_to_utf8(charset, buffer_slice(&decoded), &utf8);
	found = needle_in(needle, latin ? buffer_slice(&utf8) : buffer_slice(&decoded), scratch);
	buffer_free(&decoded);
	buffer_free(&utf8);
	return found;
}

static bool in_part(const struct needle *needle, const struct mime_part *part, struct slice message,
	struct buffer *scratch)
{
	struct slice body = slice_head(slice_tail(message, part->body_offset), part->body_length);

	for (const struct mime_part *child = part->children; child; child = child->next) {
		struct slice headers =
			slice_head(slice_tail(message, child->header_offset), child->header_length);

		if (part->is_message && needle_in_field(needle, headers, SLICE(""), scratch))
			return true;
		if (in_part(needle, child, message, scratch))
			return true;
	}
	if (part->children || !slice_equal_nocase(part->type, SLICE("TEXT")))
		return false;
	return in_text_part(needle, part, body, scratch);
}

bool needle_in_body(const struct needle *needle, struct slice message, struct arena *arena,
	struct buffer *scratch)
{
	struct mime_part *top = mime_parse(message, arena);
	bool found =
		top ? in_part(needle, top, message, scratch)
		    : needle_in(needle, slice_tail(message, header_length_lax(message)), scratch);

	arena_reset(arena);
	return found;
}
