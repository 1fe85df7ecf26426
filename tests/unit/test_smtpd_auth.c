// SPDX-License-Identifier: ISC
/* AUTH in SMTP sessions (RFC 4954). smtpd/auth.c, in the world of smtp_world.c. */
#include "tests/unit/smtp_test.h"

/* "\0one@example.test\0secret", the same with a wrong password, and the two halves for LOGIN. */
#define GOOD "AG9uZUBleGFtcGxlLnRlc3QAc2VjcmV0"
#define BAD  "AG9uZUBleGFtcGxlLnRlc3QAd3Jvbmc="
#define NAME "b25lQGV4YW1wbGUudGVzdA=="
#define WORD "c2VjcmV0"

static struct world *offering(void **state)
{
	struct world *w = *state;

	w->settings.auth.enabled = true;
	world_connect(w, "192.0.2.1");
	world_say(w, "EHLO client.example\r\n");
	return w;
}

static void login(struct world *w)
{
	assert_string_equal(
		world_say(w, "AUTH PLAIN " GOOD "\r\n"), "235 2.7.0 Authentication successful\r\n");
}

/* ---- What is offered -------------------------------------------------------------------------------------------------- */

static void ehlo_tells_what_authd_offers_and_asks_once(void **state)
{
	struct world *w = offering(state);

	assert_non_null(strstr(buffer_text(&w->out), "250-AUTH PLAIN LOGIN\r\n"));
	world_say(w, "EHLO client.example\r\n");
	session_finish(&w->session);
	world_connect(w, "192.0.2.2");
	assert_non_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH PLAIN LOGIN"));
	assert_int_equal(w->offers, 1);
}

static void auth_is_not_offered_where_it_is_not_wanted(void **state)
{
	struct world *w = *state;

	w->settings.auth.enabled = true;
	w->settings.auth.exceptions = "192.0.2.0/24";
	world_connect(w, "192.0.2.1");
	assert_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	session_finish(&w->session);
	world_connect(w, "198.51.100.1");
	assert_non_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	w->settings.auth.options = "noanonymous, noplaintext";
	assert_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"504 5.5.4 Error: unrecognized authentication type\r\n");
	w->settings.auth.options = "noanonymous";
	w->settings.keywords &= ~(unsigned)EHLO_AUTH;
	assert_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	w->settings.auth.enabled = false;
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"503 5.5.1 Error: authentication not enabled\r\n");
}

static void without_encryption_nobody_is_asked_where_that_is_so(void **state)
{
	struct world *w = *state;

	w->settings.auth.enabled = w->settings.tls_auth_only = true;
	world_connect(w, "192.0.2.1");
	assert_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"538 5.7.11 Encryption required for requested authentication mechanism\r\n");
	session_finish(&w->session);
	w->client.local = true;
	world_connect(w, "127.0.0.1");
	assert_non_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	login(w);
	assert_true(w->auth_secured);
}

static void in_clear_passwords_are_taken_from_networks_that_may_say_them(void **state)
{
	struct world *w = *state;

	w->settings.auth.enabled = w->settings.tls_auth_only = true;
	w->settings.plaintext_networks = "127.0.0.0/8 [::1]/128";
	world_connect(w, "192.0.2.1");
	assert_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	session_finish(&w->session);
	world_connect(w, "127.0.0.1");
	assert_non_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
	session_finish(&w->session);
	w->settings.tls.level = TLS_LEVEL_ENCRYPT;
	world_connect(w, "127.0.0.1");
	assert_null(strstr(world_say(w, "EHLO x\r\n"), "AUTH"));
}

/* ---- Exchanges -------------------------------------------------------------------------------------------------------- */

static void a_password_in_the_command_logs_in(void **state)
{
	struct world *w = offering(state);

	login(w);
	assert_string_equal(w->session.auth.login, "one@example.test");
	assert_false(w->auth_secured);
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"503 5.5.1 Error: already authenticated\r\n");
	world_say(w, "EHLO again\r\nRSET\r\n");
	assert_string_equal(w->session.auth.login, "one@example.test");
}

