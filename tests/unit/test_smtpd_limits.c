// SPDX-License-Identifier: ISC
/* SMTP sessions: clients and peers that go away or take their time, and limits. In the world of smtp_world.c. */
#include "tests/unit/smtp_test.h"

/* ---- Peers and clients that go away -------------------------------------------------------------------------------------- */

static void client_gone_in_content_fails_the_message(void **state)
{
	struct world *w = connected(state);
	char *text = calloc(1, 200000);

	assert_non_null(text);
	envelope(w);
	memset(text, 'x', 200000);
	memcpy(text, "DATA\r\n", 6);
	world_send(w, text, 200000); /* cleanup has begun by then */
	free(text);
	assert_int_equal(w->begins, 1);
	assert_int_equal(w->failed, 1);
	assert_int_equal(w->delivered, 0);
	session_finish(&w->session);
	assert_int_equal(w->failed, 1);
	assert_logged(": lost connection after DATA (199994 bytes) from unknown[192.0.2.1]\n");
}

static void quit_in_the_middle_leaves_nothing(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	world_say(w, "BDAT 3\r\nabcQUIT\r\n");
	assert_int_equal(world_code(w), 221);
	session_finish(&w->session);
	assert_int_equal(session_state(&w->session), STATE_HELO);
	assert_int_equal(w->delivered, 0);
	assert_false(w->begun);
}

static void silent_client_is_let_go(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	w->stalls = true;
	world_run(w, "RCPT TO:<on", 11, 0);
	assert_int_equal(w->now, 300000);
	assert_int_equal(world_code(w), 421);
	assert_logged(": timeout after RCPT from unknown[192.0.2.1]\n");
}

static void drip_does_not_stretch_the_deadline_of_a_line(void **state)
{
	struct world *w = connected(state);

	w->stalls = true;
	w->step = 1;
	world_run(w, "NO", 2, 1);
	assert_int_equal(w->now, 300000);
}

/* 50 bytes of content in each `pause`, ms; after how long the session gave it up, or -1. */
static int64_t drip_of_content(struct world *w, int64_t pause)
{
	struct buffer text = { 0 };
	int64_t started;

	world_connect(w, "192.0.2.1");
	envelope(w);
	started = w->now;
	w->read_takes = pause;
	buffer_add_text(&text, "DATA\r\n");
	for (int i = 0; i < 40; i++)
		buffer_add_text(&text, "012345678901234567890123456789012345678901234567\r\n");
	buffer_add_text(&text, ".\r\n");
	world_run(w, text.data, text.length, 50);
	buffer_free(&text);
	return strstr(buffer_text(&w->out), "\r\n250 2.0.0 ") ? -1 : w->now - started;
}

static void content_has_to_come_at_its_rate(void **state)
{
	struct world *w = *state;

	w->settings.request_deadline = true;
	w->settings.min_data_rate = 100;
	/* 300 s from its start, and 5 s more for the 500 bytes of ten reads. */
	assert_in_range(drip_of_content(w, 30000), 300000 + 4000, 300000 + 30000 + 5000);
	assert_logged("timeout after DATA");
}

static void content_may_drip_without_a_deadline_for_the_request(void **state)
{
	assert_int_equal(drip_of_content(*state, 30000), -1);
}

static void under_stress_requests_have_a_deadline(void **state)
{
	struct world *w = *state;

	w->client.stress = true;
	w->settings.timeout = 10000;
	assert_in_range(drip_of_content(w, 8000), 10000, 24000);
	assert_logged("timeout after DATA");
}

static void lost_cleanup_is_a_temporary_failure(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	w->cleanup_dead = true;
	world_say(w, "DATA\r\nx\r\n.\r\n");
	assert_string_equal(after_354(w), "451 4.3.0 Error: queue file write error\r\n");
	assert_true(w->session.peer_lost);
	assert_int_equal((world_say(w, "MAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\n"),
				 world_code(w)),
		451);
	assert_int_equal((world_say(w, "QUIT\r\n"), world_code(w)), 221);
}

static void lost_directory_is_a_temporary_failure(void **state)
{
	struct world *w = connected(state);

	w->directory_dead = true;
	world_say(w, "EHLO x\r\nMAIL FROM:<a@b.example>\r\n");
	assert_string_equal(world_say(w, "RCPT TO:<one@example.test>\r\n"),
		"451 4.3.0 <one@example.test>: Temporary lookup failure\r\n");
	assert_true(w->session.peer_lost);
}

