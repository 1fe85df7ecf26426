// SPDX-License-Identifier: ISC
/* Counting what users send. See usage.h. */
#include "auth/usage.h"

#include <stdlib.h>

#include "service/log.h"

enum { USAGE_BUSY = 200 /* ms to wait for another process that counts */ };

static const char SCHEMA[] =
	"PRAGMA synchronous = NORMAL;"
	"CREATE TABLE IF NOT EXISTS usage (login TEXT PRIMARY KEY,"
	" hour INTEGER NOT NULL, hour_messages INTEGER NOT NULL, hour_recipients INTEGER NOT NULL,"
	" day INTEGER NOT NULL, day_messages INTEGER NOT NULL, day_recipients INTEGER NOT NULL)"
	" STRICT;"
	"CREATE INDEX IF NOT EXISTS usage_day ON usage (day);"
	"PRAGMA user_version = 1;";

enum query { BEGIN, COMMIT, ROLLBACK, LOAD, STORE, EXPIRE, COUNT, QUERIES };
static const char *const TEXTS[QUERIES] = { [BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[LOAD] = "SELECT hour, hour_messages, hour_recipients, day, day_messages, day_recipients"
		 " FROM usage WHERE login = ?1",
	[STORE] = "INSERT OR REPLACE INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[EXPIRE] = "DELETE FROM usage WHERE day <= ?1",
	[COUNT] = "SELECT count(*) FROM usage" };
static const int64_t LENGTHS[USAGE_WINDOWS] = { [USAGE_HOUR] = 3600, [USAGE_DAY] = 86400 };

struct usage {
	sqlite3 *db;
	sqlite3_stmt *queries[QUERIES];
};
struct window {
	int64_t start, counts[USAGE_KINDS];
};

struct usage *usage_open(const char *path, char *error, size_t error_size)
{
	struct usage *usage = calloc(1, sizeof(*usage));
	bool good;

	if (!usage)
		return NULL;
	usage->db = database_open(path, DATABASE_CREATE, USAGE_BUSY, error, error_size);
	good = usage->db && database_run(usage->db, SCHEMA, error, error_size);
	for (unsigned i = 0; good && i < QUERIES; i++) {
		usage->queries[i] = database_prepare(usage->db, TEXTS[i], error, error_size);
		good = usage->queries[i] != NULL;
	}
	if (!good)
		usage_close(&usage);
	return usage;
}

void usage_close(struct usage **usage)
{
	if (!*usage)
		return;
	for (unsigned i = 0; i < QUERIES; i++)
		sqlite3_finalize((*usage)->queries[i]);
	sqlite3_close((*usage)->db);
	free(*usage);
	*usage = NULL;
}

/* For those that give no rows, or one number. */
static bool run(struct usage *usage, enum query query, int64_t *number)
{
	sqlite3_stmt *statement = usage->queries[query];
	int result = sqlite3_step(statement);
	bool good = result == SQLITE_DONE || result == SQLITE_ROW;

	if (good && number && result == SQLITE_ROW)
		*number = sqlite3_column_int64(statement, 0);
	database_reset(statement);
	if (!good)
		log_warning("usage.db: %s", sqlite3_errmsg(usage->db));
	return good;
}

static bool load(struct usage *usage, struct slice login, struct window windows[USAGE_WINDOWS])
{
	sqlite3_stmt *statement = usage->queries[LOAD];
	int result, column = 0;

	memset(windows, 0, USAGE_WINDOWS * sizeof(*windows));
	result = database_bind(statement, 1, login) ? sqlite3_step(statement) : SQLITE_NOMEM;
	for (unsigned i = 0; result == SQLITE_ROW && i < USAGE_WINDOWS; i++) {
		windows[i].start = sqlite3_column_int64(statement, column++);
		for (unsigned kind = 0; kind < USAGE_KINDS; kind++)
			windows[i].counts[kind] = sqlite3_column_int64(statement, column++);
	}
	database_reset(statement);
	return result == SQLITE_ROW || result == SQLITE_DONE;
}

static bool store(
	struct usage *usage, struct slice login, const struct window windows[USAGE_WINDOWS])
{
	sqlite3_stmt *statement = usage->queries[STORE];
	bool good = database_bind(statement, 1, login);
	int column = 2;

	for (unsigned i = 0; i < USAGE_WINDOWS; i++) {
		good = good &&
		       sqlite3_bind_int64(statement, column++, windows[i].start) == SQLITE_OK;
		for (unsigned kind = 0; kind < USAGE_KINDS; kind++)
			good = good && sqlite3_bind_int64(statement, column++,
					       windows[i].counts[kind]) == SQLITE_OK;
	}
	if (good)
		return run(usage, STORE, NULL);
	database_reset(statement);
	return false;
}

/* The limit that keeps it up longest is the one that is told of. */
static void judge(const struct window windows[USAGE_WINDOWS], int64_t now,
	const int64_t amounts[USAGE_KINDS], const struct usage_limits *limits,
	struct usage_verdict *verdict)
{
	verdict->status = USAGE_ALLOWED;
	for (unsigned i = 0; i < USAGE_WINDOWS; i++) {
		for (unsigned kind = 0; kind < USAGE_KINDS; kind++) {
			uint32_t limit = limits->most[i][kind];
			bool never = amounts[kind] > limit;

			if (!limit || windows[i].counts[kind] + amounts[kind] <= limit ||
				verdict->status == USAGE_NEVER)
				continue;
			*verdict = (struct usage_verdict){ never ? USAGE_NEVER : USAGE_OVER, i,
				kind, limit, (uint32_t)(windows[i].start + LENGTHS[i] - now) };
		}
	}
}

static bool take(struct usage *usage, int64_t now, struct slice login, uint32_t recipients,
	const struct usage_limits *limits, struct usage_verdict *verdict)
{
	const int64_t amounts[USAGE_KINDS] = {
		[USAGE_MESSAGES] = 1, [USAGE_RECIPIENTS] = recipients
	};
	struct window windows[USAGE_WINDOWS];

	if (!load(usage, login, windows))
		return false;
	for (unsigned i = 0; i < USAGE_WINDOWS; i++) {
		/* Over, or the clock was set back. */
		if (now >= windows[i].start + LENGTHS[i] || now < windows[i].start)
			windows[i] = (struct window){ .start = now };
	}
	judge(windows, now, amounts, limits, verdict);
	if (verdict->status != USAGE_ALLOWED)
		return true;
	for (unsigned i = 0; i < USAGE_WINDOWS; i++) {
		for (unsigned kind = 0; kind < USAGE_KINDS; kind++)
			windows[i].counts[kind] += amounts[kind];
	}
	return store(usage, login, windows);
}

void usage_take(struct usage *usage, int64_t now, struct slice login, uint32_t recipients,
	const struct usage_limits *limits, struct usage_verdict *verdict)
{
	*verdict = (struct usage_verdict){ .status = USAGE_TEMPORARY };
	if (!run(usage, BEGIN, NULL))
		return;
	if (take(usage, now, login, recipients, limits, verdict) && run(usage, COMMIT, NULL))
		return;
	verdict->status = USAGE_TEMPORARY;
	if (!sqlite3_get_autocommit(usage->db))
		(void)run(usage, ROLLBACK, NULL);
}

int64_t usage_expire(struct usage *usage, int64_t now)
{
	int64_t left = -1;

	if (sqlite3_bind_int64(usage->queries[EXPIRE], 1, now - LENGTHS[USAGE_DAY]) != SQLITE_OK ||
		!run(usage, EXPIRE, NULL) || !run(usage, COUNT, &left))
		return -1;
	return left;
}
