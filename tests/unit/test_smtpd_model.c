// SPDX-License-Identifier: ISC
/* SMTP sessions under whatever a client may send: beside a model of what they should be, with bad bytes everywhere, for very long. */
#include "tests/unit/smtp_test.h"

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
		T(random_sessions_stay_with_the_model),
		T(nul_at_every_position_of_every_command),
		T(a_million_commands_take_no_memory),
	};

	open_log();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
