// SPDX-License-Identifier: ISC
/* Changes of accounts.db and credentials.db together, with a process that dies at each step. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/joint.h"
#include "auth/app_passwords.h"

#define HASH_OF_PW "{SHA256}MMlS+rEiw/l1nwKm2Vw3WLJGtP7iOZV7LU/uRuJhcMQ="

static char data[64], error[400];
static struct accounts *accounts;
static struct credentials *credentials;

static const char *at(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", data, name);
	return path;
}

static bool open_both(bool create)
{
	return accounts_open(
		       at("directory/accounts.db"), create, &accounts, error, sizeof(error)) &&
	       credentials_open(
		       at("auth/credentials.db"), create, &credentials, error, sizeof(error));
}

static void close_both(void)
{
	accounts_close(&accounts);
	credentials_close(&credentials);
}

static int setup(void **state)
{
	snprintf(data, sizeof(data), "/tmp/postern-joint-XXXXXX");
	if (!mkdtemp(data) || mkdir(at("directory"), 0700) != 0 || mkdir(at("auth"), 0700) != 0)
		return -1;
	if (!open_both(true) ||
		!accounts_add_domain(accounts, "example.org", error, sizeof(error)) ||
		!accounts_add_mailbox(accounts, "old@example.org", 0, error, sizeof(error)) ||
		!credentials_set(
			credentials, "old@example.org", SLICE("pw"), 1, error, sizeof(error)))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	static const char *const FILES[] = { "directory/accounts.db", "directory/accounts.db-wal",
		"directory/accounts.db-shm", "directory/accounts.lock", "auth/credentials.db",
		"auth/credentials.db-wal", "auth/credentials.db-shm" };

	close_both();
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
		unlink(at(FILES[i]));
	return rmdir(at("directory")) == 0 && rmdir(at("auth")) == 0 && rmdir(data) == 0 ? 0 : -1;
}

static bool mailbox_there(const char *address)
{
	struct accounts_mailbox mailbox;

	return accounts_mailbox(accounts, slice_from(address), &mailbox) == ACCOUNTS_FOUND;
}

static bool logs_in(const char *address)
{
	char app[CREDENTIALS_MAX_APP + 1];
	struct credentials_question question = { .login = slice_from(address),
		.password = SLICE("pw"),
		.service = SLICE("imap"),
		.mechanism = SLICE("PLAIN") };

	return credentials_verify(credentials, &question, app) == CREDENTIALS_GOOD;
}

static int die_at;

static void die(int number)
{
	if (number == die_at)
		raise(SIGKILL);
}

enum change { ADD, DELETE, RENAME, CHANGES };

static bool stage_change(struct joint *joint, enum change change)
{
	unsigned aliases;

	switch (change) {
	case ADD:
		return accounts_add_mailbox(accounts, "new@example.org", 0, error, sizeof(error)) &&
		       joint_stage(joint, CREDENTIALS_SET, "new@example.org", HASH_OF_PW, error,
			       sizeof(error));
	case DELETE:
		return accounts_delete_mailbox(accounts, "old@example.org", error, sizeof(error)) &&
		       joint_stage(joint, CREDENTIALS_DELETE, "old@example.org", NULL, error,
			       sizeof(error));
	default:
		return accounts_rename_mailbox(accounts, "old@example.org", "new@example.org", "",
			       &aliases, error, sizeof(error)) &&
		       joint_stage(joint, CREDENTIALS_RENAME, "old@example.org", "new@example.org",
			       error, sizeof(error));
	}
}

/* In a process of its own, which dies at `step` of the commit (0: before it, 4: not at all). */
static void change_and_die(enum change change, int step)
{
	int status;
	pid_t child;

	close_both();
	child = fork();
	if (child == 0) {
		struct joint joint;

		die_at = step;
		if (!open_both(false) ||
			!joint_open(&joint, data, accounts, credentials, error, sizeof(error)) ||
			!joint_begin(&joint, error, sizeof(error)) || !stage_change(&joint, change))
			_exit(1);
		die(0);
		joint.step = die;
		_exit(joint_commit(&joint, error, sizeof(error)) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(step == 4 ? WIFEXITED(status) && WEXITSTATUS(status) == 0
			      : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(open_both(false));
}

static void a_change_is_made_in_both_or_in_neither(void **state)
{
	struct joint joint;

	for (int change = 0; change < CHANGES; change++)
		for (int step = 0; step <= 4; step++) {
			bool done = step >= 2;

			assert_int_equal(setup(state), 0);
			change_and_die((enum change)change, step);
			/* Whatever happened: a login without its mailbox is never open. */
			assert_false(
				logs_in("old@example.org") && !mailbox_there("old@example.org"));
			assert_false(
				logs_in("new@example.org") && !mailbox_there("new@example.org"));
			assert_true(joint_open(
				&joint, data, accounts, credentials, error, sizeof(error)));
			joint_close(&joint);
			assert_int_equal(mailbox_there("old@example.org"), change == ADD || !done);
			assert_int_equal(logs_in("old@example.org"), change == ADD || !done);
			assert_int_equal(
				mailbox_there("new@example.org"), change != DELETE && done);
			assert_int_equal(logs_in("new@example.org"), change != DELETE && done);
			assert_int_equal(teardown(state), 0);
		}
	assert_int_equal(setup(state), 0);
}

static void a_disabled_login_stays_so_through_a_change_that_is_taken_back(void **state)
{
	struct joint joint;

	assert_true(
		credentials_enable(credentials, "old@example.org", false, error, sizeof(error)));
	change_and_die(RENAME, 1);
	assert_true(joint_open(&joint, data, accounts, credentials, error, sizeof(error)));
	joint_close(&joint);
	assert_false(logs_in("old@example.org"));
	assert_true(credentials_enable(credentials, "old@example.org", true, error, sizeof(error)));
	assert_true(logs_in("old@example.org"));
}

static void a_login_with_application_passwords_alone_is_closed_and_opened_likewise(void **state)
{
	char app[CREDENTIALS_MAX_APP + 1], password[CREDENTIALS_APP_PASSWORD + 1];
	struct credentials_question question = { .login = SLICE("old@example.org"),
		.service = SLICE("imap"),
		.mechanism = SLICE("PLAIN") };
	struct joint joint;

	assert_true(credentials_delete(credentials, "old@example.org", error, sizeof(error)));
	assert_true(credentials_app_add(
		credentials, "old@example.org", "phone", "", password, error, sizeof(error)));
	question.password = slice_from(password);
	change_and_die(DELETE, 1);
	assert_int_not_equal(credentials_verify(credentials, &question, app), CREDENTIALS_GOOD);
	assert_true(joint_open(&joint, data, accounts, credentials, error, sizeof(error)));
	joint_close(&joint);
	assert_int_equal(credentials_verify(credentials, &question, app), CREDENTIALS_GOOD);
	assert_int_equal(credentials_exists(credentials, "old@example.org"), CREDENTIALS_BAD);
	change_and_die(RENAME, 2);
	assert_int_not_equal(credentials_verify(credentials, &question, app), CREDENTIALS_GOOD);
	assert_true(joint_open(&joint, data, accounts, credentials, error, sizeof(error)));
	joint_close(&joint);
	question.login = SLICE("new@example.org");
	assert_int_equal(credentials_verify(credentials, &question, app), CREDENTIALS_GOOD);
}

static void a_change_that_is_rolled_back_leaves_nothing(void **state)
{
	char batch[CREDENTIALS_BATCH_NAME + 1];
	struct joint joint;

	assert_true(joint_open(&joint, data, accounts, credentials, error, sizeof(error)));
	assert_true(joint_begin(&joint, error, sizeof(error)));
	assert_true(stage_change(&joint, DELETE));
	joint_close(&joint);
	assert_true(mailbox_there("old@example.org") && logs_in("old@example.org"));
	assert_true(credentials_batch_next(credentials, batch, error, sizeof(error)));
	assert_string_equal(batch, "");
}

static void the_folder_of_a_renamed_mailbox_is_given_to_nobody_else(void **state)
{
	struct accounts_mailbox mailbox;
	unsigned aliases;

	assert_true(accounts_rename_mailbox(accounts, "old@example.org", "new@example.org", "",
		&aliases, error, sizeof(error)));
	assert_true(accounts_add_mailbox(accounts, "old@example.org", 0, error, sizeof(error)));
	assert_int_equal(
		accounts_mailbox(accounts, SLICE("old@example.org"), &mailbox), ACCOUNTS_FOUND);
	assert_string_equal(mailbox.path, "example.org/old.2");
	assert_int_equal(
		accounts_mailbox(accounts, SLICE("new@example.org"), &mailbox), ACCOUNTS_FOUND);
	assert_string_equal(mailbox.path, "example.org/old");
	assert_false(accounts_rename_mailbox(accounts, "new@example.org", "old@example.org", "",
		&aliases, error, sizeof(error)));
	assert_string_equal(error, "mailbox old@example.org is there already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_change_is_made_in_both_or_in_neither, NULL, teardown),
		cmocka_unit_test_setup_teardown(
			a_disabled_login_stays_so_through_a_change_that_is_taken_back, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_login_with_application_passwords_alone_is_closed_and_opened_likewise,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_change_that_is_rolled_back_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_folder_of_a_renamed_mailbox_is_given_to_nobody_else, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
