// SPDX-License-Identifier: ISC
/* What failed logins cost, and whose turn it is to have a password hashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/penalty.h"
#include "auth/turns.h"

enum { MINUTE = 60000, WINDOW = 10 * MINUTE };

static struct penalties *make(unsigned network, unsigned account)
{
	struct penalty_limits limits = { .delay = 1000,
		.delay_most = 8000,
		.window = WINDOW,
		.network = network,
		.account = account,
		.known = 60 * MINUTE,
		.exempt = "127.0.0.0/8" };
	struct penalties *penalties = penalties_new(&limits);

	assert_non_null(penalties);
	return penalties;
}

static void delay_doubles_and_goes_down_again(void **state)
{
	struct penalties *p = make(20, 0);
	static const int64_t EXPECTED[] = { 1000, 2000, 4000, 8000, 8000 };

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(penalties_failed(p, 0, "192.0.2.1", "one"), EXPECTED[i]);
	/* Another network begins anew, this one after a window. */
	assert_int_equal(penalties_failed(p, 0, "192.0.2.2", "two"), 1000);
	assert_int_equal(penalties_failed(p, WINDOW / 20 * 3, "192.0.2.1", "one"), 4000);
	assert_int_equal(penalties_failed(p, 3 * WINDOW, "192.0.2.1", "one"), 1000);
	penalties_free(&p);
}

static void network_is_refused_at_its_limit_for_a_while(void **state)
{
	struct penalties *p = make(5, 0);

	for (int i = 0; i < 5; i++) {
		assert_false(penalties_network_refused(p, 0, "192.0.2.1"));
		(void)penalties_failed(p, 0, "192.0.2.1", "one");
	}
	assert_true(penalties_network_refused(p, 0, "192.0.2.1"));
	assert_false(penalties_network_refused(p, 0, "192.0.2.2"));
	/* One attempt more after a fifth of the window, and so on: however long it went on. */
	assert_true(penalties_network_refused(p, WINDOW / 5 - 1, "192.0.2.1"));
	assert_false(penalties_network_refused(p, WINDOW / 5, "192.0.2.1"));
	(void)penalties_failed(p, WINDOW / 5, "192.0.2.1", "one");
	assert_true(penalties_network_refused(p, WINDOW / 5, "192.0.2.1"));
	assert_false(penalties_network_refused(p, 2 * WINDOW, "192.0.2.1"));
	penalties_free(&p);
}

