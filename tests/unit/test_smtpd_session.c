// SPDX-License-Identifier: ISC
/* SMTP sessions: the ordinary way, commands and states. smtpd/session.c and its chapters, in the world of smtp_world.c. */
#include "tests/unit/smtp_test.h"

/* ---- The ordinary way ------------------------------------------------------------------------------------------------ */

static void ehlo_lists_what_is_offered(void **state)
{
	struct world *w = connected(state);

	assert_string_equal(buffer_text(&w->out), "220 mail.example.test ESMTP Postern\r\n");
	assert_string_equal(world_say(w, "EHLO client.example\r\n"),
		"250-mail.example.test\r\n250-PIPELINING\r\n250-SIZE "
		"1000000\r\n250-ENHANCEDSTATUSCODES\r\n"
		"250-8BITMIME\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n");
	assert_string_equal(world_say(w, "HELO client.example\r\n"), "250 mail.example.test\r\n");
	assert_string_equal(world_say(w, "EHLO\r\n"), "501 Syntax: EHLO hostname\r\n");
}

static void keywords_can_be_left_out(void **state)
{
	struct world *w = *state;

	w->settings.keywords = EHLO_SIZE;
	w->settings.size_limit = 0;
	world_connect(w, "192.0.2.1");
	assert_string_equal(world_say(w, "EHLO x\r\n"), "250-mail.example.test\r\n250 SIZE\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<a@b.example> BODY=8BITMIME\r\n"),
		"555 5.5.4 Unsupported option: BODY=8BITMIME\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<\xc3\xa4@b.example>\r\n"),
		"553 5.6.7 Must declare SMTPUTF8 to use a unicode address\r\n");
	assert_string_equal(
		world_say(w, "MAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\n"),
		"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	assert_string_equal(world_say(w, "BDAT 3 LAST\r\na\r\n"),
		"502 5.5.1 Error: command not implemented\r\n");
	assert_int_equal(w->begins, 0);
}

static void message_comes_in_whole(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	assert_string_equal(world_say(w, "RCPT TO:<two@example.test>\r\n"), "250 2.1.5 Ok\r\n");
	assert_string_equal(world_say(w, "DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"),
		"354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok: queued as 4QTEST\r\n");
	assert_content(w, "Subject: x\n\n.dot\n");
	assert_int_equal(w->recipients, 2);
	assert_string_equal(w->sender, "a@example.org");
	assert_string_equal(w->protocol, "ESMTP");
	assert_string_equal(w->name, "unknown");
	assert_string_equal(w->origin, "client=unknown[192.0.2.1]");
	assert_string_equal(w->address, "192.0.2.1");
	assert_string_equal(w->helo, "client.example");
	assert_int_equal(w->flags, 0);
	assert_int_equal(session_state(&w->session), STATE_HELO);
	assert_string_equal(world_say(w, "QUIT\r\n"), "221 2.0.0 Bye\r\n");
	session_finish(&w->session);
	assert_logged(": connect from unknown[192.0.2.1]\n");
	assert_logged(": disconnect from unknown[192.0.2.1] ehlo=1 mail=1 rcpt=2 data=1 quit=1 "
		      "commands=6\n");
}

static void flags_and_protocol_reach_cleanup(void **state)
{
	struct world *w = *state;

	world_connect(w, "127.0.0.1");
	world_say(
		w, "EHLO x\r\nMAIL FROM:<\xc3\xa4@example.org> SMTPUTF8 BODY=8BITMIME SIZE=10\r\n");
	assert_int_equal(world_code(w), 250);
	world_say(w, "RCPT TO:<one@example.test>\r\nDATA\r\n.\r\n");
	assert_string_equal(w->protocol, "UTF8SMTP");
	assert_string_equal(w->name, "localhost");
	assert_int_equal(w->flags, CLEANUP_8BIT | CLEANUP_SMTPUTF8 | CLEANUP_LOCAL);
	assert_content(w, "");
	world_say(w, "HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nDATA\r\n.\r\n");
	assert_string_equal(w->protocol, "SMTP");
	assert_string_equal(w->sender, "");
	assert_int_equal(w->delivered, 2);
}

static void local_client_is_trusted(void **state)
{
	struct world *w = *state;

	w->settings.networks = "";
	w->client.local = true;
	w->client.uid = 1000;
	world_connect(w, "127.0.0.1");
	world_say(w,
		"EHLO x\r\nMAIL FROM:<a>\r\nRCPT TO:<b@elsewhere.example>\r\nDATA\r\nx\r\n.\r\n");
	assert_int_equal(w->delivered, 1);
	assert_string_equal(w->sender, "a@example.test");
	assert_logged("connect from localhost[127.0.0.1], uid=1000");
}

