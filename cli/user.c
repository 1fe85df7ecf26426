// SPDX-License-Identifier: ISC
/* postern user - mailboxes (accounts.db) and their passwords (credentials.db). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/account.h"
#include "cli/json.h"
#include "cli/user_app.h"
#include "cli/user_visit.h"

static const char USAGE[] =
	"usage: postern user add ADDRESS [--quota SIZE] [--hash HASH | --no-password]\n"
	"       postern user list [DOMAIN] [--json]\n"
	"       postern user show ADDRESS [--json]\n"
	"       postern user passwd ADDRESS [--hash HASH] [--kick]\n"
	"       postern user disable ADDRESS [--kick]\n"
	"       postern user enable ADDRESS\n"
	"       postern user quota ADDRESS SIZE\n"
	"       postern user delete ADDRESS [--purge-mail] [--yes]\n"
	"       postern user rename ADDRESS NEW-ADDRESS [--keep-address]\n"
	"       postern user app add ADDRESS NAME [--services imap,pop3,sieve,smtp]\n"
	"       postern user app list ADDRESS [--json]\n"
	"       postern user app delete ADDRESS NAME [--kick]\n"
	"       postern user add|passwd|disable|enable|quota|delete|rename - [--json] "
	"[--all-or-nothing] [--yes]\n"
	"A password is asked for on the terminal, or read from standard input: its first line.\n"
	"--kick ends the sessions of the user; delete and rename do so in any case.\n"
	"HASH is as other mail systems keep it: of crypt(3), or {SCHEME}... SIZE is bytes, 500M or "
	"2G; 0: the "
	"default.\n"
	"With \"-\" a list is read from standard input: the same words on each line, and "
	"hash=HASH\n"
	"password=PASSWORD no_password=true quota=SIZE enabled=false, or an object as the list "
	"prints.\n";

/* The login of a mailbox is its address, in lower case. */
static bool check_login(struct account_command *command, char login[ACCOUNTS_MAX_ADDRESS + 1])
{
	char error[300];

	if (accounts_check_address(command->record->words[0], false, login, error, sizeof(error)))
		return true;
	account_refuse(command, error);
	return false;
}

/* The second half of a change: of the login. */
static int stage(struct account_command *command, enum credentials_action action, const char *login,
	const char *value)
{
	char error[300];

	return joint_stage(&command->joint, action, login, value, error, sizeof(error))
		       ? EX_OK
		       : account_fail(command, error);
}

static bool check_hash(struct account_command *command)
{
	char error[300];

	if (!command->record->hash || credentials_check_hash(command->credentials,
					      command->record->hash, error, sizeof(error)))
		return true;
	account_refuse(command, error);
	return false;
}

static int add(struct account_command *command)
{
	const struct record *record = command->record;
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	int64_t quota;
	int status = EX_OK;

	if (!check_login(command, login) || !account_quota(command, record->quota, &quota) ||
		!check_hash(command))
		return EX_DATAERR;
	if (!accounts_add_mailbox(command->accounts, login, quota, error, sizeof(error)))
		return account_refuse(command, error);
	if (record->enabled != 0) /* somebody may have had the name before */
		status = stage(command, CREDENTIALS_ENABLE, login, NULL);
	if (record->hash && status == EX_OK)
		status = stage(command, CREDENTIALS_SET, login, record->hash);
	if (record->enabled == 0 && status == EX_OK) {
		if (!accounts_enable(command->accounts, login, false, error, sizeof(error)))
			return account_fail(command, error);
		status = stage(command, CREDENTIALS_DISABLE, login, NULL);
	}
	return status;
}

static enum accounts_status find(
	struct account_command *command, const char *login, struct accounts_mailbox *mailbox)
{
	enum accounts_status status =
		accounts_mailbox(command->accounts, slice_from(login), mailbox);
	char error[ACCOUNTS_MAX_ADDRESS + 50];

	snprintf(error, sizeof(error), "no such mailbox: %s", login);
	if (status == ACCOUNTS_NOT_FOUND)
		account_refuse(command, error);
	else if (status == ACCOUNTS_ERROR)
		account_fail(command, accounts_error(command->accounts));
	return status;
}

static int passwd(struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1];
	struct accounts_mailbox mailbox;

	if (!check_login(command, login) || !check_hash(command) ||
		find(command, login, &mailbox) != ACCOUNTS_FOUND)
		return EX_DATAERR;
	if (account_note_login(command, login) != EX_OK)
		return EX_TEMPFAIL;
	return stage(command, CREDENTIALS_SET, login, command->record->hash);
}

