// SPDX-License-Identifier: ISC
/*
 * TLS before the greeting (RFC 8314), at the front: a client gets to a session when his handshake is done, so whoever stalls in one has no
 * session's place. tlsd does it, and has its own measure for how many may be at it.
 */
#ifndef SMTPD_WRAPPED_H
#define SMTPD_WRAPPED_H

#include "config/config.h"
#include "smtpd/pool.h"

struct wrapped;
/* `*wrapped` stays NULL when the entry is without smtpd_tls_wrappermode. False when memory is out. */
MUST_CHECK bool wrapped_open(struct wrapped **wrapped, struct service *service,
	const struct config *config, struct pool *pool);
void wrapped_set_front(struct wrapped *wrapped, struct front *front);
/* Takes the client's descriptor over; he is passed to the pool, or released at the front. */
void wrapped_serve(struct wrapped *wrapped, int fd, const struct front_client *client);
/*
 * No more clients come: those who are at it have a little time left, or none (`fast`). `drained` runs once when there are none, perhaps
 * at once.
 */
void wrapped_drain(
	struct wrapped *wrapped, bool fast, void (*drained)(void *context), void *context);

#endif
