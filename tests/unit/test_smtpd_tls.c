// SPDX-License-Identifier: ISC
/* TLS in SMTP sessions: what is offered when, what a handshake makes of everything said before, and who is let in by certificate. */
#include "tests/unit/smtp_test.h"

static struct world *with_tls(void **state, enum tls_level level)
{
	struct world *w = *state;

	world_has_tls(w, level);
	world_connect(w, "192.0.2.1");
	return w;
}

static struct world *secured(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	world_say(w, "EHLO client.example\r\n");
	world_say(w, "STARTTLS\r\n");
	assert_int_equal(world_code(w), 220);
	return w;
}

static void starttls_is_offered_before_tls_and_not_under_it(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	assert_non_null(strstr(world_say(w, "EHLO client.example\r\n"), "250-STARTTLS\r\n"));
	world_say(w, "STARTTLS\r\n");
	assert_string_equal(w->out.data, "220 2.0.0 Ready to start TLS\r\n");
	assert_null(strstr(world_say(w, "EHLO client.example\r\n"), "STARTTLS"));
	world_say(w, "STARTTLS\r\n");
	assert_string_equal(w->out.data, "554 5.5.1 Error: TLS already active\r\n");
	assert_int_equal(w->handshakes, 1);
}

static void without_a_certificate_or_level_there_is_no_starttls(void **state)
{
	struct world *w = *state;

	w->settings.tls.level = TLS_LEVEL_MAY;
	w->settings.keywords |= EHLO_STARTTLS;
	world_connect(w, "192.0.2.1");
	assert_null(strstr(world_say(w, "EHLO client.example\r\n"), "STARTTLS"));
	world_say(w, "STARTTLS\r\n");
	assert_int_equal(world_code(w), 502);
}

static void starttls_takes_no_argument(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	world_say(w, "STARTTLS now\r\n");
	assert_int_equal(world_code(w), 501);
	assert_int_equal(w->handshakes, 0);
}

static void what_was_said_in_clear_is_forgotten(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	envelope(w);
	world_say(w, "STARTTLS\r\n");
	assert_int_equal(session_state(&w->session), STATE_START);
	world_say(w, "DATA\r\n");
	assert_int_equal(world_code(w), 503);
	world_say(w, "RCPT TO:<one@example.test>\r\n");
	assert_int_equal(world_code(w), 503);
	assert_int_equal(w->begins, 0);
}

/* CVE-2011-0411: commands in one packet with STARTTLS must not count as sent under TLS. */
static void commands_sent_with_starttls_are_never_run(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	world_say(w, "EHLO client.example\r\n");
	world_say(w, "STARTTLS\r\nRSET\r\nMAIL FROM:<evil@example.org>\r\nRCPT "
		     "TO:<one@example.test>\r\n");
	assert_string_equal(w->out.data, "220 2.0.0 Ready to start TLS\r\n");
	assert_int_equal(w->handshakes, 1);
	assert_logged("improper command pipelining after STARTTLS from unknown[192.0.2.1]: RSET");
	/* Not even half a line of it is left to begin the first command under TLS with. */
	world_say(w, "NOOP\r\n");
	assert_string_equal(w->out.data, "250 2.0.0 Ok\r\n");
	assert_int_equal(w->session.counts[COMMAND_MAIL].all, 0);
}

static void half_a_line_sent_with_starttls_is_dropped(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	world_say(w, "EHLO client.example\r\n");
	world_say(w, "STARTTLS\r\nMAIL FROM:<evil@exam");
	world_say(w, "NOOP\r\n");
	assert_string_equal(w->out.data, "250 2.0.0 Ok\r\n");
}

static void who_sends_ahead_is_turned_away_where_that_is_forbidden(void **state)
{
	struct world *w = *state;

	w->settings.forbid_pipelining = true;
	with_tls(state, TLS_LEVEL_MAY);
	world_say(w, "EHLO client.example\r\n");
	world_say(w, "STARTTLS\r\nRSET\r\n");
	assert_int_equal(world_code(w), 554);
	assert_true(w->session.closing);
	assert_int_equal(w->handshakes, 0);
}

static void without_tlsd_the_session_goes_on_in_clear(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	w->tls_dead = true;
	world_say(w, "EHLO client.example\r\nSTARTTLS\r\n");
	assert_int_equal(world_code(w), 454);
	world_say(w, "MAIL FROM:<a@example.org>\r\n");
	assert_int_equal(world_code(w), 250);
}

static void a_failed_handshake_ends_the_session(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	w->tls_fails = "no shared cipher";
	world_say(w, "EHLO client.example\r\n");
	world_say(w, "STARTTLS\r\n");
	assert_false(session_step(&w->session));
	assert_logged("SSL_accept error from unknown[192.0.2.1]: no shared cipher");
	assert_logged("lost connection after STARTTLS from unknown[192.0.2.1]");
}

