// SPDX-License-Identifier: ISC
/*
 * authd's own state, and what becomes of an attempt to log in: a place, a turn at a worker for each step, challenges, and a result that
 * is counted.
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

struct attempt {
	struct exchange_job step; /* first: attempt_finished gets it */
	struct authd *authd;
	struct auth_peer *peer; /* NULL: nobody waits for the result any more */
	uint32_t serial;
	uint32_t order; /* the last one when it began */
	int64_t asked; /* when the client last said something, authd_now */
	enum share_place place;
	struct turn turn; /* for a worker */
	bool busy; /* it waits for a worker, or one has it, or it asks */
	bool asking; /* the introspection command */
	struct inquiry inquiry;
	bool cancelled; /* and the peer wants to hear no more of it; it counts until the worker gives it back */
	struct attempt *idle_next, **idle_at; /* while its client is asked for more */
};

int64_t authd_now(const struct authd *authd);

/* The key of an attempt among its peer's. */
struct slice attempt_key(const uint32_t *serial);
/* NULL: no place or no memory. */
struct attempt *attempt_new(struct auth_peer *peer, const struct message_auth_begin *begin,
	const struct exchange_start *start);
/* The next step; false when the input is too long. The attempt may be over, and freed, afterwards. */
MUST_CHECK bool attempt_run(struct attempt *attempt, bool has_input, struct slice input);
/* Nobody wants to know the end: forget it, now or when the worker gives it back. */
void attempt_abandon(struct attempt *attempt);
/* Its peer goes, and has taken it off its map: likewise. */
void attempt_orphan(struct attempt *attempt);
/* Whoever guessed too much of late is not even looked at: true when that was answered. */
bool attempt_refuse_network(struct auth_peer *peer, const struct message_auth_begin *begin);
/* A result without an attempt; `delay` in ms. */
void attempt_answer(struct auth_peer *peer, uint32_t serial, enum auth_status status,
	const char *reason, int64_t delay);
const char *attempt_reason(enum auth_status status);
/* For introspection_open. */
void attempt_heard(struct inquiry *inquiry, bool answered, struct slice answer);
/* For turns_open and threads_open, with the authd as context. */
void attempt_turn(void *context, struct turn *turn);
void attempt_finished(void *context, struct thread_job *job);

#endif
