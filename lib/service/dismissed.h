// SPDX-License-Identifier: ISC
/*
 * Users whose sessions were ended, and by which order (SESSIONS_ORDER). A login takes several steps through several processes; what
 * was known of the user when it began need not hold any more. So authd says of each login which order it knew, and whoever opens the
 * session looks whether a later one was about that user.
 */
#ifndef SERVICE_DISMISSED_H
#define SERVICE_DISMISSED_H

#include "ipc/message.h"

enum { DISMISSED_MOST = 64 /* users that are remembered */ };

/* Zeroed before first use. */
struct dismissed {
	struct {
		char login[MAX_LOGIN + 1], app[MAX_APP + 1];
		uint32_t order;
	} users[DISMISSED_MOST];
	unsigned next;
	uint32_t order; /* the last one heard of */
	uint32_t forgotten; /* the last one of which a user had to make room */
};

/* Is it about `login`, who logged in with that application password ("": not with one)? */
bool dismissed_names(
	const struct message_sessions_order *order, const char *login, const char *app);
/* An order to end sessions. */
void dismissed_note(struct dismissed *dismissed, const struct message_sessions_order *order);
/*
 * Was the user, or that application password of his, dismissed by an order later than `order`? Also true when that is not remembered any
 * more: he logs in once again.
 */
bool dismissed_since(
	const struct dismissed *dismissed, const char *login, const char *app, uint32_t order);

#endif
