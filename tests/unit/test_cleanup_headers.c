// SPDX-License-Identifier: ISC
/* Headers on their way through cleanup: what is dropped, added, counted; the body comes through as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cleanup/headers.h"

static const struct headers_facts FACTS = { .id = "1HABCDEFGHJKMNPQ",
	.host = "mx.example.test",
	.sender = SLICE("one@example.test"),
	.full_name = SLICE(""),
	.arrival = 1700000000000000,
	.size_limit = 1000,
	.hop_limit = 5 };

static bool refuse;

static bool gather(void *context, struct slice text)
{
	return !refuse && buffer_add(context, text);
}

/* The text through the filter in pieces of `step` bytes. */
static enum headers_status pass(const struct headers_facts *facts, struct slice text, size_t step,
	struct buffer *out, char *id)
{
	struct headers h = { 0 };
	enum headers_status status;

	buffer_clear(out);
	headers_begin(&h, facts, gather, out);
	for (size_t at = 0; at < text.length; at += step)
		headers_feed(&h, slice_head(slice_tail(text, at), step));
	status = headers_end(&h);
	if (id)
		memcpy(id, h.message_id, sizeof(h.message_id));
	headers_free(&h);
	return status;
}

static void assert_passes(const struct headers_facts *facts, const char *in, const char *wanted)
{
	struct buffer out = { 0 };

	for (size_t step = 1; step <= strlen(in) + 1; step++) {
		assert_int_equal(pass(facts, slice_from(in), step, &out, NULL), HEADERS_GOOD);
		assert_string_equal(buffer_text(&out), wanted);
	}
	buffer_free(&out);
}

static void mail_that_is_complete_passes_unchanged(void **state)
{
	static const char text[] = "Subject: a\n folded\n\tthing\nX-Odd:\n\nbody\n.\nFrom here\n\n";

	assert_passes(&FACTS, text, text);
}

static void bcc_and_return_path_are_dropped(void **state)
{
	assert_passes(&FACTS,
		"Return-Path: <x@y>\nbcc: secret@example.test,\n other@example.test\nSubject: a\n"
		"Resent-Bcc: z\nContent-Length: 5\n\nBcc: this is the body\n",
		"Subject: a\n\nBcc: this is the body\n");
}

static void only_whole_header_lines_may_stand_before_the_others(void **state)
{
	assert_true(headers_are_lines(slice_from("")));
	assert_true(headers_are_lines(SLICE("X-One: 1\nX-Two: a\n\tfolded\n")));
	assert_false(headers_are_lines(SLICE("X-One: 1")));
	assert_false(headers_are_lines(SLICE("X-One: 1\n\n")));
	assert_false(headers_are_lines(SLICE("X-One: 1\nno header\n")));
}

static void body_without_empty_line_gets_one(void **state)
{
	assert_passes(&FACTS, "Subject: a\nthis is no header\nmore\n",
		"Subject: a\n\nthis is no header\nmore\n");
	assert_passes(&FACTS, "no header at all", "\nno header at all");
	assert_passes(&FACTS, "", "");
	assert_passes(&FACTS, "Subject: a\n", "Subject: a\n");
	assert_passes(&FACTS, "Subject: a", "Subject: a\n");
	assert_passes(&FACTS, "\nbody\n", "\nbody\n");
}

static void mailbox_separator_becomes_a_header(void **state)
{
	struct buffer out = { 0 };
	struct slice text = SLICE("From me Mon Jan  1 00:00:00 2024\nSubject: a\n\nb\n");

	assert_int_equal(pass(&FACTS, text, 100, &out, NULL), HEADERS_GOOD);
	assert_string_equal(buffer_text(&out),
		"Mailbox-Line: From me Mon Jan  1 00:00:00 2024\nSubject: a\n\nb\n");
	buffer_free(&out);
}

