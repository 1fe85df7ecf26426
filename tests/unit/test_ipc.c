// SPDX-License-Identifier: ISC
/* Messages keep what was put in and refuse what does not fit; channels carry descriptors and notice a peer that has gone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/channel.h"

static struct message sample(void)
{
	struct message m = { .type = MESSAGE_CLEANUP_RECIPIENT };

	m.cleanup_recipient.serial = 7;
	m.cleanup_recipient.address = SLICE("a@example.test");
	m.cleanup_recipient.orcpt = SLICE("rfc822;a@example.test");
	m.cleanup_recipient.notify = NOTIFY_NEVER;
	return m;
}

static void what_is_encoded_is_decoded(void **state)
{
	struct message in = sample(), out;
	struct buffer packet = { 0 };

	assert_true(message_encode(&in, &packet));
	assert_true(message_decode(buffer_slice(&packet), &out));
	assert_int_equal(out.type, MESSAGE_CLEANUP_RECIPIENT);
	assert_int_equal(out.cleanup_recipient.serial, 7);
	assert_true(slice_equal(out.cleanup_recipient.address, SLICE("a@example.test")));
	assert_true(slice_equal(out.cleanup_recipient.orcpt, SLICE("rfc822;a@example.test")));
	assert_int_equal(out.cleanup_recipient.notify, NOTIFY_NEVER);
	buffer_free(&packet);
}

static void every_cut_and_every_addition_is_refused(void **state)
{
	struct message in = sample(), out;
	struct buffer packet = { 0 };

	assert_true(message_encode(&in, &packet));
	for (size_t i = 0; i < packet.length; i++)
		assert_false(message_decode(slice_of(packet.data, i), &out));
	assert_true(buffer_add_byte(&packet, 'x'));
	assert_false(message_decode(buffer_slice(&packet), &out));
	buffer_free(&packet);
}

static void a_field_over_its_bound_is_not_encoded(void **state)
{
	static char longer[MAX_ADDRESS + 1];
	struct message m = sample();
	struct buffer packet = { 0 };

	memset(longer, 'x', sizeof(longer));
	m.cleanup_recipient.address = slice_of(longer, sizeof(longer));
	assert_false(message_encode(&m, &packet));
	assert_int_equal(packet.length, 0);
	m.cleanup_recipient.address = slice_of(longer, sizeof(longer) - 1);
	assert_true(message_encode(&m, &packet));
	buffer_clear(&packet);
	m.cleanup_recipient.address = SLICE("a\0b");
	assert_false(message_encode(&m, &packet));
	buffer_free(&packet);
}

static void packets_of_a_list_come_out_in_order_up_to_one_that_did_not_fit(void **state)
{
	static char longer[MAX_ADDRESS + 1];
	struct message in = sample(), out = { 0 };
	struct buffer packets = { 0 };
	struct slice rest;

	assert_true(message_append(&in, &packets));
	in.cleanup_recipient.serial = 8;
	assert_true(message_append(&in, &packets));
	rest = buffer_slice(&packets);
	for (uint32_t serial = 7; serial <= 8; serial++) {
		assert_true(message_next(&rest, &out));
		assert_int_equal(out.cleanup_recipient.serial, serial);
	}
	assert_false(message_next(&rest, &out));
	/* Nobody takes the end of a list for the whole of it: what comes behind the gap is not read. */
	memset(longer, 'x', sizeof(longer));
	in.cleanup_recipient.address = slice_of(longer, sizeof(longer));
	assert_false(message_append(&in, &packets));
	in = sample();
	assert_true(message_append(&in, &packets));
	rest = buffer_slice(&packets);
	assert_true(message_next(&rest, &out) && message_next(&rest, &out));
	assert_false(message_next(&rest, &out));
	buffer_free(&packets);
}

static void every_message_type_survives_a_round_trip_when_empty(void **state)
{
	for (unsigned type = MESSAGE_NONE + 1; type < MESSAGE_TYPES; type++) {
		struct message in = { .type = type }, out;
		struct buffer packet = { 0 };

		assert_true(message_encode(&in, &packet));
		assert_true(message_decode(buffer_slice(&packet), &out));
		assert_int_equal(out.type, type);
		buffer_free(&packet);
	}
}

