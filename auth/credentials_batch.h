// SPDX-License-Identifier: ISC
/*
 * The part of credentials.db in a change that concerns accounts.db, too. Such a change is noted down first ("staged", durable),
 * then made in accounts.db together with the decision that it counts, then made here and the notes removed. Whoever
 * finds notes of a process that died looks for the decision, and finishes the change or takes it back (cli/joint.h).
 *
 * A login that is to be deleted, disabled or renamed is closed from the moment it is staged: in between there may be a mailbox
 * without a login, never a login without a mailbox.
 */
#ifndef AUTH_CREDENTIALS_BATCH_H
#define AUTH_CREDENTIALS_BATCH_H

#include "auth/credentials.h"

enum { CREDENTIALS_BATCH_NAME = 16 }; /* hexadecimal digits, drawn at random */

enum credentials_action {
	CREDENTIALS_SET = 1, /* value: the hash */
	CREDENTIALS_ENABLE,
	CREDENTIALS_DISABLE,
	CREDENTIALS_DELETE,
	CREDENTIALS_RENAME /* value: the new login */
};

/* Begin, note changes, save (durable) or abandon. No other change of the database is possible meanwhile. */
MUST_CHECK bool credentials_batch_begin(
	struct credentials *credentials, char *error, size_t error_size);
/* `login` in lower case. All but CREDENTIALS_SET do nothing when there is no such login. */
MUST_CHECK bool credentials_batch_add(struct credentials *credentials, const char *batch,
	enum credentials_action action, const char *login, const char *value, char *error,
	size_t error_size);
MUST_CHECK bool credentials_batch_save(
	struct credentials *credentials, char *error, size_t error_size);
void credentials_batch_abandon(struct credentials *credentials);

/* Make the changes of a saved batch, or with `decided` false take it back, and forget it: in one transaction. */
MUST_CHECK bool credentials_batch_finish(struct credentials *credentials, const char *batch,
	bool decided, char *error, size_t error_size);
/* A saved batch that is not finished: its name, or "" when there is none. */
MUST_CHECK bool credentials_batch_next(struct credentials *credentials,
	char batch[CREDENTIALS_BATCH_NAME + 1], char *error, size_t error_size);

#endif
