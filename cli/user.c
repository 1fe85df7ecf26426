// SPDX-License-Identifier: ISC
/* postern user - mailboxes (accounts.db) and their passwords (credentials.db). */
#include <stdio.h>

#include "cli/account.h"
#include "cli/json.h"
#include "cli/user_app.h"

static const char USAGE[] =
	"usage: postern user add ADDRESS [--quota SIZE] [--hash HASH | --no-password]\n"
	"       postern user list [DOMAIN] [--json]\n"
	"       postern user show ADDRESS [--json]\n"
	"       postern user passwd ADDRESS [--hash HASH]\n"
	"       postern user disable|enable ADDRESS\n"
	"       postern user quota ADDRESS SIZE\n"
	"       postern user delete ADDRESS\n"
	"       postern user app add ADDRESS NAME [--services imap,pop3,sieve,smtp]\n"
	"       postern user app list ADDRESS [--json]\n"
	"       postern user app delete ADDRESS NAME\n"
	"A password is asked for on the terminal, or read from standard input: its first line.\n"
	"HASH is one of crypt(3), as other mail systems keep it. SIZE is bytes, 500M or 2G; 0: the "
	"default.\n";

/* The login of a mailbox is its address, in lower case. */
static bool check_login(struct account_command *command, char login[ACCOUNTS_MAX_ADDRESS + 1])
{
	char error[300];

	if (accounts_check_address(command->words[1], false, login, error, sizeof(error)))
		return true;
	account_refuse(command, error);
	return false;
}

static int set_password(struct account_command *command, const char *login)
{
	char password[CREDENTIALS_MAX_PASSWORD + 2], error[300];
	bool done;

	if (command->hash) {
		done = credentials_set_hash(
			command->credentials, login, command->hash, error, sizeof(error));
	} else {
		if (!account_password(command, password))
			return EX_DATAERR;
		done = credentials_set(command->credentials, login, slice_from(password),
			command->hash_cost, error, sizeof(error));
		explicit_bzero(password, sizeof(password));
	}
	return done ? EX_OK : account_refuse(command, error);
}

static int add(struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	int64_t quota = 0;
	int status = EX_OK;

	if (!check_login(command, login) ||
		(command->quota && !account_quota(command, command->quota, &quota)))
		return EX_DATAERR;
	if (!accounts_add_mailbox(command->accounts, login, quota, error, sizeof(error)))
		return account_refuse(command, error);
	if (!command->no_password)
		status = set_password(command, login);
	/* Without its password the mailbox would only be half there: take it back. */
	if (status != EX_OK &&
		!accounts_delete_mailbox(command->accounts, login, error, sizeof(error)))
		account_refuse(command, error);
	return status;
}

static enum accounts_status find(
	struct account_command *command, const char *login, struct accounts_mailbox *mailbox)
{
	enum accounts_status status =
		accounts_mailbox(command->accounts, slice_from(login), mailbox);

	if (status == ACCOUNTS_NOT_FOUND)
		cli_complain(command->name, "no such mailbox: %s", login);
	else if (status == ACCOUNTS_ERROR)
		cli_complain(command->name, "%s", accounts_error(command->accounts));
	return status;
}

static int passwd(struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1];
	struct accounts_mailbox mailbox;

	if (!check_login(command, login) || find(command, login, &mailbox) != ACCOUNTS_FOUND)
		return EX_DATAERR;
	return set_password(command, login);
}

/* Both databases say it: accounts.db closes the mailbox, credentials.db the login by SMTP. */
static int enable(struct account_command *command)
{
	bool enabled = strcmp(command->words[0], "enable") == 0;
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];

	if (!check_login(command, login))
		return EX_DATAERR;
	if (!accounts_enable(command->accounts, login, enabled, error, sizeof(error)))
		return account_refuse(command, error);
	/* A mailbox need not have a password. */
	(void)!credentials_enable(command->credentials, login, enabled, error, sizeof(error));
	return EX_OK;
}

static int quota(struct account_command *command)
{
	char error[300];
	int64_t bytes;

	if (!account_quota(command, command->words[2], &bytes))
		return EX_DATAERR;
	return accounts_set_quota(command->accounts, command->words[1], bytes, error, sizeof(error))
		       ? EX_OK
		       : account_refuse(command, error);
}

static int delete (struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	struct accounts_mailbox mailbox;

	if (!check_login(command, login) || find(command, login, &mailbox) != ACCOUNTS_FOUND)
		return EX_DATAERR;
	/* First the login: in between there may be a mailbox without one, but no login without a mailbox. */
	(void)!credentials_delete(command->credentials, login, error, sizeof(error));
	if (!accounts_delete_mailbox(command->accounts, login, error, sizeof(error)))
		return account_refuse(command, error);
	fprintf(stderr, "the mail in %s below the mail directory is still there\n", mailbox.path);
	return EX_OK;
}

static bool print_mailbox(void *context, const struct accounts_mailbox *mailbox)
{
	const struct account_command *command = context;
	struct buffer line = { 0 };

	if (command->json) {
		buffer_add_text(&line, "{");
		json_member(&line, "", "address", mailbox->address);
		json_member(&line, ", ", "mailbox", mailbox->path);
		buffer_printf(&line, ", \"quota\": %lld, \"enabled\": %s}",
			(long long)mailbox->quota, mailbox->enabled ? "true" : "false");
	} else {
		buffer_printf(&line, "%-40s %-8s quota %lld", mailbox->address,
			mailbox->enabled ? "enabled" : "disabled", (long long)mailbox->quota);
	}
	if (buffer_text(&line))
		puts(buffer_text(&line));
	buffer_free(&line);
	return true;
}

static int list(struct account_command *command)
{
	const char *domain = command->word_count > 1 ? command->words[1] : NULL;

	return accounts_each_mailbox(command->accounts, domain, print_mailbox, command)
		       ? EX_OK
		       : account_refuse(command, accounts_error(command->accounts));
}

static int show(struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1];
	struct accounts_mailbox mailbox;

	if (!check_login(command, login) || find(command, login, &mailbox) != ACCOUNTS_FOUND)
		return EX_DATAERR;
	if (command->json) {
		print_mailbox(command, &mailbox);
		return EX_OK;
	}
	printf("address   %s\nmailbox   %s\nquota     %lld%s\nlogin     %s\npassword  %s\n",
		mailbox.address, mailbox.path, (long long)mailbox.quota,
		mailbox.quota ? " bytes" : " (virtual_mailbox_limit)",
		mailbox.enabled ? "enabled" : "disabled",
		credentials_exists(command->credentials, login) == CREDENTIALS_GOOD
			? "set"
			: "none, or disabled");
	return EX_OK;
}

int user_main(int argc, char **argv)
{
	static const struct account_action ACTIONS[] = {
		{ "add", 1, 1, true, add },
		{ "list", 0, 1, false, list },
		{ "show", 1, 1, true, show },
		{ "passwd", 1, 1, true, passwd },
		{ "disable", 1, 1, true, enable },
		{ "enable", 1, 1, true, enable },
		{ "quota", 2, 2, false, quota },
		{ "delete", 1, 1, true, delete },
		{ "app", 2, 3, true, user_app },
		{ NULL, 0, 0, false, NULL },
	};

	return account_run(argc, argv, ACTIONS, USAGE);
}
