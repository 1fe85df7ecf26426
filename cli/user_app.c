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

static void write_day(int64_t created, char *day, size_t size)
{
	time_t seconds = (time_t)created;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(day, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		day[0] = '\0';
}

static void add_object(struct buffer *out, const struct credentials_app *app)
{
	struct slice services = app->services, service;
	const char *between = "";
	char day[32];

	write_day(app->created, day, sizeof(day));
	buffer_add_text(out, "{\"name\": ");
	json_add_text(out, app->name);
	buffer_add_text(out, ", \"services\": [");
	while (slice_word(&services, ", ", &service)) {
		buffer_add_text(out, between);
		json_add_text(out, service);
		between = ", ";
	}
	buffer_add_text(out, "]");
	json_add_member(out, ", ", "created", day);
	buffer_add_text(out, "}");
}

static void print_object(void *context, const struct credentials_app *app)
{
	struct buffer line = { 0 };

	add_object(&line, app);
	account_print(&line);
}

static void print_line(void *context, const struct credentials_app *app)
{
	struct slice services = app->services.length ? app->services : SLICE("all");
	char day[32];

	write_day(app->created, day, sizeof(day));
	printf("%-24.*s %-20.*s made %s\n", SLICE_ARG(app->name), SLICE_ARG(services), day);
}

static int list(struct account_command *command, const char *login)
{
	char error[300];

	return credentials_app_each(command->credentials, login,
		       command->options & OPTION_JSON ? print_object : print_line, NULL, error,
		       sizeof(error))
		       ? EX_OK
		       : account_refuse(command, error);
}

/* --- of postern user show --- */

static void add_member(void *context, const struct credentials_app *app)
{
	struct buffer *out = context;

	if (out->length && out->data[out->length - 1] == '}')
		buffer_add_text(out, ", ");
	add_object(out, app);
}

bool user_app_json(struct account_command *command, const char *login, struct buffer *out)
{
	char error[300];

	buffer_add_text(out, ", \"app_passwords\": [");
	if (!credentials_app_each(
		    command->credentials, login, add_member, out, error, sizeof(error))) {
		account_fail(command, error);
		return false;
	}
	buffer_add_text(out, "]");
	return true;
}

static void print_row(void *context, const struct credentials_app *app)
{
	printf("app       ");
	print_line(NULL, app);
}

bool user_app_print(struct account_command *command, const char *login)
{
	char error[300];

	if (credentials_app_each(
		    command->credentials, login, print_row, NULL, error, sizeof(error)))
		return true;
	account_fail(command, error);
	return false;
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
	cli_complain(command->name, "app %s is not used like this", command->record->words[0]);
	fputs("usage: postern user app add ADDRESS NAME [--services imap,pop3,sieve,smtp]\n"
	      "       postern user app list ADDRESS [--json]\n"
	      "       postern user app delete ADDRESS NAME [--kick]\n",
		stderr);
	return EX_USAGE;
}
