// SPDX-License-Identifier: ISC
/* smtpd_*_restrictions and access tables: smtpd/restrictions.c and its chapters, access.c, in the world of smtp_world.c. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/log.h"
#include "smtpd/restrictions.h"
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

static bool logged(const char *wanted)
{
	char text[65536];
	ssize_t length = pread(log_fd, text, sizeof(text) - 1, 0);

	text[length < 0 ? 0 : length] = '\0';
	return strstr(text, wanted) != NULL;
}

/* The reply to RCPT of `recipient` when `list` stands in smtpd_recipient_restrictions. */
static const char *rcpt(
	struct world *w, const char *list, const char *sender, const char *recipient)
{
	char text[600];

	w->settings.restrictions[STAGE_RECIPIENT] = list;
	if (!w->session.settings)
		world_connect(w, "192.0.2.1");
	w->session.errors = w->session.junk = 0;
	snprintf(text, sizeof(text), "EHLO client.example\r\nMAIL FROM:<%s>\r\n", sender);
	world_say(w, text);
	snprintf(text, sizeof(text), "RCPT TO:<%s>\r\n", recipient);
	return world_say(w, text);
}

static const char OK[] = "250 2.1.5 Ok\r\n";

static void names_without_argument(void **state)
{
	static const struct {
		const char *list, *sender, *recipient, *reply;
	} CASES[] = {
		{ "", "a@b.example", "one@example.test", OK },
		{ "permit, reject", "a@b.example", "one@example.test", OK },
		{ "reject", "a@b.example", "one@example.test",
			"554 5.7.1 <one@example.test>: Recipient address rejected: Access "
			"denied\r\n" },
		{ "defer", "a@b.example", "one@example.test",
			"450 4.7.1 <one@example.test>: Recipient address rejected: Try again "
			"later\r\n" },
		{ "permit_mynetworks reject", "a@b.example", "one@example.test",
			"554 5.7.1 <one@example.test>: Recipient address rejected: Access "
			"denied\r\n" },
		{ "permit_auth_destination, reject", "a@b.example", "one@example.test", OK },
		{ "reject_non_fqdn_sender", "a", "one@example.test",
			"504 5.5.2 <a@example.test>: Sender address rejected: need fully-qualified "
			"address\r\n" },
		{ "reject_non_fqdn_sender", "a@host", "one@example.test",
			"504 5.5.2 <a@host>: Sender address rejected: need fully-qualified "
			"address\r\n" },
		{ "reject_non_fqdn_sender", "", "one@example.test", OK },
		{ "reject_non_fqdn_recipient", "a@b.example", "one",
			"504 5.5.2 <one@example.test>: Recipient address rejected: need "
			"fully-qualified address\r\n" },
		{ "reject_non_fqdn_recipient", "a@b.example", "postmaster", OK },
		{ "reject_non_fqdn_recipient", "a@b.example", "one@example.test", OK },
		{ "reject_plaintext_session", "a@b.example", "one@example.test",
			"450 4.7.1 <one@example.test>: Recipient address rejected: Session "
			"encryption is required\r\n" },
		{ "no_such_restriction", "a@b.example", "one@example.test",
			"451 4.3.5 Server configuration error\r\n" },
		{ "check_sender_access", "a@b.example", "one@example.test",
			"451 4.3.5 Server configuration error\r\n" },
		{ "permit, no_such_restriction", "a@b.example", "one@example.test", OK },
		{ "permit", "a@b.example", "x@elsewhere.example",
			"554 5.7.1 <x@elsewhere.example>: Relay access denied\r\n" },
		{ "permit", "a@b.example", "nobody@example.test",
			"550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown "
			"in virtual mailbox "
			"table\r\n" },
		{ "defer_if_permit", "a@b.example", "one@example.test",
			"450 4.7.1 <one@example.test>: Recipient address rejected: Service "
			"unavailable\r\n" },
		{ "defer_if_reject, reject", "a@b.example", "one@example.test",
			"450 4.7.1 <one@example.test>: Recipient address rejected: Service "
			"unavailable\r\n" },
		{ "defer_if_reject, permit", "a@b.example", "one@example.test", OK },
		{ "warn_if_reject reject, permit", "a@b.example", "one@example.test", OK },
		{ "warn_if_reject permit, reject", "a@b.example", "one@example.test", OK },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		assert_string_equal(rcpt(w, CASES[i].list, CASES[i].sender, CASES[i].recipient),
			CASES[i].reply);
	assert_true(logged(": NOQUEUE: reject_warning: RCPT from unknown[192.0.2.1]: 554 5.7.1 "
			   "<one@example.test>: "
			   "Recipient address rejected: Access denied; from=<a@b.example> "
			   "to=<one@example.test> proto=ESMTP "
			   "helo=<client.example>\n"));
}

static void relay_list_decides_first_and_for_good(void **state)
{
	struct world *w = *state;

	w->settings.restrictions[STAGE_RELAY] = "permit_mynetworks, defer_unauth_destination";
	assert_string_equal(rcpt(w, "permit", "a@b.example", "x@elsewhere.example"),
		"454 4.7.1 <x@elsewhere.example>: Relay access denied\r\n");
	session_finish(&w->session);
	world_connect(w, "127.0.0.1");
	assert_string_equal(rcpt(w, "permit", "a@b.example", "x@elsewhere.example"), OK);
	/* whether it exists is asked of everybody */
	assert_string_equal(rcpt(w, "permit", "a@b.example", "nobody@example.test"),
		"550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in "
		"virtual mailbox table\r\n");
}

static void no_relay_without_delay_either(void **state)
{
	struct world *w = *state;

	w->settings.delay_reject = false;
	assert_string_equal(rcpt(w, "permit", "a@b.example", "x@elsewhere.example"),
		"554 5.7.1 <x@elsewhere.example>: Relay access denied\r\n");
}

static void lists_that_refuse_nobody_serve_nobody(void **state)
{
	struct world *w = *state;

	assert_true(restrictions_closed("permit_mynetworks, reject_unauth_destination", ""));
	assert_true(restrictions_closed("", "permit_mynetworks reject"));
	assert_false(restrictions_closed("permit_mynetworks", "reject_non_fqdn_sender"));
	assert_false(restrictions_closed("warn_if_reject reject_unauth_destination", ""));
	assert_false(restrictions_closed("", ""));
	w->settings.open_relay = true;
	assert_string_equal(rcpt(w, "", "a@b.example", "one@example.test"),
		"451 4.3.5 Server configuration error\r\n");
}

static void helo_names_are_judged(void **state)
{
	static const struct {
		const char *helo;
		bool valid, qualified;
	} NAMES[] = { { "mail.example.com", true, true }, { "host", true, false },
		{ "[192.0.2.1]", true, true }, { "192.0.2.1", false, false },
		{ "a_b.example.com", true, true }, { "-a.example.com", false, false },
		{ "a..b", false, false }, { "[IPv6:2001:db8::1]", true, true },
		{ "mail.example.com.", true, true } };
	struct world *w = *state;
	char text[200];

	world_connect(w, "192.0.2.1");
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		snprintf(text, sizeof(text),
			"EHLO %s\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.test>\r\n",
			NAMES[i].helo);
		w->session.errors = 0;
		w->settings.restrictions[STAGE_HELO] = "reject_invalid_helo_hostname";
		assert_int_equal((world_say(w, text), world_code(w)), NAMES[i].valid ? 250 : 501);
		w->settings.restrictions[STAGE_HELO] = "reject_non_fqdn_helo_hostname";
		assert_int_equal(
			(world_say(w, text), world_code(w)), NAMES[i].qualified ? 250 : 504);
	}
	w->settings.restrictions[STAGE_HELO] = "reject_invalid_helo_hostname";
	w->settings.delay_reject = false;
	assert_string_equal(world_say(w, "EHLO 192.0.2.1\r\n"),
		"501 5.5.2 <192.0.2.1>: Helo command rejected: Invalid name\r\n");
	assert_int_equal(session_state(&w->session), STATE_START);
}