static void challenges_are_answered_one_by_one(void **state)
{
	struct world *w = offering(state);

	assert_string_equal(world_say(w, "auth login\r\n" NAME "\r\n" WORD "\r\n"),
		"334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 2.7.0 Authentication successful\r\n");
	session_finish(&w->session);
	world_connect(w, "192.0.2.1");
	world_say(w, "EHLO x\r\n");
	assert_string_equal(world_say(w, "AUTH PLAIN\r\n" GOOD "\r\n"),
		"334 \r\n235 2.7.0 Authentication successful\r\n");
}

static void a_wrong_password_is_told_and_logged(void **state)
{
	struct world *w = offering(state);

	assert_string_equal(world_say(w, "AUTH PLAIN " BAD "\r\n"),
		"535 5.7.8 Error: authentication failed: authentication failure\r\n");
	assert_string_equal(w->session.auth.login, "");
	assert_logged("warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: "
		      "authentication failure, sasl_username=one@example.test\n");
	login(w);
	session_finish(&w->session);
	assert_logged(" auth=1/2 ");
}

static void failures_take_the_time_that_authd_wants(void **state)
{
	struct world *w = offering(state);

	w->auth_delay = 2000;
	world_say(w, "AUTH PLAIN " BAD "\r\n");
	assert_int_equal(world_code(w), 535);
	assert_int_equal(w->slept, 2000);
	login(w);
	assert_int_equal(w->slept, 2000);
}

static void the_last_word_of_a_mechanism_is_a_challenge(void **state)
{
	struct world *w = offering(state);

	w->auth_final = "v=proof";
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n*\r\n"),
		"334 dj1wcm9vZg==\r\n501 5.7.0 Error: authentication aborted\r\n");
	assert_string_equal(w->session.auth.login, "");
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n\r\n"),
		"334 dj1wcm9vZg==\r\n235 2.7.0 Authentication successful\r\n");
	assert_string_equal(w->session.auth.login, "one@example.test");
}

static void an_exchange_can_be_given_up(void **state)
{
	struct world *w = offering(state);

	assert_string_equal(world_say(w, "AUTH LOGIN\r\n*\r\n"),
		"334 VXNlcm5hbWU6\r\n501 5.7.0 Error: authentication aborted\r\n");
	assert_int_equal(w->cancels, 1);
	assert_string_equal(world_say(w, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
	login(w);
}

static void what_is_no_base64_is_refused(void **state)
{
	static const char *const LINES[] = { "AUTH PLAIN ???\r\n", "AUTH PLAIN AAA\r\n",
		"AUTH PLAIN A A\r\n", "AUTH LOGIN\r\nnot base64\r\n", "AUTH PLAIN AGE=AAAA\r\n" };
	struct world *w = offering(state);

	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		world_say(w, LINES[i]);
		assert_int_equal(world_code(w), 501);
	}
	assert_string_equal(world_say(w, "AUTH\r\n"), "501 5.5.4 Syntax: AUTH mechanism\r\n");
	assert_string_equal(world_say(w, "AUTH SECRET-WORD\r\n"),
		"504 5.5.4 Error: unrecognized authentication type\r\n");
	/* "=" is an empty response, not none. */
	assert_string_equal(world_say(w, "AUTH LOGIN =\r\n*\r\n"),
		"334 UGFzc3dvcmQ6\r\n501 5.7.0 Error: authentication aborted\r\n");
	login(w);
}

static void lines_of_an_exchange_may_be_longer_than_others(void **state)
{
	struct world *w = offering(state);
	struct buffer text = { 0 };

	buffer_printf(&text, "AUTH PLAIN ");
	while (text.length < 12000)
		buffer_add_text(&text, "AAAA");
	buffer_add_text(&text, "\r\n");
	world_say(w, buffer_text(&text));
	assert_int_equal(world_code(w), 501);
	buffer_clear(&text);
	buffer_add_text(&text, "AUTH LOGIN\r\n");
	while (text.length < 12400)
		buffer_add_text(&text, "AAAA");
	buffer_add_text(&text, "\r\n");
	world_say(w, buffer_text(&text));
	assert_int_equal(world_code(w), 500);
	/* No other command is. */
	memset(text.data, 'A', 3000);
	memcpy(text.data, "NOOP ", 5);
	text.data[3000] = '\r';
	text.data[3001] = '\n';
	assert_string_equal(world_send(w, text.data, 3002), "500 5.5.2 Error: line too long\r\n");
	buffer_free(&text);
}

static void authd_that_is_away_is_no_wrong_password(void **state)
{
	struct world *w = offering(state);

	w->auth_dead = true;
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"454 4.7.0 Temporary authentication failure\r\n");
	w->can_renew = true;
	login(w);
	session_finish(&w->session);
	world_connect(w, "192.0.2.1");
	/* In the middle there is nothing that another authd could go on with. */
	w->auth_dies = true;
	world_say(w, "EHLO x\r\n");
	assert_string_equal(world_say(w, "AUTH LOGIN\r\n" NAME "\r\n"),
		"334 VXNlcm5hbWU6\r\n454 4.7.0 Temporary authentication failure\r\n");
	w->auth_dead = w->auth_dies = false;
	/* "later" has a database that cannot be asked now */
	assert_string_equal(world_say(w, "AUTH PLAIN AGxhdGVyAHNlY3JldA==\r\n"),
		"454 4.7.0 Temporary authentication failure\r\n");
}

