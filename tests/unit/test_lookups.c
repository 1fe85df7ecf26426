// SPDX-License-Identifier: ISC
/* Workers that ask through a loop: answers, no answers, and a table that is slow to fail. The loop runs in the test's own thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>

#include "auth/lookups.h"

enum { PATIENCE = 1000 /* ms */, LONG = 20000, WORKERS = 4, ASKS = 32 };

static struct loop *loop;
static struct lookups *lookups;

/* What came to be sent, and what becomes of it. */
static struct {
	uint32_t serial;
	char spec[40], key[40];
} asked[ASKS];
static unsigned ask_count, silent_count;
static bool refuse;

struct worker {
	pthread_t thread;
	const char *spec, *key;
	struct buffer value;
	enum table_status status;
	int64_t took; /* ms */
	int done; /* pipe: closed at its end */
};

static bool take_ask(void *context, uint32_t serial, const char *spec, struct slice key)
{
	if (refuse)
		return false;
	assert_true(ask_count < ASKS);
	asked[ask_count].serial = serial;
	snprintf(asked[ask_count].spec, sizeof(asked[0].spec), "%s", spec);
	assert_true(slice_to_string(key, asked[ask_count++].key, sizeof(asked[0].key)));
	return true;
}

static void take_silent(void *context, const char *spec)
{
	silent_count++;
}

static void open_lookups(int64_t patience)
{
	const struct lookups_hooks hooks = { .send = take_ask, .silent = take_silent };

	lookups = lookups_new(loop, &hooks, patience);
	assert_non_null(lookups);
}

static int setup(void **state)
{
	loop = loop_new(NULL);
	ask_count = silent_count = 0;
	refuse = false;
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	lookups_free(&lookups);
	loop_free(&loop);
	return 0;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	int64_t began = loop_monotonic();

	worker->status =
		lookups_ask(lookups, worker->spec, slice_from(worker->key), &worker->value);
	worker->took = loop_monotonic() - began;
	close(worker->done);
	return NULL;
}

/* The other end of the pipe is read at the end of the worker. */
static int start(struct worker *worker, const char *spec, const char *key)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	*worker = (struct worker){ .spec = spec, .key = key, .done = ends[1] };
	assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
	return ends[0];
}

static void finish(struct worker *worker, int end)
{
	char byte;

	assert_int_equal(read(end, &byte, 1), 0);
	close(end);
	pthread_join(worker->thread, NULL);
}

static void wait_asks(unsigned count)
{
	while (ask_count < count)
		loop_turn(loop, 1000);
}

static void expect(struct worker *worker, int end, enum table_status status, const char *value)
{
	finish(worker, end);
	assert_int_equal(worker->status, status);
	assert_true(slice_equal(buffer_slice(&worker->value), slice_from(value)));
	buffer_free(&worker->value);
}

static void answer_reaches_who_asked(void **state)
{
	struct worker workers[3];
	const char *const keys[] = { "a", "b", "c" };
	int ends[3];

	open_lookups(LONG);
	for (int i = 0; i < 3; i++) {
		ends[i] = start(&workers[i], "mysql:x", keys[i]);
		wait_asks((unsigned)i + 1);
	}
	assert_string_equal(asked[1].key, "b");
	assert_string_equal(asked[1].spec, "mysql:x");
	lookups_told(lookups, asked[2].serial, TABLE_NOT_FOUND, SLICE(""));
	lookups_told(lookups, asked[1].serial, TABLE_ERROR, SLICE(""));
	lookups_told(lookups, asked[1].serial, TABLE_FOUND, SLICE("too late"));
	lookups_told(lookups, 4711, TABLE_FOUND, SLICE("nobody's"));
	lookups_told(lookups, asked[0].serial, TABLE_FOUND, SLICE("hash"));
	expect(&workers[0], ends[0], TABLE_FOUND, "hash");
	expect(&workers[1], ends[1], TABLE_ERROR, "");
	expect(&workers[2], ends[2], TABLE_NOT_FOUND, "");
	/* Quick errors leave the table as it was. */
	ends[0] = start(&workers[0], "mysql:x", "d");
	wait_asks(4);
	lookups_told(lookups, asked[3].serial, TABLE_FOUND, SLICE(""));
	expect(&workers[0], ends[0], TABLE_FOUND, "");
}