static void early_refusals_without_delay(void **state)
{
	struct world *w = *state;

	w->settings.delay_reject = false;
	w->settings.restrictions[STAGE_CLIENT] = "permit_mynetworks, reject";
	world_connect(w, "192.0.2.1");
	assert_string_equal(buffer_text(&w->out),
		"554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n");
	assert_string_equal(world_say(w, "EHLO x\r\n"),
		"503 5.7.0 Error: access denied for unknown[192.0.2.1]\r\n");
	assert_string_equal(world_say(w, "BDAT 6 LAST\r\nNOOP\r\n"),
		"503 5.7.0 Error: access denied for unknown[192.0.2.1]\r\n");
	assert_string_equal(world_say(w, "QUIT\r\n"), "221 2.0.0 Bye\r\n");
	w->settings.restrictions[STAGE_SENDER] = "reject";
	world_connect(w, "127.0.0.1");
	world_say(w, "EHLO x\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<a@b.example>\r\n"),
		"554 5.7.1 <a@b.example>: Sender address rejected: Access denied\r\n");
	assert_int_equal(session_state(&w->session), STATE_HELO);
}

static void data_restrictions(void **state)
{
	struct world *w = *state;

	w->settings.restrictions[STAGE_DATA] =
		"reject_unauth_pipelining, reject_multi_recipient_bounce";
	world_connect(w, "192.0.2.1");
	world_say(w, "EHLO x\r\n");
	world_say(w, "MAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nRCPT "
		     "TO:<two@example.test>\r\n");
	assert_string_equal(world_say(w, "DATA\r\n"),
		"550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce\r\n");
	assert_int_equal(session_state(&w->session), STATE_RCPT);
	world_say(w, "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\n");
	world_say(w, "DATA\r\n.\r\n");
	assert_int_equal(strncmp(w->out.data,
				 "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP "
				 "command pipelining\r\n",
				 79),
		0);
	/* and the dot that follows is no command of SMTP */
	assert_int_equal(world_code(w), 221);
	w->settings.restrictions[STAGE_DATA] = "";
	world_connect(w, "192.0.2.1");
	w->settings.restrictions[STAGE_END_OF_DATA] = "reject";
	world_say(w, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.test>\r\nDATA\r\nx\r\n.\r\n");
	assert_int_equal(world_code(w), 554);
	assert_int_equal(w->begins, 0);
	assert_int_equal(session_state(&w->session), STATE_HELO);
}

static void a_client_that_sent_ahead_once_is_refused_at_any_time(void **state)
{
	struct world *w = *state;

	world_connect(w, "192.0.2.1");
	world_say(w, "EHLO x\r\nNOOP\r\n");
	assert_string_equal(rcpt(w, "reject_unauth_pipelining", "a@b.example", "one@example.test"),
		"503 5.5.0 <one@example.test>: Recipient address rejected: Improper use of SMTP "
		"command pipelining\r\n");
}

static void senders_of_ours_that_nobody_has_are_refused(void **state)
{
	static const char REPLY[] =
		"550 5.1.0 <nobody@example.test>: Sender address rejected: User "
		"unknown in virtual mailbox table\r\n";
	struct world *w = *state;
	uint32_t before;

	w->settings.unknown_code[DOMAIN_VIRTUAL_MAILBOX] = 550;
	assert_string_equal(
		rcpt(w, "reject_unlisted_sender", "nobody@example.test", "one@example.test"),
		REPLY);
	assert_string_equal(
		rcpt(w, "reject_unlisted_sender", "later@example.test", "one@example.test"),
		"451 4.3.0 <later@example.test>: Temporary lookup failure\r\n");
	assert_string_equal(
		rcpt(w, "reject_unlisted_sender", "two@example.test", "one@example.test"), OK);
	assert_string_equal(
		rcpt(w, "reject_unlisted_sender", "x@elsewhere.test", "one@example.test"), OK);
	assert_string_equal(rcpt(w, "reject_unlisted_sender", "", "one@example.test"), OK);
	assert_string_equal(rcpt(w, "", "nobody@example.test", "one@example.test"), OK);
	w->settings.reject_unlisted_sender = true;
	w->settings.restrictions[STAGE_SENDER] = "permit";
	assert_string_equal(rcpt(w, "", "nobody@example.test", "one@example.test"), REPLY);
	/* One question for the sender of many recipients. */
	assert_string_equal(rcpt(w, "", "two@example.test", "one@example.test"), OK);
	before = w->session.serial;
	world_say(w, "RCPT TO:<two@example.test>\r\nRCPT TO:<postmaster@example.test>\r\n");
	assert_int_equal(w->session.serial, before + 2);
	/* Without delay it is said at MAIL. */
	w->settings.delay_reject = false;
	world_say(w, "RSET\r\n");
	assert_string_equal(world_say(w, "MAIL FROM:<nobody@example.test>\r\n"), REPLY);
}

static void reply_codes_are_parameters(void **state)
{
	static const struct {
		enum reply_code code;
		const char *list, *reply;
	} CASES[] = {
		{ CODE_REJECT, "reject",
			"470 4.7.1 <one@example.test>: Recipient address rejected: Access "
			"denied\r\n" },
		{ CODE_DEFER, "defer",
			"470 4.7.1 <one@example.test>: Recipient address rejected: Try again "
			"later\r\n" },
		{ CODE_NON_FQDN, "reject_non_fqdn_sender",
			"470 4.5.2 <a@host>: Sender address rejected: need fully-qualified "
			"address\r\n" },
		{ CODE_PLAINTEXT, "reject_plaintext_session",
			"470 4.7.1 <one@example.test>: Recipient address rejected: Session "
			"encryption is required\r\n" },
		{ CODE_ACCESS_REJECT, "check_recipient_access hash:/etc/x",
			"470 4.7.1 <one@example.test>: Recipient address rejected: not him\r\n" },
	};
	static const struct world_entry entries[] = { { "one@example.test", "REJECT not him" },
		{ NULL, NULL } };
	struct world *w = *state;

	w->entries = entries;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		int64_t before = w->settings.codes[CASES[i].code];

		w->settings.codes[CASES[i].code] = 470;
		assert_string_equal(
			rcpt(w, CASES[i].list, "a@host", "one@example.test"), CASES[i].reply);
		w->settings.codes[CASES[i].code] = before;
	}
	w->settings.codes[CODE_RELAY] = 550;
	assert_string_equal(rcpt(w, "", "a@host.example", "x@elsewhere.test"),
		"550 5.7.1 <x@elsewhere.test>: Relay access denied\r\n");
}

