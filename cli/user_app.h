// SPDX-License-Identifier: ISC
/* postern user app: an action of postern user. */
#ifndef CLI_USER_APP_H
#define CLI_USER_APP_H

#include "cli/account.h"

/* words[1] is add, list or delete, words[2] the address, words[3] the name. */
int user_app(struct account_command *command);

#endif
