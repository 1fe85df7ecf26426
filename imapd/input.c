// SPDX-License-Identifier: ISC
/*
 * What the session reads from its client: lines and literals, bounded; and notices from its spawner while it waits.
 *
 * A literal nobody wants is read and thrown away only if the client sends it without asking (LITERAL+), and only up to
 * SESSION_SKIP_LIMIT: whoever announces 2^63 bytes is shown the door.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/loop.h"
#include "imapd/session.h"
#include "ipc/channel.h"

static volatile sig_atomic_t stop_asked;
static sigset_t wait_mask; /* while waiting: SIGTERM and SIGHUP let in */

static void on_stop(int signal)
{
	stop_asked = signal;
}

const char *input_stop_reason(void)
{
	return stop_asked == SIGHUP ? "Disconnected by the administrator."
				    : "Server shutting down.";
}

void input_catch_stop(void)
{
	struct sigaction action = { .sa_handler = on_stop };
	sigset_t block;

	/* Let in while waiting only, so that a command is never cut short and no signal is missed between two looks. */
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigprocmask(SIG_BLOCK, &block, &wait_mask);
	sigdelset(&wait_mask, SIGTERM);
	sigdelset(&wait_mask, SIGHUP);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

bool input_pending(const struct session *s)
{
	return s->input.start < s->input.end;
}

static void spawner_lost(struct session *s)
{
	close(s->spawner);
	s->spawner = -1;
}

/* One packet from the spawner, if there is one. */
static bool take_notice(struct session *s)
{
	struct buffer space = { 0 };
	struct message message;
	bool got;

	if (s->spawner < 0)
		return false;
	got = channel_sync_receive(
		s->spawner, &message, &space, loop_monotonic() + SESSION_NOTICE_TIMEOUT);
	if (got) {
		if (message.type == MESSAGE_NOTICE) {
			s->noticed = true;
			s->notices++;
		}
		message_close_fds(&message);
	} else if (errno != ETIMEDOUT && errno != EAGAIN) {
		spawner_lost(s);
	}
	buffer_free(&space);
	return got;
}

void input_take_notices(struct session *s)
{
	struct pollfd look = { .fd = s->spawner, .events = POLLIN };

	while (s->spawner >= 0 && poll(&look, 1, 0) > 0) {
		if (!take_notice(s))
			break;
		look.fd = s->spawner;
	}
}

enum input_event input_wait(struct session *s, int64_t deadline)
{
	for (;;) {
		struct pollfd wait[2] = { { .fd = s->in, .events = POLLIN },
			{ .fd = s->spawner, .events = POLLIN } };
		int64_t left = deadline - loop_monotonic();
		struct timespec time;
		int ready;

		if (left < 0)
			left = 0;
		time = (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
		ready = ppoll(wait, 2, &time, &wait_mask);
		if (stop_asked)
			return INPUT_STOP;
		if (ready == 0)
			return INPUT_TIMEOUT;
		if (ready < 0 && errno != EINTR)
			return INPUT_STOP;
		if (ready > 0 && wait[0].revents)
			return INPUT_READABLE;
		if (ready > 0 && wait[1].revents && take_notice(s))
			return INPUT_NOTICE;
	}
}

/*
 * Many clients send a literal and the line behind it in two small packets; their kernel holds the second back until we have
 * acknowledged the first, and ours waits 40 ms to do that.
 */
static void acknowledge(struct session *s)
{
	int on = 1;

	/* Not a TCP socket in tests: no harm. */
	if (s->in_command)
		(void)!setsockopt(s->in, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* At least one more byte in the buffer. Everything written so far goes out before the session waits. */
static bool input_fill(struct session *s)
{
	struct input *in = &s->input;
	int64_t deadline = loop_monotonic() + s->settings.timeout;

	if (in->start == in->end)
		in->start = in->end = 0;
	if (in->end == SESSION_INPUT) {
		memmove(in->data, in->data + in->start, in->end - in->start);
		in->end -= in->start;
		in->start = 0;
	}
	for (;;) {
		ssize_t n;

		if (s->ended)
			return false;
		n = read(s->in, in->data + in->end, SESSION_INPUT - in->end);
		if (n > 0) {
			in->end += (size_t)n;
			s->bytes_in += (size_t)n;
			return true;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			s->ended = true;
			return false;
		}
		out_flush(s, true);
		acknowledge(s);
		switch (input_wait(s, deadline)) {
		case INPUT_TIMEOUT:
			session_bye(s, "Disconnected for inactivity.");
			return false;
		case INPUT_STOP:
			session_bye(s, input_stop_reason());
			return false;
		default:
			break;
		}
	}
}

static struct slice input_rest(const struct session *s)
{
	return slice_of(s->input.data + s->input.start, s->input.end - s->input.start);
}

/* The last bytes of all that was given. */
struct tail {
	char bytes[SESSION_LINE_TAIL];
	size_t length;
};

static void tail_add(struct tail *tail, struct slice data)
{
	size_t keep;

	if (data.length > SESSION_LINE_TAIL)
		data = slice_tail(data, data.length - SESSION_LINE_TAIL);
	keep = SESSION_LINE_TAIL - data.length;
	if (keep > tail->length)
		keep = tail->length;
	memmove(tail->bytes, tail->bytes + tail->length - keep, keep);
	if (data.length)
		memcpy(tail->bytes + keep, data.data, data.length);
	tail->length = keep + data.length;
}

static struct slice without_line_end(struct slice line)
{
	if (line.length && line.data[line.length - 1] == '\n')
		line.length--;
	if (line.length && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

/* What is left of a line that is too long. It has been read to its end; a short one came behind literals that used up the room. */
static void keep_ends(struct session *s, struct buffer *text, const struct tail *tail, bool cut,
	struct slice *line)
{
	if (cut) {
		text->length = text->length < SESSION_LINE_HEAD ? text->length : SESSION_LINE_HEAD;
		text->failed = false;
		buffer_append(text, tail->bytes, tail->length);
	}
	arena_reset(&s->part_arena);
	*line = arena_slice(&s->part_arena, without_line_end(buffer_slice(text)));
}

enum input_status input_line(struct session *s, struct slice *line)
{
	struct buffer text = { .limit = s->settings.command_limit + SESSION_LINE_TAIL + 1 };
	struct tail tail = { .length = 0 };
	uint64_t length = 0;
	bool whole = false, too_long = false;

	*line = (struct slice){ 0 };
	while (!whole) {
		struct slice have;
		ptrdiff_t end;

		/* Answers to pipelined commands are gathered; input_fill writes them before it waits. */
		if (!input_pending(s) && !input_fill(s)) {
			buffer_free(&text);
			return INPUT_ENDED;
		}
		have = input_rest(s);
		end = slice_find(have, '\n');
		whole = end >= 0;
		if (whole)
			have = slice_head(have, (size_t)end + 1);
		s->input.start += have.length;
		s->command_bytes += have.length;
		length += have.length;
		too_long = too_long || s->command_bytes > s->settings.command_limit;
		tail_add(&tail, have);
		buffer_add(
			&text, too_long ? slice_head(have, text.length < SESSION_LINE_HEAD
								   ? SESSION_LINE_HEAD - text.length
								   : 0)
					: have);
		if (length > SESSION_SKIP_LIMIT) {
			session_bye(s, "Command line is too long.");
			buffer_free(&text);
			return INPUT_ENDED;
		}
	}
	if (too_long)
		keep_ends(s, &text, &tail, length > SESSION_LINE_HEAD, line);
	else if (!text.failed)
		*line = without_line_end(arena_slice(&s->arena, buffer_slice(&text)));
	buffer_free(&text);
	return line->data && !too_long ? INPUT_LINE : INPUT_TOO_LONG;
}

bool input_literal(struct session *s, uint64_t size, bool (*sink)(void *context, struct slice data),
	void *context)
{
	bool wanted = sink != NULL;

	while (size) {
		struct slice have;

		if (!input_pending(s) && !input_fill(s))
			return false;
		have = slice_head(input_rest(s), size < SIZE_MAX ? (size_t)size : SIZE_MAX);
		wanted = wanted && sink(context, have);
		s->input.start += have.length;
		size -= have.length;
	}
	return wanted || !sink;
}

static bool collect(void *context, struct slice data)
{
	return buffer_add(context, data);
}

/* The rest of the command behind a literal. */
static bool next_line(struct session *s, struct command *c)
{
	switch (input_line(s, &c->line)) {
	case INPUT_LINE:
		c->parser.rest = c->line;
		return true;
	case INPUT_TOO_LONG:
		return parse_fail(&c->parser, "Command is too large");
	default:
		return parse_fail(&c->parser, "Connection closed");
	}
}

/* Throw a literal away that comes unasked; false when it is too much to be read. */
static bool skip_literal(struct session *s, uint64_t size, uint64_t *left)
{
	if (size > *left) {
		session_bye(s, "Literal is too large.");
		return false;
	}
	*left -= size;
	return input_literal(s, size, NULL, NULL);
}

bool input_command_literal(struct parser *p, uint64_t size, bool synchronizing, struct slice *data)
{
	struct command *c = (struct command *)((char *)p - offsetof(struct command, parser));
	struct session *s = p->context;
	size_t room = s->settings.command_limit;
	struct buffer text = { .limit = room };
	bool ok;

	room = s->command_bytes < room ? room - s->command_bytes : 0;
	if (size > room) {
		if (synchronizing)
			c->line = (struct slice){ 0 };
		return parse_fail(p, "Literal is too large");
	}
	if (synchronizing)
		out_text(s, "+ OK\r\n");
	s->command_bytes += size;
	ok = input_literal(s, size, collect, &text) || size == 0;
	*data = ok && !s->ended ? arena_slice(&s->arena, buffer_slice(&text)) : (struct slice){ 0 };
	buffer_free(&text);
	return next_line(s, c) && (data->data || parse_fail(p, "Literal is too large"));
}

void input_skip_command(struct session *s, struct command *c)
{
	struct slice line = c->line;
	uint64_t size, left = SESSION_SKIP_LIMIT;
	size_t at;
	bool synchronizing;

	while (!s->ended && parse_literal_mark(line, &at, &size, &synchronizing) &&
		!synchronizing) {
		if (!skip_literal(s, size, &left))
			return;
		/* Only the end of each line matters now, and none may use up the arena: give each its own room. */
		s->command_bytes = 0;
		arena_reset(&s->arena);
		left -= left < SESSION_LINE_TAIL ? left : SESSION_LINE_TAIL;
		(void)input_line(s, &line);
	}
	c->line = (struct slice){ 0 };
}