static const struct world_entry ENTRIES[] = { { "ok@b.example", "OK" },
	{ "b.example", "REJECT No mail from b" }, { ".c.example", "REJECT below c" },
	{ "dunno@d.example", "DUNNO" }, { "d.example", "REJECT" },
	{ "f.example", "550 5.7.9 nice try" }, { "g.example", "421 go away" },
	{ "h.example", "DEFER" }, { "i.example", "REJECT 5.1.8 unknown i" },
	{ "j.example", "reject_non_fqdn_sender, reject" }, { "k.example", "WARN look" },
	{ "l.example", "DISCARD" }, { "m.example", "HOLD" }, { "n.example", "12345" },
	{ "o.example", NULL }, { "p.example", "DEFER_IF_PERMIT later" }, { "user@", "REJECT user" },
	{ "<>", "REJECT null" }, { "q.example", "q.example" }, { "r.example", "5.7.5 dsn only" },
	{ "192.0", "REJECT net" }, { "client.example", "REJECT helo" },
	{ "one@example.test", "OK" }, { "two@example.test", "REJECT two" }, { NULL, NULL } };

static void access_of_senders(void **state)
{
	static const struct {
		const char *sender, *reply;
	} CASES[] = {
		{ "x@a.example", OK },
		{ "ok@b.example", OK },
		{ "x@b.example",
			"554 5.7.1 <x@b.example>: Sender address rejected: No mail from b\r\n" },
		{ "x@sub.c.example",
			"554 5.7.1 <x@sub.c.example>: Sender address rejected: below c\r\n" },
		{ "x@c.example", OK },
		{ "dunno@d.example", OK },
		{ "x@d.example",
			"554 5.7.1 <x@d.example>: Sender address rejected: Access denied\r\n" },
		{ "x@sub.d.example", OK },
		{ "x@f.example", "550 5.7.9 <x@f.example>: Sender address rejected: nice try\r\n" },
		{ "x@h.example",
			"450 4.7.1 <x@h.example>: Sender address rejected: Access denied\r\n" },
		{ "x@i.example",
			"554 5.1.8 <x@i.example>: Sender address rejected: unknown i\r\n" },
		{ "x@j.example", "554 5.7.1 <one@example.test>: Recipient address rejected: Access "
				 "denied\r\n" },
		{ "x@k.example", OK },
		{ "x@m.example", OK },
		{ "x@n.example", OK },
		{ "x@o.example", "451 4.3.0 <x@o.example>: Temporary lookup failure\r\n" },
		{ "x@p.example", "450 4.7.1 <x@p.example>: Sender address rejected: later\r\n" },
		{ "user@a.example",
			"554 5.7.1 <user@a.example>: Sender address rejected: user\r\n" },
		{ "", "554 5.7.1 <>: Sender address rejected: null\r\n" },
		{ "x@q.example", "451 4.3.5 Server configuration error\r\n" },
		{ "x@r.example", "554 5.7.5 <x@r.example>: Sender address rejected: dsn only\r\n" },
	};
	struct world *w = *state;

	w->entries = ENTRIES;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		assert_string_equal(rcpt(w, "check_sender_access hash:/etc/x", CASES[i].sender,
					    "one@example.test"),
			CASES[i].reply);
		assert_string_equal(w->tables, "hash:/etc/x");
	}
	assert_true(logged(
		"NOQUEUE: warn: RCPT from unknown[192.0.2.1]: <x@k.example>: Sender address look; "
		"from=<x@k.example>"));
	assert_string_equal(
		rcpt(w, "check_sender_access hash:/etc/x", "x@g.example", "one@example.test"),
		"421 4.7.1 <x@g.example>: Sender address rejected: go away\r\n");
	assert_true(w->session.closing);
}

