// SPDX-License-Identifier: ISC
/* postern user app: an action of postern user. */
#ifndef CLI_USER_APP_H
#define CLI_USER_APP_H

#include "cli/account.h"

/* The record's words are add, list or delete, the address, the name. */
int user_app(struct account_command *command);
/* What postern user show tells of them: a member behind others, or a line each. False with a message. */
MUST_CHECK bool user_app_json(
	struct account_command *command, const char *login, struct buffer *out);
MUST_CHECK bool user_app_print(struct account_command *command, const char *login);

#endif
