// SPDX-License-Identifier: ISC
/* The text of delivery status notifications (RFC 3464, 6522). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bounce/dsn.h"

static struct dsn_recipient RECIPIENT = { .address = { "two@x.test", 10 },
	.original = { "info@x.test", 11 },
	.dsn = { "5.1.1", 5 },
	.reason = { "user unknown in virtual mailbox table", 37 } };

static struct dsn example(enum bounce_kind kind)
{
	return (struct dsn){ .kind = kind,
		.host = "mail.x.test",
		.queue_id = "0123456789abcdef",
		.unique = "u1",
		.sender = SLICE("joe@example.org"),
		.envid = SLICE("QQ314159"),
		.arrival = 1795304208ll * 1000000,
		.give_up = 1795736208ll * 1000000,
		.now = 1795304300ll * 1000000,
		.recipients = &RECIPIENT,
		.count = 1,
		.content = SLICE("Subject: hello\n\nbody\n") };
}

static const char *text_of(const struct dsn *dsn, struct buffer *out)
{
	assert_true(dsn_write(dsn, out));
	return buffer_text(out);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("missing: %s\nin: %s", part, text);
}

static void failure_report_has_its_three_parts(void **state)
{
	struct buffer out = { 0 };
	struct dsn dsn = example(BOUNCE_FAILURE);
	const char *text = text_of(&dsn, &out);

	assert_has(text, "\nTo: joe@example.org\n");
	assert_has(text, "From: Mail Delivery System <MAILER-DAEMON@mail.x.test>\n");
	assert_has(text, "\nAuto-Submitted: auto-replied\n");
	assert_has(text, "Content-Type: multipart/report; report-type=delivery-status;\n"
			 "\tboundary=\"0123456789abcdef.u1/mail.x.test\"\n");
	assert_has(text, "<two@x.test>: user unknown in virtual mailbox table\n");
	assert_has(text,
		"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mail.x.test\n"
		"Original-Envelope-Id: QQ314159\n");
	assert_has(text,
		"\n\nFinal-Recipient: rfc822; two@x.test\nOriginal-Recipient: rfc822;info@x.test\n"
		"Action: failed\nStatus: 5.1.1\n"
		"Diagnostic-Code: X-Postern; user unknown in virtual mailbox table\n");
	assert_has(text, "Content-Type: message/rfc822\n\nSubject: hello\n\nbody\n\n"
			 "--0123456789abcdef.u1/mail.x.test--\n");
	buffer_free(&out);
}

static void delay_report_says_how_long_it_is_tried(void **state)
{
	struct buffer out = { 0 };
	struct dsn dsn = example(BOUNCE_DELAY);
	const char *text;

	dsn.headers_only = true;
	dsn.content = SLICE("Subject: hello\n\n");
	text = text_of(&dsn, &out);
	assert_has(text, "Action: delayed\n");
	assert_has(text, "Will-Retry-Until: ");
	assert_has(text, "Content-Type: text/rfc822-headers\n");
	assert_has(text, "Subject: Delayed Mail (still being retried)\n");
	buffer_free(&out);
}

static void original_recipient_of_the_client_is_passed_on(void **state)
{
	struct buffer out = { 0 };
	struct dsn dsn = example(BOUNCE_FAILURE);
	struct dsn_recipient recipient = RECIPIENT;

	recipient.orcpt = SLICE("rfc822;Sales@x.test");
	dsn.recipients = &recipient;
	assert_has(text_of(&dsn, &out), "\nOriginal-Recipient: rfc822;Sales@x.test\n");
	buffer_free(&out);
}

static void a_reason_cannot_forge_a_field(void **state)
{
	struct buffer out = { 0 };
	struct dsn dsn = example(BOUNCE_FAILURE);
	struct dsn_recipient recipient = RECIPIENT;
	const char *text;

	recipient.reason =
		SLICE("no\nAction: delivered\r\n\r\n--0123456789abcdef.u1/mail.x.test--");
	dsn.sender = SLICE("joe@example.org\nBcc: victim@example.org");
	dsn.recipients = &recipient;
	text = text_of(&dsn, &out);
	assert_null(strstr(text, "\nAction: delivered"));
	assert_null(strstr(text, "\nBcc:"));
	assert_ptr_equal(strstr(text, "\n--0123456789abcdef.u1/mail.x.test--\n"),
		text + out.length - strlen("\n--0123456789abcdef.u1/mail.x.test--\n"));
	buffer_free(&out);
}

static void eight_bit_content_is_declared(void **state)
{
	struct buffer out = { 0 };
	struct dsn dsn = example(BOUNCE_FAILURE);
	const char *text = text_of(&dsn, &out);

	assert_null(strstr(text, "8bit"));
	buffer_clear(&out);
	dsn.content = SLICE("Subject: hello\n\nb\xc3\xb6"
			    "dy\n");
	text = text_of(&dsn, &out);
	assert_has(text, "MIME-Version: 1.0\n");
	assert_has(text, "Content-Transfer-Encoding: 8bit\n\nThis is a MIME");
	assert_has(text, "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n");
	buffer_free(&out);
}

static void long_reasons_are_folded_for_people(void **state)
{
	struct buffer out = { 0 };
	struct dsn dsn = example(BOUNCE_FAILURE);
	struct dsn_recipient recipient = RECIPIENT;

	recipient.reason =
		SLICE("host mx.example.org said something very long that goes on and on over "
		      "several lines of text until it ends");
	dsn.recipients = &recipient;
	assert_has(text_of(&dsn, &out),
		"<two@x.test>: host mx.example.org said something very long that goes on and\n"
		"    on over several");
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure_report_has_its_three_parts),
		cmocka_unit_test(delay_report_says_how_long_it_is_tried),
		cmocka_unit_test(original_recipient_of_the_client_is_passed_on),
		cmocka_unit_test(a_reason_cannot_forge_a_field),
		cmocka_unit_test(eight_bit_content_is_declared),
		cmocka_unit_test(long_reasons_are_folded_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
