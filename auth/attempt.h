// SPDX-License-Identifier: ISC
/*
 * What becomes of an attempt to log in: a place, a turn at a worker for each step, challenges, and a result that is counted.
 */
#ifndef AUTH_ATTEMPT_H
#define AUTH_ATTEMPT_H

#include "auth/authd.h"

struct attempt {
	struct exchange_job step; /* first: attempt_finished gets it */
	struct authd *authd;
	struct auth_peer *peer; /* NULL: nobody waits for the result any more */
	uint32_t serial;
	uint32_t order; /* the last one when it began */
	int64_t asked; /* when the client last said something, authd_now */
	enum share_place place;
	struct turn turn; /* for a worker */
	bool judged; /* counted, once, before the client hears anything of how it ends */
	bool proved; /* and it was good, and not refused */
	enum penalty_refusal refusal; /* of AUTH_REFUSED */
	int64_t delay; /* ms that the result has to wait, from `asked` */
	bool busy; /* it waits for a worker, or one has it, or it asks */
	bool asking; /* the introspection command */
	struct inquiry inquiry;
	bool cancelled; /* and the peer wants to hear no more of it; it counts until the worker gives it back */
	struct attempt *idle_next, **idle_at; /* while its client is asked for more */
};

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
