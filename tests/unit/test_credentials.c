// SPDX-License-Identifier: ISC
/* credentials.db: setting and verifying passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/credentials.h"
#include "auth/app_passwords.h"

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

static enum credentials_status verify(struct slice login, struct slice password)
{
	char app[CREDENTIALS_MAX_APP + 1];
	struct credentials_question question = { .login = login,
		.password = password,
		.service = SLICE("imap"),
		.mechanism = SLICE("PLAIN") };

	return credentials_verify(credentials, &question, app);
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
	assert_int_equal(verify(SLICE("one@EXAMPLE.org"), SLICE("secret")), CREDENTIALS_GOOD);
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("Secret")), CREDENTIALS_BAD);
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("")), CREDENTIALS_BAD);
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("secret\0")), CREDENTIALS_BAD);
	assert_int_equal(verify(SLICE("two@example.org"), SLICE("secret")), CREDENTIALS_UNKNOWN);
	assert_int_equal(verify(SLICE(""), SLICE("secret")), CREDENTIALS_UNKNOWN);
}

static void disabled_login_is_refused_until_enabled(void **state)
{
	assert_true(
		credentials_enable(credentials, "one@example.org", false, error, sizeof(error)));
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("secret")), CREDENTIALS_BAD);
	assert_true(credentials_enable(credentials, "one@example.org", true, error, sizeof(error)));
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("secret")), CREDENTIALS_GOOD);
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
	assert_int_equal(verify(SLICE("two@example.org"), SLICE("secret")), CREDENTIALS_GOOD);
}

static void hash_of_another_system_is_taken(void **state)
{
	/* SHA-256 crypt of "Hello world!" */
	const char *hash = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";

	assert_true(
		credentials_set_hash(credentials, "one@example.org", hash, error, sizeof(error)));
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("Hello world!")), CREDENTIALS_GOOD);
	assert_false(credentials_set_hash(
		credentials, "one@example.org", "plain text", error, sizeof(error)));
	assert_false(
		credentials_set_hash(credentials, "one@example.org", "", error, sizeof(error)));
}

static void old_hash_is_made_anew_once_its_password_was_typed(void **state)
{
	char hash[CREDENTIALS_MAX_HASH];
	const struct scheme_settings settings = { .cost = 1, .iterations = 4096 };

	credentials_settings(credentials, &settings);
	assert_true(credentials_set_hash(credentials, "one@example.org",
		"{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0", error, sizeof(error)));
	assert_false(credentials_upgrade(credentials, SLICE("one@example.org"), SLICE("wrong")));
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("password")), CREDENTIALS_GOOD);
	assert_true(credentials_upgrade(credentials, SLICE("one@example.org"), SLICE("password")));
	assert_int_equal(
		credentials_read(credentials, SLICE("one@example.org"), hash), CREDENTIALS_GOOD);
	assert_true(schemes_current(slice_from(hash)));
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("password")), CREDENTIALS_GOOD);
	assert_false(credentials_upgrade(credentials, SLICE("one@example.org"), SLICE("password")));
}

/* Its SCRAM keys are those of the bytes: clients that prepare what was typed (RFC 4013) fail with them. */
static void what_was_made_of_bytes_is_made_anew_of_the_prepared_form(void **state)
{
	static const char NFD[] = "cafe\xcc\x81", NFC[] = "caf\xc3\xa9";
	const struct scheme_settings settings = { .cost = 1, .iterations = 4096 };
	struct schemes *schemes = schemes_new(&settings);
	char raw[SCHEME_MAX_STORED], hash[CREDENTIALS_MAX_HASH];

	assert_non_null(schemes);
	assert_true(schemes_hash(schemes, slice_from(NFD), 1, raw));
	schemes_free(&schemes);
	snprintf(hash, sizeof(hash),
		"%.200s {SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
		"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU= {SCRAM-SHA-1}4096,"
		"QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
		raw);
	credentials_settings(credentials, &settings);
	assert_true(
		credentials_set_hash(credentials, "one@example.org", hash, error, sizeof(error)));
	assert_int_equal(verify(SLICE("one@example.org"), slice_from(NFC)), CREDENTIALS_BAD);
	assert_int_equal(verify(SLICE("one@example.org"), slice_from(NFD)), CREDENTIALS_GOOD);
	assert_true(credentials_upgrade(credentials, SLICE("one@example.org"), slice_from(NFD)));
	assert_int_equal(verify(SLICE("one@example.org"), slice_from(NFC)), CREDENTIALS_GOOD);
	assert_int_equal(verify(SLICE("one@example.org"), slice_from(NFD)), CREDENTIALS_GOOD);
	assert_false(credentials_upgrade(credentials, SLICE("one@example.org"), slice_from(NFD)));
}