static int got, closed, last_fd;
static void receive(struct channel *channel, struct message *message)
{
	got++;
	if (message->fd_count)
		last_fd = message_take_fd(message, 0);
}
static void peer_closed(struct channel *channel, const char *why)
{
	closed++;
}

static void descriptors_travel_and_the_end_is_noticed(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct channel a = { 0 }, b = { 0 };
	struct message m = { .type = MESSAGE_QUEUE_FILE, .fd_count = 1 };
	int ends[2], pipes[2];
	char byte;

	got = closed = 0;
	assert_true(channel_pair(ends));
	assert_int_equal(pipe(pipes), 0);
	assert_true(channel_open(&a, loop, ends[0], receive, peer_closed, NULL));
	assert_true(channel_open(&b, loop, ends[1], receive, peer_closed, NULL));
	m.queue_file.queue_name = SLICE("hold");
	m.fds[0] = pipes[0];
	assert_true(channel_send(&a, &m));
	loop_turn(loop, 100);
	assert_int_equal(got, 1);
	assert_int_equal(write(pipes[1], "y", 1), 1);
	assert_int_equal(read(last_fd, &byte, 1), 1);
	assert_int_equal(byte, 'y');
	channel_close(&a);
	loop_turn(loop, 100);
	assert_int_equal(closed, 1);
	assert_false(channel_is_open(&b));
	loop_free(&loop);
}

static const char *heard_at;
static size_t heard_length;

static void hear_secret(struct channel *channel, struct message *message)
{
	heard_at = message->auth_continue.response.data;
	heard_length = message->auth_continue.response.length;
	assert_true(slice_equal(message->auth_continue.response, SLICE("password")));
}

static void what_may_be_a_password_is_wiped_when_it_was_heard(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct channel a = { 0 }, b = { 0 };
	struct message m = { .type = MESSAGE_AUTH_CONTINUE };
	int ends[2];

	assert_true(message_is_secret(MESSAGE_AUTH_BEGIN) &&
		    message_is_secret(MESSAGE_AUTH_CONTINUE) &&
		    message_is_secret(MESSAGE_INTROSPECT_ASK) &&
		    message_is_secret(MESSAGE_PROXYMAP_ANSWER));
	assert_false(message_is_secret(MESSAGE_CLEANUP_CONTENT) ||
		     message_is_secret(MESSAGE_AUTH_RESULT) || message_is_secret(MESSAGE_NONE));
	assert_true(channel_pair(ends));
	assert_true(channel_open(&a, loop, ends[0], receive, peer_closed, NULL));
	assert_true(channel_open(&b, loop, ends[1], hear_secret, peer_closed, NULL));
	m.auth_continue.response = SLICE("password");
	assert_true(channel_send(&a, &m));
	loop_turn(loop, 100);
	assert_int_equal(heard_length, 8);
	for (size_t i = 0; i < heard_length; i++)
		assert_int_equal(heard_at[i], 0);
	channel_close(&a);
	channel_close(&b);
	loop_free(&loop);
}

static void only_what_is_secret_or_no_message_is_wiped(void **state)
{
	struct message m = { .type = MESSAGE_CLEANUP_CONTENT };
	struct buffer packet = { 0 };
	char garbage[] = "\xff\xffpassword";

	m.cleanup_content.chunk = SLICE("content");
	assert_true(message_encode(&m, &packet));
	message_wipe(packet.data, packet.length);
	assert_true(slice_search(buffer_slice(&packet), SLICE("content")) > 0);
	message_wipe(garbage, sizeof(garbage));
	assert_int_equal(garbage[3], 0);
	buffer_free(&packet);
}

static unsigned without_descriptor;

static void count_without_descriptor(struct channel *channel, struct message *message)
{
	without_descriptor += message->type == MESSAGE_QUEUE_FILE && message->fd_count == 0;
}

