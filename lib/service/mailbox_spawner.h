// SPDX-License-Identifier: ISC
/*
 * What the session spawners of IMAP and POP3 share: a front hands a client over with a ticket; the spawner redeems the ticket at
 * authd itself, asks directoryd where that user's mail is, makes the folder when it is new, and forks a session that can
 * touch that folder and nothing else. A front cannot open a mailbox by lying.
 */
#ifndef SERVICE_MAILBOX_SPAWNER_H
#define SERVICE_MAILBOX_SPAWNER_H

#include "service/spawner.h"

/* What a session is given. Strings live until `run` returns (in the child) or the session has ended (in the parent). */
struct mailbox_session {
	uint32_t serial; /* the front's number for this client */
	struct channel *front; /* NULL when that front has gone */
	char login[MAX_LOGIN + 1];
	char app[MAX_APP + 1]; /* the application password that he logged in with, or "" */
	char account[MAX_PATH_TEXT +
		     1]; /* mailbox path below the mail directory: the name of the account in NOTICE */
	char folder[2 * MAX_PATH_TEXT]; /* absolute */
	int64_t quota;
	int64_t since; /* when the user logged in, microseconds since 1970 */
	char tag[257];
	char client_address[65], local_address[65];
	uint16_t client_port;
	int client_fd; /* in the child */
	struct buffer input; /* bytes the client sent already */
	struct buffer state; /* of a sleeper that is woken; empty for a new login */
	struct session_child *child; /* in the parent */
	void *context; /* the daemon's */
};

struct mailbox_spawner_config {
	const char *protocol; /* as the front told authd: "imap" */
	const char *log_format; /* printf format with one %s for the login: "postern/imap(%s)" */
	int (*run)(struct service *service, int channel_fd,
		struct mailbox_session *session); /* in the child */
	/* In the parent; each may be NULL. A message of a child, of a front (other than HANDOVER), of any other peer. */
	void (*child_says)(void *context, struct mailbox_session *session, struct message *message);
	void (*front_says)(void *context, struct channel *front, struct message *message);
	void (*peer_says)(void *context, struct channel *peer, const struct peer *who,
		struct message *message);
	/* A front or another peer has gone, and with it all that it held. May be NULL, too. */
	void (*peer_gone)(void *context, struct channel *peer, const struct peer *who);
	/* Before the fork (after redeeming), and when a session has ended (SESSION_ENDED is sent by this module
	 * to session->front, which the daemon may have set to NULL). */
	void (*started)(void *context, struct mailbox_session *session);
	void (*ended)(void *context, struct mailbox_session *session);
	/* Clients of these users that wait for the daemon without a session: list them by mailbox_spawner_row, or end them. How many.
	 * May be NULL. */
	unsigned (*sleepers)(void *context, const struct message_sessions_order *order);
};

struct mailbox_spawner;
/* Opens the links to authd and directoryd; peers come through mailbox_spawner_peer as hooks.peer. NULL: see the log. */
struct mailbox_spawner *mailbox_spawner_open(
	struct service *service, const struct mailbox_spawner_config *config, void *context);
/* service_hooks.peer with the mailbox_spawner as context; likewise drain: it goes on serving its fronts until they have gone. */
void mailbox_spawner_peer(struct mailbox_spawner *spawner, int fd, const struct peer *peer);
void mailbox_spawner_drain(struct mailbox_spawner *spawner, bool fast);
/* service_hooks.sessions, likewise; and a row of its answer, of which `service` is filled in. */
void mailbox_spawner_sessions(
	struct mailbox_spawner *spawner, const struct message_sessions_order *order);
void mailbox_spawner_row(struct mailbox_spawner *spawner, const struct message_sessions_row *row);
/*
 * Fork a session for an account that is already known to be the client's (a sleeper with its ticket). `template` is copied, its
 * input and state buffers taken over. Answers the front with HANDOVER_ANSWER. NULL when it could not be.
 */
struct mailbox_session *mailbox_spawner_wake(
	struct mailbox_spawner *spawner, struct mailbox_session *template, int client_fd);

#endif