static void auth_has_its_place(void **state)
{
	struct world *w = *state;

	w->settings.auth.enabled = w->settings.helo_required = true;
	world_connect(w, "192.0.2.1");
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"503 5.5.1 Error: send HELO/EHLO first\r\n");
	world_say(w, "HELO x\r\n");
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"503 5.5.1 Error: authentication not enabled\r\n");
	world_say(w, "EHLO x\r\nMAIL FROM:<a@example.org>\r\n");
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"503 5.5.1 Error: MAIL transaction in progress\r\n");
	world_say(w, "RSET\r\n");
	w->settings.auth.rate = 1;
	w->over_rate = true;
	assert_string_equal(world_say(w, "AUTH PLAIN " GOOD "\r\n"),
		"450 4.7.1 Error: too many AUTH commands from 192.0.2.1\r\n");
}

static void guessing_ends_the_session(void **state)
{
	struct world *w = offering(state);

	w->settings.hard_errors = 3;
	world_say(w, "AUTH PLAIN " BAD "\r\nAUTH PLAIN " BAD "\r\nAUTH PLAIN " BAD "\r\n");
	assert_non_null(strstr(world_say(w, "AUTH PLAIN " GOOD "\r\n"), "421 4.7.0"));
	assert_string_equal(w->session.auth.login, "");
}

/* ---- What follows ------------------------------------------------------------------------------------------------------ */

static void who_logged_in_may_send_anywhere(void **state)
{
	struct world *w = offering(state);

	world_say(w, "MAIL FROM:<one@example.test>\r\nRCPT TO:<b@elsewhere.example>\r\n");
	assert_int_equal(world_code(w), 554);
	world_say(w, "RSET\r\n");
	login(w);
	w->settings.auth.show_login = true;
	world_say(w,
		"MAIL FROM:<one@example.test>\r\nRCPT TO:<b@elsewhere.example>\r\nDATA\r\n.\r\n");
	assert_int_equal(w->delivered, 1);
	assert_string_equal(w->login, "one@example.test");
	assert_string_equal(w->protocol, "ESMTPA");
	assert_int_equal(w->flags, CLEANUP_SUBMISSION | CLEANUP_SHOW_LOGIN);
	assert_string_equal(w->origin,
		"client=unknown[192.0.2.1], sasl_method=PLAIN, sasl_username=one@example.test");
}

