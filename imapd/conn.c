// SPDX-License-Identifier: ISC
/* A client before login: its input cut into commands within tight bounds, its output, its end. See front.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "imapd/front.h"
#include "service/log.h"

static void conn_ready(struct watch *watch, uint32_t events);

void conn_forget_prelogin(struct conn *conn)
{
	struct prelogin *l = conn->pre;

	if (!l)
		return;
	tls_cancel(&l->handshake);
	free(l->tls);
	buffer_free(&l->in);
	buffer_free(&l->out);
	arena_free(&l->arena);
	free(l);
	conn->pre = NULL;
}

static void conn_timeout(struct timer *timer)
{
	struct conn *conn = timer->context;

	if (conn->state == CONN_DELAY) {
		const char *refusal = conn->pre->refusal;

		conn->state = CONN_LOGIN;
		conn_reply(conn, refusal);
		if (conn->pre->failures >= conn->front->max_failures) {
			conn_end(conn, "Auth failed", "Too many authentication failures.");
			return;
		}
		loop_timer_start(conn->front->loop, &conn->timer, conn->front->login_timeout);
		conn_continue(conn);
		return;
	}
	conn_end(conn, "Inactivity", "Disconnected for inactivity.");
}

void conn_begin(struct conn *conn)
{
	struct imap_front *f = conn->front;

	conn->pre = calloc(1, sizeof(*conn->pre));
	if (!conn->pre) {
		conn_close(conn);
		return;
	}
	/* It may hold a password. */
	conn->pre->in = buffer_secret(CONN_INPUT_LIMIT);
	conn->pre->out = buffer_limited(CONN_OUTPUT_LIMIT);
	arena_init(&conn->pre->arena, CONN_ARENA_LIMIT);
	conn->pre->arena.secret = true;
	conn->timer = (struct timer){ .fire = conn_timeout, .context = conn };
	if (!loop_timer_start(f->loop, &conn->timer, f->login_timeout)) {
		conn_close(conn);
		return;
	}
	if (f->tls.wrapper && !conn->client.peer.local) {
		conn->state = CONN_TLS;
		conn_start_tls(conn);
	} else if (conn_watch(conn, conn->watch.fd)) {
		conn_greet(conn);
	} else {
		conn_close(conn);
	}
}

bool conn_watch(struct conn *conn, int fd)
{
	conn->watch =
		(struct watch){ .fd = fd, .events = EPOLLIN, .ready = conn_ready, .context = conn };
	return loop_watch(conn->front->loop, &conn->watch);
}

void conn_greet(struct conn *conn)
{
	conn_say(conn, "* OK [CAPABILITY ");
	conn_say_capabilities(conn);
	conn_say(conn, "] Postern ready.\r\n");
	conn_continue(conn);
}

