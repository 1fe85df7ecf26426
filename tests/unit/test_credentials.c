// SPDX-License-Identifier: ISC
/* credentials.db: setting and verifying passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/credentials.h"

static char folder[64], path[128], error[300];
static struct credentials *credentials;

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-credentials-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/credentials.db", folder);
	return credentials_open(path, true, &credentials, error, sizeof(error)) &&
			       credentials_set(credentials, "One@example.org", SLICE("secret"), 1,
				       error, sizeof(error))
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	char name[160];

	credentials_close(&credentials);
	for (const char *const *suffix = (const char *const[]){ "", "-wal", "-shm", NULL }; *suffix;
		suffix++) {
		snprintf(name, sizeof(name), "%s%s", path, *suffix);
		unlink(name);
	}
	return rmdir(folder);
}

static void right_password_is_good_and_others_are_not(void **state)
{
	assert_int_equal(credentials_verify(credentials, SLICE("one@EXAMPLE.org"), SLICE("secret")),
		CREDENTIALS_GOOD);
	assert_int_equal(credentials_verify(credentials, SLICE("one@example.org"), SLICE("Secret")),
		CREDENTIALS_BAD);
	assert_int_equal(credentials_verify(credentials, SLICE("one@example.org"), SLICE("")),
		CREDENTIALS_BAD);
	assert_int_equal(
		credentials_verify(credentials, SLICE("one@example.org"), SLICE("secret\0")),
		CREDENTIALS_BAD);
	assert_int_equal(credentials_verify(credentials, SLICE("two@example.org"), SLICE("secret")),
		CREDENTIALS_BAD);
	assert_int_equal(
		credentials_verify(credentials, SLICE(""), SLICE("secret")), CREDENTIALS_BAD);
}

static void disabled_login_is_refused_until_enabled(void **state)
{
	assert_true(
		credentials_enable(credentials, "one@example.org", false, error, sizeof(error)));
	assert_int_equal(credentials_verify(credentials, SLICE("one@example.org"), SLICE("secret")),
		CREDENTIALS_BAD);
	assert_true(credentials_enable(credentials, "one@example.org", true, error, sizeof(error)));
	assert_int_equal(credentials_verify(credentials, SLICE("one@example.org"), SLICE("secret")),
		CREDENTIALS_GOOD);
}

static void new_hashes_are_yescrypt_with_their_own_salt(void **state)
{
	assert_true(credentials_set(
		credentials, "two@example.org", SLICE("secret"), 1, error, sizeof(error)));
	assert_false(credentials_set(
		credentials, "two@example.org", SLICE("secret"), 0, error, sizeof(error)));
	assert_false(credentials_set(
		credentials, "two@example.org", SLICE("secret"), 99, error, sizeof(error)));
	assert_false(credentials_set(
		credentials, "two@example.org", SLICE(""), 1, error, sizeof(error)));
	assert_false(
		credentials_set(credentials, "two words", SLICE("x"), 1, error, sizeof(error)));
	assert_int_equal(credentials_verify(credentials, SLICE("two@example.org"), SLICE("secret")),
		CREDENTIALS_GOOD);
}

static void hash_of_another_system_is_taken(void **state)
{
	/* SHA-256 crypt of "Hello world!" */
	const char *hash = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

	assert_true(
		credentials_set_hash(credentials, "one@example.org", hash, error, sizeof(error)));
	assert_int_equal(
		credentials_verify(credentials, SLICE("one@example.org"), SLICE("Hello world!")),
		CREDENTIALS_GOOD);
	assert_false(credentials_set_hash(
		credentials, "one@example.org", "plain text", error, sizeof(error)));
	assert_false(
		credentials_set_hash(credentials, "one@example.org", "", error, sizeof(error)));
}

static void memory_does_not_mix_up_two_users_or_outlive_a_change(void **state)
{
	struct credentials_memory *memory = credentials_memory_new(60000);

	assert_true(credentials_set(
		credentials, "two@example.org", SLICE("other"), 1, error, sizeof(error)));
	credentials_remember(credentials, memory);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(
			credentials_verify(credentials, SLICE("one@example.org"), SLICE("secret")),
			CREDENTIALS_GOOD);
		assert_int_equal(
			credentials_verify(credentials, SLICE("two@example.org"), SLICE("other")),
			CREDENTIALS_GOOD);
		assert_int_equal(
			credentials_verify(credentials, SLICE("one@example.org"), SLICE("other")),
			CREDENTIALS_BAD);
		assert_int_equal(
			credentials_verify(credentials, SLICE("two@example.org"), SLICE("secret")),
			CREDENTIALS_BAD);
	}
	assert_true(credentials_set(
		credentials, "one@example.org", SLICE("changed"), 1, error, sizeof(error)));
	assert_int_equal(credentials_verify(credentials, SLICE("one@example.org"), SLICE("secret")),
		CREDENTIALS_BAD);
	assert_true(credentials_delete(credentials, "two@example.org", error, sizeof(error)));
	assert_int_equal(credentials_verify(credentials, SLICE("two@example.org"), SLICE("other")),
		CREDENTIALS_BAD);
	credentials_memory_free(&memory);
}

static void unreadable_database_is_an_error_not_a_wrong_password(void **state)
{
	FILE *file;

	credentials_close(&credentials);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("this is not a database, and long enough to be looked at as one", file);
	fclose(file);
	assert_false(credentials_open(path, false, &credentials, error, sizeof(error)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(right_password_is_good_and_others_are_not),
		TEST(disabled_login_is_refused_until_enabled),
		TEST(new_hashes_are_yescrypt_with_their_own_salt),
		TEST(hash_of_another_system_is_taken),
		TEST(memory_does_not_mix_up_two_users_or_outlive_a_change),
		TEST(unreadable_database_is_an_error_not_a_wrong_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
