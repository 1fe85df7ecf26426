// SPDX-License-Identifier: ISC
/* Destinations of the queue manager: turns, limits, suspension, back-off. The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "qmgr/qmgr.h"

static const struct slice NONE = { "", 0 };
#define SECOND 1000000ll

static struct qmgr q;

static int setup(void **state)
{
	q = (struct qmgr){ .agents_allowed = PEER(VIRTUAL),
		.settings = { .minimal_backoff = 300 * SECOND, .maximal_backoff = 4000 * SECOND } };
	return 0;
}

static struct transport *transport_named(
	const char *name, uint32_t concurrency, uint32_t recipients)
{
	struct transport *transport = schedule_transport(&q, slice_from(name));

	assert_non_null(transport);
	transport->concurrency_limit = concurrency;
	transport->delivery_recipients = recipients;
	return transport;
}

static void make_mail(struct mail *mail, uint32_t recipients)
{
	*mail = (struct mail){ .qmgr = &q, .left = recipients };
	arena_init(&mail->arena, 1 << 20);
}

static void add(struct transport *transport, const char *key, struct mail *mail, uint32_t recipient)
{
	struct destination *destination = schedule_destination(transport, slice_from(key));

	assert_non_null(destination);
	assert_true(schedule_add(destination, mail, recipient));
}

static void end(struct transport *transport)
{
	struct delivery *delivery;

	while ((delivery = schedule_next(transport)))
		schedule_over(delivery, SCHEDULE_WORKED, NONE, NONE, 0);
	schedule_resume(&q, 0, true);
	assert_int_equal(transport->destinations.count, 0);
	map_free(&transport->destinations);
	map_remove(&q.transports, slice_from(transport->name));
	free(transport->name);
	free(transport);
	map_free(&q.transports);
}

static void backoff_is_the_age_within_its_bounds(void **state)
{
	int64_t now = 1000000 * SECOND;

	/* random 1000 is no jitter at all */
	assert_int_equal(
		schedule_backoff(&q.settings, now, now - 10 * SECOND, 1000) - now, 300 * SECOND);
	assert_int_equal(
		schedule_backoff(&q.settings, now, now - 900 * SECOND, 1000) - now, 900 * SECOND);
	assert_int_equal(schedule_backoff(&q.settings, now, now - 90000 * SECOND, 1000) - now,
		4000 * SECOND);
	/* an arrival in the future (the clock was set back) is no negative age */
	assert_int_equal(
		schedule_backoff(&q.settings, now, now + 900 * SECOND, 1000) - now, 300 * SECOND);
}