static void restarted_peers_are_not_noticed(void **state)
{
	struct world *w = connected(state);

	w->can_renew = w->directory_dead = w->cleanup_dead = true;
	envelope(w);
	assert_int_equal(w->renewals, 1);
	world_say(w, "DATA\r\nx\r\n.\r\n");
	assert_int_equal(world_code(w), 250);
	assert_int_equal(w->renewals, 2);
	assert_content(w, "x\n");
	assert_false(w->session.peer_lost);
}

static void cleanup_lost_within_a_message_is_not_asked_again(void **state)
{
	struct world *w = connected(state);
	char *text = malloc(200000);

	assert_non_null(text);
	w->can_renew = true;
	envelope(w);
	world_say(w, "BDAT 70000\r\n");
	session_finish(&w->session);
	world_connect(w, "192.0.2.1");
	envelope(w);
	memset(text, 'x', 200000);
	memcpy(text, "BDAT 100000\r\n", 13);
	world_send(w, text, 13 + 100000);
	assert_int_equal(world_code(w), 250);
	assert_true(w->begun);
	w->cleanup_dead = true;
	assert_int_equal((world_say(w, "BDAT 4 LAST\r\nx\r\ny"), world_code(w)), 451);
	assert_int_equal(w->delivered, 0);
	free(text);
}

static void verdict_of_cleanup_is_the_reply(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	w->cleanup_code = 550;
	world_say(w, "DATA\r\n.\r\n");
	assert_string_equal(after_354(w), "550 5.7.1 Error: not today\r\n");
	world_say(w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\n");
	w->cleanup_code = 0; /* no verdict at all is never a good one, nor a final one */
	world_say(w, "DATA\r\n.\r\n");
	assert_string_equal(after_354(w), "451 4.3.0 Error: queue file write error\r\n");
	assert_int_equal(w->failed, 0);
}

/* ---- Limits ---------------------------------------------------------------------------------------------------------------- */

static void errors_slow_down_and_end_a_session(void **state)
{
	struct world *w = connected(state);

	for (unsigned i = 0; i < 10; i++)
		world_say(w, "WHAT\r\n");
	assert_int_equal(w->slept, 0);
	world_say(w, "WHAT\r\n");
	assert_int_equal(w->slept, 1000);
	for (unsigned i = 0; i < 10; i++)
		world_say(w, "WHAT\r\n");
	assert_int_equal(world_code(w), 421);
	assert_true(w->session.closing);
	session_finish(&w->session);
	assert_logged(": too many errors after UNKNOWN from unknown[192.0.2.1]\n");
	assert_logged("disconnect from unknown[192.0.2.1] unknown=0/20 commands=0/20\n");
}

static void junk_commands_become_errors(void **state)
{
	struct world *w = connected(state);

	for (unsigned i = 0; i < 100; i++)
		world_say(w, "NOOP\r\n");
	assert_int_equal(w->session.errors, 0);
	for (unsigned i = 0; i < 21; i++)
		world_say(w, "NOOP\r\n");
	assert_int_equal(world_code(w), 421);
}

static void accepted_message_forgives_errors(void **state)
{
	struct world *w = connected(state);

	world_say(w, "WHAT\r\n");
	envelope(w);
	assert_int_equal(w->session.errors, 1);
	world_say(w, "DATA\r\n.\r\n");
	assert_int_equal(w->session.errors, 0);
}

static void too_many_recipients_are_no_error_at_first(void **state)
{
	struct world *w = *state;

	w->settings.recipients = 2;
	w->settings.recipient_overshoot = 3;
	world_connect(w, "192.0.2.1");
	envelope(w);
	world_say(w, "RCPT TO:<two@example.test>\r\n");
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(world_say(w, "RCPT TO:<two@example.test>\r\n"),
			"452 4.5.3 Error: too many recipients\r\n");
	assert_int_equal(w->session.errors, 0);
	world_say(w, "RCPT TO:<two@example.test>\r\n");
	assert_int_equal(w->session.errors, 1);
	world_say(w, "DATA\r\n.\r\n");
	assert_int_equal(w->recipients, 2);
}

static void commands_and_chunks_are_counted(void **state)
{
	struct world *w = *state;

	w->settings.command_limit = 10;
	world_connect(w, "192.0.2.1");
	envelope(w);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal((world_say(w, "BDAT 1\r\nx"), world_code(w)), 250);
	assert_int_equal((world_say(w, "BDAT 1\r\nx"), world_code(w)), 421);
	session_finish(&w->session);
	assert_int_equal(w->delivered, 0);
}

static void long_line_is_refused_and_passed_over(void **state)
{
	struct world *w = connected(state);
	char text[40000];

	memset(text, 'N', sizeof(text));
	memcpy(text + sizeof(text) - 2, "\r\n", 2);
	world_send(w, text, sizeof(text));
	assert_int_equal(world_code(w), 500);
	assert_int_equal((world_say(w, "NOOP\r\n"), world_code(w)), 250);
	/* the longest line that is still one */
	memcpy(text, "NOOP ", 5);
	memcpy(text + 2048, "\r\n", 2);
	assert_int_equal((world_send(w, text, 2050), world_code(w)), 250);
	memset(text + 2048, 'N', 100);
	memcpy(text + 2049, "\r\n", 2);
	assert_int_equal((world_send(w, text, 2051), world_code(w)), 500);
}

static void endless_line_ends_the_session(void **state)
{
	struct world *w = connected(state);
	char *text = malloc(1 << 20);

	assert_non_null(text);
	memset(text, 'N', 1 << 20);
	world_send(w, text, 1 << 20);
	free(text);
	assert_int_equal(world_code(w), 500);
	assert_true(w->session.closing);
}

static void rates_are_asked_of_the_front(void **state)
{
	struct world *w = *state;

	w->settings.message_rate = w->settings.recipient_rate = 5;
	world_connect(w, "192.0.2.1");
	envelope(w);
	assert_int_equal(w->rates[RATE_MESSAGE], 1);
	assert_int_equal(w->rates[RATE_RECIPIENT], 1);
	w->over_rate = true;
	assert_string_equal(world_say(w, "RCPT TO:<two@example.test>\r\n"),
		"450 4.7.1 Error: too many recipients from 192.0.2.1\r\n");
	world_say(w, "RSET\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<a@b.example>\r\n"),
		"450 4.7.1 Error: too much mail from 192.0.2.1\r\n");
}

