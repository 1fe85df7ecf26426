// SPDX-License-Identifier: ISC
/* Local submissions: maildrop files and SUBMIT packets become what cleanup takes, or are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>

#include "cleanup/maildrop.h"
#include "cleanup/submission.h"
#include "os/os.h"

static const struct submission_rules RULES = { .origin = "origin.test",
	.domain = "domain.test",
	.append_origin = true,
	.append_domain = true };

/* What cleanup was told, as text. */
static struct buffer told;
static bool deaf;

static bool tell(void *context, const struct message *message)
{
	struct buffer packet = { 0 };
	bool ok = message_encode(message, &packet) && !deaf;

	buffer_free(&packet);
	if (!ok)
		return false;
	switch (message->type) {
	case MESSAGE_CLEANUP_BEGIN:
		return buffer_printf(&told, "begin %u <%.*s> %.*s %x\n",
			message->cleanup_begin.serial, SLICE_ARG(message->cleanup_begin.sender),
			SLICE_ARG(message->cleanup_begin.helo), message->cleanup_begin.flags);
	case MESSAGE_CLEANUP_RECIPIENT:
		return buffer_printf(
			&told, "to <%.*s>\n", SLICE_ARG(message->cleanup_recipient.address));
	case MESSAGE_CLEANUP_CONTENT:
		return buffer_add(&told, message->cleanup_content.chunk);
	case MESSAGE_CLEANUP_END:
		return buffer_printf(&told, "end %u\n", message->cleanup_end.fail);
	default:
		return false;
	}
}

static int setup(void **state)
{
	static struct submission s;

	deaf = false;
	buffer_clear(&told);
	s = (struct submission){ .rules = &RULES, .serial = 7, .uid = 1000, .send = tell };
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	buffer_free(&told);
	return 0;
}

static struct message begin(const char *sender)
{
	struct message m = { .type = MESSAGE_SUBMIT_BEGIN };

	m.submit_begin.sender = slice_from(sender);
	return m;
}

static struct message to(const char *address)
{
	struct message m = { .type = MESSAGE_SUBMIT_RECIPIENT };

	m.submit_recipient.address = slice_from(address);
	return m;
}

static struct message text(struct slice chunk)
{
	struct message m = { .type = MESSAGE_SUBMIT_CONTENT };

	m.submit_content.chunk = chunk;
	return m;
}

static struct message end(bool fail)
{
	struct message m = { .type = MESSAGE_SUBMIT_END };

	m.submit_end.fail = fail;
	return m;
}

static enum submission_status take(struct submission *s, struct message m)
{
	return submission_take(s, &m);
}

static void whole_submission_goes_to_cleanup(void **state)
{
	struct submission *s = *state;

	assert_int_equal(take(s, begin("one")), SUBMISSION_MORE);
	assert_int_equal(take(s, to("two@example")), SUBMISSION_MORE);
	assert_int_equal(take(s, to("three@example.test")), SUBMISSION_MORE);
	assert_int_equal(take(s, text(SLICE("a\nb\n"))), SUBMISSION_MORE);
	assert_int_equal(take(s, end(false)), SUBMISSION_WHOLE);
	assert_string_equal(buffer_text(&told),
		"begin 7 <one@origin.test> userid 1000 1\nto <two@example.domain.test>\n"
		"to <three@example.test>\na\nb\nend 0\n");
	assert_string_equal(s->sender, "one@origin.test");
}

static void null_sender_stays_null(void **state)
{
	assert_int_equal(take(*state, begin("")), SUBMISSION_MORE);
	assert_string_equal(buffer_text(&told), "begin 7 <> userid 1000 1\n");
}

