// SPDX-License-Identifier: ISC
/* Inside of exchange.h: the exchange as the files of the mechanisms see it, and what each of them supplies. */
#ifndef AUTH_MECH_H
#define AUTH_MECH_H

#include "auth/exchange.h"

struct mech {
	const char *name;
	/*
	 * One step; `input` is exchange->input when exchange->has_input. True: done, exchange->status is set, and exchange->output
	 * may hold what goes with success. False: exchange->output is the challenge.
	 */
	bool (*step)(struct exchange *exchange);
	/* Of exchange->state; NULL: there is none. */
	void (*free)(struct exchange *exchange);
};

struct exchange {
	const struct mech *mech;
	char service[17], client[65], local[65];
	char login[CREDENTIALS_MAX_LOGIN + 1], app[CREDENTIALS_MAX_APP + 1];
	const char *note;
	bool secured, has_input;
	enum auth_status
		told; /* exchange_told; AUTH_OK: it waits for the client to have seen the last challenge */
	unsigned steps;
	struct buffer input, output, facts;
	struct buffer question,
		answer; /* what the introspection command is to be asked, and what it said */
	bool heard, answered; /* that came back; with an answer in it */
	bool named; /* OAuth: `login` is who the client wants to be, or the token is of */
	bool has_tls;
	struct tls_facts tls; /* borrows from `facts` */
	struct backends *backends; /* of the thread that runs the step */
	void *state; /* the mechanism's */
	enum auth_status status;
};

/* Set by exchange_library_open. */
extern struct exchange_settings mech_settings;

/*
 * The login that a claimed name means, as accounts are kept: in lower case, U-labels as A-labels, with the realm. A name beyond ASCII
 * that nobody has as it was typed is meant in its prepared form (RFC 4013). False when it cannot be anybody's: empty, too long, or
 * with bytes that are not in a name (and would end up in the log).
 */
MUST_CHECK bool mech_find_login(
	const struct exchange *exchange, struct slice name, char login[CREDENTIALS_MAX_LOGIN + 1]);
/* Is the wish to act for `wanted` allowed to exchange->login? Empty or the same name only. */
bool mech_may_act_for(const struct exchange *exchange, struct slice wanted);
/* Ends the step: done with that status. */
bool mech_done(struct exchange *exchange, enum auth_status status);
/* A login that proved itself by other means than a password: is it there and enabled? Sets the status; returns true (done). */
bool mech_known_login(struct exchange *exchange);

#endif