/* Both databases say it: accounts.db closes the mailbox, credentials.db the login, whatever back end has its password. */
static int enable(struct account_command *command)
{
	bool enabled = strcmp(command->action->name, "enable") == 0;
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];

	if (!check_login(command, login))
		return EX_DATAERR;
	if (!accounts_enable(command->accounts, login, enabled, error, sizeof(error)))
		return account_refuse(command, error);
	if (!enabled && account_note_login(command, login) != EX_OK)
		return EX_TEMPFAIL;
	return stage(command, enabled ? CREDENTIALS_ENABLE : CREDENTIALS_DISABLE, login, NULL);
}

static int quota(struct account_command *command)
{
	const struct record *record = command->record;
	const char *size = record->word_count > 1 ? record->words[1] : record->quota;
	char error[300];
	int64_t bytes;

	if (!size)
		return account_refuse(command, "no size");
	if (!account_quota(command, size, &bytes))
		return EX_DATAERR;
	return accounts_set_quota(command->accounts, record->words[0], bytes, error, sizeof(error))
		       ? EX_OK
		       : account_refuse(command, error);
}

/* --- deleting --- */

static bool note_purge(struct account_command *command, const char *path)
{
	char *copy = strdup(path), **place = copy ? vector_add(&command->purge) : NULL;

	if (place)
		*place = copy;
	else
		free(copy);
	return place != NULL;
}

/* The mail that a mailbox deleted earlier has left, unless it belongs to one of another address by now. */
static int purge_leftover(struct account_command *command, const char *login)
{
	char path[ACCOUNTS_MAX_ADDRESS + 2];
	const char *domain = strrchr(login, '@') + 1;
	struct stat info;
	char folder[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%.*s", domain, (int)(domain - 1 - login), login);
	snprintf(folder, sizeof(folder), "%s/%s", command->mail, path);
	if (lstat(folder, &info) != 0 ||
		accounts_path_used(command->accounts, path) != ACCOUNTS_NOT_FOUND)
		return account_refuse(command, "no such mailbox, and no mail of one");
	return note_purge(command, path) ? EX_OK : account_fail(command, "no memory");
}

static int delete (struct account_command *command)
{
	bool purge = command->options & OPTION_PURGE_MAIL;
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	struct accounts_mailbox mailbox;

	if (!check_login(command, login))
		return EX_DATAERR;
	if (purge && accounts_mailbox(command->accounts, slice_from(login), &mailbox) ==
			     ACCOUNTS_NOT_FOUND)
		return purge_leftover(command, login);
	if (find(command, login, &mailbox) != ACCOUNTS_FOUND)
		return EX_DATAERR;
	if (!accounts_delete_mailbox(command->accounts, login, error, sizeof(error)))
		return account_refuse(command, error);
	if (purge && !note_purge(command, mailbox.path))
		return account_fail(command, "no memory");
	if (!purge && !command->list)
		fprintf(stderr, "the mail in %s below the mail directory is still there\n",
			mailbox.path);
	if (account_note_login(command, login) != EX_OK)
		return EX_TEMPFAIL;
	return stage(command, CREDENTIALS_DELETE, login, NULL);
}

/* The old address becomes an alias, unless it was one of the aliases that followed. */
static int keep_address(struct account_command *command, const char *login, const char *new_login)
{
	struct buffer known = { 0 };
	struct slice rest, item;
	bool there = false, done;
	char error[300];

	done = accounts_alias(command->accounts, slice_from(login), &known) != ACCOUNTS_ERROR;
	rest = buffer_slice(&known);
	while (slice_word(&rest, ", ", &item))
		there = there || slice_equal(item, slice_from(new_login));
	buffer_free(&known);
	if (!done)
		return account_fail(command, accounts_error(command->accounts));
	return there || accounts_add_alias(
				command->accounts, login, new_login, error, sizeof(error))
		       ? EX_OK
		       : account_fail(command, error);
}

static int rename_user(struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1], new_login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	unsigned aliases;

	if (!check_login(command, login))
		return EX_DATAERR;
	if (!accounts_check_address(
		    command->record->words[1], false, new_login, error, sizeof(error)) ||
		!accounts_rename_mailbox(command->accounts, login, new_login, command->delimiters,
			&aliases, error, sizeof(error)))
		return account_refuse(command, error);
	command->aliases += aliases;
	if ((command->options & OPTION_KEEP_ADDRESS) &&
		keep_address(command, login, new_login) != EX_OK)
		return EX_TEMPFAIL;
	if (account_note_login(command, login) != EX_OK)
		return EX_TEMPFAIL;
	/* A login without mailbox that has the new name is in the way, and nobody's. */
	if (stage(command, CREDENTIALS_DELETE, new_login, NULL) != EX_OK)
		return EX_TEMPFAIL;
	return stage(command, CREDENTIALS_RENAME, login, new_login);
}

