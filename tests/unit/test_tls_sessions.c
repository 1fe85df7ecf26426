// SPDX-License-Identifier: ISC
/* The sessions that tlsd keeps as a client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "os/os.h"
#include "tls/sessions.h"

static SSL_SESSION *session_of(int version, int64_t age)
{
	SSL_SESSION *session = SSL_SESSION_new();
	static const unsigned char ID[32] = { 1 };

	assert_non_null(session);
	assert_int_equal(SSL_SESSION_set1_id(session, ID, sizeof(ID)), 1);
	assert_int_equal(SSL_SESSION_set_protocol_version(session, version), 1);
	SSL_SESSION_set_time(session, (long)(os_now() / 1000000 - age));
	return session;
}

static void keep(struct sessions *sessions, const char *key, int version, int64_t age)
{
	SSL_SESSION *session = session_of(version, age);

	sessions_keep(sessions, slice_from(key), session);
	SSL_SESSION_free(session);
}

static bool has(struct sessions *sessions, const char *key)
{
	SSL_SESSION *session = sessions_take(sessions, slice_from(key));

	SSL_SESSION_free(session);
	return session != NULL;
}

static void one_is_given_back_under_its_key_alone(void **state)
{
	struct sessions sessions = { 0 };

	keep(&sessions, "one", TLS1_2_VERSION, 0);
	assert_false(has(&sessions, "two"));
	assert_true(has(&sessions, "one"));
	assert_true(has(&sessions, "one"));
	keep(&sessions, "one", TLS1_2_VERSION, 0);
	assert_int_equal(sessions.by_key.count, 1);
	sessions_free(&sessions);
	assert_int_equal(sessions.by_key.count, 0);
}

static void one_of_tls_13_is_used_once(void **state)
{
	struct sessions sessions = { 0 };

	keep(&sessions, "one", TLS1_3_VERSION, 0);
	assert_true(has(&sessions, "one"));
	assert_false(has(&sessions, "one"));
	assert_int_equal(sessions.by_key.count, 0);
	sessions_free(&sessions);
}

static void an_old_one_is_forgotten(void **state)
{
	struct sessions sessions = { 0 };

	keep(&sessions, "one", TLS1_2_VERSION, SESSION_LIFETIME + 5);
	assert_false(has(&sessions, "one"));
	assert_int_equal(sessions.by_key.count, 0);
	sessions_free(&sessions);
}

static void so_many_are_kept_and_the_oldest_goes_first(void **state)
{
	struct sessions sessions = { 0 };
	char key[20];

	for (int i = 0; i <= SESSIONS_MOST; i++) {
		snprintf(key, sizeof(key), "%d", i);
		keep(&sessions, key, TLS1_2_VERSION, 0);
	}
	assert_int_equal(sessions.by_key.count, SESSIONS_MOST);
	assert_false(has(&sessions, "0"));
	assert_true(has(&sessions, "1"));
	sessions_free(&sessions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_is_given_back_under_its_key_alone),
		cmocka_unit_test(one_of_tls_13_is_used_once),
		cmocka_unit_test(an_old_one_is_forgotten),
		cmocka_unit_test(so_many_are_kept_and_the_oldest_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
