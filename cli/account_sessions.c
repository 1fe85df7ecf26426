// SPDX-License-Identifier: ISC
/* What becomes of the sessions of users whose login changed. See account.h. */
#include <stdio.h>

#include "cli/account.h"
#include "cli/sessions.h"

int account_note_login(struct account_command *command, const char *login)
{
	return sessions_add_login(&command->logins, login) ? EX_OK
							   : account_fail(command, "no memory");
}

bool account_sessions(struct account_command *command, bool end)
{
	struct sessions_query query = { .root = command->root,
		.action = end ? SESSIONS_END : SESSIONS_LIST,
		.logins = buffer_slice(&command->logins),
		.app = command->app };
	char error[PATH_MAX + 200];
	bool done;

	if (!query.logins.length)
		return true;
	done = sessions_ask(&query, error, sizeof(error));
	command->sessions = query.count;
	if (!done)
		cli_complain(command->name, "%s: %s",
			end ? "the change is made, but sessions may go on" : "sessions", error);
	else if (!end && query.count && !(command->options & OPTION_JSON))
		fprintf(stderr, "%u %s still open: \"postern kick\" ends %s\n", query.count,
			query.count == 1 ? "session is" : "sessions are",
			query.count == 1 ? "it" : "them");
	else if (end && !(command->options & OPTION_JSON) &&
		 (query.count || (command->options & OPTION_KICK)))
		sessions_print_ended(query.count, false);
	return done || !end;
}
