// SPDX-License-Identifier: ISC
/* A session's surroundings as descriptors: the client's socket and the channels to its peers. */
#ifndef SMTPD_SESSION_IO_H
#define SMTPD_SESSION_IO_H

#include "smtpd/session.h"

enum {
	OUTBOX_PACKETS = 8,
	OUTBOX_CHUNK = 16 * 1024 /* bytes of content that are worth gathering */
};

struct session_sockets {
	int client;
	bool waits; /* reads of it wait, for a bounded time */
	uint32_t serial; /* the front's, of this client */
	bool leaving; /* the front wants the place for somebody else */
	int spawner; /* to ask for another connection to a peer */
	int peers[TO_FRONT + 1];
	struct buffer space[TO_FRONT + 1]; /* the packet last received of each */
	/* A small message to cleanup goes out in one call: its packets gather here until its end. */
	struct buffer outbox;
	size_t packet_ends[OUTBOX_PACKETS];
	unsigned packet_count;
};

/* Context: a struct session_sockets. Time is loop_monotonic. */
extern const struct session_io SESSION_SOCKETS;

/* From now on SIGHUP means that who is logged in has to go; called once in a session process. */
void session_sockets_catch_dismissal(void);
/* A new client of that serial; released with session_sockets_close_client. */
void session_sockets_begin(struct session_sockets *sockets, int fd, uint32_t serial);
/* Close the client's socket so that what was written last still reaches it, though it may have sent what nobody read. */
void session_sockets_close_client(struct session_sockets *sockets, bool in_error);

#endif
