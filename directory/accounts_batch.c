// SPDX-License-Identifier: ISC
/* accounts.db: many changes in one transaction, and the decisions on changes that concern credentials.db, too. See accounts.h. */
#include <stdio.h>

#include "directory/accounts_impl.h"

/* Made when it is first needed: databases of older versions have no such table. */
static const char SCHEMA[] =
	"CREATE TABLE IF NOT EXISTS decisions (batch TEXT PRIMARY KEY) STRICT;";

bool accounts_begin(struct accounts *accounts, char *error, size_t error_size)
{
	return database_run(accounts->db, "BEGIN IMMEDIATE", error, error_size);
}

void accounts_rollback(struct accounts *accounts)
{
	char error[200];

	(void)!database_run(accounts->db, "ROLLBACK", error, sizeof(error));
}

/* `sql` with ?1 = batch; the result of its first step. */
static int run(struct accounts *accounts, const char *sql, const char *batch, char *error,
	size_t error_size)
{
	sqlite3_stmt *statement = database_prepare(accounts->db, sql, error, error_size);
	int result = SQLITE_ERROR;

	if (!statement)
		return result;
	database_bind(statement, 1, slice_from(batch));
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE && result != SQLITE_ROW)
		snprintf(error, error_size, "%s", sqlite3_errmsg(accounts->db));
	sqlite3_finalize(statement);
	return result;
}

bool accounts_commit(struct accounts *accounts, const char *batch, char *error, size_t error_size)
{
	if ((!batch || (database_run(accounts->db, SCHEMA, error, error_size) &&
			       run(accounts, "INSERT INTO decisions (batch) VALUES (?1)", batch,
				       error, error_size) == SQLITE_DONE)) &&
		database_run(accounts->db, "COMMIT", error, error_size))
		return true;
	accounts_rollback(accounts);
	return false;
}

bool accounts_decided(
	struct accounts *accounts, const char *batch, bool *decided, char *error, size_t error_size)
{
	int result;

	if (!database_run(accounts->db, SCHEMA, error, error_size))
		return false;
	result =
		run(accounts, "SELECT 1 FROM decisions WHERE batch = ?1", batch, error, error_size);
	*decided = result == SQLITE_ROW;
	return result == SQLITE_ROW || result == SQLITE_DONE;
}

bool accounts_forget_decision(
	struct accounts *accounts, const char *batch, char *error, size_t error_size)
{
	return run(accounts, "DELETE FROM decisions WHERE batch = ?1", batch, error, error_size) ==
	       SQLITE_DONE;
}
