// SPDX-License-Identifier: ISC
/*
 * What postern domain, user and alias share: the two databases of the instance, options, passwords.
 */
#ifndef CLI_ACCOUNT_H
#define CLI_ACCOUNT_H

#include "auth/credentials.h"
#include "cli/cli.h"
#include "directory/accounts.h"

struct account_command {
	const char *name; /* "user" */
	struct accounts *accounts;
	struct credentials *credentials; /* NULL unless asked for */
	int hash_cost;
	bool json;
	const char *quota, *hash, *services; /* --quota, --hash, --services */
	bool no_password;
	char *words[16]; /* what is not an option; words[0] is the action */
	int word_count;
};

/* An action: its word, how many words follow it, and what it does. The table ends with a NULL name. */
struct account_action {
	const char *name;
	int least, most;
	bool credentials; /* needs credentials.db, too */
	int (*run)(struct account_command *command);
};

/* Parse, open, run the action, close; the exit status. */
int account_run(int argc, char **argv, const struct account_action *actions, const char *usage);
/* "NAME: fatal: error" and EX_DATAERR. */
int account_refuse(const struct account_command *command, const char *error);
/* "10M" in bytes; false with a message. */
MUST_CHECK bool account_quota(
	const struct account_command *command, const char *text, int64_t *quota);
/* From the terminal, asked for twice and not shown, else the first line of standard input. False with a message. */
MUST_CHECK bool account_password(
	const struct account_command *command, char password[CREDENTIALS_MAX_PASSWORD + 2]);

#endif
