// SPDX-License-Identifier: ISC
/* postern user app: an action of postern user. */
#ifndef CLI_USER_APP_H
#define CLI_USER_APP_H

#include "cli/account.h"

/* The record's words are add, list or delete, the address, the name. */
int user_app(struct account_command *command);

#endif
