// SPDX-License-Identifier: ISC
/* What authd opens before it is confined: a set of back ends for each worker, keys, tables and the secret of its own. */
#ifndef AUTH_PARTS_H
#define AUTH_PARTS_H

#include "auth/exchange.h"
#include "auth/mech_claims.h"
#include "auth/survey.h"
#include "config/config.h"
#include "service/threads.h"

struct parts {
	struct backends *backends[THREADS_MOST];
	unsigned count;
	struct backends *surveyed; /* once more, for the survey */
	struct scram_sample *sample; /* of what tables have, kept at... */
	char sample_path[1100];
	struct survey *survey; /* of what there is; the caller's to start */
	struct credentials_file *credentials; /* to be looked at from time to time */
	struct cache *cache; /* or NULL */
	struct oauth *oauth; /* or NULL */
	struct oauth_settings introspection; /* what the command's answer is held against */
	struct table_list *certificates; /* or NULL */
};

/*
 * `data` is authd's folder, where credentials.db is, and the secret (made when it is not there); `saslauthd` is the way to that
 * daemon. The configuration must stay. False with `error` filled; what was opened is closed again.
 */
MUST_CHECK bool parts_open(struct parts *parts, const struct config *config, const char *data,
	backend_connect saslauthd, void *context, char *error, size_t error_size);
void parts_close(struct parts *parts);
/* What was replaced on disk since; NULL: nothing. */
const char *parts_changed(const struct parts *parts);

/* For "authd --check": see config/self_check.h. The exit status. */
int parts_check(void);

#endif
