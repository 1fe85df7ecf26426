// SPDX-License-Identifier: ISC
/* The layouts of mailq, postqueue -j and the log's delivery lines, byte for byte as scripts read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "cli/queue_text.h"
#include "mail/status.h"
#include "queue/report.h"

static const struct queue_entry ENTRY = { .queue_name = { "active", 6 },
	.queue_id = { "4jX7rw31Vmz1brxJ", 16 },
	.sender = { "joe@example.org", 15 },
	.arrival = 1795304208ll * 1000000,
	.size = 139,
	.next_try = 1795304508ll * 1000000,
	.attempts = 2 };

static int utc(void **state)
{
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

static void add(struct queue_printer *printer, const char *address, const char *reason)
{
	queue_print_recipient(
		printer, &(struct queue_entry_recipient){
				 .address = slice_from(address), .reason = slice_from(reason) });
}

static void mailq_of_nothing_says_so(void **state)
{
	struct buffer out = { 0 };
	struct queue_printer printer;

	queue_print_begin(&printer, &out, false);
	queue_print_end(&printer);
	assert_string_equal(buffer_text(&out), "Mail queue is empty\n");
	buffer_clear(&out);
	queue_print_begin(&printer, &out, true);
	queue_print_end(&printer);
	assert_int_equal(out.length, 0);
	buffer_free(&out);
}

static void mailq_prints_postfix_layout(void **state)
{
	struct buffer out = { 0 };
	struct queue_printer printer;
	struct queue_entry held = ENTRY;

	held.queue_name = SLICE("hold");
	held.forced_expire = true;
	held.sender = SLICE("");
	held.size = 2048;
	queue_print_begin(&printer, &out, false);
	queue_print_entry(&printer, &ENTRY);
	add(&printer, "one@example.test", "");
	add(&printer, "two@example.test", "mail transport unavailable");
	add(&printer, "three@example.test", "mail transport unavailable");
	queue_print_entry(&printer, &held);
	add(&printer, "one@example.test", "mail transport unavailable");
	queue_print_end(&printer);
	assert_string_equal(buffer_text(&out),
		"----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
		"4jX7rw31Vmz1brxJ*      139 Sat Nov 21 23:36:48 joe@example.org\n"
		"                                               one@example.test\n"
		"                                                  (mail transport unavailable)\n"
		"                                               two@example.test\n"
		"                                               three@example.test\n"
		"\n"
		"4jX7rw31Vmz1brxJ!#     2048 Sat Nov 21 23:36:48 MAILER-DAEMON\n"
		"                                                  (mail transport unavailable)\n"
		"                                               one@example.test\n"
		"\n"
		"-- 2 Kbytes in 2 Requests.\n");
	buffer_free(&out);
}

static void json_is_one_object_a_line(void **state)
{
	struct buffer out = { 0 };
	struct queue_printer printer;

	queue_print_begin(&printer, &out, true);
	queue_print_entry(&printer, &ENTRY);
	add(&printer, "one@example.test", "");
	queue_print_recipient(&printer,
		&(struct queue_entry_recipient){ SLICE("a\"b\\c\n@x"), SLICE("o@x"), SLICE("r") });
	queue_print_entry(&printer, &ENTRY);
	queue_print_end(&printer);
	assert_string_equal(buffer_text(&out),
		"{\"queue_name\": \"active\", \"queue_id\": \"4jX7rw31Vmz1brxJ\", "
		"\"arrival_time\": 1795304208, "
		"\"message_size\": 139, \"forced_expire\": false, \"next_try\": 1795304508, "
		"\"attempts\": 2, "
		"\"sender\": \"joe@example.org\", \"recipients\": [{\"address\": "
		"\"one@example.test\"}, "
		"{\"address\": \"a\\\"b\\\\c\\n@x\", \"orig_address\": \"o@x\", \"delay_reason\": "
		"\"r\"}]}\n"
		"{\"queue_name\": \"active\", \"queue_id\": \"4jX7rw31Vmz1brxJ\", "
		"\"arrival_time\": 1795304208, "
		"\"message_size\": 139, \"forced_expire\": false, \"next_try\": 1795304508, "
		"\"attempts\": 2, "
		"\"sender\": \"joe@example.org\", \"recipients\": []}\n");
	buffer_free(&out);
}

static void terminal_controls_do_not_reach_the_terminal(void **state)
{
	struct buffer out = { 0 };
	struct queue_printer printer;

	queue_print_begin(&printer, &out, false);
	queue_print_entry(&printer, &ENTRY);
	add(&printer, "\033[2Jx@y", "a\nb");
	queue_print_end(&printer);
	assert_null(strchr(buffer_text(&out), '\033'));
	assert_non_null(strstr(buffer_text(&out), "(a?b)\n"));
	buffer_free(&out);
}

static void assert_delay(int64_t microseconds, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(queue_delay_write(microseconds, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void delays_have_two_digits(void **state)
{
	assert_delay(0, "0");
	assert_delay(-5, "0");
	assert_delay(4000, "0");
	assert_delay(31000, "0.03");
	assert_delay(104000, "0.1");
	assert_delay(123000, "0.12");
	assert_delay(1230000, "1.2");
	assert_delay(1996000, "2");
	assert_delay(47400000, "47");
	assert_delay(9960000, "10");
	assert_delay(996000, "1");
}

static void delivery_line_is_what_log_analysers_count(void **state)
{
	struct buffer out = { 0 };
	struct queue_report report = { .queue_id = "4jX7rw31Vmz1brxJ",
		.address = SLICE("one@x.test"),
		.original = SLICE("info@x.test"),
		.relay = SLICE("virtual"),
		.arrival = 1000000,
		.active = 1020000,
		.begun = 1030000,
		.transfer = 40000,
		.now = 1070000,
		.dsn = SLICE("2.0.0"),
		.status = "sent",
		.reason = SLICE("delivered to maildir") };

	assert_true(queue_report_write(&report, &out));
	assert_string_equal(buffer_text(&out),
		"4jX7rw31Vmz1brxJ: to=<one@x.test>, orig_to=<info@x.test>, relay=virtual, "
		"delay=0.07, "
		"delays=0.02/0.01/0/0.04, dsn=2.0.0, status=sent (delivered to maildir)");
	buffer_clear(&out);
	report.original = report.address;
	assert_true(queue_report_write(&report, &out));
	assert_null(strstr(buffer_text(&out), "orig_to"));
	buffer_free(&out);
}

static void assert_split(const char *text, char class, const char *code, const char *rest)
{
	char space[STATUS_CODE_SIZE];
	struct slice c = SLICE("4.3.0"), r;

	status_split(slice_from(text), class, space, &c, &r);
	assert_true(slice_equal(c, slice_from(code)));
	assert_true(slice_equal(r, slice_from(rest)));
}

static void status_codes_are_taken_off_texts(void **state)
{
	assert_split("5.1.1 user unknown", 0, "5.1.1", "user unknown");
	assert_split("5.1.1 user unknown", '4', "4.1.1", "user unknown");
	assert_split("user unknown", '5', "4.3.0", "user unknown");
	assert_split("5.1.1user", 0, "4.3.0", "5.1.1user");
	assert_split("5.1.1234 user", 0, "4.3.0", "5.1.1234 user");
	assert_split("5.123.123", 0, "5.123.123", "");
	assert_split("3.1.1 x", 0, "4.3.0", "3.1.1 x");
	assert_split("", 0, "4.3.0", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailq_of_nothing_says_so),
		cmocka_unit_test(mailq_prints_postfix_layout),
		cmocka_unit_test(json_is_one_object_a_line),
		cmocka_unit_test(terminal_controls_do_not_reach_the_terminal),
		cmocka_unit_test(delays_have_two_digits),
		cmocka_unit_test(delivery_line_is_what_log_analysers_count),
		cmocka_unit_test(status_codes_are_taken_off_texts),
	};

	return cmocka_run_group_tests(tests, utc, NULL);
}