static void what_cannot_be_sent_is_an_error_at_once(void **state)
{
	struct worker worker;
	int end;

	open_lookups(LONG);
	refuse = true;
	end = start(&worker, "mysql:x", "a");
	/* Until its only question was taken, and refused. */
	loop_turn(loop, 1000);
	expect(&worker, end, TABLE_ERROR, "");
	assert_true(worker.took < LONG);
}

static void what_was_lost_is_asked_again(void **state)
{
	struct worker worker;
	int end;

	open_lookups(LONG);
	end = start(&worker, "pgsql:x", "a");
	wait_asks(1);
	lookups_lost(lookups);
	wait_asks(2);
	assert_int_equal(asked[0].serial, asked[1].serial);
	lookups_told(lookups, asked[1].serial, TABLE_FOUND, SLICE("hash"));
	lookups_told(lookups, asked[1].serial, TABLE_NOT_FOUND, SLICE(""));
	expect(&worker, end, TABLE_FOUND, "hash");
}

/* All workers wait once for a table that says nothing; then none does, and other tables are asked as ever. */
static void silence_is_an_error_and_holds_workers_once(void **state)
{
	struct worker workers[WORKERS], next;
	int ends[WORKERS], end;

	open_lookups(PATIENCE);
	for (int i = 0; i < WORKERS; i++)
		ends[i] = start(&workers[i], "mysql:slow", "a");
	wait_asks(WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		expect(&workers[i], ends[i], TABLE_ERROR, "");
		assert_true(workers[i].took >= PATIENCE);
	}
	while (!silent_count)
		loop_turn(loop, 1000);
	end = start(&next, "mysql:slow", "b");
	expect(&next, end, TABLE_ERROR, "");
	assert_int_equal(ask_count, WORKERS);
	end = start(&next, "mysql:other", "b");
	wait_asks(WORKERS + 1);
	lookups_told(lookups, asked[WORKERS].serial, TABLE_FOUND, SLICE("hash"));
	expect(&next, end, TABLE_FOUND, "hash");
	/* Late answers find nobody. */
	lookups_told(lookups, asked[0].serial, TABLE_FOUND, SLICE("hash"));
}

static void table_that_was_slow_holds_one_worker_until_it_answers(void **state)
{
	struct worker first, second;
	int64_t rested;
	int ends[2];

	open_lookups(PATIENCE);
	ends[0] = start(&first, "mysql:slow", "a");
	expect(&first, ends[0], TABLE_ERROR, "");
	rested = loop_monotonic() + LOOKUPS_REST;
	/* That, too, was a question: it is not sent any more. */
	while (loop_monotonic() <= rested)
		loop_turn(loop, (int)(rested - loop_monotonic()) + 1);
	ends[0] = start(&first, "mysql:slow", "a");
	wait_asks(1);
	ends[1] = start(&second, "mysql:slow", "b");
	expect(&second, ends[1], TABLE_ERROR, "");
	lookups_told(lookups, asked[0].serial, TABLE_NOT_FOUND, SLICE(""));
	expect(&first, ends[0], TABLE_NOT_FOUND, "");
	ends[0] = start(&first, "mysql:slow", "a");
	ends[1] = start(&second, "mysql:slow", "b");
	wait_asks(3);
	lookups_told(lookups, asked[1].serial, TABLE_NOT_FOUND, SLICE(""));
	lookups_told(lookups, asked[2].serial, TABLE_NOT_FOUND, SLICE(""));
	expect(&first, ends[0], TABLE_NOT_FOUND, "");
	expect(&second, ends[1], TABLE_NOT_FOUND, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answer_reaches_who_asked),
		TEST(what_cannot_be_sent_is_an_error_at_once),
		TEST(what_was_lost_is_asked_again),
		TEST(silence_is_an_error_and_holds_workers_once),
		TEST(table_that_was_slow_holds_one_worker_until_it_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
