// SPDX-License-Identifier: ISC
/*
 * The SMTP commands: one table with the states each is allowed in (RFC 5321 4.1.4), and the commands that need no chapter of
 * their own. Help, tests and the fuzz dictionary read the same table.
 */
#include "service/log.h"
#include "smtpd/restrictions.h"
#include "smtpd/session.h"

static const char NESTED_MAIL[] = "503 5.5.1 Error: nested MAIL command";
static const char NEED_MAIL[] = "503 5.5.1 Error: need MAIL command";
static const char NEED_RCPT[] = "503 5.5.1 Error: need RCPT command";
static const char NOT_HERE[] = "503 5.5.1 Error: command not allowed between BDAT chunks";

static enum command_result command_helo(struct session *s, struct slice argument);
static enum command_result command_ehlo(struct session *s, struct slice argument);
static enum command_result command_rset(struct session *s, struct slice argument);
static enum command_result command_noop(struct session *s, struct slice argument);
static enum command_result command_help(struct session *s, struct slice argument);
static enum command_result command_quit(struct session *s, struct slice argument);
static enum command_result command_not_here(struct session *s, struct slice argument);

/* clang-format off */
static const struct command COMMANDS[] = {
	/* name                         flags                  refused in  START      HELO       MAIL         RCPT         BDAT */
	{ "EHLO", COMMAND_EHLO,         COMMAND_JUNK | COMMAND_LAST | COMMAND_CLEAR, { NULL },                                                 command_ehlo },
	{ "HELO", COMMAND_HELO,         COMMAND_JUNK | COMMAND_LAST | COMMAND_CLEAR, { NULL },                                                 command_helo },
	{ "MAIL", COMMAND_MAIL,         0,                     { NULL,      NULL,      NESTED_MAIL, NESTED_MAIL, NESTED_MAIL }, command_mail },
	{ "RCPT", COMMAND_RCPT,         0,                     { NEED_MAIL, NEED_MAIL, NULL,        NULL,        NOT_HERE }, command_rcpt },
	{ "DATA", COMMAND_DATA,         COMMAND_NO_ARGUMENT | COMMAND_LAST, { NEED_RCPT, NEED_RCPT, NEED_RCPT,   NULL,        NOT_HERE }, command_data },
	{ "BDAT", COMMAND_BDAT,         COMMAND_SWALLOW,       { NEED_RCPT, NEED_RCPT, NEED_RCPT,   NULL,        NULL },     command_bdat },
	{ "RSET", COMMAND_RSET,         COMMAND_JUNK | COMMAND_NO_ARGUMENT, { NULL },                                    command_rset },
	{ "NOOP", COMMAND_NOOP,         COMMAND_JUNK | COMMAND_LAST | COMMAND_CLEAR, { NULL },                                                 command_noop },
	{ "VRFY", COMMAND_VRFY,         COMMAND_JUNK | COMMAND_LAST, { NULL },                                                 command_vrfy },
	{ "HELP", COMMAND_HELP,         COMMAND_JUNK | COMMAND_CLEAR,          { NULL },                                                 command_help },
	{ "QUIT", COMMAND_QUIT,         COMMAND_NO_ARGUMENT | COMMAND_CLEAR,   { NULL },                                                 command_quit },
	{ "AUTH", COMMAND_AUTH,         COMMAND_LAST,          { NULL },                                                 command_auth },
	{ "STARTTLS", COMMAND_STARTTLS, COMMAND_CLEAR | COMMAND_LAST,        { NULL,      NULL,      NULL,        NULL,        NOT_HERE }, command_starttls },
	{ "ETRN", COMMAND_ETRN,         COMMAND_JUNK,          { NULL },                                                 command_not_here },
	{ "EXPN", COMMAND_UNKNOWN,      COMMAND_JUNK,          { NULL },                                                 command_not_here },
};
/* clang-format on */
enum { COMMANDS_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

/* In the order of enum command_id, as the "disconnect" line has them. */
static const char *const COUNT_NAMES[COMMAND_COUNT] = { "ehlo", "helo", "starttls", "auth", "mail",
	"rcpt", "data", "bdat", "rset", "noop", "vrfy", "etrn", "help", "quit", "unknown" };

static const struct {
	enum ehlo_keyword keyword;
	const char *text;
} KEYWORDS[] = {
	{ EHLO_PIPELINING, "PIPELINING" },
	{ EHLO_SIZE, "SIZE" },
	{ EHLO_STARTTLS, "STARTTLS" },
	{ EHLO_AUTH, "AUTH" },
	{ EHLO_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES" },
	{ EHLO_8BITMIME, "8BITMIME" },
	{ EHLO_SMTPUTF8, "SMTPUTF8" },
	{ EHLO_CHUNKING, "CHUNKING" },
};

static const struct command *command_find(struct slice name)
{
	for (size_t i = 0; i < COMMANDS_COUNT; i++) {
		if (slice_equal_nocase(name, slice_from(COMMANDS[i].name)))
			return &COMMANDS[i];
	}
	return NULL;
}

/* ---- HELO and its like --------------------------------------------------------------------------------------------- */

/* Both greetings end a transaction (RFC 5321 4.1.4). False: refused, and a reply was given. */
static bool greet(struct session *s, struct slice argument, bool esmtp)
{
	if (argument.length == 0) {
		reply(s, "501 Syntax: %s hostname", esmtp ? "EHLO" : "HELO");
		return false;
	}
	transaction_reset(s);
	printable_copy(argument, s->helo, sizeof(s->helo));
	s->esmtp = esmtp;
	if (s->settings->delay_reject || restrictions_allow(s, STAGE_HELO))
		return true;
	s->helo[0] = '\0';
	return false;
}

static enum command_result command_helo(struct session *s, struct slice argument)
{
	if (!greet(s, argument, false))
		return COMMAND_ERROR;
	reply(s, "250 %s", s->settings->host);
	return COMMAND_GOOD;
}

static enum command_result command_ehlo(struct session *s, struct slice argument)
{
	char mechanisms[sizeof(s->mechanisms) + 32];
	unsigned left;

	if (!greet(s, argument, true))
		return COMMAND_ERROR;
	if (!keywords_choose(s)) {
		s->helo[0] = '\0';
		reply(s, "451 4.3.0 Temporary lookup failure");
		return COMMAND_LIMITED;
	}
	left = s->keywords;
	if (!session_offers_tls(s))
		left &= ~(unsigned)EHLO_STARTTLS;
	if (!(left & EHLO_AUTH) || !auth_offer(s, mechanisms, sizeof(mechanisms)))
		left &= ~(unsigned)EHLO_AUTH;
	reply(s, "250%c%s", left ? '-' : ' ', s->settings->host);
	for (size_t i = 0; i < sizeof(KEYWORDS) / sizeof(KEYWORDS[0]) && left; i++) {
		char between;

		if (!(left & KEYWORDS[i].keyword))
			continue;
		left &= ~(unsigned)KEYWORDS[i].keyword;
		between = left ? '-' : ' ';
		if (KEYWORDS[i].keyword == EHLO_SIZE && s->settings->size_limit)
			reply(s, "250%cSIZE %lld", between, (long long)s->settings->size_limit);
		else if (KEYWORDS[i].keyword == EHLO_AUTH)
			reply(s, "250%cAUTH%s", between, mechanisms);
		else
			reply(s, "250%c%s", between, KEYWORDS[i].text);
	}
	return COMMAND_GOOD;
}

/* ---- The small ones ------------------------------------------------------------------------------------------------- */

static enum command_result command_rset(struct session *s, struct slice argument)
{
	transaction_reset(s);
	reply(s, "250 2.0.0 Ok");
	return COMMAND_GOOD;
}

static enum command_result command_noop(struct session *s, struct slice argument)
{
	reply(s, "250 2.0.0 Ok");
	return COMMAND_GOOD;
}

static enum command_result command_help(struct session *s, struct slice argument)
{
	char names[256] = "";
	size_t length = 0;

	for (size_t i = 0; i < COMMANDS_COUNT; i++) {
		size_t more = strlen(COMMANDS[i].name);

		if (COMMANDS[i].run == command_not_here ||
			(COMMANDS[i].run == command_auth && !s->settings->auth.enabled) ||
			length + more + 2 > sizeof(names))
			continue;
		names[length++] = ' ';
		memcpy(names + length, COMMANDS[i].name, more + 1);
		length += more;
	}
	reply(s, "214 2.0.0 Commands:%s", names);
	return COMMAND_GOOD;
}

static enum command_result command_quit(struct session *s, struct slice argument)
{
	reply(s, "221 2.0.0 Bye");
	s->closing = true;
	return COMMAND_GOOD;
}

static enum command_result command_not_here(struct session *s, struct slice argument)
{
	reply(s, "502 5.5.1 Error: command not implemented");
	return COMMAND_ERROR;
}

/* ---- One command ---------------------------------------------------------------------------------------------------- */

static void count(struct session *s, enum command_id id, enum command_result result)
{
	s->counts[id].all++;
	s->counts[id].good += result == COMMAND_GOOD;
	if (result == COMMAND_ERROR)
		s->errors++;
}

static void count_junk(struct session *s)
{
	if (s->junk++ >= s->settings->junk_commands)
		s->errors++;
}

static bool in_list(const char *list, struct slice name)
{
	struct slice rest = slice_from(list), word;

	while (slice_word(&rest, ", \t\r\n", &word)) {
		if (slice_equal_nocase(word, name))
			return true;
	}
	return false;
}

/* A browser or a TLS client at the wrong port: nothing it says can be mail. */
static bool is_other_protocol(const struct session *s, struct slice line, struct slice name)
{
	return (line.length && !ascii_alpha(line.data[0]) && line.data[0] != ' ') ||
	       in_list(s->settings->forbidden_commands, name);
}

static enum command_result unknown(struct session *s, struct slice line, struct slice name)
{
	char text[128];

	s->where = "UNKNOWN";
	if (is_other_protocol(s, line, name)) {
		printable_copy(line, text, sizeof(text));
		log_warning("non-SMTP command from %s: %s", s->name, text);
		reply(s, "221 2.7.0 Error: I can break rules, too. Goodbye.");
		s->closing = true;
		return COMMAND_ERROR;
	}
	if (in_list(s->settings->noop_commands, name)) {
		count_junk(s);
		reply(s, "250 2.0.0 Ok");
		return COMMAND_GOOD;
	}
	reply(s, "502 5.5.2 Error: command not recognized");
	return COMMAND_ERROR;
}

static enum command_result run(
	struct session *s, const struct command *command, struct slice argument)
{
	const char *refusal = command->refusal[session_state(s)];

	s->command = command;
	s->where = command->name;
	/* Content follows BDAT whatever we think of it: it reads its size first, and then refuses by itself. */
	if (command->flags & COMMAND_SWALLOW)
		return command->run(s, argument);
	if (s->denied && command->id != COMMAND_QUIT) {
		reply(s, "503 5.7.0 Error: access denied for %s", s->name);
		return COMMAND_ERROR;
	}
	if (!(command->flags & COMMAND_CLEAR) && session_needs_tls(s)) {
		reply(s, TLS_FIRST);
		return COMMAND_ERROR;
	}
	if (refusal == NEED_RCPT && s->transaction.refused)
		refusal = "554 5.5.1 Error: no valid recipients";
	if (refusal) {
		reply(s, "%s", refusal);
		return COMMAND_ERROR;
	}
	if (argument.length && (command->flags & COMMAND_NO_ARGUMENT)) {
		reply(s, "501 5.5.4 Syntax: %s", command->name);
		return COMMAND_ERROR;
	}
	return command->run(s, argument);
}

static bool has_control(struct slice line)
{
	for (size_t i = 0; i < line.length; i++) {
		unsigned char c = (unsigned char)line.data[i];

		if ((c < ' ' && c != '\t') || c == 127)
			return true;
	}
	return false;
}

/* Input for the log. What AUTH brings may be a password. */
static struct slice to_show(const struct session *s, const struct command *before)
{
	struct slice input = slice_of(s->input + s->input_start, s->input_end - s->input_start);

	if (before->id == COMMAND_AUTH)
		return SLICE("(not shown)");
	for (size_t i = 0; i + 4 <= input.length; i++)
		if (slice_starts_nocase(slice_tail(input, i), SLICE("AUTH")))
			return slice_head(input, i + 4);
	return input;
}

/* Input that is there already behind a command whose reply the client must wait for. False: the session ends for it. */
static bool in_step(struct session *s, const struct command *command)
{
	char text[128];

	if (s->pipelined || !input_pending(s) || (s->esmtp && !(command->flags & COMMAND_LAST)))
		return true;
	s->pipelined = true;
	printable_copy(slice_head(to_show(s, command), 100), text, sizeof(text));
	log_info("improper command pipelining after %s from %s: %s", command->name, s->name, text);
	if (!s->settings->forbid_pipelining)
		return true;
	reply(s, "554 5.5.0 Error: SMTP protocol synchronization");
	s->closing = true;
	return false;
}

/* Which command it was; NULL: none of ours. */
static const struct command *dispatch(struct session *s, struct slice line)
{
	struct slice rest = line, name = { 0 };
	const struct command *command;
	enum command_result result;

	slice_word(&rest, " \t", &name);
	command = command_find(name);
	if (has_control(line)) {
		/* NUL, bare CR and their like: the command is not what it seems to be. */
		bool foreign = line.length && !ascii_alpha(line.data[0]) && line.data[0] != ' ';

		if (foreign) {
			count(s, COMMAND_UNKNOWN, unknown(s, line, name));
			return NULL;
		}
		reply(s, "500 5.5.2 Error: bad syntax");
		count(s, command ? command->id : COMMAND_UNKNOWN, COMMAND_ERROR);
		return command;
	}
	if (!command) {
		count(s, COMMAND_UNKNOWN, unknown(s, line, name));
		return NULL;
	}
	if (command->flags & COMMAND_JUNK)
		count_junk(s);
	result = in_step(s, command) ? run(s, command, slice_trim(rest)) : COMMAND_ERROR;
	count(s, command->id, result);
	return command;
}

/* Limits that end a session before the next command. False: it has ended. */
static bool within_limits(struct session *s)
{
	if (s->errors >= s->settings->hard_errors) {
		reply(s, "421 4.7.0 %s Error: too many errors", s->settings->host);
		log_info("too many errors after %s from %s", s->where, s->name);
		s->closing = true;
	} else if (++s->commands > s->settings->command_limit) {
		reply(s, "421 4.7.0 %s Error: too many commands", s->settings->host);
		log_info("too many commands after %s from %s", s->where, s->name);
		s->closing = true;
	}
	return !s->closing;
}

/* "timeout after DATA (123 bytes) from host[addr]": what fail2ban and its like look for. */
static void log_lost(struct session *s, const char *how)
{
	if (s->lost_content >= 0)
		log_info("%s after %s (%lld bytes) from %s", how, s->where,
			(long long)s->lost_content, s->name);
	else
		log_info("%s after %s from %s", how, s->where, s->name);
}

static void say_lost(struct session *s)
{
	enum session_loss loss = s->loss;

	if (loss == LOSS_GONE) {
		log_lost(s, "lost connection");
	} else {
		log_lost(s, loss == LOSS_TIMEOUT ? "timeout" : "session ended by an order");
		s->loss = LOSS_NONE;
		s->errors = 0; /* no delay for a client that does not listen */
		if (loss == LOSS_TIMEOUT)
			reply(s, "421 4.4.2 %s Error: timeout exceeded", s->settings->host);
		else
			reply(s, "421 4.7.0 %s Disconnected by the administrator",
				s->settings->host);
		output_flush(s);
		s->loss = loss;
	}
	s->closing = true;
}

/* An AUTH command may be as long as a line of its exchange (RFC 4954 4). */
static enum line_status command_line(struct session *s, struct slice *line)
{
	int64_t limit = s->settings->line_limit, most = limit;
	enum line_status status;

	if (s->settings->auth.enabled && s->settings->auth.response_limit > most)
		most = s->settings->auth.response_limit;
	status = input_line(s, line, most);
	return status == LINE_GOOD && (int64_t)line->length > limit &&
			       !slice_starts_nocase(*line, SLICE("AUTH "))
		       ? LINE_TOO_LONG
		       : status;
}

bool session_step(struct session *s)
{
	const struct command *command = NULL;
	struct slice line;

	if (s->closing || s->loss != LOSS_NONE || !within_limits(s))
		return false;
	switch (command_line(s, &line)) {
	case LINE_GOOD:
		command = dispatch(s, line);
		break;
	case LINE_TOO_LONG:
		reply(s, "500 5.5.2 Error: line too long");
		count(s, COMMAND_UNKNOWN, COMMAND_ERROR);
		break;
	case LINE_BARE_LF:
		/* What such a client means to say next would be guesswork: its lines and ours end in different places. */
		reply(s, "550 5.5.2 %s Error: bare <LF> received", s->settings->host);
		log_info("bare <LF> received after %s from %s", s->where, s->name);
		count(s, COMMAND_UNKNOWN, COMMAND_ERROR);
		s->closing = true;
		break;
	case LINE_LOST:
		break;
	}
	/* The lines of an exchange that was refused come as commands that are none. */
	if (!command || command->id == COMMAND_AUTH)
		input_forget(s);
	if (s->loss != LOSS_NONE)
		say_lost(s);
	return !s->closing;
}

static void add_count(struct buffer *text, const char *name, unsigned good, unsigned all)
{
	buffer_printf(text, good == all ? " %s=%u" : " %s=%u/%u", name, good, all);
}

void session_log_disconnect(struct session *s)
{
	unsigned good = 0, all = 0;

	buffer_clear(&s->text);
	for (unsigned id = 0; id < COMMAND_COUNT; id++) {
		if (s->counts[id].all)
			add_count(&s->text, COUNT_NAMES[id], s->counts[id].good, s->counts[id].all);
		good += s->counts[id].good;
		all += s->counts[id].all;
	}
	add_count(&s->text, "commands", good, all);
	log_info("disconnect from %s%s", s->name, buffer_text(&s->text));
}
