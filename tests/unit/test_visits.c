// SPDX-License-Identifier: ISC
/* Last logins: gathered, written together by a thread, and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/visits.h"

static char folder[64], path[128], error[300];
static struct credentials *writer, *reader;

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-visits-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/credentials.db", folder);
	return credentials_open(path, true, &writer, error, sizeof(error)) &&
			       credentials_open(path, false, &reader, error, sizeof(error))
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	static const char *const SUFFIXES[] = { "", "-wal", "-shm" };
	char name[160];

	credentials_close(&writer);
	credentials_close(&reader);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, SUFFIXES[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct credentials_visit visit_of(const char *login, const char *address, int64_t time)
{
	struct credentials_visit visit = { .time = time, .service = "imap" };

	snprintf(visit.login, sizeof(visit.login), "%s", login);
	snprintf(visit.address, sizeof(visit.address), "%s", address);
	snprintf(visit.network, sizeof(visit.network), "%s", address);
	return visit;
}

static void expect_last(const char *login, const char *address, int64_t time)
{
	struct credentials_visit visit;

	assert_int_equal(credentials_last_visit(reader, login, &visit),
		address ? CREDENTIALS_GOOD : CREDENTIALS_BAD);
	if (!address)
		return;
	assert_string_equal(visit.address, address);
	assert_string_equal(visit.service, "imap");
	assert_int_equal(visit.time, time);
}

static void count(void *context, const struct credentials_visit *visit)
{
	++*(int *)context;
}

static void visits_are_written_together_when_the_interval_is_over(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct visits *visits = visits_open(loop, writer, 20);
	struct credentials_visit visit = visit_of("one@example.org", "192.0.2.1", 5);
	int64_t end = loop_monotonic() + 20000;

	visits_note(visits, &visit);
	visit.time = 7;
	visits_note(visits, &visit);
	visit = visit_of("two@example.org", "192.0.2.2", 9);
	visits_note(visits, &visit);
	expect_last("one@example.org", NULL, 0);
	while (credentials_last_visit(reader, "two@example.org", &visit) != CREDENTIALS_GOOD &&
		loop_monotonic() < end)
		loop_turn(loop, 20);
	expect_last("ONE@example.org", "192.0.2.1", 7);
	expect_last("two@example.org", "192.0.2.2", 9);
	visits_close(&visits);
	loop_free(&loop);
}

static void what_is_gathered_is_written_at_the_end(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct visits *visits = visits_open(loop, writer, 3600000);
	struct credentials_visit visit;
	char login[32];
	int written = 0;

	for (int i = 0; i < VISITS_MOST + 10; i++) {
		snprintf(login, sizeof(login), "user%d@example.org", i);
		visit = visit_of(login, "192.0.2.1", i);
		visits_note(visits, &visit);
	}
	visits_close(&visits);
	assert_true(credentials_visits_each(reader, 0, count, &written, error, sizeof(error)));
	assert_int_equal(written, VISITS_MOST);
	written = 0;
	assert_true(credentials_visits_each(
		reader, VISITS_MOST - 5, count, &written, error, sizeof(error)));
	assert_int_equal(written, 5);
	loop_free(&loop);
}

static void networks_of_a_login_are_bounded_and_go_with_it(void **state)
{
	struct credentials_visit visit;
	char address[32];
	int written = 0;

	assert_true(credentials_set(
		writer, "one@example.org", SLICE("secret"), 1, error, sizeof(error)));
	for (int i = 0; i < 3 * CREDENTIALS_VISITS; i++) {
		snprintf(address, sizeof(address), "192.0.2.%d", i);
		visit = visit_of("one@example.org", address, i);
		assert_true(credentials_visits_write(writer, &visit, 1, error, sizeof(error)));
	}
	assert_true(credentials_visits_each(reader, 0, count, &written, error, sizeof(error)));
	assert_int_equal(written, CREDENTIALS_VISITS);
	expect_last("one@example.org", address, 3 * CREDENTIALS_VISITS - 1);
	assert_true(credentials_delete(writer, "one@example.org", error, sizeof(error)));
	expect_last("one@example.org", NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			visits_are_written_together_when_the_interval_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_gathered_is_written_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			networks_of_a_login_are_bounded_and_go_with_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