static void line_ends_become_lf_wherever_packets_are_cut(void **state)
{
	static const char in[] = "a\r\nb\rc\r\r\nd\n\r";

	for (size_t cut = 0; cut <= sizeof(in) - 1; cut++) {
		struct submission *s = *state;

		setup(state);
		assert_int_equal(take(s, begin("")), SUBMISSION_MORE);
		buffer_clear(&told);
		assert_int_equal(take(s, text(slice_of(in, cut))), SUBMISSION_MORE);
		assert_int_equal(
			take(s, text(slice_of(in + cut, sizeof(in) - 1 - cut))), SUBMISSION_MORE);
		assert_int_equal(take(s, end(false)), SUBMISSION_WHOLE);
		assert_string_equal(buffer_text(&told), "a\nb\nc\n\nd\n\nend 0\n");
	}
}

static void full_chunk_behind_a_cr_fits(void **state)
{
	static char chunk[MAX_CHUNK];
	struct submission *s = *state;

	memset(chunk, '\r', sizeof(chunk));
	assert_int_equal(take(s, begin("")), SUBMISSION_MORE);
	assert_int_equal(take(s, text(SLICE("\r"))), SUBMISSION_MORE);
	buffer_clear(&told);
	assert_int_equal(take(s, text(slice_of(chunk, sizeof(chunk)))), SUBMISSION_MORE);
	assert_int_equal(told.length, sizeof(chunk));
	memset(chunk, 'x', sizeof(chunk));
	buffer_clear(&told);
	assert_int_equal(take(s, text(slice_of(chunk, sizeof(chunk)))), SUBMISSION_MORE);
	assert_int_equal(told.length, sizeof(chunk) + 1);
}

static void packets_out_of_order_are_refused_and_taken_back(void **state)
{
	struct submission *s = *state;

	assert_int_equal(take(s, to("a@b.test")), SUBMISSION_WRONG);
	setup(state);
	assert_int_equal(take(s, begin("")), SUBMISSION_MORE);
	assert_int_equal(take(s, begin("")), SUBMISSION_WRONG);
	assert_non_null(strstr(buffer_text(&told), "end 1\n"));
	setup(state);
	assert_int_equal(take(s, begin("")), SUBMISSION_MORE);
	assert_int_equal(take(s, text(SLICE("x"))), SUBMISSION_MORE);
	assert_int_equal(take(s, to("a@b.test")), SUBMISSION_WRONG);
	assert_int_equal(take(s, end(false)), SUBMISSION_WRONG);
	setup(state);
	assert_int_equal(take(s, begin("")), SUBMISSION_MORE);
	assert_int_equal(take(s, end(true)), SUBMISSION_CANCELLED);
	assert_non_null(strstr(buffer_text(&told), "end 1\n"));
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[] = { "a b@c.test", "a@b@c.test", "a\nb@c.test", "<a@b.test",
		"a@b.test> x", "a@-b.test", "@", "a@b.test, c@d.test" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(state);
		assert_int_equal(take(*state, begin(bad[i])), SUBMISSION_BAD_SENDER);
		assert_int_equal(told.length, 0);
		setup(state);
		assert_int_equal(take(*state, begin("")), SUBMISSION_MORE);
		assert_int_equal(take(*state, to(bad[i])), SUBMISSION_BAD_RECIPIENT);
		assert_non_null(strstr(buffer_text(&told), "end 1\n"));
	}
	setup(state);
	assert_int_equal(take(*state, begin("")), SUBMISSION_MORE);
	assert_int_equal(take(*state, to("")), SUBMISSION_BAD_RECIPIENT);
}

static void lost_cleanup_is_told(void **state)
{
	deaf = true;
	assert_int_equal(take(*state, begin("")), SUBMISSION_LOST);
	setup(state);
	assert_int_equal(take(*state, begin("")), SUBMISSION_MORE);
	deaf = true;
	assert_int_equal(take(*state, text(SLICE("x"))), SUBMISSION_LOST);
}

static void add_packet(struct buffer *file, struct message m)
{
	struct buffer packet = { 0 };
	char length[4];

	assert_true(message_encode(&m, &packet));
	for (int i = 0; i < 4; i++)
		length[i] = (char)(packet.length >> (8 * i));
	buffer_append(file, length, 4);
	buffer_add(file, buffer_slice(&packet));
	buffer_free(&packet);
}

