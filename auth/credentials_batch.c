// SPDX-License-Identifier: ISC
/* Changes of credentials.db that go together with ones of accounts.db. See credentials_batch.h. */
#include "auth/credentials_batch.h"

#include <stdio.h>

#include "auth/credentials_connection.h"

static const char SCHEMA[] =
	"CREATE TABLE IF NOT EXISTS staged (id INTEGER PRIMARY KEY, batch TEXT NOT NULL,"
	" action INTEGER NOT NULL, login TEXT NOT NULL, value TEXT, was_enabled INTEGER) STRICT;";

enum { NOTED_ACTION, NOTED_LOGIN, NOTED_VALUE, NOTED_ENABLED };

bool credentials_batch_begin(struct credentials *credentials, char *error, size_t error_size)
{
	sqlite3 *db = credentials->db;

	if (!database_run(db, "BEGIN IMMEDIATE", error, error_size))
		return false;
	if (database_run(db, SCHEMA, error, error_size))
		return true;
	credentials_batch_abandon(credentials);
	return false;
}

bool credentials_batch_save(struct credentials *credentials, char *error, size_t error_size)
{
	if (database_run(credentials->db, "COMMIT", error, error_size))
		return true;
	credentials_batch_abandon(credentials);
	return false;
}

void credentials_batch_abandon(struct credentials *credentials)
{
	char error[200];

	(void)!database_run(credentials->db, "ROLLBACK", error, sizeof(error));
}

/* One statement with up to four texts (NULL: not bound) and a number behind them. */
static bool run(struct credentials *credentials, const char *sql, const char *const texts[4],
	int number, char *error, size_t error_size)
{
	sqlite3 *db = credentials->db;
	sqlite3_stmt *statement = database_prepare(db, sql, error, error_size);
	int result;

	if (!statement)
		return false;
	for (int i = 0; i < 4; i++)
		if (texts[i])
			database_bind(statement, i + 1, slice_from(texts[i]));
	if (number)
		sqlite3_bind_int(statement, 5, number);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(db));
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

static bool closes(enum credentials_action action)
{
	return action == CREDENTIALS_DISABLE || action == CREDENTIALS_DELETE ||
	       action == CREDENTIALS_RENAME;
}

/*
 * A row that no password fits closes a login for every back end, whether or not credentials.db has a password of it: so is one
 * whose mailbox is disabled, and one that was deleted or has another name now, until it is added again.
 */
static bool close_login(
	struct credentials *credentials, const char *login, char *error, size_t error_size)
{
	const char *const texts[4] = { NULL, login };

	return run(credentials, "UPDATE credentials SET enabled = 0 WHERE login = ?2", texts, 0,
		       error, error_size) &&
	       run(credentials,
		       "INSERT OR IGNORE INTO credentials (login, hash, enabled, changed)"
		       " VALUES (?2, '*', 0, 0)",
		       texts, 0, error, error_size);
}

bool credentials_batch_add(struct credentials *credentials, const char *batch,
	enum credentials_action action, const char *login, const char *value, char *error,
	size_t error_size)
{
	const char *const texts[4] = { batch, login, value, NULL };

	if (!run(credentials,
		    "INSERT INTO staged (batch, login, value, action, was_enabled) VALUES"
		    " (?1, ?2, ?3, ?5, (SELECT enabled FROM credentials WHERE login = ?2))",
		    texts, action, error, error_size))
		return false;
	return !closes(action) || close_login(credentials, login, error, error_size);
}

/* --- finishing --- */

/* The row that closes a login without a password of its own goes when the login is open again. */
static bool open_login(struct credentials *credentials, const char *login, bool enabled,
	char *error, size_t error_size)
{
	char ignored[200];

	(void)!credentials_enable(credentials, login, enabled, ignored, sizeof(ignored));
	return run(credentials,
		"DELETE FROM credentials WHERE login = ?2 AND hash = '*' AND enabled",
		(const char *const[4]){ NULL, login }, 0, error, error_size);
}

/* What closes the new name since somebody else had it goes, and the old one is closed. */
static bool move_login(struct credentials *credentials, const char *login, const char *new_login,
	bool enabled, char *error, size_t error_size)
{
	char ignored[200];

	return run(credentials, "DELETE FROM credentials WHERE login = ?2 AND hash = '*'",
		       (const char *const[4]){ NULL, new_login }, 0, error, error_size) &&
	       (!credentials_rename(credentials, login, new_login, ignored, sizeof(ignored)) ||
		       open_login(credentials, new_login, enabled, error, error_size)) &&
	       close_login(credentials, login, error, error_size);
}

