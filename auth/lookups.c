// SPDX-License-Identifier: ISC
/* Lookups of workers. See lookups.h. */
#include "auth/lookups.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	TABLES_MOST = 64,
	KEY_MOST = 4096, /* bytes; tables have no longer ones */
	SLOW_PART = 4 /* an error after more than this part of the patience is a slow one */
};

/* One worker's question, on its stack: it is in the list as long as the worker waits. */
struct lookup {
	struct lookup *next, **at;
	uint32_t serial;
	const char *spec;
	struct slice key;
	struct buffer *value;
	enum table_status status;
	bool sent, done;
	pthread_cond_t answered;
};

struct far_table {
	char *spec;
	unsigned asking; /* workers that wait for it */
	bool slow; /* since it was slow to fail, until it answers */
	int64_t rest_until; /* ms */
	bool silent; /* to be told */
};

struct lookups {
	struct loop *loop;
	struct lookups_hooks hooks;
	int64_t patience;
	pthread_mutex_t lock; /* for what follows */
	struct lookup *first, **end;
	unsigned count;
	uint32_t next_serial;
	struct far_table tables[TABLES_MOST];
	unsigned table_count;
	struct watch watch; /* an eventfd: something is to be sent, or told */
};

static void wake_loop(const struct lookups *lookups)
{
	const uint64_t one = 1;

	(void)!write(lookups->watch.fd, &one, sizeof(one));
}

/* --- in the loop --- */

struct question {
	uint32_t serial;
	const char *spec;
	char key[KEY_MOST];
	size_t length;
};

/* A copy of the next one that was not sent yet: its worker may go as soon as the lock is free. False: there is none. */
static bool take_question(struct lookups *lookups, struct question *question)
{
	struct lookup *lookup;

	pthread_mutex_lock(&lookups->lock);
	for (lookup = lookups->first; lookup && (lookup->sent || lookup->done);)
		lookup = lookup->next;
	if (lookup) {
		lookup->sent = true;
		question->serial = lookup->serial;
		question->spec = lookup->spec;
		question->length = lookup->key.length;
		memcpy(question->key, lookup->key.data, lookup->key.length);
	}
	pthread_mutex_unlock(&lookups->lock);
	return lookup != NULL;
}

static void send_questions(struct lookups *lookups)
{
	struct question question;

	while (take_question(lookups, &question))
		if (!lookups->hooks.send(lookups->hooks.context, question.serial, question.spec,
			    slice_of(question.key, question.length)))
			lookups_told(lookups, question.serial, TABLE_ERROR, SLICE(""));
}

static void tell_silent(struct lookups *lookups)
{
	for (unsigned i = 0; i < TABLES_MOST; i++) {
		struct far_table *table = &lookups->tables[i];
		const char *spec;

		pthread_mutex_lock(&lookups->lock);
		spec = table->silent ? table->spec : NULL;
		table->silent = false;
		pthread_mutex_unlock(&lookups->lock);
		if (spec)
			lookups->hooks.silent(lookups->hooks.context, spec);
	}
}

static void woken(struct watch *watch, uint32_t events)
{
	struct lookups *lookups = watch->context;
	uint64_t count;

	(void)!read(watch->fd, &count, sizeof(count));
	send_questions(lookups);
	tell_silent(lookups);
}

void lookups_told(
	struct lookups *lookups, uint32_t serial, enum table_status status, struct slice value)
{
	struct lookup *lookup;

	pthread_mutex_lock(&lookups->lock);
	for (lookup = lookups->first; lookup && lookup->serial != serial;)
		lookup = lookup->next;
	if (lookup && !lookup->done) {
		lookup->done = true;
		lookup->status = status;
		if (status == TABLE_FOUND && !buffer_add(lookup->value, value))
			lookup->status = TABLE_ERROR;
		pthread_cond_signal(&lookup->answered);
	}
	pthread_mutex_unlock(&lookups->lock);
}

void lookups_lost(struct lookups *lookups)
{
	pthread_mutex_lock(&lookups->lock);
	for (struct lookup *lookup = lookups->first; lookup; lookup = lookup->next)
		lookup->sent = false;
	pthread_mutex_unlock(&lookups->lock);
	/* In a turn of its own: this one is about the connection's end. */
	wake_loop(lookups);
}

