// SPDX-License-Identifier: ISC
/* Questions that wait for a SQL table: put aside, worked out again, put off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "directory/accounts.h"
#include "directory/waiting.h"
#include "table/table_sql.h"

enum { PATIENCE = 100, ASKS = 64 };

static char folder[64], accounts_path[128], cf_path[128], specs[2][140], error[600];
static struct directory *directory;
static struct waiting *waiting;
static int peer;

/* What was asked, and the answers that came. */
static struct {
	uint32_t serial;
	char key[200];
	bool virtual_alias; /* of which table */
} asked[ASKS];
static unsigned ask_count, answer_count;
static enum directory_status status;
static char addresses[400];
static bool refuse_asks;

static bool ask(void *context, uint32_t serial, const char *spec, struct slice key)
{
	if (refuse_asks)
		return false;
	assert_true(ask_count < ASKS);
	asked[ask_count].serial = serial;
	asked[ask_count].virtual_alias = strcmp(spec, specs[0]) == 0;
	assert_true(slice_to_string(key, asked[ask_count++].key, sizeof(asked[0].key)));
	return true;
}

static void take(void *context, void *to, const struct message *answer)
{
	assert_ptr_equal(to, &peer);
	answer_count++;
	if (answer->type == MESSAGE_DIRECTORY_EXPAND_ANSWER) {
		size_t length = strlen(addresses);

		status = answer->directory_expand_answer.status;
		snprintf(addresses + length, sizeof(addresses) - length, "%.*s ",
			SLICE_ARG(answer->directory_expand_answer.address));
	} else {
		status = answer->directory_recipient_answer.status;
	}
}

