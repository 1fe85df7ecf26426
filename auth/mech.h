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
	bool final_sent; /* success is certain, and waits for the client to have seen the last challenge */
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
extern struct exchange_settings exchange_library;

/*
 * The login that a claimed name means, as accounts are kept: in lower case, U-labels as A-labels, with the realm. A name beyond ASCII
 * that nobody has as it was typed is meant in its prepared form (RFC 4013). False when it cannot be anybody's: empty, too long, or
 * with bytes that are not in a name (and would end up in the log).
 */
MUST_CHECK bool exchange_find_login(
	const struct exchange *exchange, struct slice name, char login[CREDENTIALS_MAX_LOGIN + 1]);
/* Is the wish to act for `wanted` allowed to exchange->login? Empty or the same name only. */
bool exchange_may_act_for(const struct exchange *exchange, struct slice wanted);
/* Ends the step: done with that status. */
bool mech_done(struct exchange *exchange, enum auth_status status);
/* A login that proved itself by other means than a password: is it there and enabled? Sets the status; returns true (done). */
bool mech_known_login(struct exchange *exchange);

enum { MECH_DIGEST_DIRECTIVES = 32 };
/*
 * Is it a list of directives of which none stands twice (RFC 2831 section 2.1.2, which has such answers refused)? libsasl2 takes them and
 * loses the memory of the first: without this a client could have authd grow.
 */
bool mech_digest_is_sound(struct slice response);
/*
 * Is it made of the password in these bytes? Only to choose between two forms of it: whether the response is good says libsasl2. UTF-8 is
 * tried as it is and, where that can be, in ISO 8859-1 (section 2.1.2.1).
 */
bool mech_digest_fits(struct slice response, struct slice password);
bool mech_sasl_open(char *error, size_t error_size);
bool mech_sasl_step(struct exchange *exchange);
void mech_sasl_free(struct exchange *exchange);
bool mech_scram_step(struct exchange *exchange);
void mech_scram_free(struct exchange *exchange);
bool mech_external_step(struct exchange *exchange);
bool mech_oauth_step(struct exchange *exchange);

#endif
