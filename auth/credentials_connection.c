// SPDX-License-Identifier: ISC
/* The connection to credentials.db, and what all that is asked of it has in common. See credentials_connection.h. */
#include "auth/credentials_connection.h"

#include <stdio.h>
#include <stdlib.h>

enum { CREDENTIALS_BUSY = 5000 /* ms to wait for a lock */, VERSION = 3 };

static const char SCHEMA[] =
	"CREATE TABLE IF NOT EXISTS credentials (login TEXT PRIMARY KEY, hash TEXT NOT NULL,"
	" enabled INTEGER NOT NULL DEFAULT 1, changed INTEGER NOT NULL) STRICT;"
	/* The selector is the part of the password that finds the row; the hash is of all of it. */
	"CREATE TABLE IF NOT EXISTS app_passwords (login TEXT NOT NULL, name TEXT NOT NULL,"
	" selector TEXT NOT NULL, hash TEXT NOT NULL, services TEXT NOT NULL,"
	" created INTEGER NOT NULL, PRIMARY KEY (login, name), UNIQUE (login, selector)) STRICT;"
	"CREATE TABLE IF NOT EXISTS visits (login TEXT NOT NULL, network TEXT NOT NULL,"
	" address TEXT NOT NULL, service TEXT NOT NULL, time INTEGER NOT NULL,"
	" PRIMARY KEY (login, network)) STRICT;"
	"PRAGMA user_version = 3;";

static const char *const QUERIES[QUERY_COUNT] = {
	[QUERY_GET] = "SELECT hash, enabled FROM credentials WHERE login = ?1",
	[QUERY_EACH] = "SELECT hash FROM credentials WHERE enabled",
	[QUERY_SET] = "INSERT INTO credentials (login, hash, changed) VALUES (?1, ?2, ?3)"
		      " ON CONFLICT (login) DO UPDATE SET hash = ?2, changed = ?3",
	[QUERY_ENABLE] = "UPDATE credentials SET enabled = ?2, changed = ?3 WHERE login = ?1",
	[QUERY_DELETE] = "DELETE FROM credentials WHERE login = ?1",
	[QUERY_RENAME] = "UPDATE credentials SET login = ?2, changed = ?3 WHERE login = ?1",
	[QUERY_RENAME_APPS] = "UPDATE app_passwords SET login = ?2 WHERE login = ?1",
	/* Not over what was set meanwhile. */
	[QUERY_UPGRADE] =
		"UPDATE credentials SET hash = ?2, changed = ?3 WHERE login = ?1 AND hash = ?4",
	[QUERY_APP_ADD] = "INSERT INTO app_passwords (login, name, selector, hash, services,"
			  " created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[QUERY_APP_DELETE] = "DELETE FROM app_passwords WHERE login = ?1 AND name = ?2",
	[QUERY_APP_DELETE_ALL] = "DELETE FROM app_passwords WHERE login = ?1",
	[QUERY_APP_LIST] = "SELECT name, services, created FROM app_passwords WHERE login = ?1"
			   " ORDER BY name",
	[QUERY_APP_FIND] = "SELECT name, services, hash FROM app_passwords WHERE login = ?1 AND"
			   " selector = ?2 AND NOT EXISTS (SELECT 1 FROM credentials WHERE"
			   " login = ?1 AND NOT enabled)",
	[QUERY_APP_COUNT] = "SELECT count(*) FROM app_passwords WHERE login = ?1",
	[QUERY_VISIT_SET] = "INSERT INTO visits (login, network, address, service, time) VALUES"
			    " (?1, ?2, ?3, ?4, ?5) ON CONFLICT (login, network) DO UPDATE SET"
			    " address = ?3, service = ?4, time = ?5",
	[QUERY_VISIT_PRUNE] =
		"DELETE FROM visits WHERE login = ?1 AND network NOT IN (SELECT network"
		" FROM visits WHERE login = ?1 ORDER BY time DESC LIMIT ?2)",
	[QUERY_VISIT_LAST] = "SELECT login, network, address, service, time FROM visits"
			     " WHERE login = ?1 ORDER BY time DESC LIMIT 1",
	[QUERY_VISIT_LIST] = "SELECT login, network, address, service, time FROM visits"
			     " WHERE time >= ?1 ORDER BY time",
	[QUERY_VISIT_RENAME] = "UPDATE visits SET login = ?2 WHERE login = ?1",
	[QUERY_VISIT_DELETE_ALL] = "DELETE FROM visits WHERE login = ?1",
};

