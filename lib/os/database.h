// SPDX-License-Identifier: ISC
/*
 * SQLite databases of the suite (accounts.db, credentials.db, ...), opened the same way everywhere: write-ahead log, FULL
 * synchronous, no temporary files, nothing that the file's contents could make the library load.
 */
#ifndef OS_DATABASE_H
#define OS_DATABASE_H

#include <sqlite3.h>

#include "base/slice.h"

enum database_flag {
	DATABASE_CREATE = 1, /* make the file (mode 0600) when it is not there */
	DATABASE_READ_ONLY =
		2, /* somebody else's: no pragma that writes, journal mode left as it is */
};

/*
 * NULL with `error` filled. A file that root makes gets the owner of its folder, so that the service whose folder it is can
 * use what a command made; -wal and -shm follow the file's owner. `busy` is how long a call may wait for a lock, in ms.
 */
sqlite3 *database_open(const char *path, unsigned flags, int busy, char *error, size_t error_size);
/* Several statements; false with the library's text in `error`. */
MUST_CHECK bool database_run(sqlite3 *db, const char *sql, char *error, size_t error_size);
/* Read the whole file through. False with `error` filled. */
MUST_CHECK bool database_check(sqlite3 *db, char *error, size_t error_size);
/* Kept for the life of the connection; NULL with `error` filled. */
sqlite3_stmt *database_prepare(sqlite3 *db, const char *sql, char *error, size_t error_size);
/* Bind a text (borrowed until the statement is reset). */
bool database_bind(sqlite3_stmt *statement, int index, struct slice text);
/* Column as a slice, valid until the next step or reset. */
struct slice database_column(sqlite3_stmt *statement, int column);
/* Reset and forget what was bound. */
void database_reset(sqlite3_stmt *statement);

#endif