static void a_password_that_cannot_be_is_told(void **state)
{
	assert_false(credentials_set(
		credentials, "one@example.org", SLICE("a\x07"), 1, error, sizeof(error)));
	assert_string_equal(error, "the password cannot be used: a control character, or another "
				   "that is not allowed (RFC 4013 section 2.3)");
}

static void cache_does_not_mix_up_two_users_or_outlive_a_change(void **state)
{
	struct cache *cache = cache_new(60000);

	assert_true(credentials_set(
		credentials, "two@example.org", SLICE("other"), 1, error, sizeof(error)));
	credentials_remember(credentials, cache);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(
			verify(SLICE("one@example.org"), SLICE("secret")), CREDENTIALS_GOOD);
		assert_int_equal(
			verify(SLICE("two@example.org"), SLICE("other")), CREDENTIALS_GOOD);
		assert_int_equal(verify(SLICE("one@example.org"), SLICE("other")), CREDENTIALS_BAD);
		assert_int_equal(
			verify(SLICE("two@example.org"), SLICE("secret")), CREDENTIALS_BAD);
	}
	assert_true(credentials_set(
		credentials, "one@example.org", SLICE("changed"), 1, error, sizeof(error)));
	assert_int_equal(verify(SLICE("one@example.org"), SLICE("secret")), CREDENTIALS_BAD);
	assert_true(credentials_delete(credentials, "two@example.org", error, sizeof(error)));
	assert_int_equal(verify(SLICE("two@example.org"), SLICE("other")), CREDENTIALS_UNKNOWN);
	credentials_remember(credentials, NULL);
	cache_free(&cache);
}

/* The class of defect: the answer for one user served to another, because the key lacked what it depended on. */
static void cache_answers_for_nothing_but_what_was_asked(void **state)
{
	struct cache_question asked = { SLICE("one"), SLICE("imap"), SLICE("PLAIN"),
		SLICE("secret"), SLICE("$y$hash"), true };
	struct cache_question others[8];
	struct cache *cache = cache_new(1000);

	for (int i = 0; i < 8; i++)
		others[i] = asked;
	others[0].login = SLICE("two");
	others[1].service = SLICE("smtp");
	others[2].mechanism = SLICE("LOGIN");
	others[3].password = SLICE("secre");
	others[4].hash = SLICE("$y$other");
	others[5].secured = false;
	/* Bytes that move from one part to the next make another question. */
	others[6].login = SLICE("onei");
	others[6].service = SLICE("map");
	others[7].password = SLICE("secret$");
	others[7].hash = SLICE("y$hash");
	cache_keep(cache, 0, &asked);
	assert_true(cache_knows(cache, 999, &asked));
	for (int i = 0; i < 8; i++)
		assert_false(cache_knows(cache, 0, &others[i]));
	assert_false(cache_knows(cache, 1000, &asked));
	assert_int_equal(cache_count(cache), 0);
	cache_free(&cache);
}

static void cache_is_bounded_and_forgets_the_oldest(void **state)
{
	struct cache_question asked = { SLICE("one"), SLICE("imap"), SLICE("PLAIN"),
		SLICE("secret"), SLICE("$y$hash"), true };
	struct cache *cache = cache_new(1000000);
	char login[32];

	cache_keep(cache, 0, &asked);
	for (int i = 0; i < CACHE_MOST; i++) {
		struct cache_question other = asked;

		snprintf(login, sizeof(login), "user%d", i);
		other.login = slice_from(login);
		cache_keep(cache, i, &other);
		if (i == CACHE_MOST - 2)
			assert_true(cache_knows(cache, i, &asked));
	}
	assert_int_equal(cache_count(cache), CACHE_MOST);
	assert_false(cache_knows(cache, CACHE_MOST, &asked));
	cache_free(&cache);
}

static void questions_that_are_too_long_are_not_kept(void **state)
{
	static char text[100000];
	struct cache *cache = cache_new(1000);
	struct cache_question asked = { .login = slice_of(text, sizeof(text)) };

	cache_keep(cache, 0, &asked);
	assert_false(cache_knows(cache, 0, &asked));
	assert_int_equal(cache_count(cache), 0);
	cache_free(&cache);
}

static void app_good_for(
	const char *login, const char *password, const char *service, const char *name)
{
	char app[CREDENTIALS_MAX_APP + 1];
	struct credentials_question question = { .login = slice_from(login),
		.password = slice_from(password),
		.service = slice_from(service) };
	enum credentials_status status = credentials_verify(credentials, &question, app);

	assert_true(name ? status == CREDENTIALS_GOOD
			 : status == CREDENTIALS_BAD || status == CREDENTIALS_UNKNOWN);
	if (name)
		assert_string_equal(app, name);
}

static void add_app(const char *login, const char *name, const char *services, char *password)
{
	assert_true(credentials_app_add(
		credentials, login, name, services, password, error, sizeof(error)));
	assert_int_equal(strlen(password), CREDENTIALS_APP_PASSWORD);
}

