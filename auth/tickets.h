// SPDX-License-Identifier: ISC
/*
 * Tickets: authd's word to a session spawner that somebody logged in. A front carries one, and cannot make one up: 128
 * random bits, good for one service, for some seconds, for one question, and for as long as the front that got it is there.
 */
#ifndef AUTH_TICKETS_H
#define AUTH_TICKETS_H

#include "base/slice.h"

enum { TICKET_BYTES = 16, TICKETS_MOST = 100000 };

struct tickets;
/* `lifetime` in ms. NULL when memory is out. */
struct tickets *tickets_new(int64_t lifetime);
void tickets_free(struct tickets **tickets);
/* `front` is a number of the front's connection, never used again. False when there are too many, or memory is out. */
MUST_CHECK bool tickets_issue(struct tickets *tickets, int64_t now, uint64_t front,
	const char *service, const char *login, unsigned char ticket[TICKET_BYTES]);
/* Spends the ticket, whatever the answer. True with `login` filled when it is good for this service. */
MUST_CHECK bool tickets_redeem(struct tickets *tickets, int64_t now, struct slice service,
	struct slice ticket, char *login, size_t login_size);
/* That front has gone: so have its tickets. */
void tickets_revoke(struct tickets *tickets, uint64_t front);
/* Drop those whose time is over; the others do it, too. */
void tickets_expire(struct tickets *tickets, int64_t now);
unsigned tickets_count(const struct tickets *tickets);

#endif
