// SPDX-License-Identifier: ISC
/* JSON as tokens, answers about them and lists of accounts have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "os/json_text.h"

static json_t *read_text(struct slice text)
{
	char error[200] = "";
	json_t *value = json_text_read(text, 0, error, sizeof(error));

	assert_int_equal(value == NULL, error[0] != '\0');
	return value;
}

static void values_are_read_as_they_are_meant(void **state)
{
	json_t *value = read_text(
		SLICE(" {\"a\" : \"x\\u00e4\\n\\ud83d\\ude00\", \"b\":[true,null,-12,1.5e3]} "));

	assert_non_null(value);
	assert_true(
		slice_equal(json_text_member(value, "a"), SLICE("x\xc3\xa4\n\xf0\x9f\x98\x80")));
	assert_int_equal(json_integer_value(json_array_get(json_object_get(value, "b"), 2)), -12);
	assert_int_equal(json_text_member(value, "b").length, 0);
	assert_int_equal(json_text_member(value, "c").length, 0);
	assert_int_equal(json_text_member(NULL, "c").length, 0);
	json_decref(value);
}

static void what_is_not_json_is_refused(void **state)
{
	static const char *const BAD[] = { "", "{", "[1,]", "{\"a\":1,\"a\":2}", "{a:1}",
		"[\"\\x\"]", "[\"\\ud800\"]", "[nul]", "[1 2]", "[1] 2",
		"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "[\"\n\"]", "[01]", "[\"\xff\"]",
		"[\"\\u0000\"]", "1", "\"a\"" };
	json_t *value;

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		if (read_text(slice_from(BAD[i])))
			fail_msg("%s", BAD[i]);
	assert_null(read_text(slice_of("[\0]", 3)));
	assert_null(read_text(slice_of("[\"\0\"]", 5)));
	/* Brackets in a text are no depth. */
	value = read_text(SLICE("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[\"]"));
	assert_non_null(value);
	json_decref(value);
}

static void what_is_too_large_is_refused(void **state)
{
	static char text[JSON_TEXT_MOST + 1];
	json_t *value;

	memset(text, ' ', sizeof(text));
	memcpy(text, "[]", 2);
	assert_null(read_text(slice_of(text, sizeof(text))));
	value = read_text(slice_of(text, JSON_TEXT_MOST));
	assert_non_null(value);
	json_decref(value);
}

static void what_is_told_holds_nothing_of_the_text(void **state)
{
	char error[200];

	assert_null(json_text_read(SLICE("{\"a\": \"hidden\" hidden}"), 0, error, sizeof(error)));
	assert_null(strstr(error, "hidden"));
	assert_non_null(strstr(error, "at byte"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_as_they_are_meant),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(what_is_too_large_is_refused),
		cmocka_unit_test(what_is_told_holds_nothing_of_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
