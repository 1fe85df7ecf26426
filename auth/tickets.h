// SPDX-License-Identifier: ISC
/*
 * Tickets: authd's word to a session spawner that somebody logged in. A front carries one, and cannot make one up: 128
 * random bits, good for one service, for some seconds, for one question, from that front alone, and for as long as its
 * connection to authd is there.
 */
#ifndef AUTH_TICKETS_H
#define AUTH_TICKETS_H

#include "ipc/message.h"

enum { TICKET_BYTES = 16, TICKETS_MOST = 100000 };

struct tickets;
/* `lifetime` in ms. NULL when memory is out. */
struct tickets *tickets_new(int64_t lifetime);
void tickets_free(struct tickets **tickets);
/* Who logged in, and with which application password, or "". */
struct ticket_user {
	char login[MAX_LOGIN + 1], app[MAX_APP + 1];
};
/* Who may bring a ticket. */
struct ticket_holder {
	uint64_t connection; /* a number of the front's connection, never used again */
	uint32_t front; /* its pid, as master named it to authd and to the spawner */
};
/* False when there are too many, or memory is out. */
MUST_CHECK bool tickets_issue(struct tickets *tickets, int64_t now,
	const struct ticket_holder *holder, const char *service, const struct ticket_user *user,
	unsigned char ticket[TICKET_BYTES]);
/* Spends the ticket, whatever the answer. True with `user` filled when it is good for this service and was brought by the front
 * with the pid `front`. */
MUST_CHECK bool tickets_redeem(struct tickets *tickets, int64_t now, uint32_t front,
	struct slice service, struct slice ticket, struct ticket_user *user);
/* That connection has gone: so have its tickets. */
void tickets_revoke(struct tickets *tickets, uint64_t connection);
/* Those users have to go: so have their tickets. */
void tickets_dismiss(struct tickets *tickets, const struct message_sessions_order *order);
/* Drop those whose time is over; the others do it, too. */
void tickets_expire(struct tickets *tickets, int64_t now);
unsigned tickets_count(const struct tickets *tickets);

#endif