static void where_tls_must_be_nothing_is_done_before(void **state)
{
	static const char *const REFUSED[] = { "MAIL FROM:<a@example.org>", "RCPT TO:<a@b>", "DATA",
		"RSET", "VRFY one", "AUTH PLAIN", "BDAT 0 LAST" };
	static const char *const DONE[] = { "EHLO client.example", "NOOP", "HELP" };
	struct world *w = with_tls(state, TLS_LEVEL_ENCRYPT);
	char line[100];

	for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
		snprintf(line, sizeof(line), "%s\r\n", REFUSED[i]);
		world_say(w, line);
		assert_string_equal(w->out.data, TLS_FIRST "\r\n");
	}
	for (size_t i = 0; i < sizeof(DONE) / sizeof(DONE[0]); i++) {
		snprintf(line, sizeof(line), "%s\r\n", DONE[i]);
		world_say(w, line);
		assert_true(world_code(w) / 100 == 2);
	}
	world_say(w, "STARTTLS\r\n");
	envelope(w);
}

/* The chunk of a refused BDAT is no command, whatever stands in it. */
static void the_content_of_a_refused_bdat_is_swallowed(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_ENCRYPT);

	world_say(w, "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
	assert_string_equal(w->out.data, TLS_FIRST "\r\n250 2.0.0 Ok\r\n");
}

static void a_client_on_the_socket_of_the_machine_needs_no_tls(void **state)
{
	struct world *w = *state;

	w->client.local = true;
	with_tls(state, TLS_LEVEL_ENCRYPT);
	assert_null(strstr(world_say(w, "EHLO client.example\r\n"), "STARTTLS"));
	world_say(w, "MAIL FROM:<a@example.org>\r\n");
	assert_int_equal(world_code(w), 250);
}

static void in_wrapper_mode_the_handshake_comes_before_the_greeting(void **state)
{
	struct world *w = *state;

	w->settings.tls.wrapper = w->client.secure = true;
	with_tls(state, TLS_LEVEL_ENCRYPT);
	assert_int_equal(w->handshakes, 0);
	assert_int_equal(world_code(w), 220);
	assert_null(strstr(world_say(w, "EHLO client.example\r\n"), "STARTTLS"));
	envelope(w);
}

static void in_wrapper_mode_nobody_is_greeted_in_clear(void **state)
{
	struct world *w = *state;

	w->settings.tls.wrapper = true;
	with_tls(state, TLS_LEVEL_ENCRYPT);
	assert_int_equal(w->out.length, 0);
	assert_false(session_step(&w->session));
}

static void received_tells_of_tls(void **state)
{
	struct world *w = *state;

	w->settings.tls_received_header = true;
	w->settings.tls.client_certificate = TLS_CERTIFICATE_ASK;
	w->tls_subject = "client (\"of\\ours\r\n)";
	secured(state);
	envelope(w);
	world_say(w, "DATA\r\nSubject: x\r\n\r\n.\r\n");
	assert_string_equal(w->protocol, "ESMTPS");
	assert_string_equal(w->tls,
		"(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\n"
		"(Client CN \"client ??of?ours???\", Issuer \"Test CA\" (not verified))");
}

static void received_tells_no_more_than_that_unless_asked(void **state)
{
	struct world *w = secured(state);

	envelope(w);
	world_say(w, "DATA\r\nSubject: x\r\n\r\n.\r\n");
	assert_string_equal(w->protocol, "ESMTPS");
	assert_string_equal(w->tls, "");
}

static void connections_are_logged_as_loglevel_says(void **state)
{
	struct world *w = *state;

	w->settings.tls.loglevel = 1;
	secured(state);
	assert_logged("Anonymous TLS connection established from unknown[192.0.2.1]: TLSv1.3 with "
		      "cipher TLS_AES_256_GCM_SHA384 (256/256 bits)");
}

static void passwords_may_wait_for_tls(void **state)
{
	struct world *w = with_tls(state, TLS_LEVEL_MAY);

	assert_true(session_may_authenticate(&w->session));
	w->settings.tls_auth_only = true;
	assert_false(session_may_authenticate(&w->session));
	world_say(w, "STARTTLS\r\n");
	assert_true(session_may_authenticate(&w->session));
}

static const char *relay(struct world *w)
{
	return world_say(w, "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT "
			    "TO:<somebody@elsewhere.test>\r\n");
}

