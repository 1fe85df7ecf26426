// SPDX-License-Identifier: ISC
/* Users whose sessions were ended: lib/service/dismissed.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "service/dismissed.h"

#define NAMES(text) slice_of(text, sizeof(text))

static void an_order_names_whole_users(void **state)
{
	struct slice two = NAMES("one@example.org\0two@example.org");

	assert_true(dismissed_names(two, "one@example.org"));
	assert_true(dismissed_names(two, "two@example.org"));
	assert_false(dismissed_names(two, "ne@example.org"));
	assert_false(dismissed_names(two, ""));
	assert_true(dismissed_names(SLICE(""), "anybody"));
}

static void who_logged_in_before_the_order_goes_and_who_comes_after_it_stays(void **state)
{
	static struct dismissed dismissed;

	dismissed = (struct dismissed){ 0 };
	dismissed_note(&dismissed, 7, NAMES("one@example.org"));
	assert_true(dismissed_since(&dismissed, "one@example.org", 6));
	assert_false(dismissed_since(&dismissed, "one@example.org", 7));
	assert_false(dismissed_since(&dismissed, "two@example.org", 6));
	assert_int_equal(dismissed.order, 7);
}

static void what_is_forgotten_counts_as_dismissed(void **state)
{
	static struct dismissed dismissed;
	char name[40];

	dismissed = (struct dismissed){ 0 };
	for (uint32_t order = 1; order <= DISMISSED_MOST + 2; order++) {
		int length = snprintf(name, sizeof(name), "user%u@example.org", (unsigned)order);

		dismissed_note(&dismissed, order, slice_of(name, (size_t)length + 1));
	}
	/* Orders 1 and 2 made room: whoever began before them may have been one of theirs. */
	assert_true(dismissed_since(&dismissed, "other@example.org", 1));
	assert_false(dismissed_since(&dismissed, "other@example.org", 2));
	assert_true(dismissed_since(&dismissed, "user3@example.org", 2));
}

static void names_that_are_too_long_are_nobody(void **state)
{
	static struct dismissed dismissed;
	char name[MAX_LOGIN + 2];

	dismissed = (struct dismissed){ 0 };
	memset(name, 'a', sizeof(name));
	dismissed_note(&dismissed, 1, slice_of(name, sizeof(name)));
	assert_int_equal(dismissed.next, 0);
	assert_false(dismissed_since(&dismissed, "", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_names_whole_users),
		cmocka_unit_test(who_logged_in_before_the_order_goes_and_who_comes_after_it_stays),
		cmocka_unit_test(what_is_forgotten_counts_as_dismissed),
		cmocka_unit_test(names_that_are_too_long_are_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
