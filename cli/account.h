// SPDX-License-Identifier: ISC
/*
 * What postern domain, user, alias and import share: the two databases of the instance, options, passwords, and lists of
 * accounts on standard input.
 */
#ifndef CLI_ACCOUNT_H
#define CLI_ACCOUNT_H

#include <limits.h>

#include "cli/cli.h"
#include "cli/joint.h"
#include "cli/records.h"
#include "directory/accounts.h"

enum account_option {
	OPTION_JSON = 1,
	OPTION_NO_PASSWORD = 2,
	OPTION_YES = 4, /* do not ask */
	OPTION_PURGE_MAIL = 8,
	OPTION_KEEP_ADDRESS = 16,
	OPTION_ALL_OR_NOTHING = 32,
	OPTION_KICK = 64 /* end the sessions of who is concerned */
};

struct account_action;
struct account_command {
	const char *name; /* "user" */
	const struct account_action *action;
	struct accounts *accounts;
	struct credentials *credentials;
	struct joint joint; /* of actions that change something */
	char root[PATH_MAX]; /* instance_directory */
	char data[PATH_MAX], mail[PATH_MAX]; /* data_directory, mail_directory */
	struct scheme_settings schemes; /* how passwords are stored */
	const char *services; /* --services */
	const char *
		app; /* the application password whose sessions are concerned; NULL: all sessions */
	unsigned options;
	bool list; /* from standard input */
	struct records records; /* what to do: one of the command line, or those of the list */
	const struct record *record; /* the one at hand */
	struct vector purge; /* char *: folders below `mail` to remove when all is committed */
	struct buffer logins; /* users who may have to go when all is committed, NUL-ended */
	unsigned sessions; /* of them: ended, or still open */
	char delimiters[64]; /* recipient_delimiter */
	unsigned aliases; /* that have followed a mailbox */
	size_t dangling; /* aliases that lead to nobody any more */
	struct buffer dangling_text; /* they, as they will be told */
	bool broken; /* a database failed: nothing more can be done */
};

enum account_action_flag {
	ACTION_CHANGES = 1, /* runs within a change of both databases */
	ACTION_PASSWORD = 2, /* needs a hash: a password is asked for and hashed before */
	ACTION_ASKS = 4, /* deletes: asks on the terminal */
	ACTION_LOGS_OUT = 8, /* its users have no login any more: their sessions end */
	ACTION_MAY_LOG_OUT = 16, /* likewise with --kick */
	ACTION_NO_PASSWORD = 32, /* takes --no-password */
	ACTION_LEADS_ALIASES = 64, /* aliases follow its mailboxes */
	ACTION_LEAVES_ALIASES = 128 /* aliases may be left that lead to nobody */
};

/* An action: its word, how many words follow it, and what it does with command->record. The table ends with a NULL name. */
struct account_action {
	const char *name;
	unsigned least, most;
	unsigned flags;
	int (*run)(struct account_command *command);
	const char *done; /* "added", for the summary */
};

/* Parse, open, run the action for each record, commit, close; the exit status. */
int account_run(int argc, char **argv, const struct account_action *actions, const char *usage);
/* Databases and lock, for `postern import`. False with a message. */
MUST_CHECK bool account_open(struct account_command *command, bool changes);
void account_close(struct account_command *command);

/* Before the system starts: finish what a command left that died between the two databases. What fails is told, and stops nothing. */
struct config;
void account_recover(const char *name, const struct config *config);

/* "NAME: fatal: error", or a warning with the line of a list, which is skipped; EX_DATAERR. */
int account_refuse(struct account_command *command, const char *error);
/* Print a line of a list, and free it. */
void account_print(struct buffer *line);
/* The domain whose list is asked for, as the database has it: EX_OK when it is there, else told. */
int account_domain(struct account_command *command, char domain[ACCOUNTS_MAX_DOMAIN + 1]);
/* The end of a list: EX_OK when all of it was `done`, else as account_fail. */
int account_listed(struct account_command *command, bool done);
/* The database failed; EX_TEMPFAIL. */
int account_fail(struct account_command *command, const char *error);
/* "10M" in bytes; false with a message. */
MUST_CHECK bool account_quota(struct account_command *command, const char *text, int64_t *quota);
/* From the terminal, asked for twice and not shown, else the first line of standard input. False with a message. */
MUST_CHECK bool account_password(
	struct account_command *command, char password[CREDENTIALS_MAX_PASSWORD + 2]);
/* Hash the passwords of the records that have one, on all processors; those that cannot be hashed are refused and marked. */
MUST_CHECK bool account_hash_passwords(struct account_command *command);

/* That user's login changes with this action; EX_OK, or account_fail's status. */
int account_note_login(struct account_command *command, const char *login);
/* All is committed: end the sessions of those who were noted, or tell that there are some. False with a message when they may go on. */
MUST_CHECK bool account_sessions(struct account_command *command, bool end);

/* Find the aliases that the deleted mailboxes leave behind, while the change is open; EX_OK, or account_fail's status. */
int account_find_dangling(struct account_command *command);
/* All is committed: tell of aliases. */
void account_tell_aliases(struct account_command *command);
/* The members about aliases of the figures in JSON, each with a comma before it. */
void account_add_aliases(const struct account_command *command, struct buffer *out);

/* Remove the folder `path` below the mail directory and what is in it; symbolic links are not followed. False with errno. */
MUST_CHECK bool account_purge(const char *mail, const char *path);

#endif