static void the_next_client_is_nobody(void **state)
{
	struct world *w = offering(state);

	login(w);
	session_finish(&w->session);
	world_connect(w, "192.0.2.1");
	world_say(w, "EHLO x\r\nMAIL FROM:<one@example.test>\r\nRCPT TO:<b@elsewhere.example>\r\n");
	assert_int_equal(world_code(w), 554);
	world_say(w, "RCPT TO:<one@example.test>\r\nDATA\r\n.\r\n");
	assert_string_equal(w->login, "");
	assert_string_equal(w->protocol, "ESMTP");
	assert_string_equal(w->origin, "client=unknown[192.0.2.1]");
}

static void the_submitter_is_logged_and_not_believed(void **state)
{
	struct world *w = offering(state);

	world_say(w, "MAIL FROM:<a@example.org> AUTH=e+2Bmail@example.org\r\nRCPT "
		     "TO:<b@elsewhere.example>\r\n");
	assert_int_equal(world_code(w), 554);
	world_say(w, "RCPT TO:<one@example.test>\r\nDATA\r\n.\r\n");
	assert_string_equal(w->origin, "client=unknown[192.0.2.1], sasl_sender=e+mail@example.org");
	assert_string_equal(
		world_say(w, "MAIL FROM:<a@example.org> AUTH=<>\r\n"), "250 2.1.0 Ok\r\n");
	world_say(w, "RSET\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<a@example.org> AUTH=+0A\r\n"),
		"501 5.5.4 Bad AUTH parameter value\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<a@example.org> AUTH=a@b@c\r\n"),
		"501 5.5.4 Bad AUTH parameter value\r\n");
}

/* ---- As whom ------------------------------------------------------------------------------------------------------------ */

static unsigned code_for(struct world *w, const char *restriction, const char *sender)
{
	char text[200];

	w->settings.restrictions[STAGE_SENDER] = restriction;
	snprintf(text, sizeof(text), "RSET\r\nMAIL FROM:<%s>\r\nRCPT TO:<two@example.test>\r\n",
		sender);
	world_say(w, text);
	return world_code(w);
}

static void who_logged_in_sends_as_himself_only(void **state)
{
	static const struct {
		const char *restriction;
		unsigned mapped, other, nobody; /* the codes for addresses that are not one's own */
	} ROWS[] = {
		{ "reject_sender_login_mismatch", 553, 553, 553 },
		{ "reject_authenticated_sender_login_mismatch", 553, 553, 553 },
		{ "reject_known_sender_login_mismatch", 553, 553, 250 },
		{ "reject_unauthenticated_sender_login_mismatch", 250, 250, 250 },
	};
	struct world *w = offering(state);

	login(w);
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		assert_int_equal(code_for(w, ROWS[i].restriction, "one@example.test"), 250);
		assert_int_equal(code_for(w, ROWS[i].restriction, ""), 250);
		w->owner = OWNER_MAPPED;
		assert_int_equal(code_for(w, ROWS[i].restriction, "x@y.example"), ROWS[i].mapped);
		w->owner = OWNER_OTHER;
		assert_int_equal(code_for(w, ROWS[i].restriction, "x@y.example"), ROWS[i].other);
		w->owner = OWNER_NOBODY;
		assert_int_equal(code_for(w, ROWS[i].restriction, "x@y.example"), ROWS[i].nobody);
	}
	w->owner = OWNER_OTHER;
	code_for(w, "reject_sender_login_mismatch", "two@example.test");
	assert_string_equal(buffer_text(&w->out),
		"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n553 5.7.1 <two@example.test>: Sender address "
		"rejected: not owned by user one@example.test\r\n");
	w->owner = OWNER_TEMPORARY;
	assert_int_equal(code_for(w, "reject_sender_login_mismatch", "x@y.example"), 451);
}

