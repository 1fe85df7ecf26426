// SPDX-License-Identifier: ISC
/*
 * Who is connected how often, and who came how often of late: counts and rates by client, which is an address or, as the limits
 * say, a network. A front's memory of its clients, without any descriptor, so that it can be tested with a clock of its own.
 *
 * Bounded: a client is remembered while it has connections (the front bounds those in all) or, without any, for one time
 * unit; of these at most CLIENTS_REMEMBERED are kept, the ones seen last.
 */
#ifndef SERVICE_CLIENTS_H
#define SERVICE_CLIENTS_H

#include "base/map.h"
#include "service/front.h"

enum { CLIENTS_REMEMBERED = 50000, CLIENTS_RATES = 8 /* kinds of events, `what` below that */ };

struct clients_entry;
struct clients {
	struct front_limits limits;
	char *exempt; /* a copy of limits.exempt */
	struct map map;
	struct clients_entry *oldest, *newest; /* those without connections */
	unsigned remembered; /* how many of them */
	unsigned connections; /* in all */
};

/* False when memory is out. */
MUST_CHECK bool clients_open(struct clients *clients, const struct front_limits *limits);
void clients_free(struct clients *clients);
/* One more connection from `address` at `now` (ms). FRONT_ACCEPTED: it counts until clients_leave. Otherwise nothing is kept of
 * it but its part in the rate. */
enum front_refusal clients_enter(struct clients *clients, const char *address, int64_t now);
void clients_leave(struct clients *clients, const char *address, int64_t now);
/* Count an event of kind `what`; true when it is above `limit` (0: no limit, not counted) in this time unit. */
bool clients_rate(
	struct clients *clients, const char *address, unsigned what, unsigned limit, int64_t now);
/* Forget clients without connections whose time unit is over. */
void clients_expire(struct clients *clients, int64_t now);
/* Somebody of that address has earned trust (`more`: his connection is none of a crowd any more), or goes: called before his clients_leave. */
void clients_trust(struct clients *clients, const char *address, bool more);
/* Under what name an address is counted. */
void clients_network(
	const struct clients *clients, const char *address, char network[NETWORK_TEXT]);
/* Connections of that network that nobody trusts yet, and those that were cut off in this time unit (CLIENTS_CUT_OFF): who came in a crowd
 * is still of it when he comes again. 1 for one that is exempt. */
unsigned clients_crowd(const struct clients *clients, const char *network);
/* Connections of this client now. */
unsigned clients_count(const struct clients *clients, const char *address);

#endif
