// SPDX-License-Identifier: ISC
/* Commands that need no mailbox: CAPABILITY NOOP LOGOUT ID ENABLE NAMESPACE, and those that come too late. */
#include "imapd/session.h"
#include "service/log.h"

enum { ID_MAX_FIELDS = 30 }; /* RFC 2971 3.3 */

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
	struct parser *p = &c->parser;
	struct slice name, value;
	unsigned fields = 0;

	if (!parse_space(p))
		return;
	if (!parse_next_is(p, '(')) {
		if (!parse_nstring(p, &value) || !parse_end(p))
			return;
	} else {
		if (!parse_enter(p))
			return;
		while (!parse_next_is(p, ')')) {
			if ((fields && !parse_space(p)) || !parse_string(p, &name) ||
				!parse_space(p) || !parse_nstring(p, &value))
				return;
			if (++fields > ID_MAX_FIELDS) {
				parse_fail(p, "Too many fields");
				return;
			}
			log_debug("%s: ID %.*s=%.*s", s->user, SLICE_ARG(name), SLICE_ARG(value));
		}
		if (!parse_leave(p) || !parse_end(p))
			return;
	}
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
