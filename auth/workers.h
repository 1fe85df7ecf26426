// SPDX-License-Identifier: ISC
/*
 * Threads that run the steps of exchanges, so that hashing a password never holds up authd's loop. Each has
 * back ends of its own.
 */
#ifndef AUTH_WORKERS_H
#define AUTH_WORKERS_H

#include "auth/exchange.h"
#include "base/loop.h"

enum { WORKERS_MOST = 64 };

struct job {
	struct job *next;
	struct exchange *exchange;
	bool done; /* what exchange_step returned */
};

struct workers;
/* `backends` are `count` connections; they stay the caller's. NULL with errno. */
struct workers *workers_open(struct loop *loop, struct backends **backends, unsigned count,
	void (*finished)(void *context, struct job *job), void *context);
/* Run exchange_step; `finished` is called in the loop. The exchange is the workers' until then. */
void workers_add(struct workers *workers, struct job *job);
/* Waits for the steps that run; those that wait are never run. */
void workers_close(struct workers **workers);

#endif
