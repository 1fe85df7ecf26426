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
	assert_string_equal(error_of("{\"address\": \"a\"} x"), "something behind the object");
	assert_string_equal(
		error_of("{\"address\": {\"a\": 1}}"), "no value, or one that has parts");
	assert_string_equal(error_of("{\"quota\": 1}"), "no \"address\" or \"domain\"");
	assert_string_equal(error_of("{\"address\": \"a"), "a string without its end");
	assert_string_equal(error_of("{\"address\": \"\\u0000\"}"), "a NUL");
	assert_string_equal(error_of("{\"address\": \"\\ud800x\"}"), "half a surrogate pair");
	assert_string_equal(error_of("{\"address\": \"\xff\"}"), "not UTF-8");
	assert_string_equal(error_of("{"), "no member of an object");
	assert_string_equal(error_of("quota=1"), "no address or domain");
	assert_string_equal(error_of("a@b enabled=maybe"), "enabled is true or false");
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
		cmocka_unit_test_setup_teardown(
			many_words_fit_and_too_many_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
