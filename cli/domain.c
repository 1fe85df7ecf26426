// SPDX-License-Identifier: ISC
/* postern domain - the domains of accounts.db. */
#include <stdio.h>

#include "cli/account.h"
#include "cli/json.h"

static const char USAGE[] =
	"usage: postern domain add DOMAIN ... | - [--json] [--all-or-nothing]\n"
	"       postern domain list [--json]\n"
	"       postern domain delete DOMAIN ... | - [--yes] [--json] [--all-or-nothing]\n"
	"With \"-\" a list is read from standard input: DOMAIN, or {\"domain\": \"DOMAIN\"}, "
	"on each line.\n";

static int each_word(struct account_command *command,
	bool (*change)(
		struct accounts *accounts, const char *domain, char *error, size_t error_size))
{
	const struct record *record = command->record;
	char error[300];
	int status = EX_OK;

	for (unsigned i = 0; i < record->word_count; i++)
		if (!change(command->accounts, record->words[i], error, sizeof(error)))
			status = account_refuse(command, error);
	return status;
}

static int add(struct account_command *command)
{
	return each_word(command, accounts_add_domain);
}

static int delete (struct account_command *command)
{
	return each_word(command, accounts_delete_domain);
}

static bool show(void *context, struct slice domain, int64_t mailboxes, int64_t aliases)
{
	const struct account_command *command = context;
	struct buffer line = { 0 };

	if (command->options & OPTION_JSON) {
		buffer_add_text(&line, "{\"domain\": ");
		json_add_text(&line, domain);
		buffer_printf(&line, ", \"mailboxes\": %lld, \"aliases\": %lld}",
			(long long)mailboxes, (long long)aliases);
	} else {
		buffer_printf(&line, "%-40.*s %7lld mailboxes %7lld aliases", SLICE_ARG(domain),
			(long long)mailboxes, (long long)aliases);
	}
	account_print(&line);
	return true;
}

static int list(struct account_command *command)
{
	return account_listed(command, accounts_each_domain(command->accounts, show, command));
}

int domain_main(int argc, char **argv)
{
	static const struct account_action ACTIONS[] = {
		{ "add", 1, 31, ACTION_CHANGES, add, "added" },
		{ "list", 0, 0, 0, list, NULL },
		{ "delete", 1, 31, ACTION_CHANGES | ACTION_ASKS, delete, "deleted" },
		{ NULL, 0, 0, 0, NULL, NULL },
	};

	return account_run(argc, argv, ACTIONS, USAGE);
}