static void process_without_free_descriptors_keeps_its_peers(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct message message = { .type = MESSAGE_QUEUE_FILE, .fd_count = 1 };
	struct rlimit before, none;
	struct channel channel;
	int ends[2];

	assert_true(channel_pair(ends));
	assert_true(channel_open(
		&channel, loop, ends[0], count_without_descriptor, peer_closed, &channel));
	message.fds[0] = ends[1];
	message.queue_file.queue_name = SLICE("hold");
	assert_true(channel_sync_send(ends[1], &message, loop_monotonic() + 1000));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	without_descriptor = 0;
	loop_turn(loop, 100);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(without_descriptor, 1);
	assert_true(channel_is_open(&channel));
	channel_close(&channel);
	close(ends[1]);
	loop_free(&loop);
}

static void what_is_no_message_ends_the_channel_and_not_the_process(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct channel a = { 0 };
	int ends[2];

	got = closed = 0;
	assert_true(channel_pair(ends));
	assert_true(channel_open(&a, loop, ends[0], receive, peer_closed, NULL));
	assert_int_equal(send(ends[1], "rubbish", 7, 0), 7);
	loop_turn(loop, 100);
	assert_int_equal(closed, 1);
	assert_int_equal(got, 0);
	loop_free(&loop);
}

static void messages_to_a_slow_peer_are_queued_in_order_and_then_bounded(void **state)
{
	struct loop *loop = loop_new(NULL);
	struct channel a = { 0 };
	static char chunk[MAX_CHUNK];
	struct message m = { .type = MESSAGE_CLEANUP_CONTENT }, in;
	struct buffer space = { 0 };
	int ends[2];

	closed = 0;
	assert_true(channel_pair(ends));
	assert_true(channel_open(&a, loop, ends[0], receive, peer_closed, NULL));
	m.cleanup_content.chunk = slice_of(chunk, sizeof(chunk));
	for (uint32_t i = 0; i < 100; i++) {
		m.cleanup_content.serial = i;
		assert_true(channel_send(&a, &m));
	}
	for (uint32_t i = 0; i < 100; i++) {
		loop_turn(loop, 0);
		assert_true(channel_sync_receive(ends[1], &in, &space, loop_monotonic() + 1000));
		assert_int_equal(in.cleanup_content.serial, i);
	}
	for (int i = 0; i < 400 && !closed; i++) {
		channel_send(&a, &m);
		if (i % 50 == 0)
			loop_turn(loop, 0);
	}
	loop_turn(loop, 0);
	assert_int_equal(closed, 1);
	buffer_free(&space);
	loop_free(&loop);
}

static void waiting_ends_at_the_deadline(void **state)
{
	struct message in;
	struct buffer space = { 0 };
	int ends[2];

	assert_true(channel_pair(ends));
	assert_false(channel_sync_receive(ends[0], &in, &space, loop_monotonic() + 20));
	assert_int_equal(errno, ETIMEDOUT);
	close(ends[1]);
	assert_false(channel_sync_receive(ends[0], &in, &space, loop_monotonic() + 1000));
	assert_int_equal(errno, EPIPE);
	close(ends[0]);
	buffer_free(&space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(every_cut_and_every_addition_is_refused),
		cmocka_unit_test(a_field_over_its_bound_is_not_encoded),
		cmocka_unit_test(packets_of_a_list_come_out_in_order_up_to_one_that_did_not_fit),
		cmocka_unit_test(every_message_type_survives_a_round_trip_when_empty),
		cmocka_unit_test(descriptors_travel_and_the_end_is_noticed),
		cmocka_unit_test(what_may_be_a_password_is_wiped_when_it_was_heard),
		cmocka_unit_test(only_what_is_secret_or_no_message_is_wiped),
		cmocka_unit_test(process_without_free_descriptors_keeps_its_peers),
		cmocka_unit_test(what_is_no_message_ends_the_channel_and_not_the_process),
		cmocka_unit_test(messages_to_a_slow_peer_are_queued_in_order_and_then_bounded),
		cmocka_unit_test(waiting_ends_at_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
