// SPDX-License-Identifier: ISC
/* Users whose sessions were ended: lib/service/dismissed.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "service/dismissed.h"

#define NAMES(text) slice_of(text, sizeof(text))

static struct message_sessions_order order_of(uint32_t number, struct slice logins, const char *app)
{
	return (struct message_sessions_order){
		.order = number, .logins = logins, .app = slice_from(app)
	};
}

static void an_order_names_whole_users(void **state)
{
	const struct message_sessions_order two = order_of(1,
						    NAMES("one@example.org\0two@example.org"), ""),
					    all = order_of(1, SLICE(""), "");

	assert_true(dismissed_names(&two, "one@example.org", ""));
	assert_true(dismissed_names(&two, "two@example.org", "phone"));
	assert_false(dismissed_names(&two, "ne@example.org", ""));
	assert_false(dismissed_names(&two, "", ""));
	assert_true(dismissed_names(&all, "anybody", ""));
}

static void an_order_may_be_about_one_application_password(void **state)
{
	static struct dismissed dismissed;
	const struct message_sessions_order phone = order_of(7, NAMES("one@example.org"), "phone"),
					    every = order_of(7, SLICE(""), "phone");

	assert_true(dismissed_names(&phone, "one@example.org", "phone"));
	assert_false(dismissed_names(&phone, "one@example.org", "Phone"));
	assert_false(dismissed_names(&phone, "one@example.org", ""));
	assert_false(dismissed_names(&phone, "two@example.org", "phone"));
	assert_true(dismissed_names(&every, "two@example.org", "phone"));
	assert_false(dismissed_names(&every, "two@example.org", ""));
	dismissed = (struct dismissed){ 0 };
	dismissed_note(&dismissed, &phone);
	assert_true(dismissed_since(&dismissed, "one@example.org", "phone", 6));
	assert_false(dismissed_since(&dismissed, "one@example.org", "phone", 7));
	assert_false(dismissed_since(&dismissed, "one@example.org", "", 6));
	assert_false(dismissed_since(&dismissed, "one@example.org", "tablet", 6));
}

static void who_logged_in_before_the_order_goes_and_who_comes_after_it_stays(void **state)
{
	static struct dismissed dismissed;
	const struct message_sessions_order one = order_of(7, NAMES("one@example.org"), "");

	dismissed = (struct dismissed){ 0 };
	dismissed_note(&dismissed, &one);
	assert_true(dismissed_since(&dismissed, "one@example.org", "", 6));
	assert_true(dismissed_since(&dismissed, "one@example.org", "phone", 6));
	assert_false(dismissed_since(&dismissed, "one@example.org", "", 7));
	assert_false(dismissed_since(&dismissed, "two@example.org", "", 6));
	assert_int_equal(dismissed.order, 7);
}

static void what_is_forgotten_counts_as_dismissed(void **state)
{
	static struct dismissed dismissed;
	char name[40];

	dismissed = (struct dismissed){ 0 };
	for (uint32_t i = 1; i <= DISMISSED_MOST + 2; i++) {
		int length = snprintf(name, sizeof(name), "user%u@example.org", (unsigned)i);
		const struct message_sessions_order order =
			order_of(i, slice_of(name, (size_t)length + 1), "");

		dismissed_note(&dismissed, &order);
	}
	/* Orders 1 and 2 made room: whoever began before them may have been one of theirs. */
	assert_true(dismissed_since(&dismissed, "other@example.org", "", 1));
	assert_false(dismissed_since(&dismissed, "other@example.org", "", 2));
	assert_true(dismissed_since(&dismissed, "user3@example.org", "", 2));
}

static void names_that_are_too_long_are_nobody(void **state)
{
	static struct dismissed dismissed;
	char name[MAX_LOGIN + 2];
	const struct message_sessions_order order = order_of(1, slice_of(name, sizeof(name)), "");

	dismissed = (struct dismissed){ 0 };
	memset(name, 'a', sizeof(name));
	dismissed_note(&dismissed, &order);
	assert_int_equal(dismissed.next, 0);
	assert_false(dismissed_since(&dismissed, "", "", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_names_whole_users),
		cmocka_unit_test(an_order_may_be_about_one_application_password),
		cmocka_unit_test(who_logged_in_before_the_order_goes_and_who_comes_after_it_stays),
		cmocka_unit_test(what_is_forgotten_counts_as_dismissed),
		cmocka_unit_test(names_that_are_too_long_are_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
