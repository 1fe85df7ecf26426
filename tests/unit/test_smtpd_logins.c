// SPDX-License-Identifier: ISC
/* Who logged in in one SMTP session, as its spawner keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "smtpd/logins.h"

static bool add(struct logins *logins, const char *login, const char *app)
{
	const struct message_auth_login notice = { .login = slice_from(login),
		.app = slice_from(app),
		.client_address = SLICE("192.0.2.1") };

	return logins_add(logins, &notice, 7);
}

static bool concerned(const struct logins *logins, const char *login, const char *app)
{
	char names[100];
	struct message_sessions_order order = { .action = SESSIONS_END, .app = slice_from(app) };

	order.logins = slice_of(names, (size_t)snprintf(names, sizeof(names), "%s", login) + 1);
	return logins_concerned(logins, &order);
}

static void all_who_logged_in_are_concerned_and_nobody_else(void **state)
{
	struct logins logins = { 0 };

	assert_false(concerned(&logins, "one@example.org", ""));
	assert_true(add(&logins, "one@example.org", ""));
	assert_true(add(&logins, "two@example.org", "phone"));
	assert_true(concerned(&logins, "one@example.org", ""));
	assert_true(concerned(&logins, "two@example.org", ""));
	assert_true(concerned(&logins, "two@example.org", "phone"));
	assert_false(concerned(&logins, "two@example.org", "tablet"));
	assert_false(concerned(&logins, "one@example.org", "phone"));
	assert_false(concerned(&logins, "three@example.org", ""));
}

static void all_are_listed(void **state)
{
	const struct message_sessions_order order = { .order = 9 };
	struct message_sessions_row row;
	struct logins logins = { 0 };
	unsigned at = 0;

	assert_true(add(&logins, "one@example.org", ""));
	assert_true(add(&logins, "two@example.org", "phone"));
	assert_true(logins_next(&logins, &order, &at, &row));
	assert_true(slice_equal(row.login, SLICE("one@example.org")));
	assert_true(logins_next(&logins, &order, &at, &row));
	assert_true(slice_equal(row.login, SLICE("two@example.org")));
	assert_true(slice_equal(row.app, SLICE("phone")));
	assert_int_equal(row.order, 9);
	assert_int_equal(row.since, 7);
	assert_false(logins_next(&logins, &order, &at, &row));
}

static void who_logs_in_too_often_is_not_to_go_on(void **state)
{
	struct logins logins = { 0 };
	char name[20];

	for (int i = 0; i < LOGINS_MOST; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		assert_true(add(&logins, name, ""));
	}
	assert_true(add(&logins, "user0", ""));
	assert_false(add(&logins, "another", ""));
	assert_int_equal(logins.count, LOGINS_MOST);
	logins.count = 0;
	assert_false(add(&logins, "", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_who_logged_in_are_concerned_and_nobody_else),
		cmocka_unit_test(all_are_listed),
		cmocka_unit_test(who_logs_in_too_often_is_not_to_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
