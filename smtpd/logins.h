// SPDX-License-Identifier: ISC
/*
 * Who logged in in one SMTP session process, as authd told its spawner: what the session itself says is not asked. They are there until the
 * process ends, which it does with the client of the first of them.
 */
#ifndef SMTPD_LOGINS_H
#define SMTPD_LOGINS_H

#include "ipc/message.h"

enum { LOGINS_MOST = 4 /* more than any client has reason to: once again after STARTTLS */ };

struct logins {
	struct {
		char login[MAX_LOGIN + 1], app[MAX_APP + 1], client_address[65];
		int64_t since; /* microseconds since 1970 */
	} users[LOGINS_MOST];
	unsigned count;
};

/* One more, or once more. False: too many, or what cannot be kept; such a session is not to go on. */
MUST_CHECK bool logins_add(
	struct logins *logins, const struct message_auth_login *login, int64_t now);
/* Is the order about one of them? */
bool logins_concerned(const struct logins *logins, const struct message_sessions_order *order);
/* The next of them that it is about from `*at` on, which is moved behind it; false when there is none. */
bool logins_next(const struct logins *logins, const struct message_sessions_order *order,
	unsigned *at, struct message_sessions_row *row);

#endif
