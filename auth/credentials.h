// SPDX-License-Identifier: ISC
/*
 * credentials.db: login names and what is stored of their passwords (scheme.h), in SQLite. It belongs to authd; `postern user`
 * and `postern init` write it, with effect at once.
 *
 * Login names are compared in lower case. New passwords are stored as yescrypt and as SCRAM keys; hashes of other systems can be
 * brought over.
 */
#ifndef AUTH_CREDENTIALS_H
#define AUTH_CREDENTIALS_H

#include "auth/cache.h"
#include "auth/scheme.h"
#include "ipc/messages.h"

enum {
	CREDENTIALS_MAX_LOGIN = 320,
	CREDENTIALS_MAX_PASSWORD = SCHEME_MAX_PASSWORD,
	CREDENTIALS_MAX_HASH = SCHEME_MAX_STORED,
	CREDENTIALS_MAX_APP = MAX_APP /* bytes of an application password's name */
};

enum credentials_status {
	CREDENTIALS_ERROR = 0, /* it could not be found out: try later */
	CREDENTIALS_GOOD,
	CREDENTIALS_BAD, /* wrong password, or disabled */
	CREDENTIALS_UNKNOWN /* no such login; no time was spent on the password (schemes_waste) */
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
/* A hash made elsewhere, as it stands in /etc/shadow or with Dovecot's {SCHEME}; a "{CRYPT}" prefix is dropped. */
MUST_CHECK bool credentials_set_hash(struct credentials *credentials, const char *login,
	const char *hash, char *error, size_t error_size);
/* Does it have the form of one, so that this would be accepted? Told in microseconds: many are brought over at once. */
MUST_CHECK bool credentials_check_hash(
	struct credentials *credentials, const char *hash, char *error, size_t error_size);
MUST_CHECK bool credentials_enable(struct credentials *credentials, const char *login, bool enabled,
	char *error, size_t error_size);
/* With its application passwords. */
MUST_CHECK bool credentials_delete(
	struct credentials *credentials, const char *login, char *error, size_t error_size);
/* With its application passwords, within a transaction of the caller's (credentials_batch.h). False when there is no such login. */
MUST_CHECK bool credentials_rename(struct credentials *credentials, const char *login,
	const char *new_login, char *error, size_t error_size);
/* Is there a password for this login? CREDENTIALS_GOOD or CREDENTIALS_BAD. */
MUST_CHECK enum credentials_status credentials_exists(
	struct credentials *credentials, const char *login);

/* What is asked of a password, and all that the answer depends on. */
struct credentials_question {
	struct slice login, password;
	struct slice service; /* "imap" */
	struct slice mechanism; /* "PLAIN" */
	bool secured;
};
/*
 * Does the password fit? The login's own is good for every service, an application password for its own ones; then `app` gets
 * its name, else "". A disabled login costs as much time as an enabled one.
 */
MUST_CHECK enum credentials_status credentials_verify(struct credentials *credentials,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1]);
/* What is stored, for an enabled login (CREDENTIALS_GOOD). */
MUST_CHECK enum credentials_status credentials_read(
	struct credentials *credentials, struct slice login, char hash[CREDENTIALS_MAX_HASH]);
/* What is stored, of all enabled logins. False: the database is away, or it could not be read to its end. */
MUST_CHECK bool credentials_each(struct credentials *credentials,
	void (*each)(void *context, struct slice hash), void *context);
/* Costs, and which schemes count. Without it: no plain text, and nothing that schemes_waste could compute. */
void credentials_settings(struct credentials *credentials, const struct scheme_settings *settings);
/* A password that has just fitted is stored as a new one would be, if it is not. False when nothing was changed. */
bool credentials_upgrade(
	struct credentials *credentials, struct slice login, struct slice password);
/* Spare the hashing of what `cache` knows; it stays the caller's, and may be the cache of several connections. */
void credentials_remember(struct credentials *credentials, struct cache *cache);

#endif