static void missing_headers_are_added_where_they_may(void **state)
{
	struct headers_facts facts = FACTS;
	struct buffer out = { 0 };
	char id[HEADERS_MESSAGE_ID];
	const char *text;

	facts.complete = true;
	assert_int_equal(pass(&facts, SLICE("Subject: a\n\nb\n"), 3, &out, id), HEADERS_GOOD);
	text = buffer_text(&out);
	assert_memory_equal(text, "Subject: a\nDate: ", 17);
	assert_non_null(
		strstr(text, "\nMessage-Id: <20231114221320.1HABCDEFGHJKMNPQ@mx.example.test>\n"));
	assert_non_null(strstr(text, "\nFrom: one@example.test\n\nb\n"));
	assert_string_equal(id, "<20231114221320.1HABCDEFGHJKMNPQ@mx.example.test>");
	buffer_free(&out);
}

static void present_headers_are_not_added_again(void **state)
{
	struct headers_facts facts = FACTS;

	facts.complete = true;
	assert_passes(&facts, "date: x\nMESSAGE-ID: <1@2>\nFrom : y\n\nb\n",
		"date: x\nMESSAGE-ID: <1@2>\nFrom : y\n\nb\n");
}

static void resent_mail_gets_resent_headers(void **state)
{
	struct headers_facts facts = FACTS;
	struct buffer out = { 0 };
	const char *text;

	facts.complete = true;
	assert_int_equal(
		pass(&facts, SLICE("Date: x\nMessage-ID: <1@2>\nFrom: y\nResent-To: z\n\n"), 7,
			&out, NULL),
		HEADERS_GOOD);
	text = buffer_text(&out);
	assert_non_null(strstr(text, "\nResent-Date: "));
	assert_non_null(strstr(text, "\nResent-From: one@example.test\n"));
	assert_non_null(strstr(text, "\nResent-Message-Id: <"));
	buffer_free(&out);
}

static void assert_from(const char *full_name, const char *sender, const char *wanted)
{
	struct headers_facts facts = FACTS;
	struct buffer out = { 0 };

	facts.complete = true;
	facts.full_name = slice_from(full_name);
	facts.sender = slice_from(sender);
	assert_int_equal(pass(&facts, SLICE("\n"), 1, &out, NULL), HEADERS_GOOD);
	assert_non_null(strstr(buffer_text(&out), wanted));
	buffer_free(&out);
}

static void full_name_is_written_so_that_it_reads_as_one(void **state)
{
	assert_from("Ann Other", "a@b", "\nFrom: Ann Other <a@b>\n");
	assert_from("Ann \"X\" <q@r>", "a@b", "\nFrom: \"Ann \\\"X\\\" <q@r>\" <a@b>\n");
	assert_from("J\xc3\xb6rg", "a@b", "\nFrom: =?utf-8?B?SsO2cmc=?= <a@b>\n");
	assert_from("evil\nBcc: x", "a@b", "\nFrom: =?utf-8?B?ZXZpbApCY2M6IHg=?= <a@b>\n");
	assert_from("", "", "\nFrom: MAILER-DAEMON@mx.example.test\n");
}

static void addresses_without_domain_get_one(void **state)
{
	struct headers_facts facts = FACTS;

	facts.complete = true;
	facts.origin = "o.test";
	assert_passes(&facts,
		"Date: x\nMessage-Id: <a@b>\nFrom: root (Cron Daemon)\nTo: root\nCC: \"a, b\" "
		"<one>,\n two@x.test,"
		" three (four, five) ,<@r,@s:six>, friends: seven, \"e ight\"; nine\nSubject: "
		"root\n\nTo: ten\n",
		"Date: x\nMessage-Id: <a@b>\nFrom: root@o.test (Cron Daemon)\nTo: root@o.test\nCC: "
		"\"a, b\" "
		"<one@o.test>,\n two@x.test, three@o.test (four, five) ,<@r,@s:six>, friends: "
		"seven@o.test, \"e "
		"ight\"@o.test; nine@o.test\nSubject: root\n\nTo: ten\n");
	assert_passes(&facts,
		"Date: x\nMessage-Id: <a@b>\nFrom: John Smith\nTo: <>, "
		",;undisclosed:;\nCc:\nReply-To: a@b c\n\n",
		"Date: x\nMessage-Id: <a@b>\nFrom: John Smith\nTo: <>, "
		",;undisclosed:;\nCc:\nReply-To: a@b c\n\n");
	facts.complete = false;
	assert_passes(&facts, "To: root\n\n", "To: root\n\n");
}

