// SPDX-License-Identifier: ISC
/* What becomes of the aliases that lead to mailboxes which are renamed or deleted. See account.h. */
#include <stdio.h>

#include "cli/account.h"
#include "cli/json.h"

enum { SHOWN_MOST = 20 /* lines; JSON has all of them */ };

static bool note(void *context, const struct accounts_alias_entry *alias)
{
	struct account_command *command = context;
	struct buffer *out = &command->dangling_text;

	command->dangling++;
	if (command->options & OPTION_JSON) {
		buffer_add_text(out, out->length ? ", {\"address\": " : "{\"address\": ");
		json_add_text(out, alias->address);
		buffer_add_text(out, ", \"destination\": ");
		json_add_text(out, alias->destination);
		buffer_add_text(out, "}");
	} else if (command->dangling <= SHOWN_MOST) {
		buffer_printf(out, "alias %.*s leads to %.*s, which is no mailbox any more\n",
			SLICE_ARG(alias->address), SLICE_ARG(alias->destination));
	}
	return !out->failed;
}

int account_find_dangling(struct account_command *command)
{
	struct slice logins = buffer_slice(&command->logins), login;
	char error[300];

	if (!(command->action->flags & ACTION_LEAVES_ALIASES))
		return EX_OK;
	/* Each has its NUL behind it. */
	while (slice_split(&logins, '\0', &login))
		if (!accounts_each_dangling(command->accounts, login.data, command->delimiters,
			    note, command, error, sizeof(error)))
			return account_fail(command, error);
	return command->dangling_text.failed ? account_fail(command, "no memory") : EX_OK;
}

void account_tell_aliases(struct account_command *command)
{
	if (command->options & OPTION_JSON)
		return;
	if (command->aliases)
		printf("%u alias%s to the new address\n", command->aliases,
			command->aliases == 1 ? " leads" : "es lead");
	if (command->dangling)
		fputs(buffer_text(&command->dangling_text), stderr);
	if (command->dangling > SHOWN_MOST)
		fprintf(stderr, "and %zu more: --json tells all of them\n",
			command->dangling - SHOWN_MOST);
}

void account_add_aliases(const struct account_command *command, struct buffer *out)
{
	if (command->action->flags & ACTION_LEADS_ALIASES)
		buffer_printf(out, ", \"aliases_changed\": %u", command->aliases);
	if (!(command->action->flags & ACTION_LEAVES_ALIASES))
		return;
	buffer_add_text(out, ", \"aliases_dangling\": [");
	buffer_add(out, buffer_slice(&command->dangling_text));
	buffer_add_text(out, "]");
}
