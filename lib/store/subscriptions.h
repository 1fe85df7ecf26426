// SPDX-License-Identifier: ISC
/* The file `subscriptions` in a user's folder, as Dovecot keeps it. */
#ifndef STORE_SUBSCRIPTIONS_H
#define STORE_SUBSCRIPTIONS_H

#include "store/internal.h"

/* Calls `each` with every subscribed name that could be a mailbox's, in API form. False on failure. */
MUST_CHECK bool subscriptions_each(
	struct store *store, void (*each)(void *context, struct slice name), void *context);

#endif
