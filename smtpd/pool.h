// SPDX-License-Identifier: ISC
/*
 * The front's side of the sessions: those that are idle (the one used last first, so that few stay warm), those that are busy,
 * and the clients that wait for one.
 */
#ifndef SMTPD_POOL_H
#define SMTPD_POOL_H

#include "service/tls.h"

struct pool_settings {
	const char *host; /* for refusals */
	const char *entry; /* master.cf entry */
	unsigned sessions; /* at the same time, at most */
	int64_t wait; /* ms a client waits for a session */
	int64_t idle; /* ms a spare session is kept */
	unsigned message_rate, recipient_rate,
		auth_rate; /* of a client in a time unit; 0 no limit */
};

struct pool;
/* NULL when memory is out. `drained` runs once after pool_drain, when the last client has gone. */
struct pool *pool_open(struct service *service, const struct pool_settings *settings,
	void (*drained)(void *context), void *context);
/* For the rates and for giving clients back. */
void pool_set_front(struct pool *pool, struct front *front);
/* Takes the client's descriptor over and releases it at the front when it has gone. `tls`: he has had his handshake; NULL: none. */
void pool_serve(
	struct pool *pool, int fd, const struct front_client *client, const struct tls_info *tls);
/* No more clients come: let idle sessions go; `fast`: refuse those who wait, give up those who are served. */
void pool_drain(struct pool *pool, bool fast);

/* "421 4.3.2 ..." to a client that gets no session, best effort, and close. */
void pool_refuse(int fd, const char *text);

#endif