static int file_of(struct slice bytes)
{
	int fd = memfd_create("maildrop", MFD_CLOEXEC);

	assert_true(fd >= 0 && os_pwrite_all(fd, bytes.data, bytes.length, 0));
	return fd;
}

static void maildrop_file_is_read_packet_by_packet(void **state)
{
	static char chunk[MAX_CHUNK];
	struct buffer file = { 0 };
	struct maildrop_reader reader;
	struct message m;

	memset(chunk, 'x', sizeof(chunk));
	add_packet(&file, begin("a"));
	for (int i = 0; i < 5; i++)
		add_packet(&file, text(slice_of(chunk, sizeof(chunk))));
	add_packet(&file, end(false));
	maildrop_open(&reader, file_of(buffer_slice(&file)));
	assert_int_equal(maildrop_next(&reader, &m), MAILDROP_MESSAGE);
	assert_true(slice_equal(m.submit_begin.sender, SLICE("a")));
	for (int i = 0; i < 5; i++) {
		assert_int_equal(maildrop_next(&reader, &m), MAILDROP_MESSAGE);
		assert_true(slice_equal(m.submit_content.chunk, slice_of(chunk, sizeof(chunk))));
	}
	assert_int_equal(maildrop_next(&reader, &m), MAILDROP_MESSAGE);
	assert_int_equal(m.type, MESSAGE_SUBMIT_END);
	assert_int_equal(maildrop_next(&reader, &m), MAILDROP_END);
	maildrop_close(&reader);
	buffer_free(&file);
}

static void every_torn_maildrop_file_is_bad(void **state)
{
	struct buffer file = { 0 };

	add_packet(&file, begin("a"));
	add_packet(&file, end(false));
	for (size_t length = 1; length < file.length; length++) {
		struct maildrop_reader reader;
		enum maildrop_status status;
		struct message m;
		bool ended = false;

		maildrop_open(&reader, file_of(slice_of(file.data, length)));
		while ((status = maildrop_next(&reader, &m)) == MAILDROP_MESSAGE)
			ended = ended || m.type == MESSAGE_SUBMIT_END;
		assert_true(status == MAILDROP_BAD || status == MAILDROP_END);
		assert_false(ended);
		maildrop_close(&reader);
	}
	buffer_free(&file);
}

static void other_messages_do_not_come_out_of_maildrop(void **state)
{
	struct buffer file = { 0 };
	struct maildrop_reader reader;
	struct message m = { .type = MESSAGE_QUEUE_ARRIVED };

	add_packet(&file, m);
	maildrop_open(&reader, file_of(buffer_slice(&file)));
	assert_int_equal(maildrop_next(&reader, &m), MAILDROP_BAD);
	maildrop_close(&reader);
	buffer_free(&file);
}

static void names_in_maildrop_are_plain(void **state)
{
	assert_true(maildrop_name_good(SLICE("0123-abc_D.5")));
	assert_false(maildrop_name_good(SLICE("a.tmp")));
	assert_false(maildrop_name_good(SLICE("a.bad")));
	assert_false(maildrop_name_good(SLICE(".hidden")));
	assert_false(maildrop_name_good(SLICE("a b")));
	assert_false(maildrop_name_good(SLICE("a\nb")));
	assert_false(maildrop_name_good(SLICE("")));
	assert_true(maildrop_name_unfinished(SLICE("a.tmp")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(whole_submission_goes_to_cleanup),
		TEST(null_sender_stays_null),
		TEST(line_ends_become_lf_wherever_packets_are_cut),
		TEST(full_chunk_behind_a_cr_fits),
		TEST(packets_out_of_order_are_refused_and_taken_back),
		TEST(bad_addresses_are_refused),
		TEST(lost_cleanup_is_told),
		TEST(maildrop_file_is_read_packet_by_packet),
		TEST(every_torn_maildrop_file_is_bad),
		TEST(other_messages_do_not_come_out_of_maildrop),
		TEST(names_in_maildrop_are_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
