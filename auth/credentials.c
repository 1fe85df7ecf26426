// SPDX-License-Identifier: ISC
/* credentials.db. See credentials.h. */
#include "auth/credentials_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"
#include "os/os.h"

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

/* --- the database --- */

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
	if (!credentials->schemes)
		credentials_close(&credentials);
	return credentials;
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

bool credentials_open(
	const char *path, bool create, struct credentials **result, char *error, size_t error_size)
{
	struct credentials *credentials = credentials_new();

	if (!credentials) {
		snprintf(error, error_size, "%s: no memory", path);
		return false;
	}
	if (!credentials_connect(credentials, path, create, error, error_size)) {
		credentials_close(&credentials);
		return false;
	}
	*result = credentials;
	return true;
}

void credentials_close(struct credentials **credentials)
{
	if (!*credentials)
		return;
	credentials_disconnect(*credentials);
	schemes_free(&(*credentials)->schemes);
	pthread_mutex_destroy(&(*credentials)->lock);
	free(*credentials);
	*credentials = NULL;
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

static bool run_change(struct credentials *credentials, enum credentials_query query,
	const char *login, const char *value, bool enabled, char *error, size_t error_size)
{
	sqlite3_stmt *statement = credentials->query[query];
	char name[CREDENTIALS_MAX_LOGIN + 1];
	int result;

	if (!credentials_fold(slice_from(login), name)) {
		snprintf(error, error_size, "not a login name: %.100s", login);
		return false;
	}
	database_bind(statement, 1, slice_from(name));
	if (value)
		database_bind(statement, 2, slice_from(value));
	else if (query == QUERY_ENABLE)
		sqlite3_bind_int(statement, 2, enabled);
	if (query == QUERY_SET || query == QUERY_ENABLE || query == QUERY_RENAME)
		sqlite3_bind_int64(statement, 3, os_now() / 1000000);
	result = sqlite3_step(statement);
	database_reset(statement);
	if (result == SQLITE_DONE && sqlite3_changes(credentials->db) > 0)
		return true;
	if (result == SQLITE_DONE)
		snprintf(error, error_size, "no such login: %s", name);
	else
		snprintf(error, error_size, "%s", sqlite3_errmsg(credentials->db));
	return false;
}

void credentials_settings(struct credentials *credentials, const struct scheme_settings *settings)
{
	credentials->settings = *settings;
	schemes_set(credentials->schemes, settings);
}

bool credentials_set(struct credentials *credentials, const char *login, struct slice password,
	int cost, char *error, size_t error_size)
{
	char hash[CREDENTIALS_MAX_HASH];
	const char *fault;

	if (password.length == 0 || password.length >= CREDENTIALS_MAX_PASSWORD ||
		slice_find(password, '\0') >= 0) {
		snprintf(error, error_size, "a password has 1 to %d bytes, none of them NUL",
			CREDENTIALS_MAX_PASSWORD - 1);
		return false;
	}
	fault = schemes_fault(password);
	if (fault) {
		snprintf(error, error_size, "the password cannot be used: %s", fault);
		return false;
	}
	if (cost != credentials->settings.cost) {
		credentials->settings.cost = cost;
		schemes_set(credentials->schemes, &credentials->settings);
	}
	if (!schemes_make(credentials->schemes, password, hash)) {
		snprintf(error, error_size, "the password cannot be hashed with cost %d", cost);
		return false;
	}
	return run_change(credentials, QUERY_SET, login, hash, true, error, error_size);
}

bool credentials_check_hash(
	struct credentials *credentials, const char *hash, char *error, size_t error_size)
{
	if (strlen(hash) >= CREDENTIALS_MAX_HASH) {
		snprintf(error, error_size, "the hash is too long");
		return false;
	}
	return schemes_known(credentials->schemes, slice_from(hash), error, error_size);
}

bool credentials_set_hash(struct credentials *credentials, const char *login, const char *hash,
	char *error, size_t error_size)
{
	if (slice_starts_nocase(slice_from(hash), SLICE("{CRYPT}")))
		hash += strlen("{CRYPT}");
	return credentials_check_hash(credentials, hash, error, error_size) &&
	       run_change(credentials, QUERY_SET, login, hash, true, error, error_size);
}

bool credentials_enable(struct credentials *credentials, const char *login, bool enabled,
	char *error, size_t error_size)
{
	return run_change(credentials, QUERY_ENABLE, login, NULL, enabled, error, error_size);
}

/* Whoever gets the name after this one must not find a door that is open to his predecessor. */
bool credentials_delete(
	struct credentials *credentials, const char *login, char *error, size_t error_size)
{
	char ignored[200];
	bool had_apps;

	/* A savepoint: it may be a part of a larger change. */
	if (!database_run(credentials->db, "SAVEPOINT removal", error, error_size))
		return false;
	had_apps = run_change(
		credentials, QUERY_APP_DELETE_ALL, login, NULL, false, ignored, sizeof(ignored));
	(void)!run_change(
		credentials, QUERY_VISIT_DELETE_ALL, login, NULL, false, ignored, sizeof(ignored));
	if ((run_change(credentials, QUERY_DELETE, login, NULL, false, error, error_size) ||
		    had_apps) &&
		database_run(credentials->db, "RELEASE removal", error, error_size))
		return true;
	(void)!database_run(credentials->db, "ROLLBACK TO removal", ignored, sizeof(ignored));
	(void)!database_run(credentials->db, "RELEASE removal", ignored, sizeof(ignored));
	return false;
}

bool credentials_rename(struct credentials *credentials, const char *login, const char *new_login,
	char *error, size_t error_size)
{
	char name[CREDENTIALS_MAX_LOGIN + 1], ignored[200];

	if (!credentials_fold(slice_from(new_login), name)) {
		snprintf(error, error_size, "not a login name: %.100s", new_login);
		return false;
	}
	(void)!run_change(
		credentials, QUERY_RENAME_APPS, login, name, false, ignored, sizeof(ignored));
	(void)!run_change(
		credentials, QUERY_VISIT_RENAME, login, name, false, ignored, sizeof(ignored));
	return run_change(credentials, QUERY_RENAME, login, name, false, error, error_size);
}

enum credentials_status credentials_read(
	struct credentials *credentials, struct slice login, char hash[CREDENTIALS_MAX_HASH])
{
	sqlite3_stmt *statement;
	enum credentials_status status = CREDENTIALS_ERROR;
	char name[CREDENTIALS_MAX_LOGIN + 1];
	int result;

	if (!credentials_fold(login, name))
		return CREDENTIALS_UNKNOWN;
	if (!credentials_enter(credentials))
		return CREDENTIALS_ERROR;
	statement = credentials->query[QUERY_GET];
	database_bind(statement, 1, slice_from(name));
	result = credentials_step(credentials, statement);
	if (result == SQLITE_DONE)
		status = CREDENTIALS_UNKNOWN;
	else if (result == SQLITE_ROW && !sqlite3_column_int(statement, 1))
		status = CREDENTIALS_BAD;
	else if (result == SQLITE_ROW &&
		 slice_to_string(database_column(statement, 0), hash, CREDENTIALS_MAX_HASH))
		status = CREDENTIALS_GOOD;
	database_reset(statement);
	credentials_leave(credentials);
	return status;
}

bool credentials_each(struct credentials *credentials,
	void (*each)(void *context, struct slice hash), void *context)
{
	sqlite3_stmt *statement;
	int result;

	if (!credentials_enter(credentials))
		return false;
	statement = credentials->query[QUERY_EACH];
	while ((result = credentials_step(credentials, statement)) == SQLITE_ROW)
		each(context, database_column(statement, 0));
	database_reset(statement);
	credentials_leave(credentials);
	return result == SQLITE_DONE;
}

enum credentials_status credentials_exists(struct credentials *credentials, const char *login)
{
	char hash[CREDENTIALS_MAX_HASH];
	enum credentials_status status = credentials_read(credentials, slice_from(login), hash);

	return status == CREDENTIALS_UNKNOWN ? CREDENTIALS_BAD : status;
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

static enum credentials_status verify_own(
	struct credentials *credentials, const struct credentials_question *question)
{
	char hash[CREDENTIALS_MAX_HASH] = "";
	enum credentials_status status = credentials_read(credentials, question->login, hash);
	struct cache_question cached = { question->login, question->service, question->mechanism,
		question->password, slice_from(hash), question->secured };
	int64_t now = loop_monotonic();

	if (status == CREDENTIALS_BAD)
		schemes_waste(credentials->schemes, question->password);
	if (status != CREDENTIALS_GOOD)
		return status;
	if (credentials->cache && cache_knows(credentials->cache, now, &cached))
		return CREDENTIALS_GOOD;
	status = credentials_fits(credentials, question->password, hash);
	if (status == CREDENTIALS_GOOD && credentials->cache)
		cache_keep(credentials->cache, now, &cached);
	return status;
}

enum credentials_status credentials_verify(struct credentials *credentials,
	const struct credentials_question *question, char app[CREDENTIALS_MAX_APP + 1])
{
	enum credentials_status status;

	if (!credentials_enter(credentials))
		return CREDENTIALS_ERROR;
	status = credentials_app_verify(credentials, question, app);
	if (status == CREDENTIALS_BAD) {
		app[0] = '\0';
		status = verify_own(credentials, question);
	}
	credentials_leave(credentials);
	return status;
}

void credentials_remember(struct credentials *credentials, struct cache *cache)
{
	credentials->cache = cache;
}

static bool upgrade(struct credentials *credentials, struct slice login, struct slice password)
{
	char hash[CREDENTIALS_MAX_HASH], made[CREDENTIALS_MAX_HASH],
		name[CREDENTIALS_MAX_LOGIN + 1];
	sqlite3_stmt *statement = credentials->query[QUERY_UPGRADE];
	bool current, done;

	if (credentials_read(credentials, login, hash) != CREDENTIALS_GOOD)
		return false;
	current = schemes_current(slice_from(hash));
	if ((current && !schemes_two_forms(password)) || !credentials_fold(login, name) ||
		/* What fitted may have been an application password. */
		schemes_verify(credentials->schemes, slice_from(hash), password) != SCHEME_FITS ||
		(current && !schemes_fitted_raw(credentials->schemes)) ||
		!schemes_make(credentials->schemes, password, made))
		return false;
	database_bind(statement, 1, slice_from(name));
	database_bind(statement, 2, slice_from(made));
	sqlite3_bind_int64(statement, 3, os_now() / 1000000);
	database_bind(statement, 4, slice_from(hash));
	done = sqlite3_step(statement) == SQLITE_DONE && sqlite3_changes(credentials->db) > 0;
	database_reset(statement);
	return done;
}

bool credentials_upgrade(struct credentials *credentials, struct slice login, struct slice password)
{
	bool done;

	if (!credentials_enter(credentials))
		return false;
	done = upgrade(credentials, login, password);
	credentials_leave(credentials);
	return done;
}
