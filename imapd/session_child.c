// SPDX-License-Identifier: ISC
/* What a session process does: open its one mailbox, greet or go on, serve, end. It runs confined already. */
#include <poll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/loop.h"
#include "imapd/spawn.h"
#include "service/figures.h"
#include "service/log.h"

enum { CHILD_GOODBYE = 2000 /* ms for the spawner to read our last words */ };

const struct session_settings *session_child_settings;

/* The spawner closes its end when it has read everything; ending before that might lose a notice or a sleeper's descriptor. */
static void leave(int channel_fd)
{
	struct pollfd wait = { .fd = channel_fd, .events = POLLIN };
	int64_t deadline = loop_monotonic() + CHILD_GOODBYE, left;
	char packet[64];

	shutdown(channel_fd, SHUT_WR);
	while ((left = deadline - loop_monotonic()) > 0 && poll(&wait, 1, (int)left) > 0) {
		if (recv(channel_fd, packet, sizeof(packet), MSG_DONTWAIT) <= 0)
			break;
	}
}

static void greet(struct session *s, const struct mailbox_session *session)
{
	out_text(s, session->tag);
	out_text(s, " OK [CAPABILITY ");
	out_text(s, IMAP_CAPABILITIES);
	out_text(s, "] Logged in\r\n");
}

static void serve(struct session *s, const struct mailbox_session *session)
{
	if (session->state.length == 0)
		greet(s, session);
	else if (!idle_resume(s, buffer_slice(&session->state), slice_from(session->tag)))
		session_bye(s, "Mailbox changed too much, connect again.");
	session_run(s);
}

int session_child(struct service *service, int channel_fd, struct mailbox_session *session)
{
	struct session s;

	input_catch_stop();
	if (!session_init(&s, session->client_fd, session->client_fd, channel_fd, session->folder,
		    session_child_settings, buffer_slice(&session->input))) {
		log_error("out of memory");
		return EX_OSERR;
	}
	s.user = session->login;
	s.quota = session->quota;
	figures_add(FIGURE_sessions, 1);
	serve(&s, session);
	if (!s.hibernated)
		log_info("Disconnected: %s in=%lu out=%lu fetched=%lu",
			s.lost ? "Connection closed" : "Logged out", s.bytes_in, s.bytes_out,
			s.fetched);
	channel_fd = s.spawner; /* -1 when the spawner went away */
	session_free(&s);
	close(session->client_fd);
	if (channel_fd >= 0)
		leave(channel_fd);
	return EX_OK;
}
