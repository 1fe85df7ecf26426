// SPDX-License-Identifier: ISC
/* postern alias - the aliases of accounts.db. */
#include <stdio.h>

#include "cli/account.h"
#include "cli/json.h"

static const char USAGE[] =
	"usage: postern alias add ADDRESS DESTINATION ... | - [--json] [--all-or-nothing]\n"
	"       postern alias list [DOMAIN] [--json]\n"
	"       postern alias delete ADDRESS [DESTINATION ...] | - [--yes] [--json] "
	"[--all-or-nothing]\n"
	"ADDRESS is user@domain, or @domain for all that have no mailbox or alias of their own.\n"
	"With \"-\" a list is read from standard input: ADDRESS DESTINATION ..., or an object as "
	"the list prints, on each line.\n";

static int add(struct account_command *command)
{
	const struct record *record = command->record;
	char error[300];
	int status = EX_OK;

	for (unsigned i = 1; i < record->word_count; i++)
		if (!accounts_add_alias(command->accounts, record->words[0], record->words[i],
			    error, sizeof(error)))
			status = account_refuse(command, error);
	return status;
}

static int delete (struct account_command *command)
{
	const struct record *record = command->record;
	char error[300];
	int status = EX_OK;

	if (record->word_count == 1 && !accounts_delete_alias(command->accounts, record->words[0],
					       NULL, error, sizeof(error)))
		return account_refuse(command, error);
	for (unsigned i = 1; i < record->word_count; i++)
		if (!accounts_delete_alias(command->accounts, record->words[0], record->words[i],
			    error, sizeof(error)))
			status = account_refuse(command, error);
	return status;
}

static bool show(void *context, const struct accounts_alias_entry *alias)
{
	const struct account_command *command = context;
	struct buffer line = { 0 };

	if (command->options & OPTION_JSON) {
		buffer_add_text(&line, "{\"address\": ");
		json_add_text(&line, alias->address);
		buffer_add_text(&line, ", \"destination\": ");
		json_add_text(&line, alias->destination);
		buffer_add_text(&line, "}");
	} else {
		buffer_printf(&line, "%-40.*s %.*s", SLICE_ARG(alias->address),
			SLICE_ARG(alias->destination));
	}
	account_print(&line);
	return true;
}

static int list(struct account_command *command)
{
	bool one = command->record->word_count > 0;
	char domain[ACCOUNTS_MAX_DOMAIN + 1];
	int status = one ? account_domain(command, domain) : EX_OK;

	if (status != EX_OK)
		return status;
	return account_listed(command,
		accounts_each_alias(command->accounts, one ? domain : NULL, show, command));
}

int alias_main(int argc, char **argv)
{
	static const struct account_action ACTIONS[] = {
		{ "add", 2, 31, ACTION_CHANGES, add, "added" },
		{ "list", 0, 1, 0, list, NULL },
		{ "delete", 1, 31, ACTION_CHANGES | ACTION_ASKS, delete, "deleted" },
		{ NULL, 0, 0, 0, NULL, NULL },
	};

	return account_run(argc, argv, ACTIONS, USAGE);
}