static void access_of_parents_by_parameter(void **state)
{
	struct world *w = *state;

	w->entries = ENTRIES;
	w->settings.parents_match = true;
	assert_string_equal(
		rcpt(w, "check_sender_access hash:/etc/x", "x@sub.d.example", "one@example.test"),
		"554 5.7.1 <x@sub.d.example>: Sender address rejected: Access denied\r\n");
	assert_string_equal(
		rcpt(w, "check_sender_access hash:/etc/x", "x@sub.c.example", "one@example.test"),
		OK);
}

static void access_of_clients_helo_and_recipients(void **state)
{
	struct world *w = *state;

	w->entries = ENTRIES;
	assert_string_equal(
		rcpt(w, "check_client_access hash:/etc/x", "a@a.example", "one@example.test"),
		"554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: net\r\n");
	assert_string_equal(
		rcpt(w, "check_helo_access hash:/etc/x", "a@a.example", "one@example.test"),
		"554 5.7.1 <client.example>: Helo command rejected: helo\r\n");
	assert_string_equal(rcpt(w, "check_recipient_access hash:/etc/x, reject", "a@a.example",
				    "one@example.test"),
		OK);
	assert_string_equal(rcpt(w, "check_recipient_access inline:{ a = b, c = d }, permit",
				    "a@a.example", "two@example.test"),
		"554 5.7.1 <two@example.test>: Recipient address rejected: two\r\n");
	assert_string_equal(w->tables, "inline:{ a = b, c = d }");
}