static void message_id_is_noticed_unfolded(void **state)
{
	struct buffer out = { 0 };
	char id[HEADERS_MESSAGE_ID];

	assert_int_equal(
		pass(&FACTS, SLICE("Message-Id:\n <a@b>\nMessage-Id: <c@d>\n\n"), 4, &out, id),
		HEADERS_GOOD);
	assert_string_equal(id, "<a@b>");
	pass(&FACTS, SLICE("Subject: a\n\nMessage-Id: <a@b>\n"), 4, &out, id);
	assert_string_equal(id, "");
	buffer_free(&out);
}

static void too_many_hops_are_refused(void **state)
{
	struct buffer in = { 0 }, out = { 0 };

	for (int i = 0; i < 5; i++)
		buffer_add_text(&in, "received: from a by b\n");
	assert_int_equal(pass(&FACTS, buffer_slice(&in), 10, &out, NULL), HEADERS_GOOD);
	buffer_add_text(&in, "\nReceived: in the body counts not\n");
	assert_int_equal(pass(&FACTS, buffer_slice(&in), 10, &out, NULL), HEADERS_GOOD);
	buffer_clear(&in);
	for (int i = 0; i < 6; i++)
		buffer_add_text(&in, "Received: from a by b\n");
	assert_int_equal(pass(&FACTS, buffer_slice(&in), 10, &out, NULL), HEADERS_TOO_MANY_HOPS);
	buffer_free(&in);
	buffer_free(&out);
}

static void long_field_is_cut_and_the_rest_lives(void **state)
{
	struct buffer in = { 0 }, out = { 0 };

	buffer_add_text(&in, "X-Long: ");
	for (int i = 0; i < 5000; i++)
		buffer_add_byte(&in, 'x');
	buffer_add_text(&in, "\nSubject: a\n\nbody\n");
	assert_int_equal(pass(&FACTS, buffer_slice(&in), 97, &out, NULL), HEADERS_GOOD);
	assert_int_equal(out.length, 1000 + 1 + strlen("Subject: a\n\nbody\n"));
	assert_string_equal(buffer_text(&out) + 1000, "\nSubject: a\n\nbody\n");
	buffer_free(&in);
	buffer_free(&out);
}

static void failing_sink_is_a_failure(void **state)
{
	struct buffer out = { 0 };

	refuse = true;
	assert_int_equal(pass(&FACTS, SLICE("Subject: a\n\nb\n"), 4, &out, NULL), HEADERS_FAILED);
	refuse = false;
	buffer_free(&out);
}

static void assert_starts(const struct buffer *out, const char *wanted)
{
	struct slice text = buffer_slice(out);

	if (!slice_starts(text, slice_from(wanted)))
		fail_msg("%.*s\ndoes not begin with\n%s", SLICE_ARG(text), wanted);
}

static void received_header_is_in_postfix_layout(void **state)
{
	struct headers_origin origin = { .client_name = SLICE("c.example"),
		.client_address = SLICE("192.0.2.7"),
		.helo = SLICE("helo.example"),
		.protocol = SLICE("ESMTP"),
		.recipient = SLICE("one@example.test") };
	struct buffer out = { 0 };

	headers_received(&origin, &FACTS, &out);
	assert_starts(&out, "Received: from helo.example (c.example [192.0.2.7])\n"
			    "\tby mx.example.test (Postern) with ESMTP id 1HABCDEFGHJKMNPQ\n"
			    "\tfor <one@example.test>; Tue, 14 Nov 2023 ");
	buffer_clear(&out);
	origin.recipient = SLICE("");
	origin.client_address = SLICE("2001:db8::1");
	headers_received(&origin, &FACTS, &out);
	assert_starts(&out,
		"Received: from helo.example (c.example [IPv6:2001:db8::1])\n"
		"\tby mx.example.test (Postern) with ESMTP id 1HABCDEFGHJKMNPQ;\n\tTue, ");
	buffer_clear(&out);
	origin = (struct headers_origin){ .helo = SLICE("userid 1000") };
	headers_received(&origin, &FACTS, &out);
	assert_starts(&out,
		"Received: by mx.example.test (Postern, from userid 1000)\n\tid 1HABCDEFGHJKMNPQ; "
		"Tue, ");
	buffer_free(&out);
}

