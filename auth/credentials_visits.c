// SPDX-License-Identifier: ISC
/* Who logged in last, when and from where. See credentials_visits.h. */
#include "auth/credentials_visits.h"

#include <stdio.h>

#include "auth/credentials_connection.h"

static bool write_one(struct credentials *credentials, const struct credentials_visit *visit)
{
	sqlite3_stmt *set = credentials->query[QUERY_VISIT_SET];
	sqlite3_stmt *prune = credentials->query[QUERY_VISIT_PRUNE];
	bool done;

	database_bind(set, 1, slice_from(visit->login));
	database_bind(set, 2, slice_from(visit->network));
	database_bind(set, 3, slice_from(visit->address));
	database_bind(set, 4, slice_from(visit->service));
	sqlite3_bind_int64(set, 5, visit->time);
	done = sqlite3_step(set) == SQLITE_DONE;
	database_reset(set);
	database_bind(prune, 1, slice_from(visit->login));
	sqlite3_bind_int(prune, 2, CREDENTIALS_VISITS);
	done = done && sqlite3_step(prune) == SQLITE_DONE;
	database_reset(prune);
	return done;
}

static bool write_all(struct credentials *credentials, const struct credentials_visit *visits,
	size_t count, char *error, size_t error_size)
{
	char ignored[200];

	if (!database_run(credentials->db, "BEGIN IMMEDIATE", error, error_size))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (write_one(credentials, &visits[i]))
			continue;
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
		(void)!database_run(credentials->db, "ROLLBACK", ignored, sizeof(ignored));
		return false;
	}
	if (database_run(credentials->db, "COMMIT", error, error_size))
		return true;
	(void)!database_run(credentials->db, "ROLLBACK", ignored, sizeof(ignored));
	return false;
}

bool credentials_visits_write(struct credentials *credentials,
	const struct credentials_visit *visits, size_t count, char *error, size_t error_size)
{
	bool done;

	if (!credentials_enter(credentials)) {
		snprintf(error, error_size, "credentials.db is away");
		return false;
	}
	done = write_all(credentials, visits, count, error, error_size);
	credentials_leave(credentials);
	return done;
}

static bool read_row(sqlite3_stmt *statement, struct credentials_visit *visit)
{
	visit->time = sqlite3_column_int64(statement, 4);
	return slice_to_string(database_column(statement, 0), visit->login, sizeof(visit->login)) &&
	       slice_to_string(
		       database_column(statement, 1), visit->network, sizeof(visit->network)) &&
	       slice_to_string(
		       database_column(statement, 2), visit->address, sizeof(visit->address)) &&
	       slice_to_string(
		       database_column(statement, 3), visit->service, sizeof(visit->service));
}

enum credentials_status credentials_last_visit(
	struct credentials *credentials, const char *login, struct credentials_visit *visit)
{
	sqlite3_stmt *statement = credentials->query[QUERY_VISIT_LAST];
	char folded[CREDENTIALS_MAX_LOGIN + 1];
	enum credentials_status status = CREDENTIALS_ERROR;
	int result;

	if (!credentials_fold(slice_from(login), folded))
		return CREDENTIALS_BAD;
	database_bind(statement, 1, slice_from(folded));
	result = sqlite3_step(statement);
	if (result == SQLITE_DONE)
		status = CREDENTIALS_BAD;
	else if (result == SQLITE_ROW && read_row(statement, visit))
		status = CREDENTIALS_GOOD;
	database_reset(statement);
	return status;
}

bool credentials_visits_each(struct credentials *credentials, int64_t since,
	void (*each)(void *context, const struct credentials_visit *visit), void *context,
	char *error, size_t error_size)
{
	sqlite3_stmt *statement = credentials->query[QUERY_VISIT_LIST];
	struct credentials_visit visit;
	int result;

	if (!statement)
		return true; /* away: nothing is known */
	sqlite3_bind_int64(statement, 1, since);
	while ((result = credentials_step(credentials, statement)) == SQLITE_ROW)
		if (read_row(statement, &visit))
			each(context, &visit);
	if (result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
	database_reset(statement);
	return result == SQLITE_DONE;
}