static void access_of_who_logged_in(void **state)
{
	struct world *w = *state;
	static const struct world_entry LOGINS[] = { { "one@example.test", "REJECT lost laptop" },
		{ "example.org", "450 4.7.1 later" }, { "two@", "OK" }, { NULL, NULL } };
	static const struct {
		const char *login, *reply;
	} CASES[] = {
		{ "", "554 5.7.1 <one@example.test>: Recipient address rejected: Access "
		      "denied\r\n" },
		{ "one@example.test",
			"554 5.7.1 <one@example.test>: SASL login name rejected: lost laptop\r\n" },
		{ "one@mail.example.org",
			"450 4.7.1 <one@mail.example.org>: SASL login name rejected: later\r\n" },
		{ "two@elsewhere.test", OK },
		{ "three", "554 5.7.1 <one@example.test>: Recipient address rejected: Access "
			   "denied\r\n" },
	};

	w->entries = LOGINS;
	w->settings.parents_match = true;
	world_connect(w, "192.0.2.1");
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		snprintf(
			w->session.auth.login, sizeof(w->session.auth.login), "%s", CASES[i].login);
		assert_string_equal(rcpt(w, "check_sasl_access hash:/etc/x, reject", "a@a.example",
					    "one@example.test"),
			CASES[i].reply);
		world_say(w, "RSET\r\n");
	}
}

/* RFC 4954 6: a client that could log in learns that it has to. */
static void who_could_log_in_is_told_to(void **state)
{
	struct world *w = *state;
	static const char LIST[] = "permit_sasl_authenticated, reject";

	assert_string_equal(rcpt(w, LIST, "a@a.example", "one@example.test"),
		"554 5.7.1 <one@example.test>: Recipient address rejected: Access denied\r\n");
	w->settings.auth.enabled = true;
	assert_string_equal(rcpt(w, LIST, "a@a.example", "one@example.test"),
		"530 5.7.0 Authentication required\r\n");
	assert_true(logged("NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 530 5.7.0 "));
	assert_string_equal(rcpt(w, "reject", "a@a.example", "one@example.test"),
		"554 5.7.1 <one@example.test>: Recipient address rejected: Access denied\r\n");
	/* What was asked of another list is another matter. */
	w->settings.restrictions[STAGE_CLIENT] = "permit_sasl_authenticated";
	assert_string_equal(rcpt(w, "reject", "a@a.example", "one@example.test"),
		"554 5.7.1 <one@example.test>: Recipient address rejected: Access denied\r\n");
	w->settings.restrictions[STAGE_CLIENT] = "";
	w->settings.codes[CODE_REJECT] = 550;
	assert_string_equal(rcpt(w, LIST, "a@a.example", "one@example.test"),
		"550 5.7.1 <one@example.test>: Recipient address rejected: Access denied\r\n");
}

