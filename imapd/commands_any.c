// SPDX-License-Identifier: ISC
/* Commands that need no mailbox: CAPABILITY NOOP LOGOUT ID ENABLE NAMESPACE, and those that come too late. */
#include "imapd/session.h"
#include "service/log.h"

void command_capability(struct session *s, struct command *c)
{
	out_text(s, "* CAPABILITY ");
	out_text(s, IMAP_CAPABILITIES);
	out_text(s, "\r\n");
	reply_done(s, c);
}

void command_noop(struct session *s, struct command *c)
{
	reply_done(s, c);
}

void command_logout(struct session *s, struct command *c)
{
	session_bye(s, "Logging out");
	reply_done(s, c);
}

void command_id(struct session *s, struct command *c)
{
	if (!parse_id(&c->parser))
		return;
	out_text(s, "* ID (\"name\" \"Postern\" \"version\" \"" POSTERN_VERSION "\")\r\n");
	reply_done(s, c);
}

void command_enable(struct session *s, struct command *c)
{
	struct parser *p = &c->parser;
	bool condstore = false;

	do {
		struct slice name;

		if (!parse_space(p) || !parse_atom(p, &name))
			return;
		condstore = condstore || slice_equal_nocase(name, SLICE("CONDSTORE"));
	} while (p->rest.length);
	out_text(s, condstore ? "* ENABLED CONDSTORE\r\n" : "* ENABLED\r\n");
	if (condstore)
		session_enable_condstore(s);
	reply_done(s, c);
}

void command_namespace(struct session *s, struct command *c)
{
	out_text(s, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	reply_done(s, c);
}

void command_login_again(struct session *s, struct command *c)
{
	reply_bad(s, c, "Already logged in");
}