/* Write what is gathered; false when the client is gone. */
static bool conn_flush(struct conn *conn)
{
	struct buffer *out = &conn->pre->out;

	while (out->length) {
		ssize_t n = write(conn->watch.fd, out->data, out->length);

		if (n > 0)
			buffer_consume(out, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			break;
		else if (n < 0 && errno == EINTR)
			continue;
		else
			return false;
	}
	if (out->length == 0)
		buffer_free(out);
	return !out->failed;
}

void conn_say(struct conn *conn, const char *text)
{
	buffer_add_text(&conn->pre->out, text);
}

void conn_reply(struct conn *conn, const char *text)
{
	conn_say(conn, conn->pre->tag);
	conn_say(conn, " ");
	conn_say(conn, text);
	conn_say(conn, "\r\n");
}

void conn_end(struct conn *conn, const char *why, const char *bye)
{
	struct prelogin *l = conn->pre;
	int64_t seconds = (loop_now(conn->front->loop) - conn->since) / 1000;
	char attempts[80] = "no auth attempts";

	if (l->failures)
		snprintf(attempts, sizeof(attempts), "auth failed, %u attempts", l->failures);
	log_info("imap-login: Disconnected: %s (%s in %lld secs): user=<%s>%s%s, rip=%s, lip=%s%s",
		why, attempts, (long long)seconds, l->user,
		conn->client.mechanism[0] ? ", method=" : "", conn->client.mechanism,
		conn->client.peer.address, conn->client.peer.local_address, conn_tls_words(conn));
	if (bye) {
		conn_say(conn, "* BYE ");
		conn_say(conn, bye);
		conn_say(conn, "\r\n");
	}
	conn_flush(conn);
	conn_close(conn);
}

/* What the input begins with. */
enum input_piece { PIECE_PART, PIECE_COMMAND, PIECE_TOO_LONG };

/* Ask for the literal that the line at `line_end` announces, once. False when it is refused. */
static bool ask_for_literal(struct conn *conn, size_t after, uint64_t size, bool synchronizing)
{
	struct prelogin *l = conn->pre;

	if (size > CONN_INPUT_LIMIT || after + size + 2 > CONN_INPUT_LIMIT)
		return false;
	if (synchronizing && l->in.length < after + size && l->promised < after) {
		l->promised = after;
		conn_say(conn, "+ OK\r\n");
	}
	return true;
}

/* Length of the first command with its last line end. */
static enum input_piece cut_command(struct conn *conn, size_t *length)
{
	struct slice input = buffer_slice(&conn->pre->in);
	size_t at = 0;

	for (unsigned literals = 0; literals <= CONN_LITERALS; literals++) {
		ptrdiff_t end = slice_find(slice_tail(input, at), '\n');
		struct slice line;
		uint64_t size;
		size_t mark;
		bool synchronizing;

		if (end < 0)
			return input.length >= CONN_INPUT_LIMIT ? PIECE_TOO_LONG : PIECE_PART;
		line = slice_head(slice_tail(input, at), (size_t)end);
		if (line.length && line.data[line.length - 1] == '\r')
			line.length--;
		at += (size_t)end + 1;
		if (conn->pre->sasl || !parse_literal_mark(line, &mark, &size, &synchronizing)) {
			*length = at;
			return PIECE_COMMAND;
		}
		if (!ask_for_literal(conn, at, size, synchronizing))
			return PIECE_TOO_LONG;
		if (input.length - at < size)
			return PIECE_PART;
		at += (size_t)size;
	}
	return PIECE_TOO_LONG;
}

static struct slice without_line_end(struct slice text)
{
	text.length--;
	if (text.length && text.data[text.length - 1] == '\r')
		text.length--;
	return text;
}

/* Handle the commands that are complete; false when the connection is gone. */
static bool conn_commands(struct conn *conn)
{
	size_t length = 0;

	while (conn->state == CONN_LOGIN) {
		struct prelogin *l = conn->pre;
		enum input_piece piece = cut_command(conn, &length);
		struct slice command;
		char *copy;

		if (piece == PIECE_PART)
			return true;
		copy = piece == PIECE_COMMAND
			       ? arena_dup(&l->arena, slice_head(buffer_slice(&l->in), length))
			       : NULL;
		if (!copy) {
			conn_end(conn, "Input too long", "Command is too long.");
			return false;
		}
		command = without_line_end(slice_of(copy, length));
		buffer_consume(&l->in, length);
		l->promised = 0;
		if (l->sasl)
			conn_sasl_line(conn, command);
		else if (conn_command(conn, command)) {
			conn_end(conn, "Aborted login by logging out", NULL);
			return false;
		}
		arena_reset(&conn->pre->arena);
		if (conn->pre->bad >= CONN_BAD_LIMIT) {
			conn_end(conn, "Too many bad commands", "Too many invalid commands.");
			return false;
		}
	}
	return true;
}

void conn_continue(struct conn *conn)
{
	uint32_t events;

	/* An answer that came at once: whoever asked goes on. */
	if (conn->pre->running)
		return;
	conn->pre->running = true;
	if (!conn_commands(conn) || !conn->pre)
		return;
	conn->pre->running = false;
	if (!conn_flush(conn)) {
		conn_end(conn, "Connection closed", NULL);
		return;
	}
	if (conn->state == CONN_TLS) {
		conn_start_tls(conn);
		return;
	}
	/* Nothing is read while somebody else is asked: what can be read ahead stays within the limit. */
	events = conn->state == CONN_LOGIN ? (uint32_t)EPOLLIN : 0u;
	loop_rewatch(&conn->watch, events | (conn->pre->out.length ? (uint32_t)EPOLLOUT : 0u));
}

static void conn_ready(struct watch *watch, uint32_t events)
{
	struct conn *conn = watch->context;
	struct buffer *in = &conn->pre->in;
	ssize_t n = -1;

	if (conn->state == CONN_LOGIN && in->length < CONN_INPUT_LIMIT) {
		size_t room = CONN_INPUT_LIMIT - in->length;
		char *to = buffer_reserve(in, room < 1024 ? room : 1024);

		n = to ? read(watch->fd, to, room < 1024 ? room : 1024) : -1;
		if (n > 0)
			in->length += (size_t)n;
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			conn_end(conn, conn->pre->failures ? "Auth failed" : "Connection closed",
				NULL);
			return;
		}
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		conn_end(conn, "Connection closed", NULL);
		return;
	}
	conn_continue(conn);
}