static void discarded_message_is_accepted_and_kept_nowhere(void **state)
{
	struct world *w = *state;

	w->entries = ENTRIES;
	assert_string_equal(
		rcpt(w, "check_sender_access hash:/etc/x", "x@l.example", "one@example.test"), OK);
	world_say(w, "DATA\r\nx\r\n.\r\n");
	assert_int_equal(world_code(w), 250);
	assert_int_equal(w->begins, 0);
	/* and the next one is not */
	world_say(w, "MAIL FROM:<x@a.example>\r\nRCPT TO:<one@example.test>\r\nDATA\r\nx\r\n.\r\n");
	assert_int_equal(w->delivered, 1);
}

static const struct world_entry ACTIONS[] = { { "hold@a.example", "HOLD suspicious" },
	{ "first@a.example", "PREPEND X-First: 1" },
	{ "redirect@a.example", "REDIRECT box@B\xc3\xbc"
				"cher.example" },
	{ "bcc@a.example", "BCC archive@example.test" },
	{ "bcc2@a.example", "bcc second@example.test" }, { "192.0.2.1", "PREPEND X-Client: known" },
	{ "one@example.test", "PREPEND X-To: one" }, { "two@example.test", "prepend X-To: two" },
	{ "info@a.example", "INFO" }, { "warn@a.example", "WARN" },
	{ "discard@a.example", "DISCARD" }, { "filter@a.example", "FILTER smtp:[127.0.0.1]:10025" },
	{ "bad1@a.example", "PREPEND no header" }, { "bad2@a.example", "PREPEND" },
	{ "bad3@a.example", "REDIRECT nobody" }, { "bad4@a.example", "BCC" },
	{ "bad5@a.example", "PREPEND X: a\nX-Sneaked-In: b" }, { NULL, NULL } };
static const char ASKS[] = "check_sender_access hash:/etc/x, check_recipient_access hash:/etc/x";

/* A message from `sender` to one (and two), with ASKS at RCPT. */
static void give(struct world *w, const char *sender)
{
	w->entries = ACTIONS;
	w->begins = w->held = 0;
	assert_string_equal(rcpt(w, ASKS, sender, "one@example.test"), OK);
	assert_string_equal(world_say(w, "RCPT TO:<two@example.test>\r\n"), OK);
	assert_string_equal(world_say(w, "RCPT TO:<one@example.test>\r\n"), OK);
	world_say(w, "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n");
	assert_int_equal(world_code(w), 250);
}

static void actions_hold_for_one_message(void **state)
{
	struct world *w = *state;

	give(w, "hold@a.example");
	assert_true(w->held);
	assert_string_equal(w->prepend, "X-To: one\nX-To: two\n");
	assert_true(logged("NOQUEUE: hold: RCPT from unknown[192.0.2.1]: <hold@a.example>: Sender "
			   "address suspicious; from=<hold@a.example> to=<one@example.test> "
			   "proto=ESMTP helo=<client.example>"));
	give(w, "x@a.example");
	assert_false(w->held);
	give(w, "redirect@a.example");
	assert_string_equal(w->redirect, "box@xn--bcher-kva.example");
	assert_int_equal(w->recipients, 3);
	assert_true(logged("redirect: RCPT from unknown[192.0.2.1]: <redirect@a.example>: Sender "
			   "address triggers REDIRECT box@xn--bcher-kva.example;"));
	give(w, "bcc@a.example");
	assert_string_equal(w->redirect, "");
	assert_int_equal(w->recipients, 4);
	assert_string_equal(w->last_recipient, "archive@example.test");
	assert_int_equal(w->last_notify, NOTIFY_NEVER);
	give(w, "x@a.example");
	assert_int_equal(w->recipients, 3);
	give(w, "info@a.example");
	give(w, "warn@a.example");
	assert_true(logged("info: RCPT from unknown[192.0.2.1]: <info@a.example>: Sender address "
			   "triggers INFO action;"));
	assert_true(logged("warn: RCPT from unknown[192.0.2.1]: <warn@a.example>: Sender address "
			   "triggers WARN action;"));
}

static void several_headers_are_prepended_in_their_order_each_once(void **state)
{
	struct world *w = *state;

	w->settings.restrictions[STAGE_CLIENT] = "check_client_access hash:/etc/x";
	w->settings.restrictions[STAGE_DATA] = "check_sender_access hash:/etc/x";
	give(w, "first@a.example");
	assert_string_equal(w->prepend, "X-Client: known\nX-First: 1\nX-To: one\nX-To: two\n");
}

