// SPDX-License-Identifier: ISC
/*
 * credentials.db: login names and password hashes (crypt(3)), in SQLite. It belongs to authd; `postern user` and `postern
 * init` write it, with effect at once.
 *
 * Login names are compared in lower case. New hashes are yescrypt; any hash that the system's crypt(3) knows is verified, so
 * that hashes of other systems can be brought over.
 */
#ifndef AUTH_CREDENTIALS_H
#define AUTH_CREDENTIALS_H

#include "base/slice.h"

enum {
	CREDENTIALS_MAX_LOGIN = 320,
	CREDENTIALS_MAX_PASSWORD = 512, /* bytes, crypt(3)'s bound */
	CREDENTIALS_MAX_HASH = 384
};

enum credentials_status {
	CREDENTIALS_ERROR = 0, /* it could not be found out: try later */
	CREDENTIALS_GOOD,
	CREDENTIALS_BAD /* wrong password, no such login, or disabled: the caller does not learn which */
};

struct credentials; /* a connection; for one thread at a time */

/* Open `path`, with `create` make it (mode 0600) and its table when they are not there. False with `error` filled. */
MUST_CHECK bool credentials_open(const char *path, bool create, struct credentials **credentials,
	char *error, size_t error_size);
void credentials_close(struct credentials **credentials);

/*
 * Set or replace. `cost` is yescrypt's, 1 (about a millisecond) to 11 (seconds); main.cf's password_hash_cost. Durable
 * when true is returned; false with `error` filled.
 */
MUST_CHECK bool credentials_set(struct credentials *credentials, const char *login,
	struct slice password, int cost, char *error, size_t error_size);
/* A hash made elsewhere, as it stands in /etc/shadow; a "{CRYPT}" prefix is dropped. */
MUST_CHECK bool credentials_set_hash(struct credentials *credentials, const char *login,
	const char *hash, char *error, size_t error_size);
MUST_CHECK bool credentials_enable(struct credentials *credentials, const char *login, bool enabled,
	char *error, size_t error_size);
MUST_CHECK bool credentials_delete(
	struct credentials *credentials, const char *login, char *error, size_t error_size);
/* Is there a password for this login? CREDENTIALS_GOOD or CREDENTIALS_BAD. */
MUST_CHECK enum credentials_status credentials_exists(
	struct credentials *credentials, const char *login);

/*
 * Does the password fit? An unknown login costs as much time as a known one: a hash that fits nothing is computed with
 * the cost of `credentials_set_dummy_cost`.
 */
MUST_CHECK enum credentials_status credentials_verify(
	struct credentials *credentials, struct slice login, struct slice password);
MUST_CHECK bool credentials_set_dummy_cost(struct credentials *credentials, int cost);

/*
 * A memory of passwords that were good, to spare the hashing when a client logs in every few seconds. The key holds all
 * that the answer depended on: the password and the very hash in the database, which is read afresh each time, so
 * that a changed or disabled password counts at once. Shared by the connections of several threads.
 */
struct credentials_memory;
struct credentials_memory *credentials_memory_new(int64_t lifetime_ms);
void credentials_memory_free(struct credentials_memory **memory);
void credentials_remember(struct credentials *credentials, struct credentials_memory *memory);

#endif
