// SPDX-License-Identifier: ISC
/* Content of messages: DATA and BDAT, line ends, sizes. smtpd/data.c, in the world of smtp_world.c. */
#include "tests/unit/smtp_test.h"

/* ---- The end of content ------------------------------------------------------------------------------------------------ */

/* What other systems took for the end of a message (CVE-2023-51764 and its kin), then a second message inside the first. */
static const char *const ENDS[] = { "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n",
	"\n.\r", "\r.\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\n\r.\n\r", "\r\r\n.\r\r\n", "\r\n.\r\r\n",
	"\n\n.\r\n", "\r\n.\n\r\n", "\r\n.\r\r.\r\n", "\r\n .\r\n", "\r\n.\t\r\n", "\r\n. \r\n",
	"\x85.\x85", "\r\n..\r\n" };
static const size_t END_LENGTHS[] = { 3, 4, 4, 3, 4, 4, 3, 3, 6, 6, 5, 7, 6, 5, 6, 8, 6, 6, 6, 3,
	6 };

static void smuggle(struct world *w, size_t i, size_t step)
{
	static const char SECOND[] = "MAIL FROM:<evil@b.example>\r\nRCPT "
				     "TO:<two@example.test>\r\nDATA\r\nsmuggled\r\n.\r\n";
	char text[512] = "DATA\r\nfirst";
	size_t length = strlen(text);

	memcpy(text + length, ENDS[i], END_LENGTHS[i]);
	length += END_LENGTHS[i];
	memcpy(text + length, SECOND, sizeof(SECOND) - 1);
	length += sizeof(SECOND) - 1;
	w->step = step;
	world_send(w, text, length);
}

static void nothing_but_crlf_dot_crlf_ends_a_message(void **state)
{
	for (size_t i = 0; i < sizeof(ENDS) / sizeof(ENDS[0]) * 4; i++) {
		struct world w;

		world_open(&w);
		w.settings.normalize_newlines = i & 1;
		world_connect(&w, "192.0.2.1");
		envelope(&w);
		smuggle(&w, i / 4, i & 2 ? 1 : 0);
		/* one message or none, with all of the second one's text in it; never a second one */
		assert_true(w.delivered <= 1);
		assert_int_equal(session_state(&w.session), STATE_HELO);
		assert_string_not_equal(w.sender, "evil@b.example");
		if (w.delivered) {
			assert_true(
				slice_search(buffer_slice(&w.content), SLICE("smuggled\n")) > 0);
			assert_int_equal(w.begins, 1);
		}
		if (i & 1)
			assert_int_equal(w.delivered, 1);
		world_close(&w);
	}
}

static void bare_newlines_are_refused_or_normalized(void **state)
{
	static const struct {
		const char *wire, *content, *refusal;
	} CASES[] = {
		{ "a\nb\r\n", "a\nb\n",
			"550 5.5.2 mail.example.test Error: bare <LF> received\r\n" },
		{ "a\rb\r\n", "a\nb\n",
			"550 5.5.2 mail.example.test Error: bare <CR> received\r\n" },
		{ "a\r\r\nb\r\n", "a\n\nb\n",
			"550 5.5.2 mail.example.test Error: bare <CR> received\r\n" },
		{ "a\n.b\r\n", "a\n.b\n",
			"550 5.5.2 mail.example.test Error: bare <LF> received\r\n" },
		{ "a\n.\r\nb\r\n", "a\n.\nb\n",
			"550 5.5.2 mail.example.test Error: bare <LF> received\r\n" },
		{ ".\n\r\n", "\n\n", "550 5.5.2 mail.example.test Error: bare <LF> received\r\n" },
		{ ".\rx\r\n", "\nx\n",
			"550 5.5.2 mail.example.test Error: bare <CR> received\r\n" },
	};

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]) * 2; i++) {
		struct world w;
		char text[100];

		world_open(&w);
		w.settings.normalize_newlines = i & 1;
		world_connect(&w, "192.0.2.1");
		envelope(&w);
		snprintf(text, sizeof(text), "DATA\r\n%s.\r\n", CASES[i / 2].wire);
		world_say(&w, text);
		if (i & 1) {
			assert_content(&w, CASES[i / 2].content);
			assert_int_equal(w.delivered, 1);
		} else {
			assert_string_equal(strchr(w.out.data, '\n') + 1, CASES[i / 2].refusal);
			assert_int_equal(w.begins, 0);
		}
		assert_false(w.session.closing);
		world_close(&w);
	}
}

static void bare_newline_in_a_command(void **state)
{
	struct world *w = connected(state);

	assert_string_equal(world_say(w, "EHLO x\nMAIL FROM:<a@b.example>\r\n"),
		"550 5.5.2 mail.example.test Error: bare <LF> received\r\n");
	assert_true(w->session.closing);
	w->settings.normalize_newlines = true;
	world_connect(w, "192.0.2.1");
	assert_int_equal((world_say(w, "EHLO x\nMAIL FROM:<a@b.example>\n"), world_code(w)), 250);
	assert_int_equal(session_state(&w->session), STATE_MAIL);
}

