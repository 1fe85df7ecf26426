// SPDX-License-Identifier: ISC
/*
 * authd's own state.
 *
 *	authd.c      peers, their messages, tickets redeemed, start and end
 *	attempt.c    attempts
 */
#ifndef AUTH_AUTHD_H
#define AUTH_AUTHD_H

#include "auth/introspection.h"
#include "auth/lookups.h"
#include "auth/outside.h"
#include "auth/parts.h"
#include "auth/penalty.h"
#include "auth/tickets.h"
#include "auth/turns.h"
#include "auth/usage.h"
#include "auth/visits.h"
#include "base/map.h"
#include "base/share.h"
#include "service/dismissed.h"
#include "service/peers.h"
#include "service/service.h"

struct authd {
	struct service *service;
	struct config *config;
	struct parts parts;
	struct outside *outside;
	struct introspection *introspection;
	struct lookups *lookups; /* in tables of SQL servers */
	struct threads *threads;
	struct turns turns; /* what waits for a worker */
	struct penalties *penalties;
	struct credentials *visits_database; /* NULL: last logins are not written */
	struct visits *visits;
	struct tickets *tickets;
	struct auth_peer
		*watchers; /* spawners that hear who logs in on their sessions' connections */
	struct dismissed dismissed;
	struct usage *usage; /* NULL: usage.db could not be opened */
	struct timer expire;
	unsigned attempts;
	struct peers peers;
	struct share_pool places; /* for exchanges, beyond OWN_ATTEMPTS of each connection */
	struct share_bounds bounds;
	uint64_t next_front;
	struct timer drain, check;
	int64_t leave_by; /* ms; 0: whenever it is quiet */
};

struct attempt;
struct auth_peer {
	struct channel channel;
	struct authd *authd;
	enum service_id from;
	bool has_tickets; /* what it asks for is opened by somebody else, who redeems tickets */
	uint32_t session; /* whose number its spawner told; 0: it is nobody's that has one */
	bool watches;
	struct auth_peer *next_watcher;
	struct ticket_holder holder; /* of the tickets it gets */
	struct map attempts; /* serial -> struct attempt * */
	struct share share;
	struct attempt *idle_first,
		**idle_end; /* whose clients are asked for more, longest first */
};

static inline int64_t authd_now(const struct authd *authd)
{
	return loop_now(service_loop(authd->service));
}

#endif
