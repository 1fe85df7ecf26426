// SPDX-License-Identifier: ISC
/*
 * Where passwords are looked up: auth_backends, a list that is gone through in order.
 *
 *	credentials        credentials.db
 *	passwd-file:PATH   a file of Dovecot's passwd-file form
 *	saslauthd          the daemon of that name, and behind it PAM or whatever it is set to
 *	TYPE:NAME          a lookup table (lib/table) from login name to what is stored
 *
 * The first that knows the login decides; a later one is asked only when the ones before are certain that it is nobody to
 * them. One that cannot be asked makes the answer "try later". saslauthd does not tell an unknown login from a wrong
 * password: its no means unknown. Whoever is disabled or deleted is nobody to all of them: credentials.db knows that, and is asked
 * first.
 */
#ifndef AUTH_BACKEND_H
#define AUTH_BACKEND_H

#include "auth/credentials_file.h"
#include "auth/scram_sample.h"

enum { BACKENDS_MOST = 16 };

/* A way to a service outside of the suite; the descriptor is the caller's. -1: it is not there. May block. */
typedef int (*backend_connect)(void *context);

struct backends_settings {
	const char *list; /* auth_backends */
	const char *folder; /* for relative names of tables */
	const char *credentials; /* path of credentials.db; NULL without `file`: nobody is closed */
	struct credentials_file
		*file; /* the same, watched by the caller; NULL: opened once for all */
	const char *realm; /* auth_default_realm */
	struct scheme_settings schemes;
	bool upgrade; /* auth_password_upgrade */
	struct cache *cache; /* or NULL; stays the caller's, and may be that of several threads */
	struct scram_sample *sample; /* of logins in tables, or NULL; as the cache */
	backend_connect saslauthd;
	void *context; /* of saslauthd */
};

/* For one thread at a time. */
struct backends;
/* Before the process is confined: files are opened here. NULL with `error` filled. The texts of the settings must stay. */
MUST_CHECK struct backends *backends_open(
	const struct backends_settings *settings, char *error, size_t error_size);
void backends_close(struct backends **backends);

/*
 * Does the password fit? CREDENTIALS_GOOD, _BAD or _ERROR. As many hashes are computed for a login that nobody knows as for one
 * that is in the first back end. `app` gets the name of the application password that was good, or "".
 */
MUST_CHECK enum credentials_status backends_verify(struct backends *backends,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1]);
/* What is stored (scheme.h), for mechanisms that never see a password. CREDENTIALS_GOOD, _BAD (disabled), _UNKNOWN or _ERROR. */
MUST_CHECK enum credentials_status backends_read(
	struct backends *backends, struct slice login, char stored[SCHEME_MAX_STORED]);
/* He has just logged in: where he is in none that can be listed, the sample learns what is stored of him. */
void backends_seen(struct backends *backends, struct slice login);
struct scram_sample *backends_sample(struct backends *backends);
/* All that is stored of logins that are not closed, where it can be listed: not in tables, not behind saslauthd. False: not all of it
 * could be read. */
MUST_CHECK bool backends_each(
	struct backends *backends, void (*each)(void *context, struct slice stored), void *context);
struct schemes *backends_schemes(struct backends *backends);
/* Does stored plain text, or what is as good, count (auth_allow_plain_scheme)? */
bool backends_plain(const struct backends *backends);
/* Of SCRAM keys that are made of it. */
unsigned backends_iterations(const struct backends *backends);
/* The name of one whose file was replaced since it was opened; NULL: none. */
const char *backends_changed(const struct backends *backends);

#endif
