// SPDX-License-Identifier: ISC
/* BODY and BODYSTRUCTURE (RFC 3501 7.4.2). */
#include "mail/mime_internal.h"

/* Bounds what envelopes of enclosed messages may take while they are written. */
enum { ENVELOPE_MEMORY = 16 << 20 };

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
