// SPDX-License-Identifier: ISC
/* SASL exchanges, and the threads that run them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/exchange.h"

static char folder[64], path[128], error[300];
static struct credentials *credentials;
static struct backends *backends;

static struct backends *open_backends(void)
{
	const struct backends_settings settings = { .list = "credentials",
		.folder = folder,
		.credentials = path,
		.realm = "example.org",
		.schemes = { .cost = 1 } };

	return backends_open(&settings, error, sizeof(error));
}

static int setup(void **state)
{
	const struct exchange_settings settings = {
		.realm = "example.org", .host = "host.example.org", .mechanisms = "plain login"
	};

	snprintf(folder, sizeof(folder), "/tmp/postern-exchange-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/credentials.db", folder);
	return credentials_open(path, true, &credentials, error, sizeof(error)) &&
			       credentials_set(credentials, "one@example.org", SLICE("secret"), 1,
				       error, sizeof(error)) &&
			       exchange_library_open(&settings, error, sizeof(error)) &&
			       (backends = open_backends())
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	const char *const names[] = { "", "-wal", "-shm" };
	char name[160];

	backends_close(&backends);
	credentials_close(&credentials);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct exchange *begin(const char *mechanism)
{
	struct exchange_start start = { .service = SLICE("imap"),
		.mechanism = slice_from(mechanism),
		.client_address = SLICE("192.0.2.1"),
		.local_address = SLICE("192.0.2.2") };

	return exchange_new(&start);
}

static bool step(struct exchange *exchange, struct slice input)
{
	assert_true(exchange_input(exchange, true, input));
	return exchange_step(exchange, backends);
}

static enum auth_status plain(struct slice response)
{
	struct exchange *exchange = begin("plain");
	enum auth_status status;

	assert_non_null(exchange);
	assert_true(step(exchange, response));
	status = exchange_status(exchange);
	if (status == AUTH_OK)
		assert_string_equal(exchange_login(exchange), "one@example.org");
	exchange_free(&exchange);
	return status;
}

static void plain_takes_the_right_password_only(void **state)
{
	assert_int_equal(plain(SLICE("\0one@example.org\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("\0One@Example.org\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("\0one\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("one@example.org\0one@example.org\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("\0one@example.org\0wrong")), AUTH_FAILED);
	assert_int_equal(plain(SLICE("\0two@example.org\0secret")), AUTH_FAILED);
	/* To act for another is nobody's right. */
	assert_int_equal(plain(SLICE("two@example.org\0one@example.org\0secret")), AUTH_FAILED);
}

/* Whoever guesses is counted under the name whose password he tries. */
static void who_wants_to_act_for_another_fails_under_his_own_name(void **state)
{
	const struct slice wishes[] = { SLICE("junk@example.org\0one@example.org\0secret"),
		SLICE("junk@example.org\0one\0wrong"), SLICE("two\0one\0secret"),
		SLICE("a b\0one@example.org\0secret"), SLICE("-\0one\0secret") };

	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		struct exchange *exchange = begin("PLAIN");

		assert_true(step(exchange, wishes[i]));
		assert_int_equal(exchange_status(exchange), AUTH_FAILED);
		assert_string_equal(exchange_login(exchange), "one@example.org");
		exchange_free(&exchange);
	}
}

static void ones_own_name_is_ones_own_in_every_form(void **state)
{
	assert_int_equal(plain(SLICE("one@example.org\0one\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("one\0one@example.org\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("ONE@Example.org\0one@example.org\0secret")), AUTH_OK);
	assert_int_equal(plain(SLICE("ONE@Example.org\0one@example.org\0wrong")), AUTH_FAILED);
}

static void plain_refuses_what_is_malformed(void **state)
{
	const struct slice bad[] = { SLICE(""), SLICE("\0"), SLICE("\0\0"),
		SLICE("\0one@example.org"), SLICE("\0one@example.org\0"), SLICE("no nul at all"),
		SLICE("\0\0secret"), SLICE("\0one@example.org\0secret\0"),
		SLICE("\0one@example.org\0secret\0secret") };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct exchange *exchange = begin("PLAIN");

		if (step(exchange, bad[i]))
			assert_int_not_equal(exchange_status(exchange), AUTH_OK);
		exchange_free(&exchange);
	}
}

static void plain_without_initial_response_gets_an_empty_challenge(void **state)
{
	struct exchange *exchange = begin("PLAIN");

	assert_true(exchange_input(exchange, false, slice_of("", 0)));
	assert_false(exchange_step(exchange, backends));
	assert_int_equal(exchange_output(exchange).length, 0);
	assert_true(step(exchange, SLICE("\0one@example.org\0secret")));
	assert_int_equal(exchange_status(exchange), AUTH_OK);
	exchange_free(&exchange);
}

