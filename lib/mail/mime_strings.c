// SPDX-License-Identifier: ISC
/* The strings of which ENVELOPE and BODYSTRUCTURE are made (RFC 3501 4.3, 4.5): quoted where that can be, else literals. */
#include "mail/header.h"
#include "mail/mime_internal.h"

/* Eight bytes at once: printable ASCII without quote or backslash (exact; see "haszero" and "hasless" of word-wise code). */
static bool plain_word(const char *p)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
	uint64_t w, quote, backslash, control;

	memcpy(&w, p, 8);
	quote = w ^ '"' * ones;
	backslash = w ^ '\\' * ones;
	quote = (quote - ones) & ~quote;
	backslash = (backslash - ones) & ~backslash;
	control = (w - ' ' * ones) & ~w;
	return ((w | quote | backslash | control) & high) == 0;
}

/* Most strings need nothing done. */
static size_t plain_prefix(struct slice s)
{
	size_t i = 0;

	while (i + 8 <= s.length && plain_word(s.data + i))
		i += 8;
	return i;
}

/* Bytes that need a backslash, or -1 when it cannot be a quoted string. */
static ptrdiff_t quoted_extra(struct slice s)
{
	ptrdiff_t extra = 0;

	for (size_t i = plain_prefix(s); i < s.length; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c == '\0' || c == '\r' || c == '\n' || c > 127)
			return -1;
		extra += c == '"' || c == '\\';
	}
	return extra;
}

/* NUL may not be in a literal, either: U+FFFD stands for it. */
static bool write_literal(struct slice s, struct buffer *out)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t nul = 0;

	for (size_t i = 0; i < s.length; i++)
		nul += s.data[i] == '\0';
	buffer_add_byte(out, '{');
	buffer_add_u64(out, s.length + nul * (sizeof(replacement) - 2));
	buffer_add_text(out, "}\r\n");
	if (nul == 0)
		return buffer_add(out, s);
	for (size_t i = 0; i < s.length; i++)
		buffer_append(out, s.data[i] ? &s.data[i] : replacement,
			s.data[i] ? 1 : sizeof(replacement) - 1);
	return !out->failed;
}

bool mime_write_nstring(struct slice s, struct buffer *out)
{
	ptrdiff_t extra;
	char *to;

	if (!s.data)
		return buffer_add_text(out, "NIL");
	extra = quoted_extra(s);
	if (extra < 0)
		return write_literal(s, out);
	to = buffer_reserve(out, s.length + (size_t)extra + 2);
	if (!to)
		return false;
	*to++ = '"';
	if (extra == 0) {
		memcpy(to, s.data, s.length);
		to += s.length;
	} else {
		for (size_t i = 0; i < s.length; i++) {
			if (s.data[i] == '"' || s.data[i] == '\\')
				*to++ = '\\';
			*to++ = s.data[i];
		}
	}
	*to = '"';
	out->length += s.length + (size_t)extra + 2;
	return true;
}

bool mime_write_value(struct slice value, struct buffer *out)
{
	struct buffer unfolded = { .limit = value.length + 1 };
	struct slice trimmed = slice_trim(value);
	bool ok;

	if (!value.data || slice_find(trimmed, '\n') < 0)
		return mime_write_nstring(value.data ? trimmed : value, out);
	ok = header_unfold(trimmed, &unfolded) && mime_write_nstring(buffer_slice(&unfolded), out);
	buffer_free(&unfolded);
	return ok;
}
