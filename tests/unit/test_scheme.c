// SPDX-License-Identifier: ISC
/* What is stored of passwords: published examples of each scheme, and what does not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "auth/scheme.h"

static struct schemes *schemes;

static int setup(void **state)
{
	const struct scheme_settings settings = { .cost = 1, .iterations = 4096 };

	schemes = schemes_new(&settings);
	return schemes ? 0 : -1;
}

static int teardown(void **state)
{
	schemes_free(&schemes);
	return 0;
}

static enum scheme_result verify(const char *stored, const char *password)
{
	return schemes_verify(schemes, slice_from(stored), slice_from(password));
}

static void published_hashes_fit_their_passwords_only(void **state)
{
	static const struct {
		const char *stored, *password;
	} KNOWN[] = {
		/* crypt(3): the examples of SHA-crypt's specification, of bcrypt's test set, of crypt(5) */
		{ "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!" },
		{ "{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
			"Hello world!" },
		{ "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
		  "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
			"Hello world!" },
		{ "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
			"U*U" },
		{ "{crypt}$1$saltstri$YMyguxXMBpd2TEZ.vS/3q1", "Hello world!" },
		/* Argon2's reference implementation */
		{ "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
		  "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
			"password" },
		{ "{ARGON2I}$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$"
		  "iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
			"password" },
		/* RFC 6070: "password", "salt", 4096 rounds */
		{ "{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1", "password" },
		{ "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "password" },
		{ "{SHA1.HEX}5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", "password" },
		{ "{SHA256.hex}5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
			"password" },
		{ "{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0", "password" },
		{ "{SMD5}swXK27O85U86pZxk/sAN6nNhbHQ=", "password" },
		{ "{LDAP-MD5}X03MO1qnZdYdgyfeuILPmQ==", "password" },
		{ "{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99", "password" },
		{ "{PLAIN-MD5.B64}X03MO1qnZdYdgyfeuILPmQ==", "password" },
		{ "{MD5}$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "password" },
		{ "{SSHA256.HEX}"
		  "7a37b85c8918eac19a9089c0fa5a2ab4dce3f90528dcdeec108b23ddf3607b9973616c"
		  "74",
			"password" },
		/* RFC 5802 section 5, RFC 7677 section 3 */
		{ "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,"
		  "D+CSWLOshSulAsxiupA+qs2/fTE=",
			"pencil" },
		{ "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
		  "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLm"
		  "tbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
			"pencil" },
	};

	for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
		if (verify(KNOWN[i].stored, KNOWN[i].password) != SCHEME_FITS)
			fail_msg("%s", KNOWN[i].stored);
		assert_int_equal(verify(KNOWN[i].stored, "Password"), SCHEME_WRONG);
		assert_int_equal(verify(KNOWN[i].stored, ""), SCHEME_WRONG);
	}
}

static void new_password_is_yescrypt_with_both_sets_of_keys(void **state)
{
	char one[SCHEME_MAX_STORED], two[SCHEME_MAX_STORED];
	struct scram_keys keys;

	assert_true(schemes_make(schemes, SLICE("pencil"), one));
	assert_true(schemes_make(schemes, SLICE("pencil"), two));
	assert_string_not_equal(one, two);
	assert_true(schemes_current(slice_from(one)));
	assert_int_equal(strncmp(one, "$y$", 3), 0);
	assert_int_equal(verify(one, "pencil"), SCHEME_FITS);
	assert_int_equal(verify(one, "Pencil"), SCHEME_WRONG);
	assert_true(schemes_scram(schemes, slice_from(one), "SHA-256", &keys));
	assert_int_equal(keys.iterations, 4096);
	assert_int_equal(keys.salt_length, 16);
	assert_int_equal(keys.digest_length, 32);
	/* Each key alone fits the password, too. */
	assert_int_equal(verify(strchr(one, ' '), "pencil"), SCHEME_FITS);
	assert_int_equal(verify(strrchr(one, ' '), "pencil"), SCHEME_FITS);
	assert_int_equal(verify(strrchr(one, ' '), "pencil2"), SCHEME_WRONG);
	assert_false(schemes_make(schemes, SLICE(""), one));
	assert_false(schemes_make(schemes, SLICE("a\0b"), one));
}

static void scram_keys_are_those_of_the_rfcs(void **state)
{
	struct scram_keys keys;
	/* RFC 5802 section 5: a server with these keys answers the exchange of the example. */
	const char *stored = "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,"
			     "D+CSWLOshSulAsxiupA+qs2/fTE=";

	assert_true(schemes_scram(schemes, slice_from(stored), "SHA-1", &keys));
	assert_int_equal(keys.iterations, 4096);
	assert_int_equal(keys.salt_length, 12);
	assert_int_equal(keys.stored_key[0], 0xe9);
	assert_false(schemes_scram(schemes, slice_from(stored), "SHA-256", &keys));
	assert_false(schemes_scram(schemes, SLICE("{SCRAM-SHA-1}0,QSXC,x,y"), "SHA-1", &keys));
}