static void nobody_sends_as_those_who_have_to_log_in(void **state)
{
	static const struct {
		const char *restriction;
		unsigned mapped;
	} ROWS[] = {
		{ "reject_sender_login_mismatch", 553 },
		{ "reject_authenticated_sender_login_mismatch", 250 },
		{ "reject_known_sender_login_mismatch", 553 },
		{ "reject_unauthenticated_sender_login_mismatch", 553 },
	};
	struct world *w = offering(state);

	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		w->owner = OWNER_MAPPED;
		assert_int_equal(code_for(w, ROWS[i].restriction, "x@y.example"), ROWS[i].mapped);
		/* An address of ours may come from outside: by a list, by a forwarder. */
		w->owner = OWNER_OTHER;
		assert_int_equal(code_for(w, ROWS[i].restriction, "two@example.test"), 250);
	}
	w->owner = OWNER_MAPPED;
	code_for(w, "reject_sender_login_mismatch", "x@y.example");
	assert_non_null(strstr(buffer_text(&w->out),
		"553 5.7.1 <x@y.example>: Sender address rejected: not logged in\r\n"));
}

static void the_owner_is_asked_once_for_a_message(void **state)
{
	struct world *w = offering(state);

	login(w);
	w->settings.sender_login_maps = "hash:x";
	assert_int_equal(code_for(w, "reject_sender_login_mismatch", "one@example.test"), 250);
	world_say(w, "RCPT TO:<one@example.test>\r\nRCPT TO:<b@elsewhere.example>\r\n");
	assert_int_equal(world_code(w), 250);
	assert_int_equal(w->owner_questions, 1);
	assert_string_equal(w->tables, "hash:x");
	assert_string_equal(w->owner_login, "one@example.test");
	/* The answer does not hold for the next message. */
	w->owner = OWNER_OTHER;
	assert_int_equal(code_for(w, "reject_sender_login_mismatch", "two@example.test"), 553);
}

/* ---- How much ----------------------------------------------------------------------------------------------------------- */

static const char *send_one(struct world *w)
{
	world_say(w, "RSET\r\nMAIL FROM:<one@example.test>\r\nRCPT TO:<two@example.test>\r\nRCPT "
		     "TO:<one@example.test>\r\n");
	return world_say(w, "BDAT 1 LAST\r\nx");
}

static void what_a_user_sends_is_counted_before_the_content(void **state)
{
	struct world *w = offering(state);

	login(w);
	send_one(w);
	assert_int_equal(w->usages, 0);
	w->settings.limits[LIMIT_MESSAGE_HOUR] = 10;
	w->settings.limits[LIMIT_RECIPIENT_DAY] = 1000;
	w->usage_answer.status = USAGE_ALLOWED;
	send_one(w);
	assert_int_equal(w->delivered, 2);
	assert_int_equal(w->usages, 1);
	assert_int_equal(w->usage.recipients, 2);
	assert_int_equal(w->usage.message_hour, 10);
	assert_int_equal(w->usage.recipient_hour, 0);
	assert_int_equal(w->usage.recipient_day, 1000);
	/* Several chunks are one message. */
	world_say(w,
		"MAIL FROM:<one@example.test>\r\nRCPT TO:<two@example.test>\r\nBDAT 1\r\nxBDAT "
		"1\r\nyBDAT 0 LAST\r\n");
	assert_int_equal(w->delivered, 3);
	assert_int_equal(w->usages, 2);
}

