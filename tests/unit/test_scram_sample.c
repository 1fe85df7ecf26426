// SPDX-License-Identifier: ISC
/* What SCRAM keys of logins in tables look like: learned from those who log in, bounded, and kept (auth/scram_sample.c). */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/scram_sample.h"
#include "os/os.h"
#include "tests/unit/mech_world.h"
#include "tests/unit/text_file.h"

#define SALT_9  "QSXCR+Q6sek8"
#define SALT_16 "W22ZaJ0SNY7soEsUEjb6gQ=="
#define OLD     "{SCRAM-SHA-256}4096," SALT_16 ",x,x"
#define NEW     "{SCRAM-SHA-256}10000," SALT_9 ",x,x"

enum { NOW = 1700000000, ITERATIONS = 16384 };
static const unsigned char SECRET[32] = "not secret";
static struct scram_sample *sample;
static struct scram_forms forms;

static int setup_sample(void **state)
{
	sample = scram_sample_new(SECRET);
	return setup(state);
}

static int teardown_sample(void **state)
{
	char path[128];

	scram_sample_free(&sample);
	for (const char *const *name = (const char *const[]){ "sample", "table", NULL }; *name;
		name++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *name);
		unlink(path);
	}
	return teardown(state);
}
#define SAMPLE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_sample, teardown_sample)

static void come(unsigned number, const char *stored, int64_t now)
{
	char login[40];

	snprintf(login, sizeof(login), "user%u@example.org", number);
	if (scram_sample_wants(sample, slice_from(login), now))
		scram_sample_take(sample, slice_from(login), slice_from(stored), now);
}