static void plain_text_counts_only_when_asked_for(void **state)
{
	const struct scheme_settings plain = { .cost = 1, .plain = true };
	struct slice password;
	char error[200];

	assert_int_equal(verify("{PLAIN}two words", "two words"), SCHEME_SILENT);
	assert_false(schemes_plain(schemes, SLICE("{PLAIN}x"), &password));
	assert_false(schemes_known(schemes, SLICE("{PLAIN}x"), error, sizeof(error)));
	schemes_set(schemes, &plain);
	assert_int_equal(verify("{PLAIN}two words", "two words"), SCHEME_FITS);
	assert_int_equal(verify("{CLEARTEXT}two words", "two"), SCHEME_WRONG);
	assert_int_equal(verify("{PLAIN}", ""), SCHEME_WRONG);
	assert_true(schemes_plain(schemes, SLICE("{PLAIN}two words"), &password));
	assert_true(slice_equal(password, SLICE("two words")));
}

static void unknown_and_malformed_values_never_fit(void **state)
{
	static const char *const BAD[] = { "", " ", "x", "{}",
		"{PLAIN-MD5}5f4dcc3b5aa765d61d8327de", "{NO-SUCH}x", "{SSHA}",
		"{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SHA}AAAA", "{SHA256.HEX}zz",
		"{PBKDF2}$1$salt$0$00", "{PBKDF2}$2$salt$1$00", "{PBKDF2}$1$salt",
		"{ARGON2ID}$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$AAAA",
		"{ARGON2ID}$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA", "{ARGON2ID}x",
		"{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92", "{SCRAM-SHA-256}x,y,z,a", "{CRYPT}$6$",
		"{CRYPT}*", "{CRYPT}!", "*LK*", "$5$saltstring$", "{BLF-CRYPT}$2y$05$short" };
	char error[200];

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		if (verify(BAD[i], "password") != SCHEME_SILENT)
			fail_msg("%s", BAD[i]);
		assert_false(schemes_known(schemes, slice_from(BAD[i]), error, sizeof(error)));
	}
}

static void nobody_costs_as_many_hashes_as_somebody(void **state)
{
	char stored[SCHEME_MAX_STORED];
	uint64_t before;

	assert_true(schemes_make(schemes, SLICE("pencil"), stored));
	assert_true(schemes_waste(schemes, SLICE("x")));
	before = schemes_hashes(schemes);
	assert_int_equal(verify(stored, "wrong"), SCHEME_WRONG);
	assert_int_equal(schemes_hashes(schemes), before + 1);
	assert_true(schemes_waste(schemes, SLICE("wrong")));
	assert_int_equal(schemes_hashes(schemes), before + 2);
	/* A password that cannot be costs as much. */
	assert_int_equal(verify(stored, ""), SCHEME_WRONG);
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE("a\0b")), SCHEME_WRONG);
	assert_int_equal(schemes_hashes(schemes), before + 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* By the thread's own clock: a wrong password of a scheme that is cheap costs what one of a new scheme costs. */
static double seconds_of(const char *stored)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	assert_int_equal(verify(stored, "wrong"), SCHEME_WRONG);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

static void a_wrong_password_of_a_cheap_scheme_costs_as_much_as_any(void **state)
{
	static const char *const CHEAP[] = { "{SSHA}SoB78XLkHNz7fpvBCKxuQHH1LRJzYWx0",
		"{SHA256.HEX}5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8" };
	uint64_t before;
	double waste;
	struct timespec begin, end;

	assert_true(schemes_waste(schemes, SLICE("x")));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	assert_true(schemes_waste(schemes, SLICE("x")));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	waste = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	for (size_t i = 0; i < sizeof(CHEAP) / sizeof(CHEAP[0]); i++) {
		before = schemes_hashes(schemes);
		assert_true(seconds_of(CHEAP[i]) > waste / 2);
		assert_int_equal(schemes_hashes(schemes), before + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(published_hashes_fit_their_passwords_only),
		TEST(new_password_is_yescrypt_with_both_sets_of_keys),
		TEST(scram_keys_are_those_of_the_rfcs),
		TEST(plain_text_counts_only_when_asked_for),
		TEST(unknown_and_malformed_values_never_fit),
		TEST(nobody_costs_as_many_hashes_as_somebody),
		TEST(a_wrong_password_of_a_cheap_scheme_costs_as_much_as_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
