// SPDX-License-Identifier: ISC
/* SMTP sessions: commands, states, limits, peers that go away. smtpd/session.c and its chapters, in the world of smtp_world.c. */
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

/* What a session should be, in the fewest words: the model of the random test. */
struct model {
	bool helo, mail, bdat, failed;
	unsigned recipients, refused, delivered;
};

static enum session_state model_state(const struct model *m)
{
	return m->bdat   ? STATE_BDAT
	       : m->mail ? (m->recipients ? STATE_RCPT : STATE_MAIL)
	       : m->helo ? STATE_HELO
			 : STATE_START;
}

static void model_reset(struct model *m)
{
	*m = (struct model){ .helo = m->helo, .delivered = m->delivered };
}

enum move {
	M_EHLO,
	M_HELO,
	M_MAIL,
	M_BAD_MAIL,
	M_RCPT,
	M_BAD_RCPT,
	M_FOREIGN_RCPT,
	M_DATA,
	M_BARE_DATA,
	M_BDAT,
	M_BDAT_EMPTY,
	M_BDAT_LAST,
	M_BDAT_BARE,
	M_BDAT_HUGE,
	M_RSET,
	M_NOOP,
	M_VRFY,
	M_UNKNOWN,
	M_NUL,
	M_CLEANUP_NO,
	MOVES
};

static const char *const MOVE_TEXT[MOVES] = { "EHLO x\r\n", "HELO y\r\n",
	"MAIL FROM:<a@b.example>\r\n", "MAIL FROM:<a@>\r\n", "RCPT TO:<one@example.test>\r\n",
	"RCPT TO:<nobody@example.test>\r\n", "RCPT TO:<x@y.example>\r\n", "DATA\r\nhello\r\n.\r\n",
	"DATA\r\nhel\nlo\r\n.\r\n", "BDAT 4\r\nab\r\n", "BDAT 0\r\n", "BDAT 4 LAST\r\ncd\r\n",
	"BDAT 4\r\na\nb\n", "BDAT 1000001\r\n", "RSET\r\n", "NOOP\r\n", "VRFY one@example.test\r\n",
	"WHAT\r\n", "", "DATA\r\n.\r\n" };

static void model_bdat(struct model *m, bool last, bool bare, bool huge)
{
	if (m->failed) {
		if (last)
			model_reset(m);
		return;
	}
	if (!m->mail || !m->recipients)
		return;
	m->bdat = true;
	if (bare || huge) {
		model_reset(m);
		if (!last)
			m->mail = m->bdat = m->failed = true;
	} else if (last) {
		m->delivered++;
		model_reset(m);
	}
}

static void model_move(struct model *m, enum move move)
{
	bool can_rcpt = m->mail && !m->bdat;

	switch (move) {
	case M_EHLO:
	case M_HELO:
		m->helo = true;
		model_reset(m);
		break;
	case M_RSET:
		model_reset(m);
		break;
	case M_MAIL:
		m->mail = true;
		break;
	case M_BAD_MAIL:
		break;
	case M_RCPT:
		m->recipients += can_rcpt;
		break;
	case M_DATA:
	case M_BARE_DATA:
	case M_CLEANUP_NO:
		if (can_rcpt && m->recipients) {
			m->delivered += move == M_DATA;
			model_reset(m);
		}
		break;
	case M_BDAT:
	case M_BDAT_EMPTY:
		model_bdat(m, false, false, false);
		break;
	case M_BDAT_LAST:
		model_bdat(m, true, false, false);
		break;
	case M_BDAT_BARE:
		model_bdat(m, false, true, false);
		break;
	case M_BDAT_HUGE:
		model_bdat(m, false, false, true);
		break;
	default:
		break;
	}
}

static void give_move(struct world *w, enum move move, bool can_data)
{
	static char huge[1000001 + 32];

	w->cleanup_code = move == M_CLEANUP_NO ? 451 : 250;
	if (move == M_BDAT_HUGE) {
		int length = snprintf(huge, sizeof(huge), "%s", MOVE_TEXT[move]);

		memset(huge + length, 'x', 1000001);
		world_send(w, huge, (size_t)length + 1000001);
	} else if (move == M_NUL) {
		world_send(w, "RSET\0\r\n", 7);
	} else if ((move == M_DATA || move == M_BARE_DATA || move == M_CLEANUP_NO) && !can_data) {
		world_say(w,
			"DATA\r\n"); /* the content would be taken for commands, as it should be */
	} else {
		world_say(w, MOVE_TEXT[move]);
	}
}