static void actions_before_mail_hold_for_every_message_of_the_client(void **state)
{
	struct world *w = *state;

	w->settings.delay_reject = false;
	w->settings.restrictions[STAGE_CLIENT] = "check_client_access hash:/etc/x";
	for (int i = 0; i < 2; i++) {
		give(w, "x@a.example");
		assert_string_equal(w->prepend, "X-Client: known\nX-To: one\nX-To: two\n");
	}
}

static void actions_that_cannot_be_done_are_not_left_undone(void **state)
{
	static const char *const SENDERS[] = { "filter@a.example", "bad1@a.example",
		"bad2@a.example", "bad3@a.example", "bad4@a.example", "bad5@a.example" };
	struct world *w = *state;

	w->entries = ACTIONS;
	for (size_t i = 0; i < sizeof(SENDERS) / sizeof(SENDERS[0]); i++)
		assert_string_equal(rcpt(w, ASKS, SENDERS[i], "one@example.test"),
			"451 4.3.5 Server configuration error\r\n");
	assert_true(logged(
		"access table hash:/etc/x entry \"FILTER smtp:[127.0.0.1]:10025\" is not done"));
	assert_true(logged(
		"access table hash:/etc/x entry \"REDIRECT nobody\" requires user@domain target"));
	w->settings.restrictions[STAGE_END_OF_DATA] = "check_sender_access hash:/etc/x";
	assert_string_equal(rcpt(w, "", "first@a.example", "one@example.test"), OK);
	world_say(w, "DATA\r\nx\r\n.\r\n");
	assert_int_equal(world_code(w), 451);
}

static void more_actions_than_a_message_has_room_for_are_refused(void **state)
{
	static struct world_entry entries[ACTIONS_MOST + 2];
	static char keys[ACTIONS_MOST + 1][32], values[ACTIONS_MOST + 1][32];
	char line[64];
	struct world *w = *state;

	for (unsigned i = 0; i <= ACTIONS_MOST; i++) {
		snprintf(keys[i], sizeof(keys[i]), "one+%u@example.test", i);
		snprintf(values[i], sizeof(values[i]), "PREPEND X-%u: y", i);
		entries[i] = (struct world_entry){ keys[i], values[i] };
	}
	w->settings.reject_unlisted = false;
	w->entries = entries;
	for (unsigned i = 0; i <= ACTIONS_MOST; i++) {
		snprintf(line, sizeof(line), "RCPT TO:<%s>\r\n", keys[i]);
		if (i == 0)
			rcpt(w, ASKS, "x@a.example", keys[i]);
		else
			world_say(w, line);
		assert_int_equal(world_code(w), i < ACTIONS_MOST ? 250 : 451);
	}
}

/* Cleanup hears of a big message before its end: what is decided at the end must reach it all the same. */
static void actions_at_the_end_of_data_reach_a_message_under_way(void **state)
{
	static const char *const SENDERS[] = { "hold@a.example", "redirect@a.example",
		"bcc@a.example", "discard@a.example" };
	struct buffer text = { 0 };
	struct world *w = *state;

	w->settings.restrictions[STAGE_END_OF_DATA] = "check_sender_access hash:/etc/x";
	w->entries = ACTIONS;
	for (size_t i = 0; i < sizeof(SENDERS) / sizeof(SENDERS[0]); i++) {
		assert_string_equal(rcpt(w, "", SENDERS[i], "one@example.test"), OK);
		buffer_clear(&text);
		buffer_append(&text, "DATA\r\n", 6);
		for (int j = 0; j < 2000; j++)
			buffer_printf(&text,
				"line %d of a message that does not fit in one packet\r\n", j);
		buffer_append(&text, ".\r\n", 3);
		world_send(w, text.data, text.length);
		assert_int_equal(world_code(w), 250);
		assert_int_equal(w->begins, i + 1);
		assert_false(w->begun);
		assert_int_equal(w->held, i == 0);
		assert_int_equal(w->redirect[0] != 0, i == 1);
		assert_int_equal(w->recipients, i == 2 ? 2 : 1);
	}
	assert_int_equal(w->delivered, 3);
	assert_int_equal(w->failed, 1);
	buffer_free(&text);
}

