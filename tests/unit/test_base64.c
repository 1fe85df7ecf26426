// SPDX-License-Identifier: ISC
/* Base64: RFC 4648 section 10's vectors, and what strict means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base64.h"

static void vectors_of_the_rfc_go_both_ways(void **state)
{
	static const char *const VECTORS[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };

	for (size_t i = 0; i < sizeof(VECTORS) / sizeof(VECTORS[0]); i++) {
		struct buffer text = { 0 }, data = { 0 };

		assert_true(base64_encode(slice_from(VECTORS[i][0]), &text));
		assert_true(slice_equal(buffer_slice(&text), slice_from(VECTORS[i][1])));
		assert_true(base64_decode(buffer_slice(&text), &data));
		assert_true(slice_equal(buffer_slice(&data), slice_from(VECTORS[i][0])));
		buffer_free(&text);
		buffer_free(&data);
	}
}

static void text_that_is_not_exactly_base64_is_refused_and_leaves_the_buffer(void **state)
{
	static const char *const WRONG[] = { "Z", "Zg",
		"Zg=", "Zg==Zg==", "Zh==", "Zm9=", "====", "Z===", "Zm 9", "Zm9v\r\n", "Zm9-",
		"Zg=A" };

	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		struct buffer data = { 0 };

		buffer_add_text(&data, "x");
		assert_false(base64_decode(slice_from(WRONG[i]), &data));
		assert_int_equal(data.length, 1);
		buffer_free(&data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_rfc_go_both_ways),
		cmocka_unit_test(text_that_is_not_exactly_base64_is_refused_and_leaves_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
