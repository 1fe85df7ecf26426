// SPDX-License-Identifier: ISC
/* What the commands about accounts say of a record, on standard output and of what is wrong with it. See account.h. */
#include <stdio.h>

#include "cli/account.h"
#include "cli/json.h"
#include "config/config.h"

/* --- lists --- */

void account_print(struct buffer *line)
{
	if (buffer_text(line))
		puts(buffer_text(line));
	buffer_free(line);
}

int account_listed(struct account_command *command, bool done)
{
	return done ? EX_OK : account_fail(command, accounts_error(command->accounts));
}

int account_domain(struct account_command *command, char domain[ACCOUNTS_MAX_DOMAIN + 1])
{
	char error[ACCOUNTS_MAX_DOMAIN + 50];

	if (!accounts_check_domain(command->record->words[0], domain, error, sizeof(error)))
		return account_refuse(command, error);
	switch (accounts_domain(command->accounts, slice_from(domain))) {
	case ACCOUNTS_FOUND:
		return EX_OK;
	case ACCOUNTS_NOT_FOUND:
		snprintf(error, sizeof(error), "no such domain: %s", domain);
		return account_refuse(command, error);
	default:
		return account_fail(command, accounts_error(command->accounts));
	}
}

/* --- what is wrong --- */

int account_refuse(struct account_command *command, const char *error)
{
	const struct record *record = command->record;
	struct buffer line = { 0 };

	if (!record || !record->line) {
		cli_complain(command->name, "%s", error);
	} else if (command->options & OPTION_JSON) {
		buffer_printf(&line, "{\"line\": %u", record->line);
		if (record->file)
			json_add_member(&line, ", ", "file", record->file);
		json_add_member(&line, ", ", "error", error);
		buffer_add_text(&line, "}");
		account_print(&line);
	} else if (record->file) {
		cli_warn(command->name, "%s:%u: %s", record->file, record->line, error);
	} else {
		cli_warn(command->name, "line %u: %s", record->line, error);
	}
	return EX_DATAERR;
}

int account_fail(struct account_command *command, const char *error)
{
	command->broken = true;
	command->record = NULL;
	account_refuse(command, error);
	return EX_TEMPFAIL;
}

bool account_quota(struct account_command *command, const char *text, int64_t *quota)
{
	char error[300];

	*quota = 0;
	if (!text)
		return true;
	if (parameter_parse(parameter_info(PARAM_virtual_mailbox_limit), slice_from(text), quota,
		    error, sizeof(error)) &&
		*quota >= 0)
		return true;
	snprintf(error, sizeof(error), "a quota is a number of bytes, as 500M or 2G: %.100s", text);
	account_refuse(command, error);
	return false;
}
