// SPDX-License-Identifier: ISC
/* The POP3 session's life. See session.h. */
#include "pop3d/session.h"

#include <sysexits.h>

#include "service/log.h"

static void serve_lines(struct pop3_session *session)
{
	struct slice line;

	while (!session->quit && !session->gone && pop3_line(session, &line)) {
		size_t whole = line.length + 1;

		if (line.length && line.data[line.length - 1] == '\r')
			line.length--;
		if (line.length > POP3_COMMAND_MAX) {
			pop3_reply(session, "-ERR Line too long");
			session->refused = true;
			return;
		}
		pop3_command(session, line);
		buffer_consume(&session->in, whole);
	}
}

int pop3_serve(struct pop3_session *session)
{
	pop3_catch_stop();
	serve_lines(session);
	if (!session->quit && !session->gone && !session->refused)
		pop3_reply(session, "%s", pop3_stop_reason());
	pop3_flush(session);
	log_info("Disconnected: %s top=%u, retr=%u/%llu, del=%u/%u, size=%llu",
		session->quit ? "Logged out" : "Connection closed", session->topped,
		session->retrieved, (unsigned long long)session->retrieved_bytes, session->deleted,
		session->count, (unsigned long long)session->total_bytes);
	return EX_OK;
}