static void stress_shortens_the_wait(void **state)
{
	struct world *w = *state;

	w->client.stress = true;
	world_connect(w, "192.0.2.1");
	w->stalls = true;
	world_run(w, "", 0, 0);
	assert_int_equal(w->now, 10000);
}

static void helo_can_be_required(void **state)
{
	struct world *w = *state;

	w->settings.helo_required = true;
	world_connect(w, "192.0.2.1");
	assert_string_equal(world_say(w, "MAIL FROM:<a@b.example>\r\n"),
		"503 5.5.1 Error: send HELO/EHLO first\r\n");
	assert_int_equal(
		(world_say(w, "HELO x\r\nMAIL FROM:<a@b.example>\r\n"), world_code(w)), 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(client_gone_in_content_fails_the_message),
		T(quit_in_the_middle_leaves_nothing),
		T(silent_client_is_let_go),
		T(drip_does_not_stretch_the_deadline_of_a_line),
		T(content_has_to_come_at_its_rate),
		T(content_may_drip_without_a_deadline_for_the_request),
		T(under_stress_requests_have_a_deadline),
		T(lost_cleanup_is_a_temporary_failure),
		T(lost_directory_is_a_temporary_failure),
		T(restarted_peers_are_not_noticed),
		T(cleanup_lost_within_a_message_is_not_asked_again),
		T(verdict_of_cleanup_is_the_reply),
		T(errors_slow_down_and_end_a_session),
		T(junk_commands_become_errors),
		T(accepted_message_forgives_errors),
		T(too_many_recipients_are_no_error_at_first),
		T(commands_and_chunks_are_counted),
		T(long_line_is_refused_and_passed_over),
		T(endless_line_ends_the_session),
		T(rates_are_asked_of_the_front),
		T(stress_shortens_the_wait),
		T(helo_can_be_required),
	};

	open_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
