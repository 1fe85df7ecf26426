// SPDX-License-Identifier: ISC
/*
 * A POP3 session after login: TRANSACTION and UPDATE (RFC 1939 5 and 6), for one client, in blocking style. It sees the mailbox as it
 * was at login; QUIT removes all marked messages in one transaction, or none.
 */
#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include "service/mailbox_spawner.h"
#include "store/store.h"

enum { POP3_COMMAND_MAX = 512, POP3_OUT_FLUSH = 64 * 1024 };

struct pop3_session {
	int client;
	int channel; /* to the spawner */
	int64_t timeout; /* ms */
	struct buffer in, out;
	struct store *store;
	struct mailbox *mailbox;
	const struct message_entry *entries;
	uint32_t count, uid_validity;
	uint8_t *marks; /* enum pop3_mark for each message */
	uint32_t deleted, retrieved, topped;
	uint64_t retrieved_bytes, total_bytes, deleted_bytes;
	uint32_t last_number;
	bool quit, gone;
	bool refused; /* it was told why it ends */
};
enum pop3_mark { POP3_DELETED = 1, POP3_SEEN = 2 };

/* --- session.c --- */
/* Serve until the client has gone; the exit status of the process. */
int pop3_serve(struct pop3_session *session);

/* --- commands.c --- */
/* One command line without its line end. */
void pop3_command(struct pop3_session *session, struct slice line);

/* --- session_io.c --- */
/* SIGTERM (the suite stops) and SIGHUP (this user has to go) end waits; called once in a session process. */
void pop3_catch_stop(void);
/* What the client is told when a wait ended for that, or for its silence. */
const char *pop3_stop_reason(void);
/* The next line without its LF, at the front of session->in, where it stays. False: there will be none; it was told if it was refused. */
MUST_CHECK bool pop3_line(struct pop3_session *session, struct slice *line);
/* Append to the reply; written when large, and before the session waits. */
void pop3_reply(struct pop3_session *session, const char *format, ...) PRINTF_LIKE(2, 3);
/* Write what has gathered; sets `gone` when the client does not take it in time. */
void pop3_flush(struct pop3_session *session);

#endif