static void vrfy_does_nothing_to_the_next_message(void **state)
{
	static const struct world_entry entries[] = { { "two@example.test", "DISCARD" },
		{ NULL, NULL } };
	struct world *w = *state;

	world_connect(w, "192.0.2.1");
	w->entries = entries;
	w->settings.restrictions[STAGE_RECIPIENT] = "check_recipient_access hash:/etc/x";
	world_say(w, "EHLO x\r\nVRFY two@example.test\r\n");
	assert_int_equal(world_code(w), 252);
	world_say(w, "MAIL FROM:<a@a.example>\r\nRCPT TO:<one@example.test>\r\nDATA\r\nx\r\n.\r\n");
	assert_int_equal(world_code(w), 250);
	assert_int_equal(w->delivered, 1);
}

static const char *classes(void *context, const char *name)
{
	return strcmp(name, "strict") == 0 ? "reject_non_fqdn_sender, loop"
	       : strcmp(name, "loop") == 0 ? "loop"
					   : NULL;
}

static void classes_stand_for_lists_and_do_not_loop(void **state)
{
	struct world *w = *state;

	w->settings.restriction_classes = "strict, loop";
	w->settings.lookup = classes;
	assert_string_equal(rcpt(w, "strict", "a@host", "one@example.test"),
		"504 5.5.2 <a@host>: Sender address rejected: need fully-qualified address\r\n");
	assert_string_equal(rcpt(w, "strict", "a@b.example", "one@example.test"),
		"451 4.3.5 Server configuration error\r\n");
}

static void sleep_waits(void **state)
{
	struct world *w = *state;

	assert_string_equal(rcpt(w, "sleep 5, permit", "a@b.example", "one@example.test"), OK);
	assert_int_equal(w->slept, 5000);
}

static void one_question_a_recipient(void **state)
{
	struct world *w = *state;

	w->settings.restrictions[STAGE_CLIENT] = "permit_mynetworks";
	rcpt(w, "permit_auth_destination, reject_unauth_destination, reject_unlisted_recipient",
		"a@b.example", "one@example.test");
	assert_int_equal(w->session.serial, 1);
}

static void lists_are_checked_beforehand(void **state)
{
	char error[200];

	assert_true(restrictions_check("", "", error, sizeof(error)));
	assert_true(restrictions_check(
		"permit_mynetworks, check_sender_access hash:/etc/x, sleep 5 strict reject",
		"strict", error, sizeof(error)));
	assert_true(
		restrictions_check("check_client_access inline:{ 192.0.2.1 = OK, x = y } PERMIT",
			"", error, sizeof(error)));
	assert_false(restrictions_check("permit_mynetwork", "", error, sizeof(error)));
	assert_string_equal(error, "unknown restriction \"permit_mynetwork\"");
	assert_false(restrictions_check("permit, check_sender_access", "", error, sizeof(error)));
	assert_string_equal(error, "check_sender_access needs an argument");
	assert_false(restrictions_check("check_sender_access permit", "", error, sizeof(error)));
	assert_string_equal(error, "check_sender_access: bad argument \"permit\"");
	assert_false(restrictions_check("sleep long", "", error, sizeof(error)));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_without_argument),
		T(relay_list_decides_first_and_for_good),
		T(no_relay_without_delay_either),
		T(lists_that_refuse_nobody_serve_nobody),
		T(helo_names_are_judged),
		T(early_refusals_without_delay),
		T(data_restrictions),
		T(a_client_that_sent_ahead_once_is_refused_at_any_time),
		T(senders_of_ours_that_nobody_has_are_refused),
		T(reply_codes_are_parameters),
		T(access_of_senders),
		T(access_of_parents_by_parameter),
		T(access_of_clients_helo_and_recipients),
		T(access_of_who_logged_in),
		T(who_could_log_in_is_told_to),
		T(discarded_message_is_accepted_and_kept_nowhere),
		T(actions_hold_for_one_message),
		T(several_headers_are_prepended_in_their_order_each_once),
		T(actions_before_mail_hold_for_every_message_of_the_client),
		T(actions_that_cannot_be_done_are_not_left_undone),
		T(more_actions_than_a_message_has_room_for_are_refused),
		T(actions_at_the_end_of_data_reach_a_message_under_way),
		T(vrfy_does_nothing_to_the_next_message),
		T(classes_stand_for_lists_and_do_not_loop),
		T(sleep_waits),
		T(one_question_a_recipient),
		T(lists_are_checked_beforehand),
	};

	log_fd = memfd_create("log", 0);
	fcntl(log_fd, F_SETFL, O_APPEND);
	log_open(log_fd, "postern/smtpd", "mail", false, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
