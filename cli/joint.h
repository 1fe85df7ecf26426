// SPDX-License-Identifier: ISC
/*
 * One change of accounts.db and credentials.db that is made in both or in neither, whatever dies in between.
 *
 * Both transactions are open side by side. At the commit the part of credentials.db is noted down there (auth/credentials_batch.h), then
 * accounts.db is committed with the decision, then the notes are made true. One command does so at a time: a lock on
 * accounts.lock beside accounts.db sees to that, so notes without an owner are those of a process that died, and the next to
 * come finishes its change or takes it back. `postern start` does so, too.
 */
#ifndef CLI_JOINT_H
#define CLI_JOINT_H

#include "auth/credentials_batch.h"
#include "directory/accounts.h"

struct joint {
	struct accounts *accounts; /* the caller's */
	struct credentials *credentials;
	int lock; /* -1: not held */
	bool open; /* between begin and commit */
	unsigned staged; /* changes of credentials.db */
	char batch[CREDENTIALS_BATCH_NAME + 1];
	void (*step)(int number); /* tests: called between the steps of a commit */
};

/*
 * Take the lock (waiting up to a minute) and finish what a process that died left. `data` is data_directory. False with
 * `error` filled; joint_close in any case.
 */
MUST_CHECK bool joint_open(struct joint *joint, const char *data, struct accounts *accounts,
	struct credentials *credentials, char *error, size_t error_size);
void joint_close(struct joint *joint);

/* Changes of `accounts` after this, and those staged, come together. */
MUST_CHECK bool joint_begin(struct joint *joint, char *error, size_t error_size);
/* A change of credentials.db. False: the database failed, and nothing but joint_rollback makes sense. */
MUST_CHECK bool joint_stage(struct joint *joint, enum credentials_action action, const char *login,
	const char *value, char *error, size_t error_size);
/* Durable when true. False: nothing was changed, or (told in `error`) the next command will finish it. */
MUST_CHECK bool joint_commit(struct joint *joint, char *error, size_t error_size);
void joint_rollback(struct joint *joint);

#endif
