// SPDX-License-Identifier: ISC
/* What the session writes to its client: gathered in one buffer, written when it is much or when the session waits. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/loop.h"
#include "imapd/session.h"
#include "mail/utf7.h"

static void out_lost(struct session *s)
{
	s->lost = true;
	s->ended = true;
	buffer_clear(&s->output.buffer);
	s->output.held = false;
}

static bool write_some(struct session *s, struct slice *data)
{
	ssize_t n = write(s->out, data->data, data->length);

	if (n > 0) {
		s->bytes_out += (size_t)n;
		*data = slice_tail(*data, (size_t)n);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN) {
		struct pollfd wait = { .fd = s->out, .events = POLLOUT };
		int ready = poll(&wait, 1, SESSION_WRITE_TIMEOUT);

		return ready > 0 || (ready < 0 && errno == EINTR);
	}
	return false;
}

static void write_all(struct session *s, struct slice data)
{
	while (data.length && !s->lost) {
		if (!write_some(s, &data))
			out_lost(s);
	}
}

void out_flush(struct session *s, bool all)
{
	struct output *o = &s->output;

	if (o->buffer.failed) {
		out_lost(s);
		return;
	}
	if (o->held || s->lost || (!all && o->buffer.length < SESSION_OUTPUT))
		return;
	write_all(s, buffer_slice(&o->buffer));
	buffer_clear(&o->buffer);
	if (o->buffer.capacity > 4 * SESSION_OUTPUT)
		buffer_free(&o->buffer);
}

void out_slice(struct session *s, struct slice text)
{
	struct output *o = &s->output;

	if (s->lost)
		return;
	if (text.length >= SESSION_OUTPUT / 2 && !o->held) {
		out_flush(s, true);
		write_all(s, text);
		return;
	}
	buffer_add(&o->buffer, text);
	if (o->buffer.length >= SESSION_OUTPUT)
		out_flush(s, false);
}

void out_text(struct session *s, const char *text)
{
	out_slice(s, slice_from(text));
}

void out_byte(struct session *s, char c)
{
	buffer_add_byte(&s->output.buffer, c);
}

void out_number(struct session *s, uint64_t number)
{
	buffer_add_u64(&s->output.buffer, number);
}

void out_printf(struct session *s, const char *format, ...)
{
	va_list args;

	if (s->lost)
		return;
	va_start(args, format);
	buffer_vprintf(&s->output.buffer, format, args);
	va_end(args);
	out_flush(s, false);
}

void out_literal(struct session *s, struct slice data)
{
	out_byte(s, '{');
	out_number(s, data.length);
	out_slice(s, SLICE("}\r\n"));
	out_slice(s, data);
}

static bool quotable(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
			return false;
	}
	return text.length <= 1000;
}

void out_string(struct session *s, struct slice text)
{
	if (!quotable(text)) {
		out_literal(s, text);
		return;
	}
	out_byte(s, '"');
	out_slice(s, text);
	out_byte(s, '"');
}

static bool needs_quotes(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (!ascii_alnum(c) && !(c && strchr("/._-&,+~@=:!", c)))
			return true;
	}
	return text.length == 0 || slice_equal_nocase(text, SLICE("NIL"));
}

void out_mailbox(struct session *s, struct slice name)
{
	struct buffer wire = buffer_limited(16 * SESSION_NAME_MAX);

	if (utf7_encode(name, &wire)) {
		struct slice text = buffer_slice(&wire);

		if (needs_quotes(text))
			out_string(s, text);
		else
			out_slice(s, text);
	}
	buffer_free(&wire);
}

size_t out_hold(struct session *s)
{
	s->output.held = true;
	return s->output.buffer.length;
}

void out_release(struct session *s)
{
	s->output.held = false;
	out_flush(s, false);
}

void out_rollback(struct session *s, size_t mark)
{
	if (!s->lost && s->output.buffer.length >= mark)
		s->output.buffer.length = mark;
	out_release(s);
}
