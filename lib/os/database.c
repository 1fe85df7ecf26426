// SPDX-License-Identifier: ISC
/* SQLite connections, all opened alike. See database.h. */
#include "os/database.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "os/os.h"

static const char SETTINGS[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;";
static const char SETTINGS_ALL[] =
	"PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";

/* SQLite would make the file with the umask's mode and the caller's owner: make it first, as it must be. */
static bool create_file(const char *path)
{
	char folder[PATH_MAX];
	struct stat info;
	bool done;
	int fd;

	fd = os_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == EEXIST;
	if (!slice_to_string(slice_from(path), folder, sizeof(folder))) {
		errno = ENAMETOOLONG;
		done = false;
	} else {
		done = geteuid() != 0 || (os_fstatat(AT_FDCWD, dirname(folder), &info, 0) &&
						 fchown(fd, info.st_uid, info.st_gid) == 0);
	}
	os_close(&fd);
	return done;
}

sqlite3 *database_open(const char *path, unsigned flags, int busy, char *error, size_t error_size)
{
	int mode = flags & DATABASE_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	sqlite3 *db = NULL;
	unsigned char byte;

	if ((flags & DATABASE_CREATE) && !create_file(path)) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (sqlite3_open_v2(path, &db, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) !=
		SQLITE_OK) {
		snprintf(error, error_size, "%s: %s", path, db ? sqlite3_errmsg(db) : "no memory");
		sqlite3_close(db);
		return NULL;
	}
	sqlite3_busy_timeout(db, busy);
	/* The library seeds its generator from /dev/urandom, which a confined process cannot open: draw once now. */
	sqlite3_randomness(1, &byte);
	if (!database_run(db, SETTINGS_ALL, error, error_size) ||
		(!(flags & DATABASE_READ_ONLY) && !database_run(db, SETTINGS, error, error_size))) {
		sqlite3_close(db);
		return NULL;
	}
	return db;
}

static void describe(sqlite3 *db, char *error, size_t error_size)
{
	const char *path = sqlite3_db_filename(db, "main");

	snprintf(error, error_size, "%s: %s", path ? path : "database", sqlite3_errmsg(db));
}

bool database_run(sqlite3 *db, const char *sql, char *error, size_t error_size)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	describe(db, error, error_size);
	return false;
}

sqlite3_stmt *database_prepare(sqlite3 *db, const char *sql, char *error, size_t error_size)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) ==
		SQLITE_OK)
		return statement;
	describe(db, error, error_size);
	return NULL;
}

bool database_check(sqlite3 *db, char *error, size_t error_size)
{
	sqlite3_stmt *check = database_prepare(db, "PRAGMA quick_check(1)", error, error_size);
	bool good;

	if (!check)
		return false;
	good = sqlite3_step(check) == SQLITE_ROW &&
	       slice_equal(database_column(check, 0), SLICE("ok"));
	if (!good)
		snprintf(error, error_size, "%s", sqlite3_errstr(SQLITE_CORRUPT));
	sqlite3_finalize(check);
	return good;
}

bool database_bind(sqlite3_stmt *statement, int index, struct slice text)
{
	return text.length <= INT_MAX &&
	       sqlite3_bind_text(statement, index, text.data ? text.data : "", (int)text.length,
		       SQLITE_STATIC) == SQLITE_OK;
}

struct slice database_column(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return slice_of(text, text ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

void database_reset(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}
