// SPDX-License-Identifier: ISC
/* What users send is counted by hour and day. auth/usage.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/usage.h"

enum { NOW = 1800000000, HOUR = 3600, DAY = 86400 };

static char folder[64], path[128], error[300];
static struct usage *usage;
static struct usage_limits limits;
static struct usage_verdict verdict;

static enum usage_status take(int64_t now, const char *login, uint32_t recipients)
{
	usage_take(usage, now, slice_from(login), recipients, &limits, &verdict);
	return verdict.status;
}

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-usage-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/usage.db", folder);
	limits = (struct usage_limits){ 0 };
	usage = usage_open(path, error, sizeof(error));
	return usage ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const ENDS[] = { "", "-wal", "-shm" };
	char name[200];

	usage_close(&usage);
	for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ENDS[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static void messages_of_an_hour_are_bounded_for_each_login(void **state)
{
	limits.most[USAGE_HOUR][USAGE_MESSAGES] = 3;
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(NOW + i, "one", 5), USAGE_ALLOWED);
	assert_int_equal(take(NOW + 10, "one", 1), USAGE_OVER);
	assert_int_equal(verdict.window, USAGE_HOUR);
	assert_int_equal(verdict.kind, USAGE_MESSAGES);
	assert_int_equal(verdict.limit, 3);
	assert_int_equal(verdict.wait, HOUR - 10);
	assert_int_equal(take(NOW + 10, "two", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW + HOUR - 1, "one", 1), USAGE_OVER);
	assert_int_equal(take(NOW + HOUR, "one", 1), USAGE_ALLOWED);
}

static void recipients_count_together_and_what_is_refused_does_not(void **state)
{
	limits.most[USAGE_DAY][USAGE_RECIPIENTS] = 10;
	assert_int_equal(take(NOW, "one", 6), USAGE_ALLOWED);
	assert_int_equal(take(NOW, "one", 5), USAGE_OVER);
	assert_int_equal(verdict.kind, USAGE_RECIPIENTS);
	assert_int_equal(verdict.window, USAGE_DAY);
	assert_int_equal(verdict.wait, DAY);
	assert_int_equal(take(NOW, "one", 4), USAGE_ALLOWED);
	assert_int_equal(take(NOW, "one", 1), USAGE_OVER);
	assert_int_equal(take(NOW, "two", 11), USAGE_NEVER);
	assert_int_equal(verdict.limit, 10);
	assert_int_equal(take(NOW, "two", 10), USAGE_ALLOWED);
}

static void a_day_is_not_over_with_its_hour(void **state)
{
	limits.most[USAGE_HOUR][USAGE_MESSAGES] = 2;
	limits.most[USAGE_DAY][USAGE_MESSAGES] = 3;
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW, "one", 1), USAGE_OVER);
	assert_int_equal(take(NOW + HOUR, "one", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW + HOUR, "one", 1), USAGE_OVER);
	assert_int_equal(verdict.window, USAGE_DAY);
	assert_int_equal(verdict.wait, DAY - HOUR);
	assert_int_equal(take(NOW + DAY, "one", 1), USAGE_ALLOWED);
}

static void counts_outlive_the_process_and_are_shared(void **state)
{
	struct usage *other;

	limits.most[USAGE_HOUR][USAGE_MESSAGES] = 3;
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	usage_close(&usage);
	usage = usage_open(path, error, sizeof(error));
	assert_non_null(usage);
	other = usage_open(path, error, sizeof(error));
	assert_non_null(other);
	usage_take(other, NOW, slice_from("one"), 1, &limits, &verdict);
	assert_int_equal(verdict.status, USAGE_ALLOWED);
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	usage_take(other, NOW, slice_from("one"), 1, &limits, &verdict);
	assert_int_equal(verdict.status, USAGE_OVER);
	usage_close(&other);
}

static void a_clock_that_is_set_back_locks_nobody_out(void **state)
{
	limits.most[USAGE_DAY][USAGE_MESSAGES] = 1;
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW - 1000 * DAY, "one", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW - 1000 * DAY + 1, "one", 1), USAGE_OVER);
}

static void logins_are_forgotten_when_their_day_is_over(void **state)
{
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	assert_int_equal(take(NOW + 10, "two", 1), USAGE_ALLOWED);
	assert_int_equal(usage_expire(usage, NOW + 5), 2);
	assert_int_equal(usage_expire(usage, NOW + DAY + 5), 1);
	assert_int_equal(usage_expire(usage, NOW + DAY + 10), 0);
}

static void a_database_that_is_locked_is_no_answer(void **state)
{
	sqlite3 *other = database_open(path, 0, 10, error, sizeof(error));

	assert_non_null(other);
	assert_true(database_run(other, "BEGIN IMMEDIATE", error, sizeof(error)));
	assert_int_equal(take(NOW, "one", 1), USAGE_TEMPORARY);
	assert_true(database_run(other, "COMMIT", error, sizeof(error)));
	assert_int_equal(take(NOW, "one", 1), USAGE_ALLOWED);
	sqlite3_close(other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(messages_of_an_hour_are_bounded_for_each_login),
		T(recipients_count_together_and_what_is_refused_does_not),
		T(a_day_is_not_over_with_its_hour),
		T(counts_outlive_the_process_and_are_shared),
		T(a_clock_that_is_set_back_locks_nobody_out),
		T(logins_are_forgotten_when_their_day_is_over),
		T(a_database_that_is_locked_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