static void login_asks_for_name_and_password(void **state)
{
	struct exchange *exchange = begin("LOGIN");

	assert_true(exchange_input(exchange, false, slice_of("", 0)));
	assert_false(exchange_step(exchange, backends));
	assert_true(slice_equal(exchange_output(exchange), SLICE("Username:")));
	assert_false(step(exchange, SLICE("one@example.org")));
	assert_true(slice_equal(exchange_output(exchange), SLICE("Password:")));
	assert_true(step(exchange, SLICE("secret")));
	assert_int_equal(exchange_status(exchange), AUTH_OK);
	exchange_free(&exchange);
	exchange = begin("login");
	assert_false(step(exchange, SLICE("one@example.org")));
	assert_true(step(exchange, SLICE("wrong")));
	assert_int_equal(exchange_status(exchange), AUTH_FAILED);
	assert_string_equal(exchange_login(exchange), "one@example.org");
	exchange_free(&exchange);
}

static void name_that_cannot_be_is_refused_like_a_wrong_password(void **state)
{
	struct exchange *exchange = begin("LOGIN");

	assert_false(step(exchange, SLICE("one@example.org\0x")));
	assert_true(step(exchange, SLICE("secret")));
	assert_int_equal(exchange_status(exchange), AUTH_FAILED);
	exchange_free(&exchange);
	assert_int_equal(plain(SLICE("\0one@example.org \0secret")), AUTH_FAILED);
	assert_int_equal(plain(SLICE("\0one\n@example.org\0secret")), AUTH_FAILED);
}

static void other_mechanisms_are_not_there(void **state)
{
	struct exchange *exchange = begin("pLain");

	assert_non_null(exchange);
	exchange_free(&exchange);
	assert_null(begin("ANONYMOUS"));
	assert_null(begin("PLAIN LOGIN"));
	assert_null(begin("SCRAM-SHA-1")); /* not configured */
	assert_null(begin("CRAM-MD5"));
	assert_null(begin(""));
}

static void exchange_that_is_over_does_not_become_good(void **state)
{
	struct exchange *exchange = begin("PLAIN");

	assert_true(step(exchange, SLICE("\0one@example.org\0wrong")));
	assert_int_equal(exchange_status(exchange), AUTH_FAILED);
	for (int i = 0; i < 20; i++)
		if (step(exchange, SLICE("\0one@example.org\0wrong")))
			assert_int_not_equal(exchange_status(exchange), AUTH_OK);
	exchange_free(&exchange);
}

/* --- threads --- */

enum { JOBS = 40 };

struct crowd {
	struct loop *loop;
	unsigned left, good, bad;
};

static void finished(void *context, struct thread_job *link)
{
	const struct exchange_job *job = (const struct exchange_job *)link;
	struct crowd *crowd = context;

	assert_true(job->done);
	crowd->good += exchange_status(job->exchange) == AUTH_OK;
	crowd->bad += exchange_status(job->exchange) == AUTH_FAILED;
	crowd->left--;
}

static void crowd_is_served_by_threads_without_mixing(void **state)
{
	struct crowd crowd = { .loop = loop_new(NULL), .left = JOBS };
	struct backends *connections[4];
	struct threads *threads;
	struct exchange_job jobs[JOBS];

	for (int i = 0; i < 4; i++)
		assert_non_null(connections[i] = open_backends());
	threads = threads_open(crowd.loop,
		&(struct threads_hooks){ exchange_job_run, finished, &crowd },
		(void *const *)connections, 4);
	assert_non_null(threads);
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = (struct exchange_job){ .exchange = begin("PLAIN") };
		assert_true(exchange_input(jobs[i].exchange, true,
			i % 2 ? SLICE("\0one@example.org\0secret")
			      : SLICE("\0one@example.org\0wrong")));
		threads_add(threads, &jobs[i].job);
	}
	while (crowd.left > 0)
		loop_turn(crowd.loop, -1);
	assert_int_equal(crowd.good, JOBS / 2);
	assert_int_equal(crowd.bad, JOBS / 2);
	threads_close(&threads);
	for (int i = 0; i < JOBS; i++)
		exchange_free(&jobs[i].exchange);
	for (int i = 0; i < 4; i++)
		backends_close(&connections[i]);
	loop_free(&crowd.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_takes_the_right_password_only),
		cmocka_unit_test(who_wants_to_act_for_another_fails_under_his_own_name),
		cmocka_unit_test(ones_own_name_is_ones_own_in_every_form),
		cmocka_unit_test(plain_refuses_what_is_malformed),
		cmocka_unit_test(plain_without_initial_response_gets_an_empty_challenge),
		cmocka_unit_test(login_asks_for_name_and_password),
		cmocka_unit_test(name_that_cannot_be_is_refused_like_a_wrong_password),
		cmocka_unit_test(other_mechanisms_are_not_there),
		cmocka_unit_test(exchange_that_is_over_does_not_become_good),
		cmocka_unit_test(crowd_is_served_by_threads_without_mixing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