static void too_much_is_refused_with_the_limit_and_the_time(void **state)
{
	struct world *w = offering(state);

	login(w);
	w->settings.limits[LIMIT_MESSAGE_HOUR] = 10;
	w->usage_answer = (struct message_auth_usage_answer){
		.status = USAGE_OVER, .which = LIMIT_MESSAGE_HOUR, .limit = 10, .wait = 1400
	};
	world_say(w, "RSET\r\nMAIL FROM:<one@example.test>\r\nRCPT TO:<two@example.test>\r\n");
	assert_string_equal(world_say(w, "DATA\r\n"),
		"450 4.7.1 Error: too many messages from one@example.test: the limit is 10 in an "
		"hour, try again in 24 minutes\r\n");
	assert_logged("NOQUEUE: reject: DATA from unknown[192.0.2.1]: 450 4.7.1 Error: too many "
		      "messages");
	assert_string_equal(world_say(w, "BDAT 1 LAST\r\nx"),
		"450 4.7.1 Error: too many messages from one@example.test: the limit is 10 in an "
		"hour, try again in 24 minutes\r\n");
	w->usage_answer = (struct message_auth_usage_answer){
		.status = USAGE_NEVER, .which = LIMIT_RECIPIENT_DAY, .limit = 1
	};
	assert_non_null(strstr(send_one(w), "550 5.7.1 Error: too many recipients for "
					    "one@example.test: 2 at once, the limit is "
					    "1 in a day\r\n"));
	assert_int_equal(w->delivered, 0);
}

static void a_count_that_cannot_be_had_lets_nothing_through(void **state)
{
	struct world *w = offering(state);

	login(w);
	w->settings.limits[LIMIT_MESSAGE_DAY] = 1;
	w->auth_dead = true;
	assert_int_equal(strncmp(send_one(w), "451 4.3.0", 9), 0);
	w->can_renew = true;
	w->usage_answer.status = USAGE_TEMPORARY;
	assert_int_equal(strncmp(send_one(w), "451 4.3.0", 9), 0);
	w->usage_answer.status = USAGE_ALLOWED;
	assert_int_equal(strncmp(send_one(w), "250", 3), 0);
	assert_int_equal(w->delivered, 1);
}

static void a_table_knows_the_limits_of_some(void **state)
{
	static const struct {
		struct world_entry entries[2];
		unsigned message_hour, recipient_day;
		const char *reply;
	} ROWS[] = {
		{ { { "one@example.test", "message_hour=7" } }, 7, 20, "250" },
		{ { { "@example.test", "message_hour=7, recipient_day=8" } }, 7, 8, "250" },
		{ { { "example.test", "none recipient_day=9" } }, 0, 9, "250" },
		{ { { "two@example.test", "message_hour=7" } }, 10, 20, "250" },
		{ { { "one@example.test", "message_hour=many" } }, 0, 0, "451" },
		{ { { "one@example.test", NULL } }, 0, 0, "451" },
	};
	struct world *w = offering(state);

	login(w);
	w->settings.limit_maps = "hash:x";
	w->settings.limits[LIMIT_MESSAGE_HOUR] = 10;
	w->settings.limits[LIMIT_RECIPIENT_DAY] = 20;
	w->usage_answer.status = USAGE_ALLOWED;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		w->entries = ROWS[i].entries;
		w->usage = (struct message_auth_usage){ 0 };
		assert_int_equal(strncmp(send_one(w), ROWS[i].reply, 3), 0);
		assert_int_equal(w->usage.message_hour, ROWS[i].message_hour);
		assert_int_equal(w->usage.recipient_day, ROWS[i].recipient_day);
	}
	/* "none" asks nobody. */
	w->entries = (const struct world_entry[]){ { "one@example.test", "none" }, { NULL, NULL } };
	w->usages = 0;
	assert_int_equal(strncmp(send_one(w), "250", 3), 0);
	assert_int_equal(w->usages, 0);
}

/* ---- Who has to make room --------------------------------------------------------------------------------------------- */

static void the_front_knows_what_its_client_has_become(void **state)
{
	struct world *w = offering(state);

	world_say(w, "MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<nobody@example.test>\r\n");
	assert_int_equal(w->standing, CLIENT_STRANGER);
	world_say(w, "RCPT TO:<one@example.test>\r\nRCPT TO:<two@example.test>\r\n");
	assert_int_equal(w->standing, CLIENT_SENDS);
	world_say(w, "RSET\r\nAUTH PLAIN AAAA\r\n");
	assert_int_equal(w->standing, CLIENT_SENDS);
	login(w);
	assert_int_equal(w->standing, CLIENT_KNOWN);
	world_say(w, "RSET\r\nMAIL FROM:<one@example.test>\r\nRCPT TO:<one@example.test>\r\n");
	assert_int_equal(w->session.standing, CLIENT_KNOWN);
	/* The next one is nobody again. */
	session_finish(&w->session);
	session_begin(&w->session, &w->client);
	assert_int_equal(w->session.standing, CLIENT_STRANGER);
}

