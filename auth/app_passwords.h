// SPDX-License-Identifier: ISC
/*
 * Application passwords: made here, of 100 random bits, for one program each. They are named, can be revoked one by one, may be
 * limited to services, and outlive a change of the login's own password. A disabled login has none that is good. SCRAM
 * proves the login's own password only: the server would have to know which one is meant before it is shown.
 */
#ifndef AUTH_APP_PASSWORDS_H
#define AUTH_APP_PASSWORDS_H

#include "auth/credentials.h"

enum {
	CREDENTIALS_APPS = 100, /* of one login */
	CREDENTIALS_APP_PASSWORD = 24 /* characters of one: "abcd-efgh-jkmn-pqrs-tuvw" */
};

struct credentials_app {
	struct slice name, services; /* "imap,smtp"; empty: all */
	int64_t created; /* seconds since 1970 */
};
/* Make one; `password` is told this once. `services` as above. Durable when true is returned; false with `error` filled. */
MUST_CHECK bool credentials_app_add(struct credentials *credentials, const char *login,
	const char *name, const char *services, char password[CREDENTIALS_APP_PASSWORD + 1],
	char *error, size_t error_size);
MUST_CHECK bool credentials_app_delete(struct credentials *credentials, const char *login,
	const char *name, char *error, size_t error_size);
/* In the order of their names; false with `error` filled. */
MUST_CHECK bool credentials_app_each(struct credentials *credentials, const char *login,
	void (*each)(void *context, const struct credentials_app *app), void *context, char *error,
	size_t error_size);
/* Is it a good application password for this service? `app` gets its name. CREDENTIALS_BAD: it is none, go on. */
MUST_CHECK enum credentials_status credentials_app_verify(struct credentials *credentials,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1]);

#endif