/* Logins whose SCRAM-SHA-256 keys have so many iterations; 0: that have none. */
static unsigned counted(unsigned iterations, bool plain, int64_t now)
{
	unsigned count = 0;

	forms = (struct scram_forms){ 0 };
	scram_sample_count(sample, &forms, plain, ITERATIONS, now);
	for (unsigned i = 0; i < forms.count; i++)
		if (forms.shape[i].form[SCRAM_SHA_256].iterations == iterations)
			count += forms.shape[i].count;
	return count;
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void a_login_counts_once_however_often_it_is_used(void **state)
{
	for (int64_t now = NOW; now < NOW + 50000; now += 1000) {
		come(1, OLD, now);
		come(2, NEW, now);
	}
	come(3, NEW, NOW);
	come(4, "$5$saltstring$x", NOW);
	assert_int_equal(counted(4096, false, NOW), 1);
	assert_int_equal(counted(10000, false, NOW), 2);
	assert_int_equal(counted(0, false, NOW), 1);
	/* A new password, an hour later. */
	come(1, NEW, NOW + 50000 + SCRAM_SAMPLE_AGAIN);
	assert_int_equal(counted(4096, false, NOW), 0);
	assert_int_equal(counted(10000, false, NOW), 3);
}

static void nobody_is_looked_at_twice_within_an_hour(void **state)
{
	assert_true(scram_sample_wants(sample, SLICE("one"), NOW));
	scram_sample_take(sample, SLICE("one"), SLICE(""), NOW);
	assert_false(scram_sample_wants(sample, SLICE("one"), NOW + SCRAM_SAMPLE_AGAIN - 1));
	assert_true(scram_sample_wants(sample, SLICE("one"), NOW + SCRAM_SAMPLE_AGAIN));
	/* The clock was set back. */
	assert_true(scram_sample_wants(sample, SLICE("one"), NOW - 1));
	/* It is counted elsewhere. */
	assert_int_equal(counted(0, false, NOW), 0);
	assert_int_equal(forms.count, 0);
}

static void of_many_logins_a_part_is_kept_that_tells_of_all(void **state)
{
	unsigned wanted = 0;
	char login[40];

	for (unsigned i = 0; i < 40000; i++)
		come(i, i % 4 ? OLD : NEW, NOW);
	assert_in_range(counted(4096, false, NOW), 28000, 32000);
	assert_in_range(counted(10000, false, NOW), 9000, 11000);
	for (unsigned i = 40000; i < 80000; i++) {
		snprintf(login, sizeof(login), "user%u@example.org", i);
		wanted += scram_sample_wants(sample, slice_from(login), NOW);
	}
	assert_in_range(wanted, SCRAM_SAMPLE_MOST - 500, SCRAM_SAMPLE_MOST + 500);
}

static void who_has_not_come_for_long_is_forgotten(void **state)
{
	come(1, OLD, NOW);
	come(2, NEW, NOW + 10);
	assert_int_equal(counted(4096, false, NOW + SCRAM_SAMPLE_LIFETIME - 1), 1);
	assert_int_equal(counted(4096, false, NOW + SCRAM_SAMPLE_LIFETIME), 0);
	assert_int_equal(counted(10000, false, NOW + SCRAM_SAMPLE_LIFETIME), 1);
	assert_int_equal(counted(10000, false, NOW + 2 * SCRAM_SAMPLE_LIFETIME), 0);
}

/* Keys are made of it when they are asked for, as the configuration is then. */
static void plain_text_counts_where_it_counts_for_logins(void **state)
{
	come(1, "{PLAIN}a secret", NOW);
	assert_int_equal(counted(ITERATIONS, true, NOW), 1);
	assert_int_equal(forms.shape[0].form[SCRAM_SHA_1].salt_length, SCRAM_SALT);
	assert_int_equal(counted(0, false, NOW), 1);
}

static void what_was_learned_outlives_the_process(void **state)
{
	struct stat status;

	for (unsigned i = 0; i < 6000; i++)
		come(i, i % 3 ? OLD : NEW, NOW);
	come(6000, "{PLAIN}secret", NOW);
	counted(4096, true, NOW);
	assert_true(scram_sample_save(sample, path_of("sample")));
	assert_int_equal(stat(path_of("sample"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	for (int i = 0; i < 2; i++) {
		struct scram_forms before = forms;

		scram_sample_free(&sample);
		sample = scram_sample_new(SECRET);
		assert_true(scram_sample_load(sample, path_of("sample")));
		counted(4096, true, NOW);
		assert_memory_equal(&before, &forms, sizeof(forms));
	}
	/* Nothing has changed: nothing is written. */
	unlink(path_of("sample"));
	assert_true(scram_sample_save(sample, path_of("sample")));
	assert_int_equal(access(path_of("sample"), F_OK), -1);
	for (unsigned i = 0; i < 20; i++)
		come(i, OLD, NOW + SCRAM_SAMPLE_AGAIN);
	assert_true(scram_sample_save(sample, path_of("sample")));
	assert_int_equal(access(path_of("sample"), F_OK), 0);
	for (unsigned i = 0; i < 20; i++)
		come(i, OLD, NOW + 2 * SCRAM_SAMPLE_AGAIN);
	assert_false(scram_sample_save(sample, "/nonexistent/sample"));
	assert_int_equal(errno, ENOENT);
}

static void a_damaged_file_teaches_what_is_left_of_it(void **state)
{
	static const char *const NOTHING[] = { "", "\n\n", "x\n1 1700000000 1 1 1 1 1\n",
		"0\n1 1700000000 1 1 1 1 1\n", "18446744073709551616\n",
		"9\n9 1700000000 1 4096 9 4096 9\n" };

	assert_false(scram_sample_load(sample, path_of("sample")));
	assert_int_equal(errno, ENOENT);
	for (size_t i = 0; i < sizeof(NOTHING) / sizeof(NOTHING[0]); i++) {
		text_file_in(folder, "sample", NOTHING[i]);
		assert_true(scram_sample_load(sample, path_of("sample")));
		assert_int_equal(counted(4096, false, NOW), 0);
		assert_int_equal(forms.count, 0);
	}
	text_file_in(folder, "sample",
		"100\n"
		"1 1700000000 1 4096 9 4096 16\n"
		"2 1700000000 1 4096 9 4096 100000\n"
		"3 1700000000 1 4096 9 4294967296 16\n"
		"4 -1 1 4096 9 4096 16\n"
		"5 1700000000 1 4096 9 4096\n"
		"6 1700000000 1 4096 9 4096 16 1\n"
		"7 1700000000 2 4096 9 4096 16\n"
		"1 1700000000 1 0 0 5000 16\n"
		"200 1700000000 1 0 0 6000 16\n"
		"8 17000");
	assert_true(scram_sample_load(sample, path_of("sample")));
	/* A hundred of 2^64 marks are kept, and one is there. */
	assert_int_equal(counted(5000, false, NOW), UINT32_MAX);
	assert_int_equal(forms.count, 1);
}

/* --- by exchanges --- */

static struct backends *with_table(void)
{
	static char list[200];
	struct backends_settings found = { .realm = "example.org",
		.folder = folder,
		.list = list,
		.schemes = { .cost = 1 },
		.sample = sample };

	text_file_in(folder, "table",
		"user@example.org " PENCIL_1 " " PENCIL_256 "\n"
		"hashed@example.org $5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5\n");
	snprintf(list, sizeof(list), "passwd-file:%s/passwd texthash:%s/table", folder, folder);
	if (backends)
		backends_close(&backends);
	backends = backends_open(&found, error, sizeof(error));
	if (!backends)
		fail_msg("%s", error);
	return backends;
}

static void plain(const char *login, const char *password, enum auth_status status)
{
	struct exchange *exchange;
	char text[100];
	int length = snprintf(text, sizeof(text), "%c%s%c%s", '\0', login, '\0', password);

	settings.mechanisms = "PLAIN SCRAM-SHA-1";
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	exchange = begin("PLAIN");
	assert_true(step(exchange, slice_of(text, (size_t)length)));
	assert_int_equal(exchange_status(exchange), status);
	exchange_free(&exchange);
}

static void who_logs_in_by_a_table_is_learned_of_and_who_only_tries_is_not(void **state)
{
	const int64_t now = os_now() / 1000000;
	struct exchange *exchange;

	text_file_in(folder, "passwd", "listed:{PLAIN}secret\nuser:" PENCIL_1 "::::::nologin\n");
	with_table();
	/* The first answer is given to everybody. */
	settings.mechanisms = "SCRAM-SHA-1";
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	exchange = begin("SCRAM-SHA-1");
	assert_false(step(exchange, SLICE("n,,n=hashed,r=x")));
	ends(exchange, "c=biws,r=x,p=", AUTH_BAD);
	plain("hashed", "wrong", AUTH_FAILED);
	plain("nobody", "wrong", AUTH_FAILED);
	plain("user", "pencil", AUTH_FAILED);
	counted(0, false, now);
	assert_int_equal(forms.count, 0);
	plain("hashed", "Hello world!", AUTH_OK);
	assert_int_equal(counted(0, false, now), 1);
	plain("hashed", "Hello world!", AUTH_OK);
	assert_int_equal(counted(0, false, now), 1);
	/* Without the file that closes him. */
	text_file_in(folder, "passwd", "listed:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
	with_table();
	plain("user", "pencil", AUTH_OK);
	plain("listed", "password", AUTH_OK);
	assert_int_equal(counted(4096, false, now), 1);
	assert_int_equal(forms.count, 2);
	assert_false(scram_sample_wants(sample, SLICE("listed@example.org"), now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SAMPLE_TEST(a_login_counts_once_however_often_it_is_used),
		SAMPLE_TEST(nobody_is_looked_at_twice_within_an_hour),
		SAMPLE_TEST(of_many_logins_a_part_is_kept_that_tells_of_all),
		SAMPLE_TEST(who_has_not_come_for_long_is_forgotten),
		SAMPLE_TEST(plain_text_counts_where_it_counts_for_logins),
		SAMPLE_TEST(what_was_learned_outlives_the_process),
		SAMPLE_TEST(a_damaged_file_teaches_what_is_left_of_it),
		SAMPLE_TEST(who_logs_in_by_a_table_is_learned_of_and_who_only_tries_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
