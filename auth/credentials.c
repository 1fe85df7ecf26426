// SPDX-License-Identifier: ISC
/* credentials.db. See credentials.h. */
#include "auth/credentials.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/app_passwords.h"
#include "auth/credentials_connection.h"
#include "base/loop.h"
#include "os/os.h"

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
