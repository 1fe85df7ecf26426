// SPDX-License-Identifier: ISC
/* Sessions of users, as master tells of them and ends them: postern who, kick, and the user commands. */
#ifndef CLI_SESSIONS_H
#define CLI_SESSIONS_H

#include "ipc/message.h"

struct sessions_query {
	const char *root; /* instance_directory */
	uint8_t action; /* enum sessions_action */
	struct slice logins; /* NUL-ended names, as many as there are; empty: all, for a list */
	const char *
		app; /* only what was opened with the application password of that name; NULL: all */
	/* For each session of a list; may be NULL. */
	void (*row)(void *context, const struct message_sessions_row *row);
	void *context;
	/* The answer. */
	unsigned count, silent; /* sessions; processes that did not answer */
};
/* False with the reason in `error`. Where no mail system runs there are no sessions: that is no failure. */
MUST_CHECK bool sessions_ask(struct sessions_query *query, char *error, size_t size);

/* A user as authd knows him: an address is lower case with A-labels, another name is left as it is. False when it is too long. */
MUST_CHECK bool sessions_add_login(struct buffer *logins, const char *user);

/* "3 sessions ended", as text or JSON, on standard output. */
void sessions_print_ended(unsigned count, bool json);

#endif
