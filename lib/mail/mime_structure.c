// SPDX-License-Identifier: ISC
/* BODY and BODYSTRUCTURE (RFC 3501 7.4.2), and the strings they are made of. */
#include "mail/header.h"
#include "mail/mime_internal.h"

/* Bounds what envelopes of enclosed messages may take while they are written. */
enum { ENVELOPE_MEMORY = 16 << 20 };

/* ---- Strings -------------------------------------------------------------------------------------------------------- */

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

/* ---- Structure ------------------------------------------------------------------------------------------------------ */

struct writer {
	struct slice message;
	bool extended;
	struct buffer *out;
	struct arena arena;
};

static bool write_parameters(const struct mime_parameter *parameters, unsigned count,
	bool default_charset, struct buffer *out)
{
	bool seen = !default_charset;

	if (count == 0 && seen)
		return buffer_add_text(out, "NIL");
	for (unsigned i = 0; i < count; i++) {
		seen = seen || slice_equal_nocase(parameters[i].name, SLICE("charset"));
		buffer_add_byte(out, i ? ' ' : '(');
		mime_write_nstring(parameters[i].name, out);
		buffer_add_byte(out, ' ');
		mime_write_nstring(parameters[i].value, out);
	}
	if (!seen)
		buffer_add_text(
			out, count ? " \"charset\" \"us-ascii\"" : "(\"charset\" \"us-ascii\"");
	return buffer_add_byte(out, ')');
}

static void write_disposition(const struct mime_part *part, struct buffer *out)
{
	if (!part->disposition.data) {
		buffer_add_text(out, " NIL");
		return;
	}
	buffer_add_text(out, " (");
	mime_write_nstring(part->disposition, out);
	buffer_add_byte(out, ' ');
	write_parameters(
		part->disposition_parameters, part->disposition_parameter_count, false, out);
	buffer_add_byte(out, ')');
}

/* Always as a list, which is right for one language, too. */
static void write_languages(const struct mime_part *part, struct buffer *out)
{
	struct slice rest = part->language, tag;
	unsigned n = 0;

	buffer_add_byte(out, ' ');
	while (slice_word(&rest, ", \t\r\n", &tag)) {
		if (tag.data[0] == '(') /* a comment */
			continue;
		buffer_add_byte(out, n++ ? ' ' : '(');
		mime_write_nstring(tag, out);
	}
	buffer_add_text(out, n ? ")" : "NIL");
}

/* Extension data behind the first: the same for all parts. */
static void write_common(const struct mime_part *part, struct buffer *out)
{
	write_disposition(part, out);
	write_languages(part, out);
	buffer_add_byte(out, ' ');
	mime_write_value(part->location, out);
}

static bool write_part(struct writer *writer, const struct mime_part *part);

static void write_multipart(struct writer *writer, const struct mime_part *part)
{
	struct buffer *out = writer->out;

	/* A multipart without parts has no form in IMAP; an empty text stands in. */
	if (!part->children) {
		buffer_add_text(
			out, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
		buffer_add_text(out, writer->extended ? " NIL NIL NIL NIL)" : ")");
	}
	for (const struct mime_part *c = part->children; c; c = c->next)
		write_part(writer, c);
	buffer_add_byte(out, ' ');
	mime_write_nstring(part->subtype, out);
	if (writer->extended) {
		buffer_add_byte(out, ' ');
		write_parameters(part->parameters, part->parameter_count, false, out);
		write_common(part, out);
	}
}

static void write_enclosed(struct writer *writer, const struct mime_part *part)
{
	const struct mime_part *top = part->children;
	struct slice headers =
		slice_head(slice_tail(writer->message, top->header_offset), top->header_length);

	buffer_add_byte(writer->out, ' ');
	mime_write_envelope(headers, &writer->arena, writer->out);
	arena_reset(&writer->arena);
	buffer_add_byte(writer->out, ' ');
	write_part(writer, top);
	buffer_add_byte(writer->out, ' ');
	buffer_add_u64(writer->out, part->body_lines);
}

/* A multipart or message that could not be taken apart is given as bytes: its own type would promise parts. */
static void write_type(const struct mime_part *part, struct buffer *out)
{
	bool text = mime_is_type(part, "text");
	bool opaque = mime_is_type(part, "multipart") ||
		      (!part->is_message && mime_is_type(part, "message") &&
			      slice_equal_nocase(part->subtype, SLICE("rfc822")));

	if (opaque) {
		buffer_add_text(out, "\"application\" \"octet-stream\" ");
	} else {
		mime_write_nstring(part->type, out);
		buffer_add_byte(out, ' ');
		mime_write_nstring(part->subtype, out);
		buffer_add_byte(out, ' ');
	}
	write_parameters(part->parameters, part->parameter_count, text, out);
}

static void write_single(struct writer *writer, const struct mime_part *part)
{
	struct buffer *out = writer->out;

	write_type(part, out);
	buffer_add_byte(out, ' ');
	mime_write_value(part->id, out);
	buffer_add_byte(out, ' ');
	mime_write_value(part->description, out);
	buffer_add_byte(out, ' ');
	mime_write_nstring(part->encoding, out);
	buffer_add_byte(out, ' ');
	buffer_add_u64(out, part->body_length);
	if (part->is_message) {
		write_enclosed(writer, part);
	} else if (mime_is_type(part, "text")) {
		buffer_add_byte(out, ' ');
		buffer_add_u64(out, part->body_lines);
	}
	if (writer->extended) {
		buffer_add_byte(out, ' ');
		mime_write_value(part->md5, out);
		write_common(part, out);
	}
}

/* Recursion is as deep as the tree, which mime_parse keeps to MIME_MAX_DEPTH. */
static bool write_part(struct writer *writer, const struct mime_part *part)
{
	buffer_add_byte(writer->out, '(');
	if (part->is_multipart)
		write_multipart(writer, part);
	else
		write_single(writer, part);
	return buffer_add_byte(writer->out, ')');
}

bool mime_write_structure(
	const struct mime_part *part, struct slice message, bool extended, struct buffer *out)
{
	struct writer writer = { .message = message, .extended = extended, .out = out };
	bool ok;

	arena_init(&writer.arena, ENVELOPE_MEMORY);
	ok = write_part(&writer, part);
	arena_free(&writer.arena);
	return ok;
}