static void a_known_certificate_or_key_may_relay(void **state)
{
	static const struct world_entry BY_KEY[] = { { "BB:02", "laptop" }, { NULL, NULL } };
	struct world *w = *state;

	w->settings.restrictions[STAGE_RELAY] = "permit_tls_clientcerts, reject_unauth_destination";
	w->settings.relay_clientcerts = "hash:/etc/relay";
	w->entries = BY_KEY;
	with_tls(state, TLS_LEVEL_MAY);
	relay(w);
	assert_int_equal(world_code(w), 554);
	w->tls_subject = "laptop";
	world_say(w, "STARTTLS\r\n");
	relay(w);
	assert_int_equal(world_code(w), 250);
	assert_string_equal(w->tables, "hash:/etc/relay");
}

static void any_trusted_certificate_may_relay_where_it_says_so(void **state)
{
	struct world *w = *state;

	w->settings.restrictions[STAGE_RELAY] =
		"permit_tls_all_clientcerts, reject_unauth_destination";
	w->tls_subject = "laptop";
	secured(state);
	relay(w);
	assert_int_equal(world_code(w), 554);
	w->session.tls.trusted = true;
	relay(w);
	assert_int_equal(world_code(w), 250);
}

static void access_by_certificate(void **state)
{
	static const struct world_entry BAD[] = { { "AA:01", "REJECT lost laptop" },
		{ NULL, NULL } };
	struct world *w = *state;

	w->settings.restrictions[STAGE_CLIENT] = "check_ccert_access hash:/etc/ccert";
	w->entries = BAD;
	w->tls_subject = "laptop";
	secured(state);
	world_say(w, "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT "
		     "TO:<one@example.test>\r\n");
	assert_non_null(strstr(w->out.data,
		"554 5.7.1 <unknown[192.0.2.1]>: Client certificate rejected: lost laptop"));
}

static void a_session_in_clear_can_be_refused(void **state)
{
	struct world *w = *state;

	w->settings.restrictions[STAGE_CLIENT] = "reject_plaintext_session";
	w->settings.codes[CODE_PLAINTEXT] = 450;
	with_tls(state, TLS_LEVEL_MAY);
	world_say(w, "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT "
		     "TO:<one@example.test>\r\n");
	assert_int_equal(world_code(w), 450);
	world_say(w, "STARTTLS\r\n");
	envelope(w);
}

/* End of file from tlsd is the end, in every state; nothing half-done is left behind. */
static void tls_closed_in_any_state_is_the_end(void **state)
{
	static const char *const SAID[] = { "", "EHLO x\r\n",
		"EHLO x\r\nMAIL FROM:<a@example.org>\r\n",
		"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<one@example.test>\r\nDATA\r\nhalf",
		"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<one@example.test>\r\nBDAT 100 "
		"LAST\r\nhalf",
		"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<one@example.test>\r\nBDAT "
		"4\r\nhalf" };

	for (size_t i = 0; i < sizeof(SAID) / sizeof(SAID[0]); i++) {
		struct world *w = *state;

		w->settings.tls.wrapper = w->client.secure = true;
		if (i == 0)
			world_has_tls(w, TLS_LEVEL_ENCRYPT);
		world_connect(w, "192.0.2.1");
		world_run(w, SAID[i], strlen(SAID[i]), 0);
		assert_int_equal(w->session.loss, LOSS_GONE);
		assert_int_equal(w->delivered, 0);
		assert_false(w->begun && !w->failed);
		w->begun = false;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(starttls_is_offered_before_tls_and_not_under_it),
		T(without_a_certificate_or_level_there_is_no_starttls),
		T(starttls_takes_no_argument),
		T(what_was_said_in_clear_is_forgotten),
		T(commands_sent_with_starttls_are_never_run),
		T(half_a_line_sent_with_starttls_is_dropped),
		T(who_sends_ahead_is_turned_away_where_that_is_forbidden),
		T(without_tlsd_the_session_goes_on_in_clear),
		T(a_failed_handshake_ends_the_session),
		T(where_tls_must_be_nothing_is_done_before),
		T(the_content_of_a_refused_bdat_is_swallowed),
		T(a_client_on_the_socket_of_the_machine_needs_no_tls),
		T(in_wrapper_mode_the_handshake_comes_before_the_greeting),
		T(in_wrapper_mode_nobody_is_greeted_in_clear),
		T(received_tells_of_tls),
		T(received_tells_no_more_than_that_unless_asked),
		T(connections_are_logged_as_loglevel_says),
		T(passwords_may_wait_for_tls),
		T(a_known_certificate_or_key_may_relay),
		T(any_trusted_certificate_may_relay_where_it_says_so),
		T(access_by_certificate),
		T(a_session_in_clear_can_be_refused),
		T(tls_closed_in_any_state_is_the_end),
	};

	open_log();
	return cmocka_run_group_tests_name("smtpd_tls", tests, NULL, NULL);
}
