// SPDX-License-Identifier: ISC
/*
 * Whose place is worth least: when all sessions have clients and others wait, a client that is nobody yet makes room. A crowd that
 * is silent, stalls, guesses or talks nonsense then has the places among itself, and keeps nobody out who gets on with it.
 */
#ifndef SMTPD_PLACES_H
#define SMTPD_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/message.h"

enum {
	PLACE_CHANCE = 500, /* ms that a stranger has, whoever waits that is no better than him */
	PLACE_SENDING = 30000 /* ms that one has whose recipient was accepted */
};

struct place {
	enum client_standing standing;
	unsigned crowd; /* strangers of his network, himself included */
	int64_t since; /* loop time, ms */
};

/* Does it go to somebody out of a crowd of that size? Not before its time to somebody who is of no smaller one; never, of who is known. */
bool place_yields(const struct place *place, unsigned crowd, int64_t now);
/* Of two that yield: is it `a` rather than `b`? */
bool place_goes_first(const struct place *a, const struct place *b);

#endif
