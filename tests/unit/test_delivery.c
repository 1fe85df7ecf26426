// SPDX-License-Identifier: ISC
/* What virtual checks and adds: mailbox paths, header lines, delivery loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "local/delivery.h"

static void mailbox_paths_stay_below_the_mail_folder(void **state)
{
	static const char *const GOOD[] = { "example.test/one", "one", "a/b/c",
		"example.test/j.doe", "x/o'neil" };
	static const char *const BAD[] = { "", "/", "/etc", "../x", "a/../b", "a/..", ".", "a/.",
		"a//b", "a/", ".hidden", "a/.ssh", "a\nb", "a/\x7f" };

	for (size_t i = 0; i < sizeof(GOOD) / sizeof(*GOOD); i++)
		assert_true(delivery_mailbox_valid(slice_from(GOOD[i])));
	for (size_t i = 0; i < sizeof(BAD) / sizeof(*BAD); i++)
		assert_false(delivery_mailbox_valid(slice_from(BAD[i])));
	assert_false(delivery_mailbox_valid(slice_of("a\0b", 3)));
	assert_false(delivery_mailbox_valid(SLICE("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a")));
}

static void a_mailbox_path_of_any_length_is_bounded(void **state)
{
	char path[DELIVERY_PATH + 2];

	memset(path, 'a', sizeof(path));
	assert_true(delivery_mailbox_valid(slice_of(path, 255)));
	assert_false(delivery_mailbox_valid(slice_of(path, 256)));
	for (size_t i = 100; i < sizeof(path); i += 101)
		path[i] = '/';
	assert_true(delivery_mailbox_valid(slice_of(path, DELIVERY_PATH)));
	assert_false(delivery_mailbox_valid(slice_of(path, DELIVERY_PATH + 1)));
}

static void assert_prefix(
	struct slice sender, struct slice original, struct slice recipient, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(delivery_prefix(sender, original, recipient, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void prefix_names_sender_original_and_recipient(void **state)
{
	assert_prefix(SLICE("a@b.test"), SLICE("info@x.test"), SLICE("one@x.test"),
		"Return-Path: <a@b.test>\nX-Original-To: info@x.test\nDelivered-To: one@x.test\n");
	assert_prefix(SLICE(""), SLICE("one@x.test"), SLICE("one@x.test"),
		"Return-Path: <>\nDelivered-To: one@x.test\n");
}

static void an_address_cannot_begin_a_header_line(void **state)
{
	assert_prefix(SLICE("a\nBcc: x"), SLICE(""), slice_of("o\0ne", 4),
		"Return-Path: <a?Bcc: x>\nDelivered-To: o?ne\n");
}

static bool loops(const char *header, bool *more)
{
	return delivery_header_loops(slice_from(header), SLICE("one@x.test"), more);
}

static void a_message_delivered_here_before_is_noticed(void **state)
{
	bool more;

	assert_true(loops("Received: x\nDelivered-To: one@x.test\nSubject: y\n\nbody", &more));
	assert_true(loops("delivered-to:ONE@X.test \nSubject: y\n\n", &more));
	assert_false(loops("Delivered-To: two@x.test\n\nDelivered-To: one@x.test\n", &more));
	assert_false(more);
	assert_false(loops("X-Delivered-To: one@x.test\n\n", &more));
	assert_false(loops("", &more));
}

static void a_header_cut_off_asks_for_more(void **state)
{
	bool more;

	assert_false(loops("Subject: y\nDelivered-To: one@x.test", &more));
	assert_true(more);
	assert_false(loops("Subject: y\n", &more));
	assert_true(more);
}

static void a_loop_is_found_behind_a_long_header_in_a_file(void **state)
{
	char name[] = "/tmp/test_delivery_XXXXXX", line[81];
	int fd = mkstemp(name);
	int64_t size = 512;

	assert_true(fd >= 0);
	unlink(name);
	memset(line, 'x', sizeof(line));
	memcpy(line, "X-Pad: ", 7);
	line[80] = '\n';
	assert_int_equal(lseek(fd, size, SEEK_SET), size);
	for (int i = 0; i < 400; i++, size += 81)
		assert_int_equal(write(fd, line, 81), 81);
	assert_false(delivery_loops(fd, 512, size - 512, SLICE("one@x.test")));
	assert_int_equal(write(fd, "Delivered-To: one@x.test\n\nbody\n", 31), 31);
	size += 31;
	assert_true(delivery_loops(fd, 512, size - 512, SLICE("one@x.test")));
	assert_false(delivery_loops(fd, 512, size - 512, SLICE("two@x.test")));
	/* the size given is what counts, not the file's */
	assert_false(delivery_loops(fd, 512, 100, SLICE("one@x.test")));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailbox_paths_stay_below_the_mail_folder),
		cmocka_unit_test(a_mailbox_path_of_any_length_is_bounded),
		cmocka_unit_test(prefix_names_sender_original_and_recipient),
		cmocka_unit_test(an_address_cannot_begin_a_header_line),
		cmocka_unit_test(a_message_delivered_here_before_is_noticed),
		cmocka_unit_test(a_header_cut_off_asks_for_more),
		cmocka_unit_test(a_loop_is_found_behind_a_long_header_in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
