// SPDX-License-Identifier: ISC
/* What the files of credentials.db share: the connection and its statements, names, hashes. For auth/ alone. */
#ifndef AUTH_CREDENTIALS_CONNECTION_H
#define AUTH_CREDENTIALS_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/credentials.h"
#include "os/database.h"

enum credentials_query {
	QUERY_GET,
	QUERY_EACH,
	QUERY_SET,
	QUERY_ENABLE,
	QUERY_DELETE,
	QUERY_RENAME,
	QUERY_RENAME_APPS,
	QUERY_UPGRADE,
	QUERY_APP_ADD,
	QUERY_APP_DELETE,
	QUERY_APP_DELETE_ALL,
	QUERY_APP_LIST,
	QUERY_APP_FIND,
	QUERY_APP_COUNT,
	QUERY_VISIT_SET,
	QUERY_VISIT_PRUNE,
	QUERY_VISIT_LAST,
	QUERY_VISIT_LIST,
	QUERY_VISIT_RENAME,
	QUERY_VISIT_DELETE_ALL,
	QUERY_COUNT
};

struct credentials {
	sqlite3 *db; /* NULL: the file is away (credentials_file.h) */
	pthread_mutex_t
		lock; /* recursive; held while it is asked, so that nobody closes it meanwhile */
	_Atomic(const char *)
		fault; /* what the file had when it could not be read; NULL: nothing */
	sqlite3_stmt *query[QUERY_COUNT];
	struct cache *cache; /* or NULL */
	struct schemes *schemes;
	struct scheme_settings settings;
};

/* Without a database; NULL when memory is out. */
struct credentials *credentials_new(void);
/* `lock` is held. False with `error` filled; credentials_disconnect comes then, too. */
MUST_CHECK bool credentials_connect(struct credentials *credentials, const char *path, bool create,
	char *error, size_t error_size);
void credentials_disconnect(struct credentials *credentials);
/* Before and after it is asked; false, and nothing to leave, when there is no database just now. */
MUST_CHECK bool credentials_enter(struct credentials *credentials);
void credentials_leave(struct credentials *credentials);
/* sqlite3_step, and a note when the file itself is at fault. */
int credentials_step(struct credentials *credentials, sqlite3_stmt *statement);

/* Lower case; false when it is no login name: empty, too long, or with bytes that would disturb a log line. */
MUST_CHECK bool credentials_fold(struct slice login, char text[CREDENTIALS_MAX_LOGIN + 1]);
/* Does it fit? CREDENTIALS_ERROR when memory was out. */
MUST_CHECK enum credentials_status credentials_fits(
	struct credentials *credentials, struct slice password, const char *hash);

#endif
