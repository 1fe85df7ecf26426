// SPDX-License-Identifier: ISC
/* IMAP's modified UTF-7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mail/utf7.h"

static void assert_pair(const char *wire, const char *utf8)
{
	struct buffer out = { 0 };

	assert_true(utf7_decode(slice_from(wire), &out));
	assert_true(slice_equal(buffer_slice(&out), slice_from(utf8)));
	buffer_clear(&out);
	assert_true(utf7_encode(slice_from(utf8), &out));
	assert_true(slice_equal(buffer_slice(&out), slice_from(wire)));
	buffer_free(&out);
}

static void names_go_there_and_back(void **state)
{
	assert_pair("", "");
	assert_pair("INBOX", "INBOX");
	assert_pair("a&-b", "a&b");
	assert_pair("~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
	assert_pair("Entw&APw-rfe", "Entw\xc3\xbc"
				    "rfe");
	assert_pair("&2D3eAA-", "\xf0\x9f\x98\x80");
	assert_pair("&AAo-", "\n");
	assert_pair("&APwA,A-&-", "\xc3\xbc\xc3\xbc&");
}

static void names_with_a_second_form_are_refused(void **state)
{
	static const char *const bad[] = { "&", "a&b", "&AGEA-", "&AGE-", "&APw", "&APw-&APw-",
		"&APx-", "&APwA-", "&APw=-", "&2D0-", "&3gA-", "&2D3YPQ-", "\xc3\xbc", "a\tb",
		"a\x7f", "&AAA-", "&A-", "&/-", "&AP w-" };
	struct buffer out = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(utf7_decode(slice_from(bad[i]), &out));
		assert_int_equal(out.length, 0);
	}
	assert_false(utf7_decode(SLICE("a\0b"), &out));
	buffer_free(&out);
}

static void what_is_not_utf8_is_not_encoded(void **state)
{
	struct buffer out = { 0 };

	assert_false(utf7_encode(SLICE("a\xff"), &out));
	assert_false(utf7_encode(SLICE("\xed\xa0\x80"), &out));
	assert_false(utf7_encode(SLICE("\xc0\x80"), &out));
	assert_false(utf7_encode(SLICE("\xe2\x82"), &out));
	assert_false(utf7_encode(SLICE("a\0"), &out));
	assert_int_equal(out.length, 0);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_go_there_and_back),
		cmocka_unit_test(names_with_a_second_form_are_refused),
		cmocka_unit_test(what_is_not_utf8_is_not_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