/* --- listings --- */

/* An object that is still open. */
static void add_object(struct account_command *command, const struct accounts_mailbox *mailbox,
	struct buffer *line)
{
	json_add_member(line, "{", "address", mailbox->address);
	json_add_member(line, ", ", "mailbox", mailbox->path);
	buffer_printf(line, ", \"quota\": %lld, \"enabled\": %s", (long long)mailbox->quota,
		mailbox->enabled ? "true" : "false");
	user_visit_json(command, mailbox->address, line);
}

static bool print_mailbox(void *context, const struct accounts_mailbox *mailbox)
{
	struct account_command *command = context;
	struct buffer line = { 0 };

	if (command->options & OPTION_JSON) {
		add_object(command, mailbox, &line);
		buffer_add_text(&line, "}");
	} else {
		buffer_printf(&line, "%-40s %-8s quota %lld", mailbox->address,
			mailbox->enabled ? "enabled" : "disabled", (long long)mailbox->quota);
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
	return account_listed(command, accounts_each_mailbox(command->accounts, one ? domain : NULL,
					       print_mailbox, command));
}

static int show_object(struct account_command *command, const struct accounts_mailbox *mailbox)
{
	struct buffer line = { 0 };
	bool done;

	add_object(command, mailbox, &line);
	done = user_app_json(command, mailbox->address, &line);
	buffer_add_text(&line, "}");
	if (done)
		account_print(&line);
	buffer_free(&line);
	return done ? EX_OK : EX_TEMPFAIL;
}

static int show(struct account_command *command)
{
	char login[ACCOUNTS_MAX_ADDRESS + 1];
	struct accounts_mailbox mailbox;

	if (!check_login(command, login) || find(command, login, &mailbox) != ACCOUNTS_FOUND)
		return EX_DATAERR;
	if (command->options & OPTION_JSON)
		return show_object(command, &mailbox);
	printf("address   %s\nmailbox   %s\nquota     %lld%s\nlogin     %s\npassword  %s\n",
		mailbox.address, mailbox.path, (long long)mailbox.quota,
		mailbox.quota ? " bytes" : " (virtual_mailbox_limit)",
		mailbox.enabled ? "enabled" : "disabled",
		credentials_exists(command->credentials, login) == CREDENTIALS_GOOD
			? "set"
			: "none, or disabled");
	user_visit_print(command, login);
	return user_app_print(command, login) ? EX_OK : EX_TEMPFAIL;
}

int user_main(int argc, char **argv)
{
	static const struct account_action ACTIONS[] = {
		{ "add", 1, 1, ACTION_CHANGES | ACTION_PASSWORD | ACTION_NO_PASSWORD, add,
			"added" },
		{ "list", 0, 1, 0, list, NULL },
		{ "show", 1, 1, 0, show, NULL },
		{ "passwd", 1, 1, ACTION_CHANGES | ACTION_PASSWORD | ACTION_MAY_LOG_OUT, passwd,
			"changed" },
		{ "disable", 1, 1, ACTION_CHANGES | ACTION_MAY_LOG_OUT, enable, "disabled" },
		{ "enable", 1, 1, ACTION_CHANGES, enable, "enabled" },
		{ "quota", 1, 2, ACTION_CHANGES, quota, "changed" },
		{ "delete", 1, 1,
			ACTION_CHANGES | ACTION_ASKS | ACTION_LOGS_OUT | ACTION_LEAVES_ALIASES,
			delete, "deleted" },
		{ "app", 2, 3, ACTION_MAY_LOG_OUT, user_app, NULL },
		{ "rename", 2, 2, ACTION_CHANGES | ACTION_LOGS_OUT | ACTION_LEADS_ALIASES,
			rename_user, "renamed" },
		{ NULL, 0, 0, 0, NULL, NULL },
	};

	return account_run(argc, argv, ACTIONS, USAGE);
}