static void write_cf(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("hosts = localhost\nquery = SELECT a FROM b WHERE c = '%s'\n", file);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	const struct waiting_hooks hooks = { .ask = ask, .send = take, .patience = PATIENCE };
	struct accounts *accounts;
	struct directory_settings settings = { .accounts = accounts_path,
		.folder = folder,
		.myorigin = "example.org",
		.recipient_delimiter = "",
		.mydestination = "",
		.virtual_alias_domains = "alias.example",
		.virtual_mailbox_domains = specs[1],
		.relay_domains = "",
		.virtual_alias_maps = specs[0],
		.virtual_mailbox_maps = "",
		.local_recipient_maps = "",
		.relay_recipient_maps = "",
		.transport_maps = "",
		.local_transport = "local",
		.virtual_transport = "virtual",
		.relay_transport = "relay",
		.default_transport = "smtp",
		.relayhost = "",
		.parent_domain_matches_subdomains = "",
		.lookup_tables = "",
		.recursion_limit = 100,
		.expansion_limit = 100 };

	snprintf(folder, sizeof(folder), "/tmp/postern-waiting-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(accounts_path, sizeof(accounts_path), "%s/accounts.db", folder);
	snprintf(cf_path, sizeof(cf_path), "%s/x.cf", folder);
	snprintf(specs[0], sizeof(specs[0]), "mysql:%s", cf_path);
	snprintf(specs[1], sizeof(specs[1]), "pgsql:%s", cf_path);
	write_cf(cf_path);
	if (!accounts_open(accounts_path, true, &accounts, error, sizeof(error)))
		return -1;
	accounts_close(&accounts);
	waiting = waiting_new(&hooks);
	sql_tables_through(waiting_lookup, waiting);
	directory = directory_open(&settings, error, sizeof(error));
	if (!directory)
		return -1;
	directory_turn(directory, 0);
	waiting_directory(waiting, directory);
	ask_count = answer_count = 0;
	addresses[0] = '\0';
	refuse_asks = false;
	return 0;
}

static int teardown(void **state)
{
	char name[160];

	directory_close(&directory);
	waiting_free(&waiting);
	sql_tables_through(NULL, NULL);
	for (const char *const *suffix = (const char *const[]){ "", "-wal", "-shm", NULL }; *suffix;
		suffix++) {
		snprintf(name, sizeof(name), "%s%s", accounts_path, *suffix);
		unlink(name);
	}
	unlink(cf_path);
	return rmdir(folder);
}

static void question(enum message_type type, const char *address)
{
	struct message message = { .type = type };

	message.directory_recipient.serial = 7;
	if (type == MESSAGE_DIRECTORY_EXPAND)
		message.directory_expand.recipient = slice_from(address);
	else
		message.directory_recipient.recipient = slice_from(address);
	assert_true(waiting_answer(waiting, &peer, &message, 0));
}

/* Answer everything that is asked: aliases of `from` lead to `to`, all else is not there. */
static void serve(const char *from, const char *to)
{
	for (unsigned i = 0; i < ask_count; i++) {
		bool hit = asked[i].virtual_alias && strcmp(asked[i].key, from) == 0;

		if (asked[i].serial)
			waiting_told(waiting, asked[i].serial, hit ? TABLE_FOUND : TABLE_NOT_FOUND,
				slice_from(hit ? to : ""), 1);
		asked[i].serial = 0;
	}
}

static void a_question_waits_for_its_table_and_is_answered_whole(void **state)
{
	question(MESSAGE_DIRECTORY_EXPAND, "list@alias.example");
	assert_int_equal(answer_count, 0);
	assert_int_equal(waiting_count(waiting), 1);
	serve("list@alias.example", "a@far.example, b@far.example");
	assert_int_equal(waiting_count(waiting), 0);
	assert_int_equal(status, DIRECTORY_FOUND);
	assert_string_equal(addresses, "a@far.example b@far.example ");
}

static void what_is_known_is_not_asked_for_twice(void **state)
{
	question(MESSAGE_DIRECTORY_EXPAND, "list@alias.example");
	serve("list@alias.example", "a@far.example");
	for (unsigned i = 0; i < ask_count; i++)
		for (unsigned k = 0; k < i; k++)
			assert_false(asked[i].virtual_alias == asked[k].virtual_alias &&
				     strcmp(asked[i].key, asked[k].key) == 0);
}

static void an_error_of_the_server_is_temporary(void **state)
{
	question(MESSAGE_DIRECTORY_RECIPIENT, "x@alias.example");
	assert_int_equal(ask_count, 1);
	waiting_told(waiting, asked[0].serial, TABLE_ERROR, SLICE(""), 1);
	assert_int_equal(answer_count, 1);
	assert_int_equal(status, DIRECTORY_TEMPORARY);
}

static void who_waits_too_long_is_put_off(void **state)
{
	question(MESSAGE_DIRECTORY_RECIPIENT, "x@alias.example");
	waiting_expire(waiting, PATIENCE - 1);
	assert_int_equal(answer_count, 0);
	waiting_expire(waiting, PATIENCE);
	assert_int_equal(answer_count, 1);
	assert_int_equal(status, DIRECTORY_TEMPORARY);
	/* The answer that comes after that is nobody's. */
	waiting_told(waiting, asked[0].serial, TABLE_FOUND, SLICE("x@far.example"), 1);
	assert_int_equal(answer_count, 1);
}

static void nobody_to_ask_is_temporary_at_once(void **state)
{
	refuse_asks = true;
	question(MESSAGE_DIRECTORY_RECIPIENT, "x@alias.example");
	assert_int_equal(answer_count, 1);
	assert_int_equal(status, DIRECTORY_TEMPORARY);
}

static void what_was_lost_is_asked_again(void **state)
{
	question(MESSAGE_DIRECTORY_EXPAND, "list@alias.example");
	assert_int_equal(ask_count, 1);
	waiting_lost(waiting, 1);
	assert_int_equal(ask_count, 2);
	assert_string_equal(asked[1].key, asked[0].key);
	asked[0].serial = 0;
	serve("list@alias.example", "a@far.example");
	assert_string_equal(addresses, "a@far.example ");
}

static void a_peer_that_went_away_gets_nothing(void **state)
{
	question(MESSAGE_DIRECTORY_RECIPIENT, "x@alias.example");
	waiting_forget_peer(waiting, &peer);
	assert_int_equal(waiting_count(waiting), 0);
	waiting_told(waiting, asked[0].serial, TABLE_NOT_FOUND, SLICE(""), 1);
	assert_int_equal(answer_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_question_waits_for_its_table_and_is_answered_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_known_is_not_asked_for_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_error_of_the_server_is_temporary, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_too_long_is_put_off, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nobody_to_ask_is_temporary_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_lost_is_asked_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_peer_that_went_away_gets_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
