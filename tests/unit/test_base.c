// SPDX-License-Identifier: ISC
/* What lib/base promises: slices, buffers, arenas, vectors, maps, the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/share.h"
#include "base/vector.h"

static void numbers_are_digits_only_and_bounded(void **state)
{
	uint64_t n;
	int64_t i;

	assert_true(slice_to_u64(SLICE("18446744073709551615"), UINT64_MAX, &n));
	assert_int_equal(n, UINT64_MAX);
	assert_false(slice_to_u64(SLICE("18446744073709551616"), UINT64_MAX, &n));
	assert_false(slice_to_u64(SLICE(""), 10, &n));
	assert_false(slice_to_u64(SLICE("+1"), 10, &n));
	assert_false(slice_to_u64(SLICE("11"), 10, &n));
	assert_true(slice_to_i64(SLICE("-9223372036854775807"), &i));
	assert_false(slice_to_i64(SLICE("--1"), &i));
}

static void words_and_parts_cover_the_whole_slice(void **state)
{
	struct slice rest = SLICE("a,,b,"), part;

	assert_true(slice_split(&rest, ',', &part) && slice_equal(part, SLICE("a")));
	assert_true(slice_split(&rest, ',', &part) && part.length == 0);
	assert_true(slice_split(&rest, ',', &part) && slice_equal(part, SLICE("b")));
	assert_false(slice_split(&rest, ',', &part));
	rest = SLICE("  one, two ");
	assert_true(slice_word(&rest, ", ", &part) && slice_equal(part, SLICE("one")));
	assert_true(slice_word(&rest, ", ", &part) && slice_equal(part, SLICE("two")));
	assert_false(slice_word(&rest, ", ", &part));
}

static void text_with_nul_is_no_string(void **state)
{
	char text[8];

	assert_false(slice_to_string(SLICE("a\0b"), text, sizeof(text)));
	assert_false(slice_to_string(SLICE("12345678"), text, sizeof(text)));
	assert_true(slice_to_string(SLICE("1234567"), text, sizeof(text)));
}

static void a_buffer_stops_at_its_limit_and_stays_failed(void **state)
{
	struct buffer b = buffer_limited(10);

	assert_true(buffer_add_text(&b, "12345678"));
	assert_false(buffer_add_text(&b, "9AB"));
	assert_int_equal(b.length, 8);
	assert_false(buffer_add_text(&b, "9"));
	buffer_clear(&b);
	assert_true(buffer_add_text(&b, "9"));
	buffer_free(&b);
}

static bool is_blank(const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (data[i])
			return false;
	return true;
}

static void what_leaves_a_secret_buffer_is_wiped(void **state)
{
	struct buffer b = buffer_secret(0);
	struct slice rest;

	assert_true(buffer_add_text(&b, "user password rest"));
	buffer_consume(&b, 14);
	rest = buffer_slice(&b);
	assert_true(slice_equal(rest, SLICE("rest")));
	assert_true(is_blank(rest.data + rest.length, 14));
	buffer_cut(&b, 2);
	assert_true(is_blank(b.data + 2, 16));
	buffer_clear(&b);
	assert_true(is_blank(b.data, 18));
	/* It goes on being secret, with what it holds, however large it becomes. */
	for (int i = 0; i < 1000; i++)
		assert_true(buffer_add_text(&b, "password"));
	assert_true(slice_ends_nocase(buffer_slice(&b), SLICE("wordpassword")));
	assert_int_equal(b.length, 8000);
	buffer_free(&b);
	assert_true(b.secret);
}

static void a_secret_arena_is_wiped_when_it_is_emptied(void **state)
{
	struct arena arena;
	const char *copy;

	arena_init(&arena, 10000);
	arena.secret = true;
	copy = arena_dup(&arena, SLICE("password"));
	assert_non_null(copy);
	/* Its one block stays. */
	arena_reset(&arena);
	assert_true(is_blank(copy, 8));
	arena_free(&arena);
}

static void an_arena_stops_at_its_limit_and_can_be_used_again(void **state)
{
	struct arena arena;

	arena_init(&arena, 10000);
	assert_non_null(arena_alloc(&arena, 9000));
	assert_null(arena_alloc(&arena, 2000));
	assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
	arena_reset(&arena);
	assert_non_null(arena_alloc(&arena, 2000));
	arena_free(&arena);
}

static void a_map_finds_what_was_put_and_not_what_was_removed(void **state)
{
	struct map map = { .limit = 1000 };
	static int values[1000];
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		assert_true(map_put(&map, slice_from(key), &values[i]));
	}
	assert_false(map_put(&map, SLICE("one too many"), &values[0]));
	assert_ptr_equal(map_remove(&map, SLICE("key500")), &values[500]);
	assert_null(map_get(&map, SLICE("key500")));
	assert_ptr_equal(map_get(&map, SLICE("key999")), &values[999]);
	assert_int_equal(map.count, 999);
	map_free(&map);
}

static int64_t now;
static int64_t test_clock(void)
{
	return now;
}
static int fired[64], fired_count;
static void fire(struct timer *timer)
{
	fired[fired_count++] = (int)(intptr_t)timer->context;
}

