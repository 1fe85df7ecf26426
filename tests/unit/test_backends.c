// SPDX-License-Identifier: ISC
/* The list of back ends: who is asked, who decides, what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/backend.h"
#include "auth/credentials_batch.h"
#include "os/database.h"
#include "table/table_sql.h"
#include "tests/unit/text_file.h"

static char folder[64], path[128], list[400], error[400];
static struct backends *backends;
static int asked[2] = { -1,
	-1 }; /* the daemon's end of the last connection; how often it was asked */
static const char *answer; /* NULL: it is not there */

/* saslauthd, that says the same each time. */
static int connect_daemon(void *context)
{
	char text[200] = "";
	int ends[2];

	asked[1]++;
	if (!answer || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	text[1] = (char)strlen(answer);
	snprintf(text + 2, sizeof(text) - 2, "%s", answer);
	assert_int_equal(write(ends[1], text, strlen(answer) + 2), strlen(answer) + 2);
	if (asked[0] >= 0)
		close(asked[0]);
	asked[0] = ends[1];
	return ends[0];
}

static bool reopen(const char *spec)
{
	struct backends_settings settings = { .folder = folder,
		.credentials = path,
		.realm = "example.org",
		.schemes = { .cost = 1, .iterations = 4096 },
		.upgrade = true,
		.saslauthd = connect_daemon };

	snprintf(list, sizeof(list), "%s", spec);
	settings.list = list;
	if (backends)
		backends_close(&backends);
	backends = backends_open(&settings, error, sizeof(error));
	return backends != NULL;
}

static int setup(void **state)
{
	struct credentials *credentials;

	snprintf(folder, sizeof(folder), "/tmp/postern-backends-XXXXXX");
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/credentials.db", folder);
	text_file_in(folder, "passwd",
		"# a comment\n\n"
		"two@example.org:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=:1000:1000::/home/"
		"two::userdb_x=y\n"
		"short:{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0::::::\n"
		"one@example.org:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"
		"closed:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=::::::user=x nologin\n"
		"netted:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=::::::allow_nets=127.0.0.0/8,::1\n"
		"empty::\n"
		"two@example.org:{SHA}AAAA\n");
	text_file_in(folder, "texts", "three@example.org {SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
	answer = NULL;
	asked[1] = 0;
	if (!credentials_open(path, true, &credentials, error, sizeof(error)) ||
		!credentials_set(
			credentials, "one@example.org", SLICE("secret"), 1, error, sizeof(error)) ||
		!credentials_set_hash(credentials, "old@example.org",
			"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", error, sizeof(error)))
		return -1;
	credentials_close(&credentials);
	return 0;
}

static int teardown(void **state)
{
	static const char *const NAMES[] = { "passwd", "texts", "credentials.db",
		"credentials.db-wal", "credentials.db-shm", "sql.db", "sql.db-wal", "sql.db-shm",
		"sql.cf" };
	char name[160];

	backends_close(&backends);
	if (asked[0] >= 0)
		close(asked[0]);
	asked[0] = -1;
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", folder, NAMES[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static enum credentials_status verify(const char *login, const char *password)
{
	char app[CREDENTIALS_MAX_APP + 1];
	struct credentials_question question = { .login = slice_from(login),
		.password = slice_from(password),
		.service = SLICE("imap"),
		.mechanism = SLICE("PLAIN") };

	return backends_verify(backends, &question, app);
}

static void first_that_knows_the_login_decides(void **state)
{
	char spec[200];

	snprintf(spec, sizeof(spec), "credentials, passwd-file:%s/passwd texthash:texts", folder);
	assert_true(reopen(spec));
	assert_int_equal(verify("one@example.org", "secret"), CREDENTIALS_GOOD);
	/* The file has another password for it, and is not asked. */
	assert_int_equal(verify("one@example.org", "password"), CREDENTIALS_BAD);
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("two@example.org", "Password"), CREDENTIALS_BAD);
	assert_int_equal(verify("short@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("short@example.net", "password"), CREDENTIALS_BAD);
	assert_int_equal(verify("three@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("nobody@example.org", "password"), CREDENTIALS_BAD);
	assert_int_equal(verify("closed@example.org", "password"), CREDENTIALS_BAD);
	assert_int_equal(verify("netted@example.org", "password"), CREDENTIALS_BAD);
	assert_int_equal(verify("empty@example.org", ""), CREDENTIALS_BAD);
}

/* As `postern user disable` writes it for a login whose password is not there. */
static void who_is_closed_is_closed_in_every_back_end(void **state)
{
	char stored[SCHEME_MAX_STORED], spec[200];
	struct credentials *credentials;
	uint64_t before;

	snprintf(spec, sizeof(spec), "passwd-file:%s/passwd", folder);
	assert_true(reopen(spec));
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_GOOD);
	assert_true(credentials_open(path, false, &credentials, error, sizeof(error)));
	assert_true(credentials_batch_begin(credentials, error, sizeof(error)));
	assert_true(credentials_batch_add(credentials, "batch", CREDENTIALS_DISABLE,
		"two@example.org", NULL, error, sizeof(error)));
	assert_true(credentials_batch_save(credentials, error, sizeof(error)));
	before = schemes_hashes(backends_schemes(backends));
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_BAD);
	assert_int_equal(schemes_hashes(backends_schemes(backends)), before + 1);
	assert_int_equal(
		backends_read(backends, SLICE("two@example.org"), stored), CREDENTIALS_BAD);
	assert_int_equal(verify("short@example.org", "password"), CREDENTIALS_GOOD);
	assert_true(credentials_batch_finish(credentials, "batch", false, error, sizeof(error)));
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_GOOD);
	credentials_close(&credentials);
}

/* As "sed -i.bak" and "mv" leave it. */
static void a_file_that_lives_on_under_another_name_is_replaced_all_the_same(void **state)
{
	char spec[200];

	snprintf(spec, sizeof(spec), "passwd-file:%s/passwd", folder);
	assert_true(reopen(spec));
	assert_null(backends_changed(backends));
	/* Times of files go by ticks. */
	for (int i = 0; i < 1000 && !backends_changed(backends); i++) {
		usleep(1000);
		assert_int_equal(rename("passwd", "passwd.old"), 0);
		assert_int_equal(rename("passwd.old", "passwd"), 0);
	}
	assert_string_equal(backends_changed(backends), spec);
}

static void bad_lists_are_refused(void **state)
{
	assert_false(reopen(""));
	assert_false(reopen("passwd-file:/nonexistent/passwd"));
	assert_false(reopen("no-such-table:x"));
	assert_false(reopen("credentials sqlite:/nonexistent.cf"));
}

static void sql_is_asked_by_its_query(void **state)
{
	char name[160], text[400], spec[200];
	sqlite3 *db;

	snprintf(name, sizeof(name), "%s/sql.db", folder);
	db = database_open(name, DATABASE_CREATE, 1000, error, sizeof(error));
	assert_non_null(db);
	assert_true(database_run(db,
		"CREATE TABLE users (name TEXT, password TEXT);"
		"INSERT INTO users VALUES ('sql@example.org', "
		"'{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=');",
		error, sizeof(error)));
	sqlite3_close(db);
	snprintf(text, sizeof(text),
		"dbpath = %s\nquery = SELECT password FROM users WHERE name = '%%s'\n", name);
	text_file_in(folder, "sql.cf", text);
	snprintf(spec, sizeof(spec), "sqlite:%s/sql.cf", folder);
	if (!reopen(spec))
		fail_msg("%s", error);
	assert_int_equal(verify("sql@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("sql@example.org", "Password"), CREDENTIALS_BAD);
	assert_int_equal(verify("x' OR '1'='1", "password"), CREDENTIALS_BAD);
}

/* Counted, not timed: as many hashes for nobody as for somebody, whatever is said. */
static void nobody_costs_as_much_as_somebody(void **state)
{
	static const char *const NAMES[] = { "nobody@example.org", "two@example.org",
		"closed@example.org", "short@example.org", "empty@example.org", "" };
	char spec[200];

	snprintf(spec, sizeof(spec), "passwd-file:%s/passwd", folder);
	assert_true(reopen(spec));
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		uint64_t before = schemes_hashes(backends_schemes(backends));

		assert_int_equal(verify(NAMES[i], "wrong"), CREDENTIALS_BAD);
		assert_int_equal(schemes_hashes(backends_schemes(backends)), before + 1);
	}
}

static void old_hash_is_upgraded_by_a_good_login_only(void **state)
{
	char stored[SCHEME_MAX_STORED];
	struct scram_keys keys;

	assert_true(reopen("credentials"));
	assert_int_equal(verify("old@example.org", "wrong"), CREDENTIALS_BAD);
	assert_int_equal(
		backends_read(backends, SLICE("old@example.org"), stored), CREDENTIALS_GOOD);
	assert_false(schemes_current(slice_from(stored)));
	assert_int_equal(verify("old@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(
		backends_read(backends, SLICE("old@example.org"), stored), CREDENTIALS_GOOD);
	assert_true(schemes_current(slice_from(stored)));
	assert_true(
		schemes_scram(backends_schemes(backends), slice_from(stored), "SHA-256", &keys));
	assert_int_equal(verify("old@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("old@example.org", "wrong"), CREDENTIALS_BAD);
}

static void saslauthd_is_asked_in_its_own_way(void **state)
{
	static const char QUESTION[] = "\0\3tom\0\6secret\0\4imap\0\0";
	char got[SCHEME_MAX_STORED];

	answer = "OK";
	assert_true(reopen("credentials saslauthd"));
	assert_int_equal(verify("tom@example.org", "secret"), CREDENTIALS_GOOD);
	assert_int_equal(read(asked[0], got, sizeof(got)), sizeof(QUESTION) - 1);
	assert_memory_equal(got, QUESTION, sizeof(QUESTION) - 1);
	/* Of another domain: the whole name. */
	assert_int_equal(verify("tom@example.net", "secret"), CREDENTIALS_GOOD);
	assert_int_equal(read(asked[0], got, sizeof(got)), sizeof(QUESTION) - 1 + 12);
	/* Who is known before is not asked for there. */
	asked[1] = 0;
	assert_int_equal(verify("one@example.org", "wrong"), CREDENTIALS_BAD);
	assert_int_equal(asked[1], 0);
	answer = "NO authentication failed";
	assert_int_equal(verify("tom@example.org", "secret"), CREDENTIALS_BAD);
	/* No keys come from there. */
	assert_int_equal(
		backends_read(backends, SLICE("tom@example.org"), got), CREDENTIALS_UNKNOWN);
}

static void what_cannot_be_asked_is_no_refusal(void **state)
{
	char spec[200];

	snprintf(spec, sizeof(spec), "saslauthd passwd-file:%s/passwd", folder);
	assert_true(reopen(spec));
	answer = NULL;
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_ERROR);
	answer = "";
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_ERROR);
	answer = "hello";
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_ERROR);
	answer = "NO";
	assert_int_equal(verify("two@example.org", "password"), CREDENTIALS_GOOD);
}

/* The server: one row, for `key`. */
static struct {
	const char *key;
	enum table_status status; /* for it */
	unsigned asked;
} server;

static enum table_status ask_server(
	void *context, const char *spec, struct slice key, struct buffer *value)
{
	server.asked++;
	assert_non_null(strstr(spec, "sql:"));
	assert_null(strstr(spec, "proxy:"));
	if (!slice_equal(key, slice_from(server.key)))
		return server.status == TABLE_ERROR ? TABLE_ERROR : TABLE_NOT_FOUND;
	if (server.status == TABLE_FOUND)
		assert_true(buffer_add_text(value, "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="));
	return server.status;
}

static void server_is_asked_through_somebody_else(void **state)
{
	char spec[200];
	uint64_t before;

	text_file_in(folder, "sql.cf",
		"hosts = nowhere.example\nquery = SELECT a FROM b WHERE c = '%s'\n");
	sql_tables_through(ask_server, NULL);
	snprintf(spec, sizeof(spec), "proxy:mysql:%s/sql.cf pgsql:%s/sql.cf", folder, folder);
	assert_true(reopen(spec));
	server.key = "sql@example.org";
	server.status = TABLE_FOUND;
	server.asked = 0;
	assert_int_equal(verify("sql@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("sql@example.org", "Password"), CREDENTIALS_BAD);
	assert_int_equal(server.asked, 2);
	/* Nobody's password costs what somebody's does. */
	before = schemes_hashes(backends_schemes(backends));
	assert_int_equal(verify("nobody@example.org", "password"), CREDENTIALS_BAD);
	assert_int_equal(schemes_hashes(backends_schemes(backends)), before + 1);
	server.key = "short";
	assert_int_equal(verify("short@example.org", "password"), CREDENTIALS_GOOD);
	assert_int_equal(verify("short@example.net", "password"), CREDENTIALS_BAD);
	/* A server that cannot be asked refuses nobody, and nobody else is asked in its place. */
	server.status = TABLE_ERROR;
	server.asked = 0;
	assert_int_equal(verify("sql@example.org", "password"), CREDENTIALS_ERROR);
	assert_int_equal(server.asked, 1);
	sql_tables_through(NULL, NULL);
}

static void replaced_file_is_noticed(void **state)
{
	char spec[200], from[160], to[160];

	snprintf(spec, sizeof(spec), "credentials passwd-file:%s/passwd", folder);
	assert_true(reopen(spec));
	assert_null(backends_changed(backends));
	text_file_in(folder, "texts", "new:x\n");
	snprintf(from, sizeof(from), "%s/texts", folder);
	snprintf(to, sizeof(to), "%s/passwd", folder);
	assert_int_equal(rename(from, to), 0);
	assert_string_equal(backends_changed(backends), strchr(spec, ' ') + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_that_knows_the_login_decides),
		TEST(who_is_closed_is_closed_in_every_back_end),
		TEST(a_file_that_lives_on_under_another_name_is_replaced_all_the_same),
		TEST(bad_lists_are_refused),
		TEST(sql_is_asked_by_its_query),
		TEST(nobody_costs_as_much_as_somebody),
		TEST(old_hash_is_upgraded_by_a_good_login_only),
		TEST(saslauthd_is_asked_in_its_own_way),
		TEST(what_cannot_be_asked_is_no_refusal),
		TEST(server_is_asked_through_somebody_else),
		TEST(replaced_file_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
