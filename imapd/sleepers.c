// SPDX-License-Identifier: ISC
/*
 * Clients that sleep in IDLE: a descriptor, a timer, and a few hundred bytes. Input or WAKE brings them back into a session; every
 * imap_idle_notify_interval they get a line, so that no router forgets them. See front.h.
 *
 * The descriptor comes from a session, which may have been taken over: whatever it is, and whatever its mode, nothing here waits
 * for it, and what is no socket is closed.
 */
#include "imapd/front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/figures.h"
#include "service/log.h"

static struct slice part(const struct sleeper *s, unsigned which)
{
	size_t offsets[] = { 0, s->state_length, (size_t)s->state_length + s->tag_length };
	size_t lengths[] = { s->state_length, s->tag_length, s->ticket_length };

	return slice_of(s->bytes + offsets[which], lengths[which]);
}

static struct sleeper *keep(const struct message_hibernate *m)
{
	struct slice parts[] = { m->state, m->tag, m->ticket };
	struct sleeper *s = malloc(sizeof(*s) + m->state.length + m->tag.length + m->ticket.length);
	size_t at = 0;

	if (!s)
		return NULL;
	*s = (struct sleeper){ .state_length = (uint16_t)m->state.length,
		.tag_length = (uint16_t)m->tag.length,
		.ticket_length = (uint8_t)m->ticket.length };
	for (unsigned i = 0; i < 3; i++) {
		if (parts[i].length)
			memcpy(s->bytes + at, parts[i].data, parts[i].length);
		at += parts[i].length;
	}
	return s;
}

/* The client is gone: the spawner need not remember its ticket. */
static void forget(struct conn *conn)
{
	struct message message = { .type = MESSAGE_SESSION_ENDED,
		.session_ended.serial = conn->client.serial };

	if (!login_tell_spawner(conn->front->login, &message))
		log_debug("no spawner to tell of a sleeper that went away");
	conn_close(conn);
}

static void sleeper_ready(struct watch *watch, uint32_t events)
{
	struct conn *conn = watch->context;
	char byte;
	ssize_t n = recv(watch->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		sleeper_wake(conn);
	else
		forget(conn);
}

static void sleeper_keepalive(struct timer *timer)
{
	static const char LINE[] = "* OK Still here\r\n";
	struct conn *conn = timer->context;

	if (send(conn->watch.fd, LINE, sizeof(LINE) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		errno != EAGAIN && errno != EINTR) {
		forget(conn);
		return;
	}
	loop_timer_start(conn->front->loop, &conn->timer, conn->front->keepalive_interval);
}

static void sleeper_begin(struct conn *conn, struct message *message)
{
	struct loop *loop = conn->front->loop;

	conn->watch = (struct watch){ .fd = message_take_fd(message, 0),
		.events = EPOLLIN,
		.ready = sleeper_ready,
		.context = conn };
	conn->timer = (struct timer){ .fire = sleeper_keepalive, .context = conn };
	conn->sleeper = keep(&message->hibernate);
	conn->state = CONN_ASLEEP;
	if (conn->sleeper)
		figures_add(FIGURE_hibernated_now, 1);
	if (!conn->sleeper || conn->watch.fd < 0 || !loop_watch(loop, &conn->watch) ||
		!loop_timer_start(loop, &conn->timer, conn->front->keepalive_interval))
		forget(conn);
}

void sleeper_spawner_says(void *context, struct message *message)
{
	struct imap_front *f = context;
	uint32_t serial = message->type == MESSAGE_HIBERNATE ? message->hibernate.serial
			  : message->type == MESSAGE_WAKE    ? message->wake.serial
							     : message->sleeper_end.serial;
	struct login_client *client;
	struct conn *conn;

	if (message->type != MESSAGE_HIBERNATE && message->type != MESSAGE_WAKE &&
		message->type != MESSAGE_SLEEPER_END) {
		log_warning("imapd-session sent %s", message_name(message->type));
		return;
	}
	client = login_find(f->login, serial);
	conn = client ? client->context : NULL;
	if (!conn)
		return;
	if (message->type == MESSAGE_HIBERNATE && conn->state == CONN_SESSION)
		sleeper_begin(conn, message);
	else if (message->type == MESSAGE_WAKE && conn->state == CONN_ASLEEP)
		sleeper_wake(conn);
	/* One that is being woken hears it from the refusal of its ticket. */
	else if (message->type == MESSAGE_SLEEPER_END && conn->state == CONN_ASLEEP)
		sleeper_end(conn, "Disconnected by the administrator.");
}

void sleeper_wake(struct conn *conn)
{
	struct message message = {
		.type = MESSAGE_RESUME, .fd_count = 1, .fds = { conn->watch.fd }
	};

	message.resume.serial = conn->client.serial;
	message.resume.state = part(conn->sleeper, 0);
	message.resume.tag = part(conn->sleeper, 1);
	message.resume.ticket = part(conn->sleeper, 2);
	message.resume.client_address = slice_from(conn->client.peer.address);
	if (!login_tell_spawner(conn->front->login, &message)) {
		sleeper_end(conn, "Internal error, try again later.");
		return;
	}
	figures_add(FIGURE_wakes, 1);
	loop_timer_stop(&conn->timer);
	loop_unwatch(&conn->watch);
	conn->client.state = LOGIN_HANDING_OVER;
	conn->state = CONN_RESUMING;
}

void sleeper_resumed(struct conn *conn)
{
	close(conn->watch.fd);
	conn->watch.fd = -1;
	free(conn->sleeper);
	conn->sleeper = NULL;
	figures_add(FIGURE_hibernated_now, -1);
	conn->state = CONN_SESSION;
}

void sleeper_end(struct conn *conn, const char *text)
{
	char line[200];
	int length = snprintf(line, sizeof(line), "* BYE %s\r\n", text);

	if (send(conn->watch.fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a sleeping client has gone: %s", strerror(errno));
	conn_close(conn);
}
