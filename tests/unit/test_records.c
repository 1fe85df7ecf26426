// SPDX-License-Identifier: ISC
/* Lists of accounts, as words and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/records.h"

static struct records records;

static int setup(void **state)
{
	records_init(&records);
	return 0;
}

static int teardown(void **state)
{
	records_free(&records);
	return 0;
}

static struct record *read_line(const char *text)
{
	struct record *record;
	const char *error = "";

	if (!records_read_line(&records, slice_from(text), 7, &record, &error))
		fail_msg("%s: %s", text, error);
	return record;
}

static const char *error_of(const char *text)
{
	struct record *record;
	const char *error = NULL;

	assert_false(records_read_line(&records, slice_from(text), 7, &record, &error));
	assert_true(record->bad);
	return error;
}

static void words_and_settings_are_told_apart(void **state)
{
	struct record *r =
		read_line("  a@b.example\tquota=5M hash=$6$x$y= c=d@e.example enabled=false\r\n");

	assert_int_equal(r->line, 7);
	assert_int_equal(r->word_count, 2);
	assert_string_equal(r->words[0], "a@b.example");
	assert_string_equal(r->words[1], "c=d@e.example");
	assert_string_equal(r->quota, "5M");
	assert_string_equal(r->hash, "$6$x$y=");
	assert_int_equal(r->enabled, 0);
	assert_null(r->password);
}

static void an_object_is_read_whatever_its_order(void **state)
{
	struct record *r =
		read_line("{\"destination\": [\"x@y\", \"\\u00e9\\ud83d\\ude00\\n\\\"@z\"], "
			  "\"quota\": 12, \"hash\": null,"
			  " \"enabled\": true, \"address\" : \"a@b\", \"password\":\"p w\" }");

	assert_int_equal(r->word_count, 3);
	assert_string_equal(r->words[0], "a@b");
	assert_string_equal(r->words[1], "x@y");
	assert_string_equal(r->words[2], "\xc3\xa9\xf0\x9f\x98\x80\n\"@z");
	assert_string_equal(r->quota, "12");
	assert_string_equal(r->password, "p w");
	assert_null(r->hash);
	assert_int_equal(r->enabled, 1);
}

static void what_is_null_is_as_if_it_were_not_there(void **state)
{
	struct record *r = read_line("{\"address\": \"a@b\", \"password\": null, \"hash\": null, "
				     "\"quota\": null, \"enabled\": null, \"no_password\": null, "
				     "\"destination\": null}");

	assert_int_equal(r->word_count, 1);
	assert_null(r->password);
	assert_null(r->hash);
	assert_null(r->quota);
	assert_int_equal(r->enabled, -1);
	assert_false(r->no_password);
	assert_string_equal(error_of("{\"domain\": null}"), "no \"address\" or \"domain\"");
	assert_string_equal(error_of("{\"address\": null}"), "no \"address\" or \"domain\"");
}

static void only_texts_are_taken_where_texts_are_meant(void **state)
{
	static const char *const NAMES[] = { "address", "domain", "password", "hash" };
	static const char *const VALUES[] = { "true", "false", "1", "1.5", "[\"a\", \"b\"]", "[]",
		"{}", "{\"a\": 1}" };
	char line[100], expected[100];

	for (size_t n = 0; n < sizeof(NAMES) / sizeof(NAMES[0]); n++)
		for (size_t v = 0; v < sizeof(VALUES) / sizeof(VALUES[0]); v++) {
			snprintf(line, sizeof(line), "{\"%s\": %s}", NAMES[n], VALUES[v]);
			snprintf(expected, sizeof(expected), "\"%s\" has to be a text", NAMES[n]);
			assert_string_equal(error_of(line), expected);
		}
}

static void comments_and_empty_lines_are_no_records(void **state)
{
	assert_null(read_line(""));
	assert_null(read_line("  \t"));
	assert_null(read_line("# a@b"));
	assert_int_equal(records.list.count, 0);
}

static void what_is_wrong_is_told(void **state)
{
	assert_string_equal(error_of("{\"quota\": 1}"), "no \"address\" or \"domain\"");
	assert_string_equal(error_of("{\"address\": \"a\", \"quota\": 1.10}"),
		"\"quota\" has to be a text or a whole number");
	assert_string_equal(error_of("{\"address\": \"a\", \"quota\": true}"),
		"\"quota\" has to be a text or a whole number");
	assert_string_equal(error_of("{\"address\": \"a\", \"no_password\": \"yes\"}"),
		"\"no_password\" has to be true or false");
	assert_string_equal(error_of("{\"address\": \"a\", \"destination\": [\"a\", null]}"),
		"\"destination\" has to be a text or a list of texts");
	assert_string_equal(error_of("{\"address\": \"a\", \"destination\": [[\"a\"]]}"),
		"\"destination\" has to be a text or a list of texts");
	assert_non_null(strstr(error_of("{\"address\": \"a\"} x"), "end of file expected"));
	assert_string_equal(error_of("quota=1"), "no address or domain");
	assert_string_equal(error_of("a@b enabled=maybe"), "\"enabled\" has to be true or false");
	assert_string_equal(
		error_of("a@b no_password=maybe"), "\"no_password\" has to be true or false");
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const BAD[] = { "{", "{\"address\": \"a", "{\"address\": \"\\u0000\"}",
		"{\"address\": \"\\ud800x\"}", "{\"address\": \"\xff\"}", "{\"address\": \"\\x\"}",
		"{\"address\": \"\t\"}", "{\"address\": \"a\",}",
		"{\"address\": \"a\", \"address\": \"b\"}", "{\"address\": a}",
		"{\"address\": \"a\", \"x\": 01}", "{\"address\": \"a\", \"x\": 1e999}" };

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_non_null(strstr(error_of(BAD[i]), " at byte "));
	assert_string_equal(
		error_of("{\"address\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"), "too deep");
}

static void what_is_told_holds_nothing_of_the_password(void **state)
{
	assert_null(strstr(error_of("{\"password\": \"hidden\" \"hidden\"}"), "hidden"));
	assert_null(strstr(error_of("{\"password\": hidden}"), "hidden"));
}

/* Whatever shape they have. */
static void figures_of_lists_are_passed_over(void **state)
{
	struct record *r = read_line(
		"{\"address\": \"a@b\", \"mailbox\": \"b/a\", \"last_login\": {\"time\": \"t\", "
		"\"service\": \"imap\"}, \"app_passwords\": [{\"name\": \"x\"}], "
		"\"mailboxes\": 1.5, \"aliases\": [1, [2]]}");

	assert_int_equal(r->word_count, 1);
	assert_string_equal(r->words[0], "a@b");
}

