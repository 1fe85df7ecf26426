// SPDX-License-Identifier: ISC
/* Header fields, one after another, and what stands in them. See header.h; encoded-words are in header_decode.c. */
#include "mail/header.h"

/* ftext (RFC 5322 3.6.8): printable ASCII but the colon. */
static bool is_name_byte(unsigned char c)
{
	return c > ' ' && c < 127 && c != ':';
}

/* The end of the line that begins at `p`: behind its LF, or `end`. */
static const char *line_end(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));

	return lf ? lf + 1 : end;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Behind the last line of the field that begins at `p`. */
static const char *field_end(const char *p, const char *end)
{
	do
		p = line_end(p, end);
	while (p < end && is_blank(*p));
	return p;
}

static bool is_empty_line(const char *p, const char *end)
{
	return *p == '\n' || (*p == '\r' && p + 1 < end && p[1] == '\n');
}

bool header_next(struct slice *text, struct header_field *field, bool *bad)
{
	const char *start = text->data, *end, *p, *stop, *value;

	*bad = false;
	if (text->length == 0)
		return false;
	end = start + text->length;
	if (is_empty_line(start, end))
		return false;
	for (p = start; p < end && is_name_byte((unsigned char)*p);)
		p++;
	field->name = slice_of(start, (size_t)(p - start));
	while (p < end && is_blank(*p))
		p++;
	if (field->name.length == 0 || p == end || *p != ':') {
		*bad = true;
		return false;
	}
	value = p + 1;
	stop = field_end(value, end);
	field->whole = slice_of(start, (size_t)(stop - start));
	*text = slice_tail(*text, (size_t)(stop - start));
	if (stop > value && stop[-1] == '\n')
		stop--;
	if (stop > value && stop[-1] == '\r')
		stop--;
	field->value = slice_of(value, (size_t)(stop - value));
	return true;
}

bool header_next_lax(struct slice *text, struct header_field *field)
{
	bool bad;

	while (!header_next(text, field, &bad)) {
		const char *end = text->data + text->length;

		if (!bad)
			return false;
		*text = slice_tail(*text, (size_t)(field_end(text->data, end) - text->data));
	}
	return true;
}

size_t header_length(struct slice message)
{
	struct slice rest = message;
	struct header_field field;
	bool bad;

	while (header_next(&rest, &field, &bad))
		;
	if (rest.length && !bad)
		rest = slice_tail(rest, rest.data[0] == '\r' ? 2 : 1);
	return message.length - rest.length;
}

size_t header_length_lax(struct slice message)
{
	const char *p = message.data, *end = p + message.length;

	while (p < end && !is_empty_line(p, end))
		p = line_end(p, end);
	if (p < end)
		p += *p == '\r' ? 2 : 1;
	return (size_t)(p - message.data);
}

bool header_find(struct slice headers, const char *name, struct header_field *field)
{
	struct slice wanted = slice_from(name);
	bool bad;

	while (header_next(&headers, field, &bad)) {
		if (slice_equal_nocase(field->name, wanted))
			return true;
	}
	return false;
}

bool header_unfold(struct slice value, struct buffer *out)
{
	value = slice_trim(value);
	while (value.length) {
		ptrdiff_t lf = slice_find(value, '\n');
		size_t length = lf < 0 ? value.length : (size_t)lf;

		if (lf > 0 && value.data[lf - 1] == '\r')
			length--;
		if (!buffer_append(out, value.data, length))
			return false;
		value = slice_tail(value, lf < 0 ? value.length : (size_t)lf + 1);
	}
	return !out->failed;
}

/* ---- Incremental reading -------------------------------------------------------------------------------------------- */

enum { AT_LINE_START, IN_NAME, BEHIND_NAME, IN_VALUE };

/* The field that has been gathered is whole. */
static void stream_flush(struct header_stream *stream)
{
	if (stream->line.length && stream->field)
		stream->field(stream->context, buffer_slice(&stream->line));
	buffer_clear(&stream->line);
}

/* Keep what fits: a field that is too long is cut, and its last LF with it. */
static void stream_keep(struct header_stream *stream, struct slice bytes)
{
	size_t limit = stream->limit ? stream->limit : BUFFER_DEFAULT_LIMIT;
	size_t room = limit > stream->line.length ? limit - stream->line.length : 0;

	if (!buffer_add(&stream->line, slice_head(bytes, room)))
		stream->failed = true;
}

/* The line that has begun is the body's: of the `taken` bytes of this chunk and those before, give its bytes back. */
static size_t stream_body(struct header_stream *stream, size_t taken)
{
	size_t here = stream->line.length < taken ? stream->line.length : taken;

	stream->excess = stream->line.length - here;
	stream->done = true;
	buffer_clear(&stream->line);
	return taken - here;
}

enum verdict { MORE, IS_FIELD, IS_END, IS_BODY };

/* One byte more of a line that may turn out to be a field, the empty line, or the body's first. */
static enum verdict stream_name(struct header_stream *stream, char c)
{
	size_t had = stream->line.length;

	if (c == '\n')
		return had == 0 || (had == 1 && stream->line.data[0] == '\r') ? IS_END : IS_BODY;
	if (had && stream->line.data[0] == '\r')
		return IS_BODY;
	stream_keep(stream, slice_of(&c, 1));
	if (stream->line.length == had) /* no room for such a name */
		return IS_BODY;
	if (had && c == ':')
		return IS_FIELD;
	if (had && is_blank(c)) {
		stream->state = BEHIND_NAME;
		return MORE;
	}
	if ((stream->state == IN_NAME && is_name_byte((unsigned char)c)) || (!had && c == '\r'))
		return MORE;
	stream->line.length = had;
	return IS_BODY;
}

/* Behind the end of a line: is this the next line of the same field? */
static void stream_line_start(struct header_stream *stream, char c)
{
	if (stream->line.length && is_blank(c)) {
		stream->state = IN_VALUE;
	} else {
		stream_flush(stream);
		stream->state = IN_NAME;
	}
}

size_t header_stream_feed(struct header_stream *stream, struct slice chunk)
{
	size_t i = 0;

	while (i < chunk.length && !stream->done) {
		if (stream->state == AT_LINE_START) {
			stream_line_start(stream, chunk.data[i]);
		} else if (stream->state == IN_VALUE) {
			struct slice rest = slice_tail(chunk, i);
			ptrdiff_t lf = slice_find(rest, '\n');
			size_t length = lf < 0 ? rest.length : (size_t)lf + 1;

			stream_keep(stream, slice_head(rest, length));
			if (lf >= 0)
				stream->state = AT_LINE_START;
			i += length;
		} else {
			switch (stream_name(stream, chunk.data[i])) {
			case IS_BODY:
				return stream_body(stream, i);
			case IS_END:
				buffer_clear(&stream->line);
				stream->done = true;
				break;
			case IS_FIELD:
				stream->state = IN_VALUE;
				break;
			case MORE:
				break;
			}
			i++;
		}
	}
	return i;
}

void header_stream_end(struct header_stream *stream)
{
	if (stream->done)
		return;
	if (stream->state == IN_NAME || stream->state == BEHIND_NAME)
		stream_body(stream, 0);
	else
		stream_flush(stream);
	stream->done = true;
}

void header_stream_free(struct header_stream *stream)
{
	buffer_free(&stream->line);
}
