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
			  "\"quota\": 12, \"new\": null,"
			  " \"enabled\": true, \"address\" : \"a@b\", \"password\":\"p w\" }");

	assert_int_equal(r->word_count, 3);
	assert_string_equal(r->words[0], "a@b");
	assert_string_equal(r->words[1], "x@y");
	assert_string_equal(r->words[2], "\xc3\xa9\xf0\x9f\x98\x80\n\"@z");
	assert_string_equal(r->quota, "12");
	assert_string_equal(r->password, "p w");
	assert_int_equal(r->enabled, 1);
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
	assert_string_equal(error_of("{\"address\": {\"a\": 1}}"), "a value that has parts");
	assert_string_equal(error_of("{\"address\": [[\"a\"]]}"), "a value that has parts");
	assert_string_equal(error_of("{\"address\": \"a\", \"password\": 1.10}"),
		"a number with a fraction or an exponent");
	assert_non_null(strstr(error_of("{\"address\": \"a\"} x"), "end of file expected"));
	assert_string_equal(error_of("quota=1"), "no address or domain");
	assert_string_equal(error_of("a@b enabled=maybe"), "enabled is true or false");
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

static void figures_are_passed_over(void **state)
{
	struct record *r = read_line("{\"address\": \"a@b\", \"share\": 0.5, \"used\": [1, 2]}");

	assert_int_equal(r->word_count, 1);
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
			comments_and_empty_lines_are_no_records, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_json_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_told_holds_nothing_of_the_password, setup, teardown),
		cmocka_unit_test_setup_teardown(figures_are_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			many_words_fit_and_too_many_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