static void application_password_is_good_for_its_services_only(void **state)
{
	char phone[CREDENTIALS_APP_PASSWORD + 1], laptop[CREDENTIALS_APP_PASSWORD + 1];
	char plain[CREDENTIALS_APP_PASSWORD + 1] = "", *out = plain;

	add_app("One@example.org", "phone", "imap,smtp", phone);
	add_app("one@example.org", "laptop", "", laptop);
	app_good_for("one@example.org", phone, "imap", "phone");
	app_good_for("ONE@example.org", phone, "smtp", "phone");
	app_good_for("one@example.org", phone, "pop3", NULL);
	app_good_for("one@example.org", laptop, "pop3", "laptop");
	app_good_for("one@example.org", "secret", "pop3", "");
	/* Somebody else's, or a wrong end, is good for nothing. */
	app_good_for("two@example.org", phone, "imap", NULL);
	for (const char *in = phone; *in; in++)
		if (*in != '-')
			*out++ = *in;
	app_good_for("one@example.org", plain, "imap", "phone");
	plain[19] = plain[19] == 'a' ? 'b' : 'a';
	app_good_for("one@example.org", plain, "imap", NULL);
	plain[19] = '\0';
	app_good_for("one@example.org", plain, "imap", NULL);
}

static void application_password_can_be_revoked_and_falls_with_the_login(void **state)
{
	char phone[CREDENTIALS_APP_PASSWORD + 1], laptop[CREDENTIALS_APP_PASSWORD + 1];

	add_app("one@example.org", "phone", "", phone);
	add_app("one@example.org", "laptop", "", laptop);
	assert_false(credentials_app_add(
		credentials, "one@example.org", "phone", "", phone, error, sizeof(error)));
	add_app("two@example.org", "phone", "", phone);
	add_app("one@example.org", "tablet", "", phone);
	assert_true(credentials_app_delete(
		credentials, "one@example.org", "tablet", error, sizeof(error)));
	app_good_for("one@example.org", phone, "imap", NULL);
	assert_false(credentials_app_delete(
		credentials, "one@example.org", "tablet", error, sizeof(error)));
	/* A new password of the login's own leaves them, a disabled login has none, a deleted one neither. */
	assert_true(credentials_set(
		credentials, "one@example.org", SLICE("changed"), 1, error, sizeof(error)));
	app_good_for("one@example.org", laptop, "imap", "laptop");
	assert_true(
		credentials_enable(credentials, "one@example.org", false, error, sizeof(error)));
	app_good_for("one@example.org", laptop, "imap", NULL);
	assert_true(credentials_enable(credentials, "one@example.org", true, error, sizeof(error)));
	assert_true(credentials_delete(credentials, "one@example.org", error, sizeof(error)));
	assert_true(credentials_set(
		credentials, "one@example.org", SLICE("another"), 1, error, sizeof(error)));
	app_good_for("one@example.org", laptop, "imap", NULL);
	/* A login without a password of its own may have them, and loses them, too. */
	assert_true(credentials_delete(credentials, "two@example.org", error, sizeof(error)));
	assert_false(credentials_delete(credentials, "two@example.org", error, sizeof(error)));
}

static void application_passwords_have_names_and_services_that_exist(void **state)
{
	char password[CREDENTIALS_APP_PASSWORD + 1], name[CREDENTIALS_MAX_APP + 2] = "";
	static const char *const BAD[][2] = { { "", "" }, { "a\nb", "" }, { "phone", "ftp" },
		{ "phone", "imap,"
			   ","
			   "smtp" },
		{ "phone", "imap, smtp" } };

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_false(credentials_app_add(credentials, "one@example.org", BAD[i][0],
			BAD[i][1], password, error, sizeof(error)));
	memset(name, 'x', sizeof(name) - 1);
	assert_false(credentials_app_add(
		credentials, "one@example.org", name, "", password, error, sizeof(error)));
	for (int i = 0; i < CREDENTIALS_APPS; i++) {
		snprintf(name, sizeof(name), "app%d", i);
		add_app("one@example.org", name, "", password);
	}
	assert_false(credentials_app_add(
		credentials, "one@example.org", "one more", "", password, error, sizeof(error)));
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
		TEST(old_hash_is_made_anew_once_its_password_was_typed),
		TEST(what_was_made_of_bytes_is_made_anew_of_the_prepared_form),
		TEST(a_password_that_cannot_be_is_told),
		TEST(cache_does_not_mix_up_two_users_or_outlive_a_change),
		cmocka_unit_test(cache_answers_for_nothing_but_what_was_asked),
		cmocka_unit_test(cache_is_bounded_and_forgets_the_oldest),
		cmocka_unit_test(questions_that_are_too_long_are_not_kept),
		TEST(application_password_is_good_for_its_services_only),
		TEST(application_password_can_be_revoked_and_falls_with_the_login),
		TEST(application_passwords_have_names_and_services_that_exist),
		TEST(unreadable_database_is_an_error_not_a_wrong_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
