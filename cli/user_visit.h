// SPDX-License-Identifier: ISC
/* postern user show: the last login, as authd wrote it. */
#ifndef CLI_USER_VISIT_H
#define CLI_USER_VISIT_H

#include "base/buffer.h"
#include "cli/account.h"

/* A member behind others: last_login with time, service and address, or null. */
void user_visit_json(struct account_command *command, const char *login, struct buffer *out);
void user_visit_print(struct account_command *command, const char *login);

#endif