static void who_makes_room_while_authd_thinks_leaves_nothing_under_way(void **state)
{
	struct world *w = offering(state);

	w->auth_outlasts = true;
	assert_string_equal(world_say(w, "AUTH PLAIN AG9uZUBleGFtcGxlLnRlc3QAc2VjcmV0\r\n"), "");
	assert_int_equal(w->session.loss, LOSS_GONE);
	assert_int_equal(w->cancels, 1);
	assert_int_equal(w->renewals, 0);
	assert_string_equal(w->session.auth.login, "");
}

/* ---- Who has to go ---------------------------------------------------------------------------------------------------- */

static void a_session_with_a_login_serves_nobody_after_it(void **state)
{
	struct world *w = offering(state);

	world_say(w, "AUTH PLAIN AAAA\r\n");
	assert_false(w->session.spent);
	login(w);
	assert_true(w->session.spent);
}

static void a_login_that_may_have_been_good_is_one(void **state)
{
	struct world *w = offering(state);

	w->auth_dead = true;
	world_say(w, "AUTH PLAIN AG9uZUBleGFtcGxlLnRlc3QAc2VjcmV0\r\n");
	assert_true(w->session.spent);
	assert_string_equal(w->session.auth.login, "");
}

static void who_has_to_go_hears_so_and_loses_what_was_not_finished(void **state)
{
	struct world *w = offering(state);

	login(w);
	world_say(w, "MAIL FROM:<one@example.test>\r\nRCPT TO:<one@example.test>\r\n");
	w->dismissed = true;
	assert_non_null(strstr(world_say(w, "DATA\r\nSubject: half\r\n"),
		"421 4.7.0 mail.example.test Disconnected by the administrator\r\n"));
	assert_true(w->session.closing);
	session_finish(&w->session);
	assert_false(w->session.transaction.active);
	assert_true(w->session.spent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ehlo_tells_what_authd_offers_and_asks_once),
		T(auth_is_not_offered_where_it_is_not_wanted),
		T(without_encryption_nobody_is_asked_where_that_is_so),
		T(in_clear_passwords_are_taken_from_networks_that_may_say_them),
		T(a_password_in_the_command_logs_in),
		T(challenges_are_answered_one_by_one),
		T(a_wrong_password_is_told_and_logged),
		T(failures_take_the_time_that_authd_wants),
		T(the_last_word_of_a_mechanism_is_a_challenge),
		T(an_exchange_can_be_given_up),
		T(what_is_no_base64_is_refused),
		T(lines_of_an_exchange_may_be_longer_than_others),
		T(authd_that_is_away_is_no_wrong_password),
		T(auth_has_its_place),
		T(guessing_ends_the_session),
		T(who_logged_in_may_send_anywhere),
		T(the_next_client_is_nobody),
		T(who_logged_in_sends_as_himself_only),
		T(nobody_sends_as_those_who_have_to_log_in),
		T(the_owner_is_asked_once_for_a_message),
		T(what_a_user_sends_is_counted_before_the_content),
		T(too_much_is_refused_with_the_limit_and_the_time),
		T(a_count_that_cannot_be_had_lets_nothing_through),
		T(a_table_knows_the_limits_of_some),
		T(the_submitter_is_logged_and_not_believed),
		T(the_front_knows_what_its_client_has_become),
		T(who_makes_room_while_authd_thinks_leaves_nothing_under_way),
		T(a_session_with_a_login_serves_nobody_after_it),
		T(a_login_that_may_have_been_good_is_one),
		T(who_has_to_go_hears_so_and_loses_what_was_not_finished),
	};

	open_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
