// SPDX-License-Identifier: ISC
/* Networks, and counts and rates by client address: lib/service/network.c and clients.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "service/clients.h"

#define EACH_ALONE .ipv4_prefix = 32, .ipv6_prefix = 128

static void address_in_a_network_matches(void **state)
{
	const char *list = "10.0.0.0/8, 192.0.2.128/25 [2001:db8::]/32\n203.0.113.7";

	assert_true(network_match(list, "10.255.0.1"));
	assert_true(network_match(list, "192.0.2.200"));
	assert_false(network_match(list, "192.0.2.127"));
	assert_true(network_match(list, "2001:db8:1::1"));
	assert_false(network_match(list, "2001:db9::1"));
	assert_true(network_match(list, "203.0.113.7"));
	assert_false(network_match(list, "203.0.113.8"));
	assert_false(network_match("", "10.0.0.1"));
	assert_false(network_match(NULL, "10.0.0.1"));
	assert_true(network_match("0.0.0.0/0", "8.8.8.8"));
	assert_false(network_match("0.0.0.0/0", "::1"));
	assert_true(network_match("[::1]/128 [fe80::]/10", "febf::1"));
	assert_true(network_match("::1", "::1"));
}

static void mapped_address_is_its_ipv4_address(void **state)
{
	assert_true(network_match("127.0.0.0/8", "::ffff:127.0.0.1"));
	assert_true(network_match("::ffff:127.0.0.1", "127.0.0.1"));
	assert_false(network_match("[::]/0", "127.0.0.1"));
}

static void first_match_decides_and_exclamation_excludes(void **state)
{
	assert_false(network_match("!10.1.0.0/16, 10.0.0.0/8", "10.1.2.3"));
	assert_true(network_match("!10.1.0.0/16, 10.0.0.0/8", "10.2.2.3"));
	assert_true(network_match("10.0.0.0/8 !10.1.0.0/16", "10.1.2.3"));
}

static void nonsense_matches_nobody(void **state)
{
	const char *const items[] = { "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "/8",
		"!", "[10.0.0.1", "example.com", "cidr:/etc/networks", "10.0.0.0/8/8",
		"1000:1000::/12x" };

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		assert_false(network_match(items[i], "10.0.0.1"));
	assert_false(network_match("0.0.0.0/0", "unknown"));
	assert_false(network_match("0.0.0.0/0", ""));
	assert_false(network_match("0.0.0.0/0", NULL));
}

static void network_of_an_address_has_its_first_bits(void **state)
{
	static const struct {
		const char *address;
		unsigned ipv4, ipv6;
		const char *network;
	} CASES[] = { { "192.0.2.1", 32, 64, "192.0.2.1" },
		{ "192.0.2.255", 25, 64, "192.0.2.128/25" }, { "192.0.2.1", 0, 64, "0.0.0.0/0" },
		{ "2001:db8:1:2:ffff:ffff::1", 32, 64, "2001:db8:1:2::/64" },
		{ "2001:db8:1:2:3:ffff:ffff:1", 32, 84, "2001:db8:1:2:3:f000::/84" },
		{ "2001:db8::1", 32, 128, "2001:db8::1" }, { "::1", 32, 0, "::/0" },
		{ "::ffff:192.0.2.1", 24, 64, "192.0.2.0/24" }, { "unknown", 8, 8, "unknown" } };
	char network[NETWORK_TEXT], longest[100];

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		network_of(CASES[i].address, CASES[i].ipv4, CASES[i].ipv6, network);
		assert_string_equal(network, CASES[i].network);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	network_of(longest, 32, 64, network);
	assert_int_equal(strlen(network), NETWORK_TEXT - 1);
}

static void clients_of_one_network_count_as_one(void **state)
{
	const struct front_limits limits = { .connections_per_client = 2,
		.unit = 1000,
		.exempt = "[2001:db8::5]",
		.ipv4_prefix = 32,
		.ipv6_prefix = 64 };
	struct clients c;

	assert_true(clients_open(&c, &limits));
	assert_int_equal(clients_enter(&c, "2001:db8::1", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_enter(&c, "2001:db8::2", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_enter(&c, "2001:db8::3", 0), FRONT_TOO_MANY_FROM_CLIENT);
	assert_int_equal(clients_count(&c, "2001:db8::9"), 2);
	assert_false(clients_rate(&c, "2001:db8::1", 1, 1, 0));
	assert_true(clients_rate(&c, "2001:db8::2", 1, 1, 0));
	/* exempt among them, whoever came first */
	for (int i = 0; i < 3; i++)
		assert_int_equal(clients_enter(&c, "2001:db8::5", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_enter(&c, "2001:db8::3", 0), FRONT_TOO_MANY_FROM_CLIENT);
	/* of another network, and of another family */
	assert_int_equal(clients_enter(&c, "2001:db8:0:1::1", 0), FRONT_ACCEPTED);
	for (int i = 1; i <= 3; i++) {
		char address[16];

		snprintf(address, sizeof(address), "192.0.2.%d", i);
		assert_int_equal(clients_enter(&c, address, 0), FRONT_ACCEPTED);
	}
	clients_leave(&c, "2001:db8::1", 0);
	assert_int_equal(clients_enter(&c, "2001:db8::3", 0), FRONT_ACCEPTED);
	clients_free(&c);
}

