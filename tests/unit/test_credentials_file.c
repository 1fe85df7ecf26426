// SPDX-License-Identifier: ISC
/* credentials.db that goes away under a running authd, with connections of several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/credentials_file.h"
#include "auth/credentials_connection.h"
#include "service/log.h"

static char folder[] = "/tmp/postern-credentials-XXXXXX";
static char path[sizeof(folder) + 20], aside[sizeof(path) + 10];
static struct credentials_file *file;
static struct credentials *one, *two;

static void make_database(void)
{
	struct credentials *credentials;
	char error[300];

	assert_true(credentials_open(path, true, &credentials, error, sizeof(error)));
	assert_true(credentials_set(
		credentials, "one@example.org", SLICE("secret"), 1, error, sizeof(error)));
	credentials_close(&credentials);
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/credentials.db", folder);
	snprintf(aside, sizeof(aside), "%s/aside", folder);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), "test", "host", false, false);
	make_database();
	file = credentials_file_new(path);
	assert_non_null(file);
	one = credentials_file_connect(file);
	two = credentials_file_connect(file);
	assert_true(one && two);
	return 0;
}

static int teardown(void **state)
{
	credentials_close(&one);
	credentials_close(&two);
	credentials_file_free(&file);
	unlink(path);
	unlink(aside);
	assert_int_equal(rmdir(folder), 0);
	snprintf(folder, sizeof(folder), "/tmp/postern-credentials-XXXXXX");
	return 0;
}

static enum credentials_status ask(struct credentials *credentials, const char *password)
{
	char app[CREDENTIALS_MAX_APP + 1];

	return credentials_verify(credentials,
		&(struct credentials_question){ .login = SLICE("one@example.org"),
			.password = slice_from(password),
			.service = SLICE("imap"),
			.mechanism = SLICE("PLAIN") },
		app);
}

static void nothing_is_known_before_the_first_look(void **state)
{
	assert_int_equal(ask(one, "secret"), CREDENTIALS_ERROR);
	credentials_file_look(file);
	assert_int_equal(ask(one, "secret"), CREDENTIALS_GOOD);
	assert_int_equal(ask(two, "wrong"), CREDENTIALS_BAD);
}

static void a_file_that_is_away_makes_every_answer_temporary_and_is_not_made_anew(void **state)
{
	char hash[CREDENTIALS_MAX_HASH];

	credentials_file_look(file);
	assert_int_equal(rename(path, aside), 0);
	credentials_file_look(file);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(i ? one : two, "secret"), CREDENTIALS_ERROR);
		assert_int_equal(ask(i ? one : two, "wrong"), CREDENTIALS_ERROR);
		assert_int_equal(credentials_read(i ? one : two, SLICE("one@example.org"), hash),
			CREDENTIALS_ERROR);
		assert_false(credentials_upgrade(
			i ? one : two, SLICE("one@example.org"), SLICE("secret")));
	}
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rename(aside, path), 0);
	credentials_file_look(file);
	assert_int_equal(ask(one, "secret"), CREDENTIALS_GOOD);
	assert_int_equal(ask(two, "secret"), CREDENTIALS_GOOD);
}

static void an_empty_file_is_not_filled(void **state)
{
	int fd;

	assert_int_equal(rename(path, aside), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	credentials_file_look(file);
	assert_int_equal(ask(one, "secret"), CREDENTIALS_ERROR);
	assert_int_equal(rename(aside, path), 0);
	credentials_file_look(file);
	assert_int_equal(ask(one, "secret"), CREDENTIALS_GOOD);
}

struct holder {
	struct credentials *credentials;
	int begun[2], end[2];
};

static void *hold(void *argument)
{
	struct holder *holder = argument;
	char byte = 0;

	if (!credentials_enter(holder->credentials) || write(holder->begun[1], &byte, 1) != 1 ||
		read(holder->end[0], &byte, 1) != 1)
		return NULL;
	credentials_leave(holder->credentials);
	return holder;
}

static void another_file_is_not_opened_while_the_old_one_is_asked(void **state)
{
	struct holder holder = { .credentials = two };
	pthread_t thread;
	void *done;
	char byte;

	credentials_file_look(file);
	assert_int_equal(pipe2(holder.begun, O_CLOEXEC), 0);
	assert_int_equal(pipe2(holder.end, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, hold, &holder), 0);
	assert_int_equal(read(holder.begun[0], &byte, 1), 1);
	assert_int_equal(rename(path, aside), 0);
	make_database();
	credentials_file_look(file);
	assert_int_equal(ask(one, "secret"), CREDENTIALS_ERROR);
	assert_int_equal(write(holder.end[1], &byte, 1), 1);
	pthread_join(thread, &done);
	assert_ptr_equal(done, &holder);
	credentials_file_look(file);
	assert_int_equal(ask(one, "secret"), CREDENTIALS_GOOD);
	assert_int_equal(ask(two, "secret"), CREDENTIALS_GOOD);
	for (int i = 0; i < 2; i++) {
		close(holder.begun[i]);
		close(holder.end[i]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest TESTS[] = {
		TEST(nothing_is_known_before_the_first_look),
		TEST(a_file_that_is_away_makes_every_answer_temporary_and_is_not_made_anew),
		TEST(an_empty_file_is_not_filled),
		TEST(another_file_is_not_opened_while_the_old_one_is_asked),
	};

	return cmocka_run_group_tests(TESTS, NULL, NULL);
}