static void a_name_that_nobody_knows_is_refused(void **state)
{
	assert_string_equal(error_of("{\"address\": \"a@b\", \"pasword\": \"secret\"}"),
		"\"pasword\" is not known");
	assert_string_equal(
		error_of("{\"address\": \"a@b\", \"new\": null}"), "\"new\" is not known");
	assert_string_equal(error_of("{\"\\u001b[2J\": 1}"), "\"?[2J\" is not known");
	assert_string_equal(error_of("a@b pasword=secret"), "\"pasword\" is not known");
	/* These are addresses. */
	assert_int_equal(read_line("a=b@c d=e@f")->word_count, 2);
}

static void options_of_a_user_stand_on_its_line_too(void **state)
{
	struct record *r = read_line("a@b --no-password --quota 5M");

	assert_int_equal(r->word_count, 1);
	assert_true(r->no_password);
	assert_string_equal(r->quota, "5M");
	assert_string_equal(read_line("--hash $6$x$y a@b")->hash, "$6$x$y");
	assert_true(read_line("a@b no_password=true")->no_password);
	assert_true(read_line("{\"address\": \"a@b\", \"no_password\": true}")->no_password);
	assert_string_equal(error_of("a@b --quota"), "--quota: no value");
	assert_string_equal(error_of("a@b --kick"), "--kick: not an option of a line");
	assert_string_equal(error_of("a@b --password x"), "--password: not an option of a line");
}

static void many_words_fit_and_too_many_are_refused(void **state)
{
	struct record *r = records_add(&records, RECORD_ALIAS, NULL, 1);
	unsigned count = 0;

	while (record_add_word(&records, r, SLICE("word")))
		count++;
	assert_in_range(count, RECORDS_MAX_WORDS, 2 * RECORDS_MAX_WORDS);
	assert_string_equal(r->words[0], "word");
	assert_string_equal(r->words[count - 1], "word");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(words_and_settings_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_object_is_read_whatever_its_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_null_is_as_if_it_were_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(
			only_texts_are_taken_where_texts_are_meant, setup, teardown),
		cmocka_unit_test_setup_teardown(
			comments_and_empty_lines_are_no_records, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_json_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_told_holds_nothing_of_the_password, setup, teardown),
		cmocka_unit_test_setup_teardown(figures_of_lists_are_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_name_that_nobody_knows_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			options_of_a_user_stand_on_its_line_too, setup, teardown),
		cmocka_unit_test_setup_teardown(
			many_words_fit_and_too_many_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
