// SPDX-License-Identifier: ISC
/* The From: header of mail whose sender logged in: which addresses are asked for, and what cannot be checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup/cleanup.h"

/* What becomes of a message with this From:, asked of a directory that takes each address for the user's own or for none of his. */
static enum cleanup_fault fault_of(
	struct slice value, enum check_from mode, enum owner_status status, unsigned *asked)
{
	struct cleanup cleanup = { .settings.origin = "origin.test",
		.directory.channel.watch.fd = -1 };
	struct transaction t = { .cleanup = &cleanup, .check_from = mode };
	enum cleanup_fault fault;

	arena_init(&t.arena, 1 << 20);
	from_check(&t, value);
	if (asked)
		*asked = t.unanswered;
	for (uint32_t serial = 1; serial <= cleanup.lookup_serial; serial++) {
		struct message_directory_owner_answer answer = { .serial = serial,
			.status = (uint8_t)status };

		from_receive(&cleanup, &answer);
	}
	assert_int_equal(t.unanswered, 0);
	assert_null(
		from_receive(&cleanup, &(struct message_directory_owner_answer){ .serial = 1 }));
	fault = t.fault;
	map_free(&cleanup.owners);
	arena_free(&t.arena);
	return fault;
}

static void assert_asked(const char *value, unsigned expected)
{
	unsigned asked;

	assert_int_equal(
		fault_of(slice_from(value), CHECK_FROM_REJECT, OWNER_YES, &asked), FAULT_NONE);
	assert_int_equal(asked, expected);
}

static void each_address_is_asked_for(void **state)
{
	assert_asked(" two@example.test\n", 1);
	assert_asked("Two <two@example.test>,\n\t\"Boss, the\" <boss@example.test>\n", 2);
	assert_asked("two\n", 1);
	assert_asked("The Group: two@example.test, boss@example.test;\n", 2);
}

static void an_address_in_a_quoted_name_an_encoded_word_or_a_comment_is_a_name(void **state)
{
	assert_asked("\"ceo@bank.test\" <two@example.test>\n", 1);
	assert_asked("=?utf-8?q?=3Cceo=40bank.test=3E?=\r\n <two@example.test>\r\n", 1);
	assert_asked("(ceo@bank.test) two@example.test\n", 1);
	assert_asked("two@example.test (ceo@bank.test)\n", 1);
}

static void one_foreign_address_is_enough(void **state)
{
	static const enum owner_status FOREIGN[] = { OWNER_MAPPED, OWNER_OTHER, OWNER_NOBODY };

	for (size_t i = 0; i < sizeof(FOREIGN) / sizeof(FOREIGN[0]); i++) {
		assert_int_equal(
			fault_of(SLICE("two@example.test"), CHECK_FROM_REJECT, FOREIGN[i], NULL),
			FAULT_FROM);
		assert_int_equal(
			fault_of(SLICE("two@example.test"), CHECK_FROM_WARN, FOREIGN[i], NULL),
			FAULT_NONE);
	}
	assert_int_equal(
		fault_of(SLICE("two@example.test"), CHECK_FROM_REJECT, OWNER_TEMPORARY, NULL),
		FAULT_LOOKUP);
}

/* Even if all that we read in it were the user's own. */
static void what_others_may_read_in_another_way_is_foreign(void **state)
{
	static const char *const BAD[] = { "ceo@bank.test <two@example.test>",
		"ceo@bank.test\n <two@example.test>", "<@ceo@bank.test:two@example.test>",
		"<@bank.test:two@example.test>", "<@bank.test,@x:two@example.test>",
		"Two <two@example.test> <ceo@bank.test>", "<two@example.test> ceo@bank.test",
		"two@example.test (ceo@bank.test", "two@example.test, (ceo@bank.test",
		"<ceo@bank.test <two@example.test>", "ceo> <two@example.test>",
		"ceo@bank.test: two@example.test;", "two@example.test@bank.test",
		"ceo two@example.test", "two@\"example.test\"", "\"x\rFrom: y\" <two@example.test>",
		"", "\n", "undisclosed:;", "The boss" };
	static const char NUL[] = "\"ceo@bank.test\0\" <two@example.test>";

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct slice value = slice_from(BAD[i]);

		assert_int_equal(fault_of(value, CHECK_FROM_REJECT, OWNER_YES, NULL), FAULT_FROM);
		assert_int_equal(fault_of(value, CHECK_FROM_WARN, OWNER_YES, NULL), FAULT_NONE);
	}
	assert_int_equal(
		fault_of(slice_of(NUL, sizeof(NUL) - 1), CHECK_FROM_REJECT, OWNER_YES, NULL),
		FAULT_FROM);
}

static void addresses_are_bounded(void **state)
{
	struct buffer text = { 0 };

	for (unsigned i = 0; i < 20; i++)
		buffer_printf(&text, "%stwo@example.test", i ? "," : "");
	assert_asked(buffer_text(&text), 20);
	buffer_add_text(&text, ",two@example.test");
	assert_int_equal(
		fault_of(buffer_slice(&text), CHECK_FROM_REJECT, OWNER_YES, NULL), FAULT_FROM);
	buffer_free(&text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_is_asked_for),
		cmocka_unit_test(
			an_address_in_a_quoted_name_an_encoded_word_or_a_comment_is_a_name),
		cmocka_unit_test(one_foreign_address_is_enough),
		cmocka_unit_test(what_others_may_read_in_another_way_is_foreign),
		cmocka_unit_test(addresses_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