static void replies_of_a_pipeline_go_out_together(void **state)
{
	struct world *w = connected(state);

	world_say(w, "EHLO x\r\n");
	w->writes = 0;
	world_say(w, "MAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\nRCPT "
		     "TO:<two@example.test>\r\nNOOP\r\n");
	assert_int_equal(w->writes, 1);
	/* 354 goes out when the session has to wait for content, and with it what was before */
	world_say(w, "DATA\r\n.\r\nQUIT\r\n");
	assert_int_equal(w->writes, 2);
}

static void nothing_of_one_client_is_seen_by_the_next(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	world_say(w, "BDAT 4\r\nabcd");
	w->session.errors = 7;
	session_finish(&w->session);
	world_connect(w, "198.51.100.7");
	assert_int_equal(session_state(&w->session), STATE_START);
	assert_int_equal(w->session.errors, 0);
	assert_string_equal(world_say(w, "RCPT TO:<one@example.test>\r\n"),
		"503 5.5.1 Error: need MAIL command\r\n");
	session_finish(&w->session);
	assert_logged("disconnect from unknown[198.51.100.7] rcpt=0/1 commands=0/1\n");
}

/* ---- Commands and states --------------------------------------------------------------------------------------------- */

static const struct {
	const char *line, *reply;
} SYNTAX[] = {
	{ "MAIL\r\n", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n" },
	{ "MAIL FROM:\r\n", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n" },
	{ "MAIL TO:<a@b.example>\r\n", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n" },
	{ "MAIL FROM:<a@b@c.example>\r\n", "501 5.1.7 Bad sender address syntax\r\n" },
	{ "MAIL FROM:<a@b.example>x\r\n", "501 5.1.7 Bad sender address syntax\r\n" },
	{ "MAIL FROM:<a@b.example> FOO=1\r\n", "555 5.5.4 Unsupported option: FOO=1\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE\r\n", "555 5.5.4 Unsupported option: SIZE\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE=x\r\n", "501 5.5.4 Bad message size syntax\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE=\r\n", "501 5.5.4 Bad message size syntax\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE=-1\r\n", "501 5.5.4 Bad message size syntax\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE=1000001\r\n",
		"552 5.3.4 Message size exceeds fixed limit\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE=9223372036854775808\r\n",
		"552 5.3.4 Message size exceeds fixed limit\r\n" },
	{ "MAIL FROM:<a@b.example> SIZE=99999999999999999999999\r\n",
		"552 5.3.4 Message size exceeds fixed limit\r\n" },
	{ "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n", "501 5.5.4 Bad BODY parameter value\r\n" },
	{ "MAIL FROM:<\xff@b.example> SMTPUTF8\r\n", "501 5.1.7 Bad sender address syntax\r\n" },
	{ "RCPT TO:<one@example.test>\r\n", "503 5.5.1 Error: need MAIL command\r\n" },
	{ "DATA\r\n", "503 5.5.1 Error: need RCPT command\r\n" },
	{ "NONSENSE\r\n", "502 5.5.2 Error: command not recognized\r\n" },
	{ "\r\n", "502 5.5.2 Error: command not recognized\r\n" },
	{ "STARTTLS\r\n", "502 5.5.1 Error: command not implemented\r\n" },
	{ "EXPN x\r\n", "502 5.5.1 Error: command not implemented\r\n" },
	{ "AUTH PLAIN AAAA\r\n", "503 5.5.1 Error: authentication not enabled\r\n" },
	{ "RSET x\r\n", "501 5.5.4 Syntax: RSET\r\n" },
	{ "VRFY\r\n", "501 5.5.4 Syntax: VRFY address\r\n" },
};

static void bad_commands_get_their_reply(void **state)
{
	for (size_t i = 0; i < sizeof(SYNTAX) / sizeof(SYNTAX[0]); i++) {
		struct world w;

		world_open(&w);
		world_connect(&w, "192.0.2.1");
		world_say(&w, "EHLO x\r\n");
		assert_string_equal(world_say(&w, SYNTAX[i].line), SYNTAX[i].reply);
		assert_int_equal(session_state(&w.session), STATE_HELO);
		assert_int_equal(w.session.errors, 1);
		world_close(&w);
	}
	assert_logged(
		"NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 552 5.3.4 Message size exceeds "
		"fixed limit; from=<a@b.example> proto=ESMTP helo=<x>\n");
}

static void recipients_are_judged(void **state)
{
	struct world *w = connected(state);

	world_say(w, "EHLO x\r\nMAIL FROM:<a@b.example>\r\n");
	assert_string_equal(world_say(w, "RCPT TO:<x@elsewhere.example>\r\n"),
		"554 5.7.1 <x@elsewhere.example>: Relay access denied\r\n");
	assert_string_equal(world_say(w, "RCPT TO:<nobody@example.test>\r\n"),
		"550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in "
		"virtual mailbox table\r\n");
	assert_string_equal(world_say(w, "RCPT TO:<later@example.test>\r\n"),
		"451 4.3.0 <later@example.test>: Temporary lookup failure\r\n");
	assert_string_equal(
		world_say(w, "RCPT TO:<>\r\n"), "501 5.1.3 Bad recipient address syntax\r\n");
	assert_string_equal(world_say(w, "RCPT TO:<one@example.test> NOTIFY=NEVER\r\n"),
		"555 5.5.4 Unsupported option: NOTIFY=NEVER\r\n");
	assert_string_equal(world_say(w, "DATA\r\n"), "554 5.5.1 Error: no valid recipients\r\n");
	assert_string_equal(
		world_say(w, "BDAT 2 LAST\r\n\r\n"), "554 5.5.1 Error: no valid recipients\r\n");
	assert_int_equal(session_state(&w->session), STATE_MAIL);
	assert_string_equal(world_say(w, "RCPT TO:<postmaster>\r\n"), "250 2.1.5 Ok\r\n");
	assert_logged(": NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 "
		      "<x@elsewhere.example>: Relay access denied; "
		      "from=<a@b.example> to=<x@elsewhere.example> proto=ESMTP helo=<x>\n");
}

static void vrfy_touches_no_transaction(void **state)
{
	struct world *w = connected(state);

	envelope(w);
	assert_string_equal(
		world_say(w, "VRFY one@example.test\r\n"), "252 2.0.0 one@example.test\r\n");
	assert_string_equal(world_say(w, "VRFY <x@elsewhere.example>\r\n"),
		"554 5.7.1 <x@elsewhere.example>: Relay access denied\r\n");
	assert_string_equal(world_say(w, "VRFY \xc3\xa4@example.test\r\n"),
		"553 5.6.7 Must declare SMTPUTF8 to use a unicode address\r\n");
	assert_string_equal(world_say(w, "VRFY \xc3\xa4@example.test smtputf8\r\n"),
		"550 5.1.1 <?"
		"?@example.test>: Recipient address rejected: User unknown in "
		"virtual "
		"mailbox table\r\n");
	assert_string_equal(world_say(w, "VRFY one@example.test SMTPUTF8\r\n"),
		"252 2.0.0 one@example.test\r\n");
	assert_int_equal(session_state(&w->session), STATE_RCPT);
	world_say(w, "DATA\r\n.\r\n");
	assert_int_equal(w->recipients, 1);
	w->settings.disable_vrfy = true;
	assert_string_equal(world_say(w, "VRFY one\r\n"), "502 5.5.1 VRFY command is disabled\r\n");
}

static void browsers_are_sent_away(void **state)
{
	static const char *const LINES[] = { "GET / HTTP/1.1\r\n", "POST /\r\n",
		"\x16\x03\x01\x02\r\n", "{\"a\":1}\r\n" };

	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
		struct world w;

		world_open(&w);
		world_connect(&w, "192.0.2.1");
		assert_int_equal((world_say(&w, LINES[i]), world_code(&w)), 221);
		assert_true(w.session.closing);
		world_close(&w);
	}
}

/* RFC 2920 3.1: what the reply of a command must be waited for. Logged once, as fail2ban's filters have it. */
static void sending_ahead_is_noticed_once_and_may_end_the_session(void **state)
{
	struct world *w = connected(state);

	world_say(w, "EHLO client.example\r\nNOOP\r\n");
	assert_int_equal(world_code(w), 250);
	assert_logged(": improper command pipelining after EHLO from unknown[192.0.2.1]: NOOP??\n");
	assert_true(w->session.pipelined);
	session_finish(&w->session);
	world_connect(w, "192.0.2.2");
	assert_false(w->session.pipelined);
	world_say(w, "EHLO client.example\r\n");
	world_say(w, "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nDATA\r\n");
	assert_int_equal(world_code(w), 354);
	assert_false(w->session.pipelined);
	session_finish(&w->session);
	w->settings.forbid_pipelining = true;
	world_connect(w, "192.0.2.3");
	world_say(w, "EHLO client.example\r\n");
	world_say(
		w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n");
	assert_int_equal(world_code(w), 554);
	assert_true(w->session.closing);
	assert_int_equal(w->begins, 0);
	session_finish(&w->session);
	world_connect(w, "192.0.2.4");
	world_say(w, "HELO client.example\r\n");
	world_say(w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\n");
	assert_int_equal(world_code(w), 554);
	assert_logged(": improper command pipelining after MAIL from unknown[192.0.2.4]: RCPT "
		      "TO:<one@example.test>??\n");
}

static void refusals_have_their_footer(void **state)
{
	struct world *w = connected(state);

	world_say(w, "EHLO client.example\r\n");
	w->settings.reject_footer = "\\c. Call ${server_name}.";
	assert_string_equal(world_say(w, "FOO\r\n"),
		"502 5.5.2 Error: command not recognized. Call mail.example.test.\r\n");
	assert_string_equal(world_say(w, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
	w->settings.reject_footer = "You are $client_address\\nwith $sender";
	assert_string_equal(world_say(w, "RCPT TO:<a@b>\r\n"),
		"503-5.5.1 Error: need MAIL command\r\n"
		"503-5.5.1 You are 192.0.2.1\r\n"
		"503 5.5.1 with $sender\r\n");
	assert_string_equal(world_say(w, "EHLO\r\n"),
		"501-Syntax: EHLO hostname\r\n501-You are 192.0.2.1\r\n501 with $sender\r\n");
	w->settings.reject_footer = "$localtime";
	world_say(w, "FOO\r\n");
	assert_int_equal(w->out.length, 41 + 10 + 15 + 2);
}

static void commands_of_other_protocols_and_of_none_are_parameters(void **state)
{
	struct world *w = connected(state);

	w->settings.noop_commands = "XYZZY, plugh";
	w->settings.junk_commands = 1;
	assert_string_equal(world_say(w, "xyzzy now\r\n"), "250 2.0.0 Ok\r\n");
	assert_string_equal(world_say(w, "plugh\r\n"), "250 2.0.0 Ok\r\n");
	assert_int_equal(w->session.errors, 1);
	w->settings.forbidden_commands = "";
	world_say(w, "GET / HTTP/1.1\r\n");
	assert_int_equal(world_code(w), 502);
	w->settings.forbidden_commands = "OPTIONS get";
	world_say(w, "GET / HTTP/1.1\r\n");
	assert_int_equal(world_code(w), 221);
	assert_logged("non-SMTP command from unknown[192.0.2.1]: GET / HTTP/1.1");
}

static void keywords_can_be_left_out_for_some(void **state)
{
	static const struct world_entry CLIENTS[] = {
		{ "192.0.2.1", "chunking, silent-discard, PIPELINING" }, { "192.0.2.3", NULL },
		{ NULL, NULL }
	};
	struct world *w = *state;
	const char *told;

	w->settings.keyword_maps = "cidr:/etc/old";
	w->settings.keywords = EHLO_SIZE;
	w->settings.keywords_most = EHLO_SIZE | EHLO_CHUNKING | EHLO_PIPELINING | EHLO_8BITMIME;
	w->entries = CLIENTS;
	world_connect(w, "192.0.2.1");
	told = world_say(w, "EHLO client.example\r\n");
	assert_string_equal(w->tables, "cidr:/etc/old");
	assert_non_null(strstr(told, "8BITMIME"));
	assert_null(strstr(told, "CHUNKING"));
	assert_null(strstr(told, "PIPELINING"));
	assert_int_equal(strncmp(world_say(w, "MAIL FROM:<> BODY=8BITMIME\r\n"), "250", 3), 0);
	session_finish(&w->session);
	/* Others have what all have. */
	world_connect(w, "192.0.2.2");
	told = world_say(w, "EHLO client.example\r\n");
	assert_non_null(strstr(told, "SIZE"));
	assert_null(strstr(told, "8BITMIME"));
	session_finish(&w->session);
	world_connect(w, "192.0.2.3");
	assert_string_equal(
		world_say(w, "EHLO client.example\r\n"), "451 4.3.0 Temporary lookup failure\r\n");
	assert_int_equal(session_state(&w->session), STATE_START);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ehlo_lists_what_is_offered),
		T(keywords_can_be_left_out),
		T(keywords_can_be_left_out_for_some),
		T(message_comes_in_whole),
		T(flags_and_protocol_reach_cleanup),
		T(local_client_is_trusted),
		T(replies_of_a_pipeline_go_out_together),
		T(nothing_of_one_client_is_seen_by_the_next),
		T(bad_commands_get_their_reply),
		T(recipients_are_judged),
		T(vrfy_touches_no_transaction),
		T(browsers_are_sent_away),
		T(sending_ahead_is_noticed_once_and_may_end_the_session),
		T(refusals_have_their_footer),
		T(commands_of_other_protocols_and_of_none_are_parameters),
	};

	open_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