/* What was staged was checked then; a login that is not there needs no change. */
static bool apply(
	struct credentials *credentials, sqlite3_stmt *row, char *error, size_t error_size)
{
	char login[CREDENTIALS_MAX_LOGIN + 1], value[CREDENTIALS_MAX_HASH];
	/* Without a row of its own it was open for application passwords and in other back ends. */
	bool enabled = sqlite3_column_type(row, NOTED_ENABLED) == SQLITE_NULL ||
		       sqlite3_column_int(row, NOTED_ENABLED) != 0;

	if (!slice_to_string(database_column(row, NOTED_LOGIN), login, sizeof(login)) ||
		!slice_to_string(database_column(row, NOTED_VALUE), value, sizeof(value))) {
		snprintf(error, error_size, "a staged change cannot be read");
		return false;
	}
	switch ((enum credentials_action)sqlite3_column_int(row, NOTED_ACTION)) {
	case CREDENTIALS_SET:
		return credentials_set_hash(credentials, login, value, error, error_size);
	case CREDENTIALS_ENABLE:
		return open_login(credentials, login, true, error, error_size);
	case CREDENTIALS_DISABLE:
		return close_login(credentials, login, error, error_size);
	case CREDENTIALS_DELETE:
		return (credentials_delete(credentials, login, error, error_size) ||
			       credentials_read(credentials, slice_from(login), value) ==
				       CREDENTIALS_UNKNOWN) &&
		       close_login(credentials, login, error, error_size);
	case CREDENTIALS_RENAME:
		return move_login(credentials, login, value, enabled, error, error_size);
	default:
		snprintf(error, error_size, "a staged change is unknown");
		return false;
	}
}

static bool take_back(
	struct credentials *credentials, sqlite3_stmt *row, char *error, size_t error_size)
{
	enum credentials_action action =
		(enum credentials_action)sqlite3_column_int(row, NOTED_ACTION);
	bool enabled = sqlite3_column_type(row, NOTED_ENABLED) == SQLITE_NULL ||
		       sqlite3_column_int(row, NOTED_ENABLED) != 0;
	char login[CREDENTIALS_MAX_LOGIN + 1];

	return !closes(action) ||
	       !slice_to_string(database_column(row, NOTED_LOGIN), login, sizeof(login)) ||
	       open_login(credentials, login, enabled, error, error_size);
}

static bool finish(struct credentials *credentials, const char *batch, bool decided, char *error,
	size_t error_size)
{
	/* Taken back in the opposite order: of two changes of a login the first knows how it was. */
	sqlite3_stmt *rows = database_prepare(credentials->db,
		decided ? "SELECT action, login, coalesce(value, ''), was_enabled FROM staged"
			  " WHERE batch = ?1 ORDER BY id"
			: "SELECT action, login, coalesce(value, ''), was_enabled FROM staged"
			  " WHERE batch = ?1 ORDER BY id DESC",
		error, error_size);
	bool done = rows != NULL;
	int result = SQLITE_DONE;

	if (rows)
		database_bind(rows, 1, slice_from(batch));
	while (done && (result = sqlite3_step(rows)) == SQLITE_ROW)
		done = (decided ? apply : take_back)(credentials, rows, error, error_size);
	if (done && result != SQLITE_DONE) {
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
		done = false;
	}
	sqlite3_finalize(rows);
	return done && run(credentials, "DELETE FROM staged WHERE batch = ?1",
			       (const char *const[4]){ batch }, 0, error, error_size);
}

bool credentials_batch_finish(struct credentials *credentials, const char *batch, bool decided,
	char *error, size_t error_size)
{
	if (!credentials_batch_begin(credentials, error, error_size))
		return false;
	if (finish(credentials, batch, decided, error, error_size))
		return credentials_batch_save(credentials, error, error_size);
	credentials_batch_abandon(credentials);
	return false;
}

bool credentials_batch_next(struct credentials *credentials, char batch[CREDENTIALS_BATCH_NAME + 1],
	char *error, size_t error_size)
{
	sqlite3 *db = credentials->db;
	sqlite3_stmt *row;
	int result;

	batch[0] = '\0';
	if (!database_run(db, SCHEMA, error, error_size) ||
		!(row = database_prepare(
			  db, "SELECT batch FROM staged LIMIT 1", error, error_size)))
		return false;
	result = sqlite3_step(row);
	if (result == SQLITE_ROW &&
		!slice_to_string(database_column(row, 0), batch, CREDENTIALS_BATCH_NAME + 1))
		result = SQLITE_ERROR;
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(db));
	sqlite3_finalize(row);
	return result == SQLITE_ROW || result == SQLITE_DONE;
}
