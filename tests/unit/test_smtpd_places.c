// SPDX-License-Identifier: ISC
/* Who makes room when all SMTP sessions are busy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "smtpd/places.h"

enum { NOW = 1000000 };

static struct place place(enum client_standing standing, unsigned crowd, int64_t age)
{
	return (struct place){ .standing = standing, .crowd = crowd, .since = NOW - age };
}

static bool yields(struct place held, unsigned crowd)
{
	return place_yields(&held, crowd, NOW);
}

static bool first(struct place a, struct place b)
{
	assert_int_not_equal(place_goes_first(&a, &b), place_goes_first(&b, &a));
	return place_goes_first(&a, &b);
}

static void stranger_of_a_crowd_makes_room_at_once_for_who_comes_alone(void **state)
{
	assert_true(yields(place(CLIENT_STRANGER, 10, 0), 1));
	assert_false(yields(place(CLIENT_STRANGER, 1, 0), 10));
	assert_false(yields(place(CLIENT_STRANGER, 10, 0), 10));
}

static void stranger_has_his_chance_and_no_more(void **state)
{
	assert_false(yields(place(CLIENT_STRANGER, 1, PLACE_CHANCE - 1), 1));
	assert_true(yields(place(CLIENT_STRANGER, 1, PLACE_CHANCE), 1));
	assert_true(yields(place(CLIENT_STRANGER, 1, PLACE_CHANCE), 10));
}

static void who_sends_mail_makes_room_late_and_for_smaller_crowds_only(void **state)
{
	assert_false(yields(place(CLIENT_SENDS, 10, PLACE_SENDING - 1), 1));
	assert_true(yields(place(CLIENT_SENDS, 10, PLACE_SENDING), 1));
	assert_false(yields(place(CLIENT_SENDS, 1, 10 * PLACE_SENDING), 1));
}

static void who_is_known_makes_room_for_nobody(void **state)
{
	assert_false(yields(place(CLIENT_KNOWN, 1000, 1000 * PLACE_SENDING), 0));
}

static void strangers_go_before_senders_crowds_before_others_and_the_oldest_before_the_next(
	void **state)
{
	assert_true(first(place(CLIENT_STRANGER, 1, 1), place(CLIENT_SENDS, 10, 9)));
	assert_true(first(place(CLIENT_STRANGER, 10, 1), place(CLIENT_STRANGER, 1, 9)));
	assert_true(first(place(CLIENT_STRANGER, 3, 9), place(CLIENT_STRANGER, 3, 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stranger_of_a_crowd_makes_room_at_once_for_who_comes_alone),
		cmocka_unit_test(stranger_has_his_chance_and_no_more),
		cmocka_unit_test(who_sends_mail_makes_room_late_and_for_smaller_crowds_only),
		cmocka_unit_test(who_is_known_makes_room_for_nobody),
		cmocka_unit_test(
			strangers_go_before_senders_crowds_before_others_and_the_oldest_before_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