/* --- in a worker; the lock is held --- */

/* NULL: there are too many to know something about each. */
static struct far_table *table_of(struct lookups *lookups, const char *spec)
{
	struct far_table *table = lookups->tables;
	const struct far_table *end = table + lookups->table_count;

	while (table < end && strcmp(table->spec, spec) != 0)
		table++;
	if (table < end || lookups->table_count == TABLES_MOST)
		return table < end ? table : NULL;
	table->spec = strdup(spec);
	if (!table->spec)
		return NULL;
	lookups->table_count++;
	return table;
}

static bool may_ask(const struct far_table *table)
{
	return !table || !table->slow ||
	       (table->asking == 0 && loop_monotonic() >= table->rest_until);
}

static void enqueue(struct lookups *lookups, struct lookup *lookup)
{
	pthread_condattr_t clock;

	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&lookup->answered, &clock);
	pthread_condattr_destroy(&clock);
	lookup->serial = ++lookups->next_serial;
	lookup->at = lookups->end;
	*lookups->end = lookup;
	lookups->end = &lookup->next;
	lookups->count++;
	wake_loop(lookups);
}

static void dequeue(struct lookups *lookups, struct lookup *lookup)
{
	*lookup->at = lookup->next;
	if (lookup->next)
		lookup->next->at = lookup->at;
	else
		lookups->end = lookup->at;
	lookups->count--;
	pthread_cond_destroy(&lookup->answered);
}

static void wait_for_answer(struct lookups *lookups, struct lookup *lookup)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += lookups->patience / 1000;
	until.tv_nsec += lookups->patience % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!lookup->done && result == 0)
		result = pthread_cond_timedwait(&lookup->answered, &lookups->lock, &until);
}

/* What is known of a table by how one question ended. A quick error says nothing about how slow the next one is. */
static void learn(struct lookups *lookups, struct far_table *table, const struct lookup *lookup,
	int64_t began)
{
	int64_t now = loop_monotonic();

	if (!lookup->done) {
		table->silent = true;
		wake_loop(lookups);
	}
	if (lookup->status != TABLE_ERROR) {
		table->slow = false;
	} else if (now - began > lookups->patience / SLOW_PART) {
		table->slow = true;
		table->rest_until = now + LOOKUPS_REST;
	}
}

enum table_status lookups_ask(
	void *context, const char *spec, struct slice key, struct buffer *value)
{
	struct lookups *lookups = context;
	struct lookup lookup = { .spec = spec, .key = key, .value = value, .status = TABLE_ERROR };
	struct far_table *table;
	int64_t began = loop_monotonic();

	if (key.length > KEY_MOST)
		return TABLE_NOT_FOUND;
	pthread_mutex_lock(&lookups->lock);
	table = table_of(lookups, spec);
	if (lookups->count < LOOKUPS_MOST && may_ask(table)) {
		if (table)
			table->asking++;
		enqueue(lookups, &lookup);
		wait_for_answer(lookups, &lookup);
		dequeue(lookups, &lookup);
		if (table) {
			table->asking--;
			learn(lookups, table, &lookup, began);
		}
	}
	pthread_mutex_unlock(&lookups->lock);
	return lookup.status;
}

/* --- start and end --- */

struct lookups *lookups_new(struct loop *loop, const struct lookups_hooks *hooks, int64_t patience)
{
	struct lookups *lookups = calloc(1, sizeof(*lookups));

	if (!lookups)
		return NULL;
	lookups->loop = loop;
	lookups->hooks = *hooks;
	lookups->patience = patience;
	lookups->end = &lookups->first;
	pthread_mutex_init(&lookups->lock, NULL);
	lookups->watch = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = woken,
		.context = lookups };
	if (lookups->watch.fd >= 0 && loop_watch(loop, &lookups->watch))
		return lookups;
	lookups_free(&lookups);
	return NULL;
}

void lookups_free(struct lookups **lookups)
{
	struct lookups *l = *lookups;
	int error = errno;

	if (!l)
		return;
	if (l->watch.loop)
		loop_unwatch(&l->watch);
	if (l->watch.fd >= 0)
		close(l->watch.fd);
	for (unsigned i = 0; i < l->table_count; i++)
		free(l->tables[i].spec);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*lookups = NULL;
	errno = error;
}
