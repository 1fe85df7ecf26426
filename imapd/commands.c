// SPDX-License-Identifier: ISC
/* The commands of a session in one table; reading them and running them. */
#include "imapd/session.h"

const struct imap_command IMAP_COMMANDS[] = {
	/* name          allowed in      right        arguments  tells                 UID    run */
	{ "CAPABILITY", IMAP_ANY, RIGHT_NONE, ARGS_NONE, UPDATES_NONE, false, command_capability },
	{ "NOOP", IMAP_ANY, RIGHT_NONE, ARGS_NONE, UPDATES_FRESH, false, command_noop },
	{ "LOGOUT", IMAP_ANY, RIGHT_NONE, ARGS_NONE, UPDATES_NONE, false, command_logout },
	{ "ID", IMAP_ANY, RIGHT_NONE, ARGS_SOME, UPDATES_NONE, false, command_id },
	{ "ENABLE", IMAP_ANY, RIGHT_NONE, ARGS_SOME, UPDATES_NONE, false, command_enable },
	{ "NAMESPACE", IMAP_ANY, RIGHT_NONE, ARGS_NONE, UPDATES_ALL, false, command_namespace },
	{ "LOGIN", IMAP_ANY, RIGHT_NONE, ARGS_SOME, UPDATES_NONE, false, command_login_again },
	{ "AUTHENTICATE", IMAP_ANY, RIGHT_NONE, ARGS_SOME, UPDATES_NONE, false,
		command_login_again },
	{ "STARTTLS", IMAP_ANY, RIGHT_NONE, ARGS_NONE, UPDATES_NONE, false, command_login_again },
	{ "SELECT", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_NONE, false, command_select },
	{ "EXAMINE", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_NONE, false, command_examine },
	{ "CREATE", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_create },
	{ "DELETE", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_delete },
	{ "RENAME", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_rename },
	{ "SUBSCRIBE", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false,
		command_subscribe },
	{ "UNSUBSCRIBE", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false,
		command_unsubscribe },
	{ "LIST", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_list },
	{ "LSUB", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_lsub },
	{ "STATUS", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_status },
	{ "APPEND", IMAP_MAILBOXES, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, false, command_append },
	{ "IDLE", IMAP_ANY, RIGHT_NONE, ARGS_NONE, UPDATES_FRESH, false, command_idle },
	{ "CHECK", IMAP_SELECTED, RIGHT_NONE, ARGS_NONE, UPDATES_FRESH, false, command_check },
	{ "CLOSE", IMAP_SELECTED, RIGHT_NONE, ARGS_NONE, UPDATES_NONE, false, command_close },
	{ "UNSELECT", IMAP_SELECTED, RIGHT_NONE, ARGS_NONE, UPDATES_NONE, false, command_unselect },
	{ "EXPUNGE", IMAP_SELECTED, RIGHT_WRITE, ARGS_SOME, UPDATES_FRESH, true, command_expunge },
	{ "SEARCH", IMAP_SELECTED, RIGHT_NONE, ARGS_SOME, UPDATES_NO_EXPUNGE, true,
		command_search },
	{ "FETCH", IMAP_SELECTED, RIGHT_NONE, ARGS_SOME, UPDATES_NO_EXPUNGE, true, command_fetch },
	{ "STORE", IMAP_SELECTED, RIGHT_WRITE, ARGS_SOME, UPDATES_NO_EXPUNGE, true, command_store },
	{ "COPY", IMAP_SELECTED, RIGHT_NONE, ARGS_SOME, UPDATES_ALL, true, command_copy },
	{ "MOVE", IMAP_SELECTED, RIGHT_WRITE, ARGS_SOME, UPDATES_ALL, true, command_move },
};
const unsigned IMAP_COMMAND_COUNT = sizeof(IMAP_COMMANDS) / sizeof(IMAP_COMMANDS[0]);

/* For lines whose tag or name cannot be read. */
static const struct imap_command UNKNOWN = { .name = "Command", .updates = UPDATES_NONE };

static const struct imap_command *find_command(struct slice name, bool uid)
{
	for (unsigned i = 0; i < IMAP_COMMAND_COUNT; i++) {
		const struct imap_command *e = &IMAP_COMMANDS[i];

		if (slice_equal_nocase(name, slice_from(e->name)) && (e->uid || !uid))
			return e;
	}
	return NULL;
}

/* Tag and name; false when the line has neither. */
static bool parse_command(struct command *c)
{
	struct parser *p = &c->parser;
	struct slice name;

	if (!parse_tag(p, &c->tag)) {
		c->tag = SLICE("*");
		return false;
	}
	if (!parse_space(p) || !parse_atom(p, &name))
		return parse_fail(p, "Missing command");
	if (slice_equal_nocase(name, SLICE("UID"))) {
		c->uid = true;
		if (!parse_space(p) || !parse_atom(p, &name))
			return parse_fail(p, "Missing command");
	}
	c->entry = find_command(name, c->uid);
	if (!c->entry) {
		c->entry = &UNKNOWN;
		return parse_fail(p, "Unknown command");
	}
	return c->entry->arguments == ARGS_SOME || parse_end(p);
}

static bool state_allows(struct session *s, struct command *c)
{
	unsigned state = s->mailbox ? IMAP_SELECTED : IMAP_AUTHENTICATED;

	if (!(c->entry->states & state)) {
		reply_bad(s, c, "No mailbox is selected");
		return false;
	}
	if (c->entry->right == RIGHT_WRITE && s->read_only) {
		reply_no(s, c, "[READ-ONLY] Mailbox is open read-only.");
		return false;
	}
	if ((c->entry->states & IMAP_STORE) && !session_open_store(s)) {
		reply_no(s, c, "[UNAVAILABLE] Mailbox cannot be opened, try again later.");
		return false;
	}
	return true;
}

static void run_command(struct session *s, struct slice line)
{
	struct command c = { .entry = &UNKNOWN, .line = line };

	c.parser = (struct parser){
		.rest = line, .arena = &s->arena, .literal = input_command_literal, .context = s
	};
	s->in_command = true;
	if (parse_command(&c) && state_allows(s, &c)) {
		c.entry->run(s, &c);
		s->bad_commands = 0;
	}
	if (!c.replied && !s->hibernated && !s->ended) {
		reply_bad(s, &c, c.parser.error ? c.parser.error : "Invalid arguments");
		s->bad_commands++;
	}
	input_skip_command(s, &c);
	s->in_command = false;
	session_mend_store(s);
	if (s->bad_commands >= SESSION_BAD_LIMIT)
		session_bye(s, "Too many invalid commands.");
}

/* The tag was read, mostly, and the literals behind the line come all the same. */
static void too_long(struct session *s, struct slice line)
{
	struct command c = { .entry = &UNKNOWN, .line = line };

	c.parser.rest = line;
	if (!parse_tag(&c.parser, &c.tag) || !parse_next_is(&c.parser, ' '))
		c.tag = SLICE("*");
	reply_bad(s, &c, "Command line is too long");
	input_skip_command(s, &c);
	if (++s->bad_commands >= SESSION_BAD_LIMIT)
		session_bye(s, "Too many invalid commands.");
}

void session_run(struct session *s)
{
	while (!s->ended) {
		struct slice line;

		s->command_bytes = 0;
		switch (input_line(s, &line)) {
		case INPUT_LINE:
			run_command(s, line);
			break;
		case INPUT_TOO_LONG:
			too_long(s, line);
			break;
		case INPUT_ENDED:
			break;
		}
		arena_reset(&s->arena);
	}
	out_flush(s, true);
}
