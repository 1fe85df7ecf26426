// SPDX-License-Identifier: ISC
/* SMTP sessions: commands, states, content, limits. smtpd/session.c and its chapters, in the world of smtp_world.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/log.h"
#include "tests/unit/smtp_world.h"

static int log_fd = -1;

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || ftruncate(log_fd, 0) < 0)
		return -1;
	world_open(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

static struct world *connected(void **state)
{
	struct world *w = *state;

	world_connect(w, "192.0.2.1");
	return w;
}

/* Up to the state where content may come. */
static void envelope(struct world *w)
{
	world_say(w, "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT "
		     "TO:<one@example.test>\r\n");
	assert_int_equal(session_state(&w->session), STATE_RCPT);
}

static void assert_content(struct world *w, const char *wanted)
{
	assert_int_equal(w->content.length, strlen(wanted));
	assert_memory_equal(w->content.data, wanted, strlen(wanted));
}

static void assert_logged(const char *wanted)
{
	char text[65536];
	ssize_t length = pread(log_fd, text, sizeof(text) - 1, 0);

	assert_true(length >= 0);
	text[length] = '\0';
	if (!strstr(text, wanted))
		fail_msg("not logged: %s\nbut:\n%s", wanted, text);
}

static const char *after_354(const struct world *w)
{
	assert_int_equal(strncmp(w->out.data, "354 ", 4), 0);
	return strchr(w->out.data, '\n') + 1;
}

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
	assert_string_equal(w->address, "192.0.2.1");
	assert_string_equal(w->helo, "client.example");
	assert_int_equal(w->flags, 0);
	assert_int_equal(session_state(&w->session), STATE_HELO);
	assert_string_equal(world_say(w, "QUIT\r\n"), "221 2.0.0 Bye\r\n");
	session_finish(&w->session);
	assert_logged(": connect from unknown[192.0.2.1]\n");
	assert_logged(": 4QTEST: client=unknown[192.0.2.1]\n");
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
	assert_logged(": lost connection after DATA from unknown[192.0.2.1]\n");
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

static void content_has_to_come_at_its_rate(void **state)
{
	struct world *w = *state;

	w->settings.request_deadline = 60000;
	w->settings.min_data_rate = 100;
	world_connect(w, "192.0.2.1");
	envelope(w);
	w->stalls = true;
	world_run(w,
		"DATA\r\n01234567890123456789012345678901234567890123456789012345678901234567890123"
		"45678901234567890123456789",
		106, 0);
	assert_int_equal(w->now, 61000);
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		T(nothing_but_crlf_dot_crlf_ends_a_message),
		T(bare_newlines_are_refused_or_normalized),
		T(bare_newline_in_a_command),
		T(size_of_reads_changes_nothing),
		T(big_content_streams_through),
		T(too_big_is_refused_before_and_during),
		T(chunks_become_one_message),
		T(last_chunk_may_be_empty),
		T(chunk_is_swallowed_when_it_is_refused),
		T(bad_bdat_ends_the_session),
		T(bare_newline_fails_the_chunk_at_once),
		T(client_gone_in_content_fails_the_message),
		T(quit_in_the_middle_leaves_nothing),
		T(silent_client_is_let_go),
		T(drip_does_not_stretch_the_deadline_of_a_line),
		T(content_has_to_come_at_its_rate),
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

	log_fd = memfd_create("log", 0);
	fcntl(log_fd, F_SETFL, O_APPEND);
	log_open(log_fd, "postern/smtpd", "mail", false, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
