// SPDX-License-Identifier: ISC
/* postern user app - application passwords, for one program of a user each. */
#include "cli/user_app.h"

#include <stdio.h>
#include <time.h>

#include "cli/json.h"
#include "auth/app_passwords.h"

static int add(struct account_command *command, const char *login)
{
	char password[CREDENTIALS_APP_PASSWORD + 1], error[300];

	if (!credentials_app_add(command->credentials, login, command->record->words[2],
		    command->services ? command->services : "", password, error, sizeof(error)))
		return account_refuse(command, error);
	puts(password);
	explicit_bzero(password, sizeof(password));
	return EX_OK;
}

static void print(void *context, const struct credentials_app *app)
{
	const struct account_command *command = context;
	struct buffer line = { 0 };
	time_t created = (time_t)app->created;
	char name[CREDENTIALS_MAX_APP + 1], services[64], day[32] = "";
	struct tm tm;

	if (!slice_to_string(app->name, name, sizeof(name)) ||
		!slice_to_string(app->services, services, sizeof(services)))
		return;
	if (gmtime_r(&created, &tm))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (command->options & OPTION_JSON) {
		buffer_add_text(&line, "{");
		json_add_member(&line, "", "name", name);
		json_add_member(&line, ", ", "services", services);
		json_add_member(&line, ", ", "created", day);
		buffer_add_text(&line, "}");
	} else {
		buffer_printf(
			&line, "%-24s %-20s made %s", name, services[0] ? services : "all", day);
	}
	account_print(&line);
}

static int list(struct account_command *command, const char *login)
{
	char error[300];

	return credentials_app_each(
		       command->credentials, login, print, command, error, sizeof(error))
		       ? EX_OK
		       : account_refuse(command, error);
}

/* The sessions that it opened are told of, or ended, and no others. */
static int delete (struct account_command *command, const char *login)
{
	char error[300];

	if (!credentials_app_delete(
		    command->credentials, login, command->record->words[2], error, sizeof(error)))
		return account_refuse(command, error);
	if (account_note_login(command, login) != EX_OK)
		return EX_TEMPFAIL;
	command->app = command->record->words[2];
	return account_sessions(command, command->options & OPTION_KICK) ? EX_OK : EX_TEMPFAIL;
}

int user_app(struct account_command *command)
{
	static const struct {
		const char *word;
		unsigned words;
		unsigned options; /* that only some take */
		int (*run)(struct account_command *command, const char *login);
	} ACTIONS[] = { { "add", 3, 0, add }, { "list", 2, 0, list },
		{ "delete", 3, OPTION_KICK, delete } };
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	struct accounts_mailbox mailbox;

	for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(ACTIONS[0]); i++) {
		if (strcmp(ACTIONS[i].word, command->record->words[0]) != 0 ||
			ACTIONS[i].words != command->record->word_count ||
			(command->options & OPTION_KICK & ~ACTIONS[i].options))
			continue;
		if (!accounts_check_address(
			    command->record->words[1], false, login, error, sizeof(error)))
			return account_refuse(command, error);
		if (accounts_mailbox(command->accounts, slice_from(login), &mailbox) ==
			ACCOUNTS_FOUND)
			return ACTIONS[i].run(command, login);
		cli_complain(command->name, "no such mailbox: %s", login);
		return EX_DATAERR;
	}
	fputs("usage: postern user app add ADDRESS NAME [--services imap,pop3,sieve,smtp]\n"
	      "       postern user app list ADDRESS [--json]\n"
	      "       postern user app delete ADDRESS NAME [--kick]\n",
		stderr);
	return EX_USAGE;
}