static void crowd_is_who_nobody_trusts_yet(void **state)
{
	const struct front_limits limits = {
		.unit = 1000, .exempt = "192.0.2.5", .ipv4_prefix = 24, .ipv6_prefix = 64
	};
	char network[NETWORK_TEXT];
	struct clients c;

	assert_true(clients_open(&c, &limits));
	clients_network(&c, "192.0.2.1", network);
	assert_string_equal(network, "192.0.2.0/24");
	assert_int_equal(clients_crowd(&c, network), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_crowd(&c, network), 3);
	clients_trust(&c, "192.0.2.2", true);
	assert_int_equal(clients_crowd(&c, network), 2);
	clients_trust(&c, "192.0.2.1", false);
	clients_trust(&c, "192.0.2.1", false);
	assert_int_equal(clients_crowd(&c, network), 3);
	for (int i = 0; i < 4; i++)
		clients_trust(&c, "192.0.2.1", true);
	assert_int_equal(clients_crowd(&c, network), 0);
	/* He who was cut off comes again, and is looked at so until the time unit is over. */
	assert_false(clients_rate(&c, "192.0.2.7", CLIENTS_CUT_OFF, UINT32_MAX, 10));
	assert_int_equal(clients_crowd(&c, network), 1);
	for (int i = 0; i < 3; i++) {
		clients_trust(&c, "192.0.2.1", false);
		clients_leave(&c, "192.0.2.1", 20);
	}
	assert_int_equal(clients_crowd(&c, network), 1);
	assert_int_equal(clients_enter(&c, "192.0.2.1", 999), FRONT_ACCEPTED);
	assert_int_equal(clients_crowd(&c, network), 2);
	assert_int_equal(clients_enter(&c, "192.0.2.1", 1000), FRONT_ACCEPTED);
	assert_int_equal(clients_crowd(&c, network), 2);
	/* Of many users behind one address none is in another's way. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(clients_enter(&c, "192.0.2.5", 0), FRONT_ACCEPTED);
	clients_network(&c, "192.0.2.5", network);
	assert_int_equal(clients_crowd(&c, network), 1);
	clients_free(&c);
}

static void clients_over_their_count_are_refused(void **state)
{
	const struct front_limits limits = { .connections = 4,
		.connections_per_client = 2,
		.unit = 1000,
		.exempt = "127.0.0.0/8",
		EACH_ALONE };
	struct clients c;

	assert_true(clients_open(&c, &limits));
	assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_TOO_MANY_FROM_CLIENT);
	assert_int_equal(clients_count(&c, "192.0.2.1"), 2);
	assert_int_equal(clients_enter(&c, "127.0.0.1", 0), FRONT_ACCEPTED);
	clients_leave(&c, "192.0.2.1", 0);
	assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_ACCEPTED);
	assert_int_equal(clients_enter(&c, "127.0.0.1", 0), FRONT_ACCEPTED);
	/* nobody is exempt from the limit of all connections */
	assert_int_equal(clients_enter(&c, "127.0.0.1", 0), FRONT_TOO_MANY);
	assert_int_equal(clients_enter(&c, "198.51.100.1", 0), FRONT_TOO_MANY);
	clients_free(&c);
}