static void size_of_reads_changes_nothing(void **state)
{
	static const char INPUT[] =
		"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\nDATA\r\n"
		"..\r\n.x\r\n\r\n. \r\nlast\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<two@example.test>\r\n"
		"BDAT 5\r\na\r\nb\rBDAT 4 LAST\r\n\nxy\rQUIT\r\n";
	char *expected = NULL;

	for (size_t step = 0; step < 40; step++) {
		struct world w;

		world_open(&w);
		w.settings.normalize_newlines = true;
		world_connect(&w, "192.0.2.1");
		world_run(&w, INPUT, sizeof(INPUT) - 1, step);
		assert_int_equal(w.delivered, 2);
		assert_content(&w, "a\nb\nxy\n");
		if (!expected)
			expected = strdup(buffer_text(&w.out));
		assert_string_equal(buffer_text(&w.out), expected);
		world_close(&w);
	}
	free(expected);
}

static void big_content_streams_through(void **state)
{
	struct world *w = connected(state);
	size_t length = 900000;
	char *text = malloc(length + 100);

	assert_non_null(text);
	for (size_t i = 0; i < length; i += 100) {
		memset(text + i, 'a' + (int)(i / 100 % 26), 98);
		memcpy(text + i + 98, "\r\n", 2);
	}
	memcpy(text + length, ".\r\n", 3);
	envelope(w);
	world_say(w, "DATA\r\nx\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\n");
	w->step = 1009;
	world_send(w, "DATA\r\n", 6); /* ends at once: no content yet */
	assert_true(w->session.closing || w->session.loss != LOSS_NONE);
	session_finish(&w->session);
	w->step = 0;
	world_connect(w, "192.0.2.1");
	envelope(w);
	buffer_append(&w->in, "DATA\r\n", 6);
	world_send(w, text, length + 3);
	assert_int_equal(w->content.length, length / 100 * 99);
	assert_int_equal(w->delivered, 2);
	free(text);
}

static void size_is_exact_however_the_end_comes(void **state)
{
	struct world *w = *state;
	char text[100];

	w->settings.size_limit = 12;
	world_connect(w, "192.0.2.1");
	for (size_t step = 0; step < 12; step++) {
		envelope(w);
		w->step = step;
		snprintf(text, sizeof(text),
			"DATA\r\n..34567890\r\n.\r\n"); /* 11 without the stuffed dot */
		assert_int_equal((world_say(w, text), world_code(w)), 250);
		envelope(w);
		snprintf(text, sizeof(text), "DATA\r\n12345678901\r\n.\r\n");
		assert_int_equal((world_say(w, text), world_code(w)), 552);
		w->step = 0;
	}
}

static void too_big_is_refused_before_and_during(void **state)
{
	struct world *w = *state;
	char text[3000];

	w->settings.size_limit = 1000;
	world_connect(w, "192.0.2.1");
	envelope(w);
	memset(text, 'x', sizeof(text));
	memcpy(text, "DATA\r\n", 6);
	memcpy(text + 6 + 998, "\r\n.\r\n", 5);
	world_send(w, text, 6 + 998 + 5); /* 1000 bytes: just fits */
	assert_int_equal(w->delivered, 1);
	world_say(w, "MAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\n");
	memset(text + 6, 'x', 2000);
	memcpy(text + 6 + 999, "\r\n.\r\n", 5);
	world_send(w, text, 6 + 999 + 5);
	assert_string_equal(after_354(w), "552 5.3.4 Error: message file too big\r\n");
	assert_int_equal(w->delivered, 1);
	assert_int_equal(session_state(&w->session), STATE_HELO);
	assert_logged(
		": NOQUEUE: reject: END-OF-MESSAGE from unknown[192.0.2.1]: 552 5.3.4 Error: "
		"message file too big; "
		"from=<a@b.example> to=<one@example.test> proto=ESMTP helo=<client.example>\n");
}

/* ---- BDAT ------------------------------------------------------------------------------------------------------------- */