static void timers_fire_in_order_of_time_whatever_order_they_were_started_in(void **state)
{
	struct loop *loop = loop_new(test_clock);
	struct timer timers[50] = { 0 };
	unsigned order = 7;

	fired_count = 0;
	for (int i = 0; i < 50; i++) {
		order = (order * 13 + 5) % 50;
		timers[i] =
			(struct timer){ .fire = fire, .context = (void *)(intptr_t)(order + 1) };
		assert_true(loop_timer_start(loop, &timers[i], (int64_t)order + 1));
	}
	for (int i = 0; i < 50; i += 3)
		loop_timer_stop(&timers[i]);
	now += 100;
	loop_turn(loop, 0);
	assert_int_equal(fired_count, 50 - 17);
	for (int i = 1; i < fired_count; i++)
		assert_true(fired[i - 1] <= fired[i]);
	loop_free(&loop);
}

static struct watch other;
static int other_ran;
static void stop_other(struct watch *watch, uint32_t events)
{
	loop_unwatch(watch->context);
	other_ran++;
}

static void a_watch_removed_in_the_same_turn_is_not_called(void **state)
{
	struct loop *loop = loop_new(NULL);
	int a[2], b[2];
	struct watch first;

	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	first = (struct watch){
		.fd = a[0], .events = EPOLLIN, .ready = stop_other, .context = &other
	};
	other = (struct watch){
		.fd = b[0], .events = EPOLLIN, .ready = stop_other, .context = &first
	};
	other_ran = 0;
	assert_true(loop_watch(loop, &first) && loop_watch(loop, &other));
	assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
	loop_turn(loop, 100);
	assert_int_equal(other_ran, 1);
	loop_free(&loop);
}

static int deferred_ran;
static void run_deferred_once(struct deferred *deferred)
{
	deferred_ran++;
}

static void a_deferred_call_runs_once_and_a_cancelled_one_never(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct deferred a = { .run = run_deferred_once }, b = { .run = run_deferred_once },
			c = { .run = run_deferred_once };

	deferred_ran = 0;
	loop_defer(loop, &a);
	loop_defer(loop, &b);
	loop_defer(loop, &a);
	loop_cancel(loop, &b);
	loop_defer(loop, &c);
	loop_turn(loop, 0);
	assert_int_equal(deferred_ran, 2);
	loop_free(&loop);
}

static void stop_from_deferred(struct deferred *deferred)
{
	loop_stop(deferred->context);
}

static void a_loop_that_is_stopped_by_what_was_put_off_does_not_wait(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct deferred d = { .run = stop_from_deferred, .context = loop };
	int64_t begin = loop_monotonic();

	loop_defer(loop, &d);
	loop_turn(loop, 3000);
	assert_true(loop_monotonic() - begin < 1000);
	loop_free(&loop);
}

static void nobody_can_take_the_places_of_others(void **state)
{
	static const struct share_bounds BOUNDS = { .own = 2, .most = 6 };
	struct share_pool pool = { .limit = 5 };
	struct share greedy = { 0 }, second = { 0 }, modest = { 0 };
	enum share_place places[6];

	for (int i = 0; i < 6; i++) {
		places[i] = share_take(&pool, &greedy, &BOUNDS);
		assert_int_equal(places[i], i < 2 ? SHARE_OWN : SHARE_BORROWED);
	}
	assert_int_equal(share_take(&pool, &greedy, &BOUNDS), SHARE_NONE);
	assert_int_equal(share_take(&pool, &second, &BOUNDS), SHARE_OWN);
	assert_int_equal(share_take(&pool, &second, &BOUNDS), SHARE_OWN);
	assert_int_equal(share_take(&pool, &second, &BOUNDS), SHARE_BORROWED);
	/* All is taken, and still everybody has what is his. */
	assert_int_equal(share_take(&pool, &second, &BOUNDS), SHARE_NONE);
	assert_int_equal(share_take(&pool, &modest, &BOUNDS), SHARE_OWN);
	assert_int_equal(share_take(&pool, &modest, &BOUNDS), SHARE_OWN);
	assert_int_equal(share_take(&pool, &modest, &BOUNDS), SHARE_NONE);
	share_give(&pool, &greedy, places[5]);
	share_give(&pool, &greedy, places[0]);
	assert_int_equal(share_take(&pool, &modest, &BOUNDS), SHARE_BORROWED);
	assert_int_equal(share_take(&pool, &greedy, &BOUNDS), SHARE_OWN);
	assert_int_equal(share_take(&pool, &greedy, &BOUNDS), SHARE_NONE);
	/* Its holder may be gone before a place comes back. */
	share_give(&pool, NULL, places[4]);
	assert_int_equal(share_take(&pool, &second, &BOUNDS), SHARE_BORROWED);
	share_give(&pool, &greedy, SHARE_NONE);
	assert_int_equal(pool.borrowed, pool.limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_digits_only_and_bounded),
		cmocka_unit_test(words_and_parts_cover_the_whole_slice),
		cmocka_unit_test(text_with_nul_is_no_string),
		cmocka_unit_test(a_buffer_stops_at_its_limit_and_stays_failed),
		cmocka_unit_test(what_leaves_a_secret_buffer_is_wiped),
		cmocka_unit_test(a_secret_arena_is_wiped_when_it_is_emptied),
		cmocka_unit_test(an_arena_stops_at_its_limit_and_can_be_used_again),
		cmocka_unit_test(a_map_finds_what_was_put_and_not_what_was_removed),
		cmocka_unit_test(timers_fire_in_order_of_time_whatever_order_they_were_started_in),
		cmocka_unit_test(a_watch_removed_in_the_same_turn_is_not_called),
		cmocka_unit_test(a_deferred_call_runs_once_and_a_cancelled_one_never),
		cmocka_unit_test(a_loop_that_is_stopped_by_what_was_put_off_does_not_wait),
		cmocka_unit_test(nobody_can_take_the_places_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
