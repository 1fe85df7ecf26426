// SPDX-License-Identifier: ISC
/*
 * A worker's way to tables of SQL servers: authd may connect nowhere, so the loop asks proxymap while the worker waits. No wait is longer
 * than the patience, and no answer is "could not be asked", never "not there".
 *
 * A worker that waits checks no other password meanwhile. So a table that was slow to fail is left alone for a moment, and then
 * holds one worker at most until it answers again; who else needs it is put off at once.
 *
 *	lookups.c       workers and loop, without a process to ask
 *	lookups_link.c  the link to proxymap
 */
#ifndef AUTH_LOOKUPS_H
#define AUTH_LOOKUPS_H

#include "base/loop.h"
#include "table/table.h"

enum {
	LOOKUPS_REST = 3000, /* ms that a table is left alone */
	LOOKUPS_MOST = 64 /* questions at the same time; no thread has two */
};

struct lookups_hooks {
	/* In the loop: ask for `key`; what comes back is told by `serial`. False: it cannot be asked. */
	bool (*send)(void *context, uint32_t serial, const char *spec, struct slice key);
	/* In the loop: nothing came back in time. */
	void (*silent)(void *context, const char *spec);
	void *context;
};

struct lookups;
/* `patience`: ms. Before there are workers. NULL with errno. */
struct lookups *lookups_new(struct loop *loop, const struct lookups_hooks *hooks, int64_t patience);
/* Nobody asks any more. */
void lookups_free(struct lookups **lookups);
/* For a worker, and for sql_tables_through with a struct lookups as context; `spec` must stay. Blocks, for `patience` at most. */
enum table_status lookups_ask(
	void *lookups, const char *spec, struct slice key, struct buffer *value);
/* In the loop: an answer. Of those that nobody waits for any more nothing is kept. */
void lookups_told(
	struct lookups *lookups, uint32_t serial, enum table_status status, struct slice value);
/* In the loop: what was sent will not be answered, and is sent once more. */
void lookups_lost(struct lookups *lookups);

#endif
