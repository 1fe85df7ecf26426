// SPDX-License-Identifier: ISC
/* Good logins: of each login the last one from each of the networks that were used last. */
#ifndef AUTH_CREDENTIALS_VISITS_H
#define AUTH_CREDENTIALS_VISITS_H

#include "auth/credentials.h"

enum { CREDENTIALS_VISITS = 10 /* networks that are remembered of a login */ };

struct credentials_visit {
	char login[CREDENTIALS_MAX_LOGIN + 1];
	char network[65], address[65], service[17];
	int64_t time; /* seconds since 1970 */
};
/* All of them or, with `error` filled, none. */
MUST_CHECK bool credentials_visits_write(struct credentials *credentials,
	const struct credentials_visit *visits, size_t count, char *error, size_t error_size);
/* CREDENTIALS_BAD: there is none. */
MUST_CHECK enum credentials_status credentials_last_visit(
	struct credentials *credentials, const char *login, struct credentials_visit *visit);
/* Those not before `since`, oldest first; false with `error` filled. */
MUST_CHECK bool credentials_visits_each(struct credentials *credentials, int64_t since,
	void (*each)(void *context, const struct credentials_visit *visit), void *context,
	char *error, size_t error_size);

#endif