static void chunks_become_one_message(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	assert_string_equal(world_say(w, "BDAT 7\r\na\r\nb\r\n."), "250 2.0.0 Ok: 7 bytes\r\n");
	assert_string_equal(world_say(w, "BDAT 0\r\n"), "250 2.0.0 Ok: 0 bytes\r\n");
	assert_string_equal(world_say(w, "BDAT 1\r\n\r"), "250 2.0.0 Ok: 1 bytes\r\n");
	assert_string_equal(world_say(w, "BDAT 4\r\n\n..\r"), "250 2.0.0 Ok: 4 bytes\r\n");
	assert_string_equal(world_say(w, "RCPT TO:<two@example.test>\r\n"),
		"503 5.5.1 Error: command not allowed between BDAT chunks\r\n");
	assert_string_equal(world_say(w, "DATA\r\n"),
		"503 5.5.1 Error: command not allowed between BDAT chunks\r\n");
	assert_string_equal(
		world_say(w, "BDAT 4 LAST\r\n\nend"), "250 2.0.0 Ok: queued as 4QTEST\r\n");
	assert_content(w, "a\nb\n.\n..\nend\n");
	assert_int_equal(session_state(&w->session), STATE_HELO);
}

static void last_chunk_may_be_empty(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	assert_string_equal(world_say(w, "BDAT 0 LAST\r\n"), "250 2.0.0 Ok: queued as 4QTEST\r\n");
	assert_content(w, "");
	world_say(w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nBDAT 3\r\nabcBDAT 0 last\r\n");
	assert_content(w, "abc\n");
	assert_int_equal(w->delivered, 2);
}

static void chunk_is_swallowed_when_it_is_refused(void **state)
{
	struct world *w = connected(state);

	assert_string_equal(
		world_say(w, "BDAT 6 LAST\r\nQUIT\r\n"), "503 5.5.1 Error: need RCPT command\r\n");
	assert_false(w->session.closing);
	envelope(w);
	w->settings.size_limit = 10;
	assert_string_equal(world_say(w, "BDAT 11\r\nDATA\r\nQUIT\n"),
		"552 5.3.4 Chunk exceeds message size limit\r\n");
	assert_string_equal(world_say(w, "BDAT 6\r\nQUIT\r\n"),
		"551 5.0.0 Discarded 6 bytes after earlier error\r\n");
	assert_int_equal(session_state(&w->session), STATE_BDAT);
	assert_string_equal(world_say(w, "BDAT 6 LAST\r\nQUIT\r\n"),
		"551 5.0.0 Discarded 6 bytes after earlier error\r\n");
	assert_int_equal(session_state(&w->session), STATE_HELO);
	assert_int_equal(w->begins, 0);
	/* the sum counts, not the chunk */
	world_say(w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nBDAT 8\r\n12345678");
	assert_string_equal(world_say(w, "BDAT 3 LAST\r\n123"),
		"552 5.3.4 Chunk exceeds message size limit\r\n");
	assert_int_equal(w->delivered, 0);
	assert_int_equal(session_state(&w->session), STATE_HELO);
}

static void bad_bdat_ends_the_session(void **state)
{
	static const char *const LINES[] = { "BDAT\r\n", "BDAT x\r\n", "BDAT -1\r\n",
		"BDAT 1 FIRST\r\n", "BDAT 1 LAST x\r\n", "BDAT 0x10\r\n",
		"BDAT 18446744073709551616\r\n", "BDAT 18446744073709551615\r\n",
		"BDAT 9223372036854775808 LAST\r\n", "BDAT 9223372036854775807\r\n" };

	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		struct world w;

		world_open(&w);
		world_connect(&w, "192.0.2.1");
		envelope(&w);
		world_say(&w, LINES[i]);
		assert_int_equal(world_code(&w), i < 7 ? 521 : 552);
		assert_true(w.session.closing);
		session_finish(&w.session);
		assert_int_equal(session_state(&w.session), STATE_HELO);
		assert_int_equal(w.begins, 0);
		world_close(&w);
	}
}

static void bare_newline_fails_the_chunk_at_once(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	assert_string_equal(world_say(w, "BDAT 3\r\na\nb"),
		"550 5.5.2 mail.example.test Error: bare <LF> received\r\n");
	assert_string_equal(world_say(w, "BDAT 3 LAST\r\nabc"),
		"551 5.0.0 Discarded 3 bytes after earlier error\r\n");
	assert_int_equal(w->begins, 0);
	/* a CR that ends the message is a bare one, too */
	world_say(w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\n");
	assert_string_equal(world_say(w, "BDAT 2 LAST\r\na\r"),
		"550 5.5.2 mail.example.test Error: bare <CR> received\r\n");
	assert_int_equal(session_state(&w->session), STATE_HELO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_but_crlf_dot_crlf_ends_a_message),
		T(bare_newlines_are_refused_or_normalized),
		T(bare_newline_in_a_command),
		T(size_of_reads_changes_nothing),
		T(big_content_streams_through),
		T(size_is_exact_however_the_end_comes),
		T(too_big_is_refused_before_and_during),
		T(chunks_become_one_message),
		T(last_chunk_may_be_empty),
		T(chunk_is_swallowed_when_it_is_refused),
		T(bad_bdat_ends_the_session),
		T(bare_newline_fails_the_chunk_at_once),
	};

	open_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
