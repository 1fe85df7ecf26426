// SPDX-License-Identifier: ISC
/* postern alias - the aliases of accounts.db. */
#include <stdio.h>

#include "cli/account.h"
#include "cli/json.h"

static const char USAGE[] =
	"usage: postern alias add ADDRESS DESTINATION ...\n"
	"       postern alias list [DOMAIN] [--json]\n"
	"       postern alias delete ADDRESS [DESTINATION ...]\n"
	"ADDRESS is user@domain, or @domain for all that have no mailbox or alias of their own.\n";

static int add(struct account_command *command)
{
	char error[300];
	int status = EX_OK;

	for (int i = 2; i < command->word_count; i++)
		if (!accounts_add_alias(command->accounts, command->words[1], command->words[i],
			    error, sizeof(error)))
			status = account_refuse(command, error);
	return status;
}

static int delete (struct account_command *command)
{
	char error[300];
	int status = EX_OK;

	if (command->word_count == 2 && !accounts_delete_alias(command->accounts, command->words[1],
						NULL, error, sizeof(error)))
		return account_refuse(command, error);
	for (int i = 2; i < command->word_count; i++)
		if (!accounts_delete_alias(command->accounts, command->words[1], command->words[i],
			    error, sizeof(error)))
			status = account_refuse(command, error);
	return status;
}

static bool show(void *context, const struct accounts_alias_entry *alias)
{
	const struct account_command *command = context;
	struct buffer line = { 0 };

	if (command->json) {
		buffer_add_text(&line, "{\"address\": ");
		json_string(&line, alias->address);
		buffer_add_text(&line, ", \"destination\": ");
		json_string(&line, alias->destination);
		buffer_add_text(&line, "}");
	} else {
		buffer_printf(&line, "%-40.*s %.*s", SLICE_ARG(alias->address),
			SLICE_ARG(alias->destination));
	}
	if (buffer_text(&line))
		puts(buffer_text(&line));
	buffer_free(&line);
	return true;
}

static int list(struct account_command *command)
{
	const char *domain = command->word_count > 1 ? command->words[1] : NULL;

	return accounts_each_alias(command->accounts, domain, show, command)
		       ? EX_OK
		       : account_refuse(command, accounts_error(command->accounts));
}

int alias_main(int argc, char **argv)
{
	static const struct account_action ACTIONS[] = {
		{ "add", 2, 15, false, add },
		{ "list", 0, 1, false, list },
		{ "delete", 1, 15, false, delete },
		{ NULL, 0, 0, false, NULL },
	};

	return account_run(argc, argv, ACTIONS, USAGE);
}
