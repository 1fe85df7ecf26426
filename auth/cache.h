// SPDX-License-Identifier: ISC
/*
 * A memory of passwords that were good, to spare the hashing when a client logs in every few seconds.
 *
 * The key holds all that an answer depends on: who, for which service, by which mechanism, over TLS or not, the password, and the
 * very hash that it fitted, as it stands in the database now. So no answer is ever given to another user or another
 * service, and a changed or disabled password counts at once. Only good answers are kept; for `lifetime`, and at most
 * CACHE_MOST of them, the ones used last. Several threads share it.
 */
#ifndef AUTH_CACHE_H
#define AUTH_CACHE_H

#include "base/slice.h"

enum { CACHE_MOST = 10000 };

struct cache;
struct cache_question {
	struct slice login, service, mechanism, password, hash;
	bool secured;
};

/* `lifetime` in ms. NULL when memory is out. */
struct cache *cache_new(int64_t lifetime);
void cache_free(struct cache **cache);
/* Was this good, at most `lifetime` before `now`? */
bool cache_knows(struct cache *cache, int64_t now, const struct cache_question *question);
/* It is good: known from now on. Without memory for it, it is not. */
void cache_keep(struct cache *cache, int64_t now, const struct cache_question *question);
unsigned cache_count(struct cache *cache);

#endif
