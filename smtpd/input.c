// SPDX-License-Identifier: ISC
/* Lines in, and what waits in the output buffer out. Only CR LF ends a line. */
#include <errno.h>

#include "smtpd/session.h"

enum {
	INPUT_OVERLONG =
		64 /* times the line limit is swallowed of an over-long line, then the session ends */
};

void output_flush(struct session *s)
{
	size_t length = s->output_length;

	s->output_length = 0;
	if (!length || s->loss != LOSS_NONE)
		return;
	if (!s->io->write(s->context, s->output, length, s->io->now(s->context) + s->timeout))
		s->loss = errno == ETIMEDOUT ? LOSS_TIMEOUT : LOSS_GONE;
}

void output_challenge(struct session *s, struct slice text)
{
	if (s->output_length + text.length + 6 > SESSION_OUTPUT)
		output_flush(s);
	memcpy(s->output + s->output_length, "334 ", 4);
	if (text.length)
		memcpy(s->output + s->output_length + 4, text.data, text.length);
	memcpy(s->output + s->output_length + 4 + text.length, "\r\n", 2);
	s->output_length += text.length + 6;
}

/* Read more behind what there is. There is room: callers consume lines, and no line is longer than its limit. */
static bool input_fill(struct session *s, int64_t deadline)
{
	ssize_t got;

	output_flush(s);
	if (s->loss != LOSS_NONE)
		return false;
	if (s->input_start) {
		memmove(s->input, s->input + s->input_start, s->input_end - s->input_start);
		s->input_end -= s->input_start;
		s->input_scanned -= s->input_start;
		s->input_start = 0;
	}
	got = s->io->read(
		s->context, s->input + s->input_end, s->input_size - s->input_end, deadline);
	if (got <= 0) {
		s->loss = got == 0             ? LOSS_GONE
			  : errno == ETIMEDOUT ? LOSS_TIMEOUT
			  : errno == ECANCELED ? LOSS_DISMISSED
					       : LOSS_GONE;
		return false;
	}
	s->input_end += (size_t)got;
	return true;
}

bool input_some(struct session *s, struct slice *bytes, int64_t deadline)
{
	if (!input_pending(s) && !input_fill(s, deadline))
		return false;
	*bytes = slice_of(s->input + s->input_start, s->input_end - s->input_start);
	return true;
}

void input_consume(struct session *s, size_t length)
{
	s->input_start += length;
	if (s->input_start >= s->input_end)
		s->input_start = s->input_end = 0;
	s->input_scanned = s->input_start;
}

/* Input is moved to the front while a line is not complete, and lines stay until others come over them. */
void input_forget(struct session *s)
{
	explicit_bzero(s->input, s->input_start);
	explicit_bzero(s->input + s->input_end, s->input_size - s->input_end);
}

/* Drop an over-long line up to its end. */
static enum line_status skip_line(struct session *s, int64_t limit, int64_t deadline)
{
	int64_t left = limit * INPUT_OVERLONG;
	struct slice bytes;

	while (left > 0 && input_some(s, &bytes, deadline)) {
		ptrdiff_t end = slice_find(bytes, '\n');

		left -= (int64_t)bytes.length;
		input_consume(s, end < 0 ? bytes.length : (size_t)end + 1);
		if (end >= 0)
			return LINE_TOO_LONG;
	}
	s->closing = true;
	return s->loss == LOSS_NONE ? LINE_TOO_LONG : LINE_LOST;
}

/* The deadline holds for the whole line: a client that sends a byte now and then is no better than a silent one. */
enum line_status input_line(struct session *s, struct slice *line, int64_t limit)
{
	int64_t deadline = 0;

	for (;;) {
		const char *from = s->input + s->input_scanned;
		const char *end = memchr(from, '\n', s->input_end - s->input_scanned);
		char *begin = s->input + s->input_start;
		size_t length = (end ? (size_t)(end - begin) : s->input_end - s->input_start);
		bool crlf = end && end > begin && end[-1] == '\r';

		if (length > (size_t)limit + 1) {
			return skip_line(s, limit,
				deadline ? deadline : s->io->now(s->context) + s->timeout);
		} else if (end) {
			*line = slice_of(begin, length - crlf);
			s->input_start = s->input_scanned = (size_t)(end + 1 - s->input);
			return crlf || s->settings->normalize_newlines ? LINE_GOOD : LINE_BARE_LF;
		}
		s->input_scanned = s->input_end;
		if (!deadline)
			deadline = s->io->now(s->context) + s->timeout;
		if (!input_fill(s, deadline))
			return LINE_LOST;
	}
}

void printable_copy(struct slice from, char *to, size_t size)
{
	size_t length = from.length < size ? from.length : size - 1;

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)from.data[i];

		to[i] = (char)(byte < ' ' || byte == 127 ? '?' : byte);
	}
	to[length] = '\0';
}