static void random_sessions_stay_with_the_model(void **state)
{
	unsigned random = 1;

	for (unsigned round = 0; round < 60; round++) {
		struct world w;
		struct model m = { 0 };

		world_open(&w);
		w.settings.hard_errors = w.settings.soft_errors = w.settings.junk_commands =
			1000000;
		world_connect(&w, "192.0.2.1");
		w.step = round % 3 ? 0 : 1;
		for (unsigned i = 0; i < 400; i++) {
			enum move move;
			bool can_data = m.mail && m.recipients && !m.bdat;

			random = random * 1103515245 + 12345;
			move = (random >> 16) % MOVES;
			if (move == M_BDAT_HUGE && w.step)
				move = M_BDAT;
			give_move(&w, move, can_data);
			model_move(&m, move);
			if (session_state(&w.session) != model_state(&m))
				fail_msg("round %u, command %u (%s): state %d, model %d", round, i,
					MOVE_TEXT[move], session_state(&w.session),
					model_state(&m));
			assert_int_equal(w.delivered, m.delivered);
			assert_int_equal(w.session.transaction.failed, m.failed);
			assert_int_equal(w.session.transaction.recipient_count, m.recipients);
			assert_false(w.session.closing);
			assert_true(world_code(&w) >= 200);
		}
		world_close(&w);
	}
}

static void nul_at_every_position_of_every_command(void **state)
{
	static const char *const LINES[] = { "EHLO client.example\r\n",
		"MAIL FROM:<a@b.example> SIZE=10\r\n", "RCPT TO:<one@example.test>\r\n", "DATA\r\n",
		"BDAT 0 LAST\r\n", "RSET\r\n", "NOOP\r\n", "VRFY one\r\n", "HELP\r\n", "QUIT\r\n",
		"HELO x\r\n" };
	static const char BAD[] = { '\0', '\r', '\n', '\x01', '\x7f' };

	for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]) * sizeof(BAD); i++) {
		const char *line = LINES[i / sizeof(BAD)];
		char bad = BAD[i % sizeof(BAD)];
		size_t length = strlen(line);

		for (size_t at = 0; at + 1 < length; at++) {
			struct world w;
			char text[100];
			enum session_state before;

			if (at == length - 2 && bad == '\r')
				continue; /* CR CR LF: a bare CR as the line's last byte is the case before */
			world_open(&w);
			world_connect(&w, "192.0.2.1");
			envelope(&w);
			before = session_state(&w.session);
			memcpy(text, line, at);
			text[at] = bad;
			memcpy(text + at + 1, line + at, length - at);
			world_send(&w, text, length + 1);
			assert_in_range(world_code(&w), 221, 599);
			assert_true(world_code(&w) >= 500 || world_code(&w) == 221);
			assert_int_equal(session_state(&w.session), before);
			assert_int_equal(w.begins, 0);
			world_close(&w);
		}
	}
}

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

static void a_million_commands_take_no_memory(void **state)
{
	static const char ROUND[] = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT "
				    "TO:<one@example.test>\r\nRCPT TO:<no@x.example>\r\n"
				    "BDAT 1\r\nxRSET\r\nMAIL FROM:<>\r\nRCPT "
				    "TO:<one@example.test>\r\nDATA\r\n.\r\nNOOP\r\n";
	struct world *w = *state;
	size_t before = 0;

	w->settings.command_limit = 10000000;
	w->settings.soft_errors = w->settings.hard_errors = 10000000;
	world_connect(w, "192.0.2.1");
	for (unsigned i = 0; i < 100000; i++) {
		world_send(w, ROUND, sizeof(ROUND) - 1);
		if (i == 100)
			before = mallinfo2().uordblks;
		if (i % 1000 == 0)
			assert_int_equal(ftruncate(log_fd, 0), 0);
	}
	assert_true(w->session.commands >= 1000000);
	assert_int_equal(w->delivered, 100000);
	assert_true(mallinfo2().uordblks <= before + 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ehlo_lists_what_is_offered),
		T(keywords_can_be_left_out),
		T(message_comes_in_whole),
		T(flags_and_protocol_reach_cleanup),
		T(local_client_is_trusted),
		T(replies_of_a_pipeline_go_out_together),
		T(nothing_of_one_client_is_seen_by_the_next),
		T(bad_commands_get_their_reply),
		T(recipients_are_judged),
		T(vrfy_touches_no_transaction),
		T(browsers_are_sent_away),
		T(random_sessions_stay_with_the_model),
		T(nul_at_every_position_of_every_command),
		T(client_gone_in_content_fails_the_message),
		T(sending_ahead_is_noticed_once_and_may_end_the_session),
		T(refusals_have_their_footer),
		T(commands_of_other_protocols_and_of_none_are_parameters),
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
		T(a_million_commands_take_no_memory),
	};

	open_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