static int64_t number_of(sqlite3 *db, const char *query, char *error, size_t error_size)
{
	sqlite3_stmt *statement = database_prepare(db, query, error, error_size);
	int64_t number = -1;

	if (!statement)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	else
		snprintf(error, error_size, "%s", sqlite3_errmsg(db));
	sqlite3_finalize(statement);
	return number;
}

/* Tables that are not there yet are made: the file may be new, or of an earlier version. An empty one is not filled unasked. */
static bool bring_up_to_date(sqlite3 *db, bool create, char *error, size_t error_size)
{
	int64_t version = number_of(db, "PRAGMA user_version", error, error_size);
	int64_t tables = version != 0 || create
				 ? 1
				 : number_of(db,
					   "SELECT count(*) FROM sqlite_schema WHERE name ="
					   " 'credentials'",
					   error, error_size);

	if (tables == 0)
		snprintf(error, error_size, "%s: it is empty", sqlite3_db_filename(db, "main"));
	return version >= VERSION ||
	       (version >= 0 && tables > 0 && database_run(db, SCHEMA, error, error_size));
}

struct credentials *credentials_new(void)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));
	pthread_mutexattr_t kind;

	if (!credentials)
		return NULL;
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&credentials->lock, &kind);
	pthread_mutexattr_destroy(&kind);
	credentials->schemes = schemes_new(&credentials->settings);
	if (credentials->schemes)
		return credentials;
	pthread_mutex_destroy(&credentials->lock);
	free(credentials);
	return NULL;
}

bool credentials_connect(struct credentials *credentials, const char *path, bool create,
	char *error, size_t error_size)
{
	credentials->fault = NULL;
	credentials->db = database_open(
		path, create ? DATABASE_CREATE : 0, CREDENTIALS_BUSY, error, error_size);
	if (!credentials->db || !bring_up_to_date(credentials->db, create, error, error_size))
		return false;
	for (int i = 0; i < QUERY_COUNT; i++) {
		credentials->query[i] =
			database_prepare(credentials->db, QUERIES[i], error, error_size);
		if (!credentials->query[i])
			return false;
	}
	return true;
}

void credentials_disconnect(struct credentials *credentials)
{
	for (int i = 0; i < QUERY_COUNT; i++) {
		sqlite3_finalize(credentials->query[i]);
		credentials->query[i] = NULL;
	}
	sqlite3_close(credentials->db);
	credentials->db = NULL;
}

bool credentials_enter(struct credentials *credentials)
{
	pthread_mutex_lock(&credentials->lock);
	if (credentials->db)
		return true;
	pthread_mutex_unlock(&credentials->lock);
	return false;
}

void credentials_leave(struct credentials *credentials)
{
	pthread_mutex_unlock(&credentials->lock);
}

int credentials_step(struct credentials *credentials, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement), kind = result & 0xff;

	if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || kind == SQLITE_IOERR ||
		kind == SQLITE_CANTOPEN)
		atomic_store(&credentials->fault, sqlite3_errstr(result));
	return result;
}

bool credentials_fold(struct slice login, char text[CREDENTIALS_MAX_LOGIN + 1])
{
	if (login.length == 0 || login.length > CREDENTIALS_MAX_LOGIN)
		return false;
	for (size_t i = 0; i < login.length; i++) {
		if ((unsigned char)login.data[i] <= ' ' || login.data[i] == 0x7f)
			return false;
		text[i] = ascii_lower(login.data[i]);
	}
	text[login.length] = '\0';
	return true;
}

enum credentials_status credentials_fits(
	struct credentials *credentials, struct slice password, const char *hash)
{
	switch (schemes_verify(credentials->schemes, slice_from(hash), password)) {
	case SCHEME_FITS:
		return CREDENTIALS_GOOD;
	case SCHEME_ERROR:
		return CREDENTIALS_ERROR;
	case SCHEME_SILENT:
		schemes_waste(credentials->schemes, password);
		return CREDENTIALS_BAD;
	default:
		return CREDENTIALS_BAD;
	}
}