static void exempt_clients_have_no_count_limit(void **state)
{
	const struct front_limits limits = { .connections_per_client = 1,
		.rate_per_client = 1,
		.unit = 1000,
		.exempt = "127.0.0.0/8",
		EACH_ALONE };
	struct clients c;

	assert_true(clients_open(&c, &limits));
	for (int i = 0; i < 100; i++) {
		assert_int_equal(clients_enter(&c, "127.0.0.1", 0), FRONT_ACCEPTED);
		assert_false(clients_rate(&c, "127.0.0.1", 1, 1, 0));
	}
	clients_free(&c);
}

static void rate_counts_within_one_unit(void **state)
{
	const struct front_limits limits = { .rate_per_client = 2, .unit = 1000, EACH_ALONE };
	struct clients c;

	assert_true(clients_open(&c, &limits));
	for (int64_t now = 0; now < 5000; now += 1000) {
		for (int i = 0; i < 2; i++) {
			assert_int_equal(clients_enter(&c, "192.0.2.1", now), FRONT_ACCEPTED);
			clients_leave(&c, "192.0.2.1", now);
		}
		assert_int_equal(clients_enter(&c, "192.0.2.1", now), FRONT_TOO_FAST);
		assert_int_equal(clients_enter(&c, "192.0.2.2", now), FRONT_ACCEPTED);
		clients_leave(&c, "192.0.2.2", now);
	}
	assert_false(clients_rate(&c, "192.0.2.9", 1, 2, 5000));
	assert_false(clients_rate(&c, "192.0.2.9", 1, 2, 5000));
	assert_false(clients_rate(&c, "192.0.2.9", 2, 2, 5000));
	assert_true(clients_rate(&c, "192.0.2.9", 1, 2, 5999));
	assert_false(clients_rate(&c, "192.0.2.9", 1, 2, 6000));
	clients_free(&c);
}

static void addresses_are_forgotten(void **state)
{
	const struct front_limits limits = {
		.connections_per_client = 10, .unit = 1000, EACH_ALONE
	};
	const struct front_limits rates = { .rate_per_client = 10, .unit = 1000, EACH_ALONE };
	struct clients c;
	char address[32];

	/* without rates there is nothing to remember */
	assert_true(clients_open(&c, &limits));
	assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_ACCEPTED);
	assert_int_equal(c.map.count, 1);
	clients_leave(&c, "192.0.2.1", 0);
	clients_leave(&c, "192.0.2.1", 0);
	assert_int_equal(c.map.count, 0);
	assert_int_equal(c.connections, 0);
	clients_free(&c);

	assert_true(clients_open(&c, &rates));
	assert_int_equal(clients_enter(&c, "192.0.2.1", 0), FRONT_ACCEPTED);
	for (int i = 0; i < CLIENTS_REMEMBERED + 1000; i++) {
		snprintf(address, sizeof(address), "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		assert_int_equal(clients_enter(&c, address, 1), FRONT_ACCEPTED);
		clients_leave(&c, address, 1);
	}
	assert_int_equal(c.map.count, CLIENTS_REMEMBERED + 1);
	clients_expire(&c, 1000);
	assert_int_equal(c.map.count, CLIENTS_REMEMBERED + 1);
	clients_expire(&c, 1001);
	assert_int_equal(c.map.count, 1);
	assert_int_equal(clients_count(&c, "192.0.2.1"), 1);
	clients_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_in_a_network_matches),
		cmocka_unit_test(mapped_address_is_its_ipv4_address),
		cmocka_unit_test(first_match_decides_and_exclamation_excludes),
		cmocka_unit_test(nonsense_matches_nobody),
		cmocka_unit_test(network_of_an_address_has_its_first_bits),
		cmocka_unit_test(clients_of_one_network_count_as_one),
		cmocka_unit_test(crowd_is_who_nobody_trusts_yet),
		cmocka_unit_test(clients_over_their_count_are_refused),
		cmocka_unit_test(exempt_clients_have_no_count_limit),
		cmocka_unit_test(rate_counts_within_one_unit),
		cmocka_unit_test(addresses_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