static void backoff_differs_by_a_tenth_at_most(void **state)
{
	int64_t now = 1000000 * SECOND, least = INT64_MAX, most = 0;

	for (uint32_t random = 0; random < 5000; random++) {
		int64_t wait =
			schedule_backoff(&q.settings, now, now - 1000 * SECOND, random) - now;

		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_int_equal(least, 900 * SECOND);
	assert_int_equal(most, 1100 * SECOND);
}

static void recipients_of_one_destination_go_together_up_to_the_limit(void **state)
{
	struct transport *transport = transport_named("smtp", 20, 3);
	struct delivery *delivery;
	struct mail mail;

	make_mail(&mail, 5);
	for (uint32_t i = 0; i < 5; i++)
		add(transport, "mx.example.org", &mail, i);
	assert_int_equal(mail.deliveries, 2);
	delivery = schedule_next(transport);
	assert_int_equal(delivery->count, 3);
	assert_int_equal(delivery->recipients[2], 2);
	schedule_over(delivery, SCHEDULE_WORKED, NONE, NONE, 0);
	delivery = schedule_next(transport);
	assert_int_equal(delivery->count, 2);
	schedule_over(delivery, SCHEDULE_WORKED, NONE, NONE, 0);
	end(transport);
	arena_free(&mail.arena);
}

static void each_mailbox_is_a_delivery_of_its_own(void **state)
{
	struct transport *transport = transport_named("virtual", 20, 50);
	struct mail mail;

	make_mail(&mail, 2);
	add(transport, "example.test/one", &mail, 0);
	add(transport, "example.test/one", &mail, 1);
	assert_int_equal(mail.deliveries, 2);
	end(transport);
	arena_free(&mail.arena);
}

static void destinations_take_turns(void **state)
{
	struct transport *transport = transport_named("smtp", 20, 1);
	const char *order[4];
	struct delivery *delivery[4];
	struct mail mail;

	make_mail(&mail, 4);
	add(transport, "a", &mail, 0);
	add(transport, "a", &mail, 1);
	add(transport, "a", &mail, 2);
	add(transport, "b", &mail, 3);
	for (int i = 0; i < 4; i++) {
		delivery[i] = schedule_next(transport);
		order[i] = delivery[i]->destination->key;
	}
	assert_string_equal(order[0], "a");
	assert_string_equal(order[1], "b");
	assert_string_equal(order[2], "a");
	assert_null(schedule_next(transport));
	for (int i = 0; i < 4; i++)
		schedule_over(delivery[i], SCHEDULE_WORKED, NONE, NONE, 0);
	end(transport);
	arena_free(&mail.arena);
}

static void a_destination_gets_no_more_than_its_limit_at_a_time(void **state)
{
	struct transport *transport = transport_named("smtp", 2, 1);
	struct delivery *first, *second, *third;
	struct mail mail;

	make_mail(&mail, 3);
	for (uint32_t i = 0; i < 3; i++)
		add(transport, "a", &mail, i);
	first = schedule_next(transport);
	second = schedule_next(transport);
	assert_non_null(second);
	assert_null(schedule_next(transport));
	schedule_over(first, SCHEDULE_WORKED, NONE, NONE, 0);
	third = schedule_next(transport);
	assert_non_null(third);
	schedule_over(second, SCHEDULE_WORKED, NONE, NONE, 0);
	schedule_over(third, SCHEDULE_WORKED, NONE, NONE, 0);
	end(transport);
	arena_free(&mail.arena);
}

/* Fail `times` deliveries to "a" at loop time `now`; the destination. */
static struct destination *fail_times(
	struct transport *transport, struct mail *mail, unsigned times, int64_t now)
{
	for (unsigned i = 0; i < times; i++) {
		add(transport, "a", mail, 0);
		schedule_over(schedule_next(transport), SCHEDULE_FAILED, SLICE("4.2.0"),
			SLICE("disk is full"), now);
	}
	return schedule_destination(transport, SLICE("a"));
}

static void failures_in_a_row_suspend_a_destination_and_the_wait_doubles(void **state)
{
	struct transport *transport = transport_named("smtp", 20, 1);
	struct destination *destination;
	struct mail mail;

	make_mail(&mail, 1);
	destination = fail_times(transport, &mail, QMGR_FAILURES - 1, 1000);
	assert_int_equal(destination->suspended, 0);
	destination = fail_times(transport, &mail, 1, 1000);
	assert_in_range(destination->suspended, 1000 + 270000, 1000 + 330000);
	assert_string_equal(destination->reason, "disk is full");
	assert_string_equal(destination->dsn, "4.2.0");
	schedule_resume(&q, 400000, false);
	assert_int_equal(destination->suspended, 0);
	fail_times(transport, &mail, 1, 400000);
	assert_in_range(destination->suspended, 400000 + 540000, 400000 + 660000);
	end(transport);
	arena_free(&mail.arena);
}

static void one_success_forgets_the_failures(void **state)
{
	struct transport *transport = transport_named("smtp", 20, 1);
	struct destination *destination;
	struct mail mail;

	make_mail(&mail, 1);
	fail_times(transport, &mail, QMGR_FAILURES - 1, 1000);
	add(transport, "a", &mail, 0);
	schedule_over(schedule_next(transport), SCHEDULE_WORKED, NONE, NONE, 1000);
	assert_int_equal(transport->destinations.count, 0);
	destination = fail_times(transport, &mail, 1, 1000);
	assert_int_equal(destination->failures, 1);
	assert_int_equal(destination->suspended, 0);
	end(transport);
	arena_free(&mail.arena);
}

static void what_an_agent_left_behind_comes_first(void **state)
{
	struct transport *transport = transport_named("smtp", 20, 1);
	struct delivery *delivery, *again;
	struct mail mail;

	make_mail(&mail, 2);
	add(transport, "a", &mail, 0);
	add(transport, "a", &mail, 1);
	delivery = schedule_next(transport);
	schedule_again(delivery);
	again = schedule_next(transport);
	assert_ptr_equal(again, delivery);
	schedule_over(again, SCHEDULE_WORKED, NONE, NONE, 0);
	end(transport);
	arena_free(&mail.arena);
}

static void transports_that_are_not_built_are_known_as_such(void **state)
{
	struct transport *virtual = transport_named("virtual", 1, 1),
			 *smtp = transport_named("smtp", 1, 1);
	struct transport *error = transport_named("error", 1, 1),
			 *other = transport_named("no-such", 1, 1);

	assert_int_equal(virtual->kind, TRANSPORT_AGENT);
	assert_true(virtual->by_mailbox);
	assert_int_equal(smtp->kind, TRANSPORT_UNAVAILABLE);
	assert_int_equal(error->kind, TRANSPORT_ERROR);
	assert_int_equal(other->kind, TRANSPORT_UNAVAILABLE);
	end(virtual);
	end(smtp);
	end(error);
	end(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(backoff_is_the_age_within_its_bounds, setup),
		cmocka_unit_test_setup(backoff_differs_by_a_tenth_at_most, setup),
		cmocka_unit_test_setup(
			recipients_of_one_destination_go_together_up_to_the_limit, setup),
		cmocka_unit_test_setup(each_mailbox_is_a_delivery_of_its_own, setup),
		cmocka_unit_test_setup(destinations_take_turns, setup),
		cmocka_unit_test_setup(a_destination_gets_no_more_than_its_limit_at_a_time, setup),
		cmocka_unit_test_setup(
			failures_in_a_row_suspend_a_destination_and_the_wait_doubles, setup),
		cmocka_unit_test_setup(one_success_forgets_the_failures, setup),
		cmocka_unit_test_setup(what_an_agent_left_behind_comes_first, setup),
		cmocka_unit_test_setup(transports_that_are_not_built_are_known_as_such, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