static void network_is_an_address_or_a_64(void **state)
{
	static const char *const NETWORKS[][2] = { { "192.0.2.1", "192.0.2.1" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" }, { "2001:DB8::1", "2001:db8::/64" },
		{ "", "" }, { "local", "local" } };
	struct penalties *p = make(2, 0);
	char network[PENALTY_NETWORK_TEXT];

	for (size_t i = 0; i < sizeof(NETWORKS) / sizeof(NETWORKS[0]); i++) {
		penalty_network(NETWORKS[i][0], network);
		assert_string_equal(network, NETWORKS[i][1]);
	}
	(void)penalties_failed(p, 0, "2001:db8::1", "one");
	(void)penalties_failed(p, 0, "2001:db8::2", "two");
	assert_true(penalties_network_refused(p, 0, "2001:db8::3"));
	assert_false(penalties_network_refused(p, 0, "2001:db8:0:1::3"));
	penalties_free(&p);
}

static void attack(struct penalties *p, int64_t now, const char *login, int networks)
{
	char address[32];

	for (int i = 0; i < networks; i++) {
		snprintf(address, sizeof(address), "198.51.100.%d", i);
		(void)penalties_failed(p, now, address, login);
	}
}

static void account_under_attack_is_refused_to_the_attackers_only(void **state)
{
	struct penalties *p = make(100, 10);

	penalties_good(p, 0, "192.0.2.7", "one");
	attack(p, 0, "one", 50);
	for (int i = 0; i < 50; i++) {
		char address[32];

		snprintf(address, sizeof(address), "198.51.100.%d", i);
		assert_true(penalties_account_refused(p, 0, address, "one"));
	}
	assert_false(penalties_account_refused(p, 0, "198.51.100.1", "two"));
	/* The user's own network, even when others fail there; and one that nobody failed from. */
	(void)penalties_failed(p, 0, "192.0.2.7", "two");
	assert_false(penalties_account_refused(p, 0, "192.0.2.7", "one"));
	assert_false(penalties_account_refused(p, 0, "192.0.2.8", "one"));
	(void)penalties_failed(p, 0, "192.0.2.8", "one");
	assert_true(penalties_account_refused(p, 0, "192.0.2.8", "one"));
	/* It ends. */
	assert_false(penalties_account_refused(p, WINDOW, "192.0.2.8", "one"));
	/* A network is not the user's own for ever. */
	attack(p, 61 * MINUTE, "one", 50);
	(void)penalties_failed(p, 61 * MINUTE, "192.0.2.7", "two");
	assert_true(penalties_account_refused(p, 61 * MINUTE, "192.0.2.7", "one"));
	penalties_free(&p);
}

/* Refused tries are tries: who goes on is refused for his network, and the account is free again in its time. */
static void refused_tries_count_for_the_network_alone(void **state)
{
	struct penalties *p = make(4, 3);

	attack(p, 0, "one", 3);
	for (int i = 0; i < 3; i++) {
		assert_false(penalties_network_refused(p, WINDOW / 100, "198.51.100.1"));
		assert_true(penalties_account_refused(p, WINDOW / 100, "198.51.100.1", "one"));
		assert_int_equal(penalties_refused(p, WINDOW / 100, "198.51.100.1"), 8000);
	}
	assert_true(penalties_network_refused(p, WINDOW / 100, "198.51.100.1"));
	assert_false(penalties_account_refused(p, WINDOW / 3, "198.51.100.1", "one"));
	assert_int_equal(penalties_refused(p, 0, "127.0.0.1"), 8000);
	assert_false(penalties_suspect(p, 0, "127.0.0.1"));
	penalties_free(&p);
}

static void users_typos_at_home_do_not_count_against_the_account(void **state)
{
	struct penalties *p = make(100, 3);

	penalties_good(p, 0, "192.0.2.7", "one");
	for (int i = 0; i < 10; i++)
		(void)penalties_failed(p, 0, "192.0.2.7", "one");
	(void)penalties_failed(p, 0, "198.51.100.1", "one");
	assert_false(penalties_account_refused(p, 0, "198.51.100.1", "one"));
	penalties_free(&p);
}

static void exempt_clients_cost_the_first_delay_only(void **state)
{
	struct penalties *p = make(2, 2);

	for (int i = 0; i < 10; i++)
		assert_int_equal(penalties_failed(p, 0, "127.0.0.1", "one"), 1000);
	assert_false(penalties_network_refused(p, 0, "127.0.0.1"));
	assert_false(penalties_account_refused(p, 0, "127.0.0.1", "one"));
	assert_false(penalties_suspect(p, 0, "127.0.0.1"));
	/* Everybody comes from there: it is nobody's own. */
	penalties_good(p, 0, "127.0.0.1", "one");
	assert_int_equal(penalties_count(p), 0);
	penalties_free(&p);
}

static void memory_is_bounded_whatever_comes(void **state)
{
	struct penalties *p = make(2, 2);
	char address[64], login[32];

	for (int i = 0; i < 3 * PENALTY_KNOWN; i++) {
		snprintf(address, sizeof(address), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		snprintf(login, sizeof(login), "user%d", i);
		(void)penalties_failed(p, i, address, login);
		penalties_good(p, i, address, login);
	}
	assert_int_equal(penalties_count(p), PENALTY_NETWORKS + PENALTY_ACCOUNTS + PENALTY_KNOWN);
	penalties_free(&p);
}

/* --- turns --- */

struct waiting {
	struct turn turn;
	char name;
};

static char order[64];

static void note(void *context, struct turn *turn)
{
	size_t length = strlen(order);

	assert_true(length < sizeof(order) - 1);
	order[length] = ((struct waiting *)turn)->name;
	order[length + 1] = '\0';
}

static void add(struct turns *turns, struct waiting *waiting, const char *names,
	const char *network, bool suspect)
{
	for (size_t i = 0; names[i]; i++) {
		waiting[i].name = names[i];
		assert_true(turns_add(turns, &waiting[i].turn, network, suspect));
	}
}

/* One place after the other becomes free, in the order they were taken. */
static void finish(struct turns *turns, struct waiting *all, size_t count)
{
	for (size_t at = 0; order[at]; at++)
		for (size_t i = 0; i < count; i++)
			if (all[i].name == order[at])
				turns_done(turns, &all[i].turn);
	assert_int_equal(turns->running, 0);
	assert_int_equal(turns->queues.count, 0);
	turns_close(turns);
}

static void networks_take_turns(void **state)
{
	struct waiting all[9] = { 0 };
	struct turns turns;

	order[0] = '\0';
	turns_open(&turns, 1, note, NULL);
	add(&turns, all, "abcde", "192.0.2.1", false);
	add(&turns, all + 5, "ABC", "192.0.2.2", false);
	add(&turns, all + 8, "1", "192.0.2.3", false);
	assert_string_equal(order, "a");
	finish(&turns, all, 9);
	assert_string_equal(order, "abA1cBdCe");
}

static void suspects_come_behind_and_leave_half_the_places(void **state)
{
	struct waiting all[20] = { 0 };
	struct turns turns;

	order[0] = '\0';
	turns_open(&turns, 4, note, NULL);
	add(&turns, all, "abcdef", "198.51.100.1", true);
	assert_string_equal(order, "ab");
	add(&turns, all + 6, "ABCDEFGH", "192.0.2.1", false);
	assert_string_equal(order, "abAB");
	finish(&turns, all, 14);
	/* Every fourth at least is one of theirs. */
	assert_string_equal(order, "abABCDEcFGHdef");
}

static void who_fails_becomes_a_suspect_while_he_waits(void **state)
{
	struct waiting all[8] = { 0 };
	struct turns turns;

	order[0] = '\0';
	turns_open(&turns, 1, note, NULL);
	add(&turns, all, "abcd", "198.51.100.1", false);
	turns_suspect(&turns, "198.51.100.1");
	turns_suspect(&turns, "198.51.100.2");
	add(&turns, all + 4, "AB", "192.0.2.1", false);
	finish(&turns, all, 6);
	assert_string_equal(order, "aABbcd");
}

static void who_waits_is_found_by_his_network(void **state)
{
	struct waiting all[8] = { 0 };
	struct turns turns;

	order[0] = '\0';
	turns_open(&turns, 1, note, NULL);
	add(&turns, all, "a", "192.0.2.1", false);
	assert_null(turns_waiting(&turns, "192.0.2.1"));
	assert_null(turns_waiting(&turns, "192.0.2.2"));
	add(&turns, all + 1, "bc", "192.0.2.1", false);
	add(&turns, all + 3, "A", "192.0.2.2", false);
	assert_ptr_equal(turns_waiting(&turns, "192.0.2.1"), &all[1].turn);
	assert_ptr_equal(all[1].turn.next, &all[2].turn);
	assert_null(all[2].turn.next);
	turns_remove(&turns, &all[1].turn);
	assert_ptr_equal(turns_waiting(&turns, "192.0.2.1"), &all[2].turn);
	finish(&turns, all, 4);
	assert_string_equal(order, "acA");
}

static void least_is_the_last_of_the_suspects_that_crowd_most(void **state)
{
	struct waiting all[8] = { 0 };
	struct turns turns;

	order[0] = '\0';
	turns_open(&turns, 1, note, NULL);
	add(&turns, all, "ABC", "192.0.2.1", false);
	assert_null(turns_least(&turns));
	add(&turns, all + 3, "a", "198.51.100.1", true);
	add(&turns, all + 4, "bc", "198.51.100.2", true);
	assert_ptr_equal(turns_least(&turns), &all[5].turn);
	turns_remove(&turns, &all[5].turn);
	add(&turns, all + 6, "de", "198.51.100.1", true);
	assert_ptr_equal(turns_least(&turns), &all[7].turn);
	finish(&turns, all, 8);
	assert_string_equal(order, "ABCabde");
}

static void who_goes_away_is_not_served(void **state)
{
	struct waiting all[4] = { 0 };
	struct turns turns;

	order[0] = '\0';
	turns_open(&turns, 1, note, NULL);
	add(&turns, all, "ab", "192.0.2.1", false);
	add(&turns, all + 2, "AB", "192.0.2.2", false);
	turns_remove(&turns, &all[1].turn);
	turns_remove(&turns, &all[3].turn);
	finish(&turns, all, 4);
	assert_string_equal(order, "aA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delay_doubles_and_goes_down_again),
		cmocka_unit_test(network_is_refused_at_its_limit_for_a_while),
		cmocka_unit_test(network_is_an_address_or_a_64),
		cmocka_unit_test(account_under_attack_is_refused_to_the_attackers_only),
		cmocka_unit_test(refused_tries_count_for_the_network_alone),
		cmocka_unit_test(users_typos_at_home_do_not_count_against_the_account),
		cmocka_unit_test(exempt_clients_cost_the_first_delay_only),
		cmocka_unit_test(memory_is_bounded_whatever_comes),
		cmocka_unit_test(networks_take_turns),
		cmocka_unit_test(suspects_come_behind_and_leave_half_the_places),
		cmocka_unit_test(who_fails_becomes_a_suspect_while_he_waits),
		cmocka_unit_test(who_waits_is_found_by_his_network),
		cmocka_unit_test(least_is_the_last_of_the_suspects_that_crowd_most),
		cmocka_unit_test(who_goes_away_is_not_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