static void received_header_tells_who_logged_in_and_hides_where_as_wanted(void **state)
{
	struct headers_origin origin = { .client_name = SLICE("c.example"),
		.client_address = SLICE("192.0.2.7"),
		.helo = SLICE("helo.example"),
		.protocol = SLICE("ESMTPSA"),
		.tls = SLICE("(using TLSv1.3)"),
		.login = SLICE("o)n\\e\n@example.test"),
		.recipient = SLICE("one@example.test") };
	struct buffer out = { 0 };

	headers_received(&origin, &FACTS, &out);
	assert_starts(&out, "Received: from helo.example (c.example [192.0.2.7])\n"
			    "\t(using TLSv1.3)\n\t(Authenticated sender: o?n?e?@example.test)\n"
			    "\tby mx.example.test (Postern) with ESMTPSA id 1HABCDEFGHJKMNPQ\n");
	buffer_clear(&out);
	origin.hidden = true;
	headers_received(&origin, &FACTS, &out);
	assert_starts(&out, "Received: (Authenticated sender: o?n?e?@example.test)\n"
			    "\tby mx.example.test (Postern) with ESMTPSA id 1HABCDEFGHJKMNPQ\n");
	buffer_clear(&out);
	origin.login = SLICE("");
	headers_received(&origin, &FACTS, &out);
	assert_starts(&out, "Received: by mx.example.test (Postern) with ESMTPSA id "
			    "1HABCDEFGHJKMNPQ\n\tfor <one@example.test>; Tue, 14 Nov 2023 ");
	buffer_free(&out);
}

static void client_cannot_write_into_the_received_header(void **state)
{
	struct headers_origin origin = { .client_name = SLICE("c) x"),
		.client_address = SLICE("192.0.2.7"),
		.helo = SLICE("a\nBcc: x\r\0(<\"\\@"),
		.protocol = SLICE("ES\nMTP"),
		.recipient = SLICE("o\nX: y") };
	struct buffer out = { 0 };

	headers_received(&origin, &FACTS, &out);
	assert_starts(&out,
		"Received: from a?Bcc:?x??????? (c??x [192.0.2.7])\n\tby mx.example.test "
		"(Postern) with "
		"ES?MTP id 1HABCDEFGHJKMNPQ\n\tfor <o?X: y>; ");
	buffer_free(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_that_is_complete_passes_unchanged),
		cmocka_unit_test(bcc_and_return_path_are_dropped),
		cmocka_unit_test(only_whole_header_lines_may_stand_before_the_others),
		cmocka_unit_test(body_without_empty_line_gets_one),
		cmocka_unit_test(mailbox_separator_becomes_a_header),
		cmocka_unit_test(missing_headers_are_added_where_they_may),
		cmocka_unit_test(present_headers_are_not_added_again),
		cmocka_unit_test(resent_mail_gets_resent_headers),
		cmocka_unit_test(full_name_is_written_so_that_it_reads_as_one),
		cmocka_unit_test(addresses_without_domain_get_one),
		cmocka_unit_test(message_id_is_noticed_unfolded),
		cmocka_unit_test(too_many_hops_are_refused),
		cmocka_unit_test(long_field_is_cut_and_the_rest_lives),
		cmocka_unit_test(failing_sink_is_a_failure),
		cmocka_unit_test(received_header_is_in_postfix_layout),
		cmocka_unit_test(received_header_tells_who_logged_in_and_hides_where_as_wanted),
		cmocka_unit_test(client_cannot_write_into_the_received_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
