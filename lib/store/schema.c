// SPDX-License-Identifier: ISC
/*
 * The database beside a user's mail: opening, the schema and its versions, prepared statements, transactions, and what happens
 * when it is damaged. Everything in it but the cache and modseqs can be found again in the Maildir (docs/store.md).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"

static const char *const SQL_TEXT[SQL_COUNT] = {
#define STATEMENT_TEXT(NAME, sql) sql,
	STATEMENTS(STATEMENT_TEXT)
#undef STATEMENT_TEXT
};

/* Statement list of each schema version; MIGRATIONS[n] leads from version n to n + 1. */
static const char *const MIGRATIONS[STORE_SCHEMA] = {
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE mailbox(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
	"special_use TEXT,"
	" uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL, uid_floor INTEGER NOT NULL,"
	" recent_uid INTEGER NOT NULL, highest_modseq INTEGER NOT NULL DEFAULT 1,"
	" changed_modseq INTEGER NOT NULL DEFAULT 1, vanished_floor INTEGER NOT NULL DEFAULT 0,"
	" messages INTEGER NOT NULL DEFAULT 0, unseen INTEGER NOT NULL DEFAULT 0,"
	" deleted INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0,"
	" new_mtime INTEGER NOT NULL DEFAULT 0, cur_mtime INTEGER NOT NULL DEFAULT 0,"
	" new_dirty INTEGER NOT NULL DEFAULT 0, cur_dirty INTEGER NOT NULL DEFAULT 0,"
	" keyword_count INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE keyword(mailbox INTEGER, bit INTEGER, name TEXT NOT NULL,"
	" PRIMARY KEY(mailbox, bit)) WITHOUT ROWID;"
	"CREATE TABLE message(id INTEGER PRIMARY KEY, flags INTEGER NOT NULL, keywords INTEGER NOT "
	"NULL,"
	" size INTEGER NOT NULL, date INTEGER NOT NULL, modseq INTEGER NOT NULL, name TEXT NOT "
	"NULL);"
	"CREATE TABLE expunged(mailbox INTEGER, modseq INTEGER, uid INTEGER,"
	" PRIMARY KEY(mailbox, modseq, uid)) WITHOUT ROWID;"
	"CREATE TABLE doomed(mailbox INTEGER, name TEXT, PRIMARY KEY(mailbox, name)) WITHOUT ROWID;"
	"CREATE TABLE structure(id INTEGER PRIMARY KEY, envelope BLOB, body BLOB, bodystructure "
	"BLOB);"
	"CREATE TABLE header(id INTEGER PRIMARY KEY, headers BLOB);",
};

enum store_status store_failed(struct store *store, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(store->error, sizeof(store->error), format, args);
	va_end(args);
	store->full = false;
	return STORE_TEMPORARY;
}

enum store_status store_system_failed(struct store *store, const char *what)
{
	bool full = errno == ENOSPC || errno == EDQUOT;

	(void)store_failed(store, "%s: %s: %s", store->folder, what, strerror(errno));
	store->full = full;
	return STORE_TEMPORARY;
}

enum store_status store_database_failed(struct store *store, const char *what)
{
	int code = sqlite3_errcode(store->db), system = sqlite3_system_errno(store->db);

	/* A log that is shorter than its index says is damage, too. */
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB ||
		sqlite3_extended_errcode(store->db) == SQLITE_IOERR_SHORT_READ)
		store->damaged = true;
	(void)store_failed(store, "%s/" STORE_DATABASE ": %s: %s", store->folder, what,
		sqlite3_errmsg(store->db));
	/* The file of shared memory, and a disk quota, have an error of the system and no code of their own. */
	store->full = code == SQLITE_FULL || ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN) &&
						     (system == ENOSPC || system == EDQUOT));
	return STORE_TEMPORARY;
}

/*
 * Waiting for another writer: short sleeps, a little different in each process so that hundreds of them do not knock together,
 * and a deadline.
 */
static int wait_for_writer(void *context, int calls)
{
	struct timespec pause = { 0 };
	uint16_t spread;
	long most = calls < 5 ? 200000l << calls : 6400000l;

	(void)context;
	/* The mean pause is half the longest. */
	if (calls > 20 && (long)(calls - 20) * (most / 2) / 1000000 > STORE_BUSY_MS)
		return 0;
	os_random(&spread, sizeof(spread));
	pause.tv_nsec = most * (spread % 1000 + 1) / 1000;
	nanosleep(&pause, NULL);
	return 1;
}

/* --- the lock around opening and replacing the database file --- */

/* An open file description lock: it is not lost when another part of the process closes the file. */
static int lock_file(struct store *store, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
	int fd = os_openat(store->root, STORE_LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	int64_t deadline = os_now() + STORE_BUSY_MS * 1000ll;

	while (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		if ((errno != EAGAIN && errno != EACCES && errno != EINTR) || os_now() > deadline) {
			os_close(&fd);
			break;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	if (fd < 0)
		(void)store_system_failed(store, STORE_LOCK_FILE);
	return fd;
}

static bool run_text(struct store *store, const char *sql)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	(void)store_database_failed(store, sql);
	return false;
}

static int schema_version(struct store *store)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) ==
			SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	else
		(void)store_database_failed(store, "schema version");
	sqlite3_finalize(statement);
	return version;
}

/* Under the exclusive lock: from whatever version there is to ours, in one transaction. */
static bool migrate(struct store *store)
{
	char text[40];
	int version;

	if (!run_text(store, "PRAGMA journal_mode=WAL") || !run_text(store, "BEGIN IMMEDIATE"))
		return false;
	version = schema_version(store);
	for (int v = version; v >= 0 && v < STORE_SCHEMA; v++) {
		if (!run_text(store, MIGRATIONS[v]))
			version = -1;
		if (version < 0)
			break;
	}
	snprintf(text, sizeof(text), "PRAGMA user_version=%d", STORE_SCHEMA);
	if (version >= 0 && version <= STORE_SCHEMA && run_text(store, text) &&
		run_text(store, "COMMIT"))
		return true;
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

/* The index may have been thrown away and built anew while we had it open: then ours is a ghost. */
bool store_replaced(struct store *store)
{
	struct stat info;

	if (os_fstatat(store->root, STORE_DATABASE, &info, AT_SYMLINK_NOFOLLOW) &&
		info.st_dev == store->db_device && info.st_ino == store->db_inode)
		return false;
	(void)store_failed(store, "%s/" STORE_DATABASE ": was replaced", store->folder);
	store->replaced = true;
	return true;
}

/*
 * A file of ours with mode 0600 must be there before SQLite makes one. What a database that somebody removed left beside it would be
 * taken for the new one's. Under the exclusive lock. Never open a file that SQLite may have open: closing it would drop SQLite's locks.
 */
static bool make_file(struct store *store)
{
	int fd;

	if ((!os_unlinkat(store->root, STORE_DATABASE "-wal", 0) && errno != ENOENT) ||
		(!os_unlinkat(store->root, STORE_DATABASE "-shm", 0) && errno != ENOENT)) {
		(void)store_system_failed(store, STORE_DATABASE "-wal");
		return false;
	}
	fd = os_openat(store->root, STORE_DATABASE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0 && errno != EEXIST) {
		(void)store_system_failed(store, STORE_DATABASE);
		return false;
	}
	os_close(&fd);
	return true;
}

/* Cut to nothing while it was in use. SQLite would take it for a new one, and throw away the log that others still write to. */
static bool is_wreck(struct store *store)
{
	struct stat info, beside;

	if (!os_fstatat(store->root, STORE_DATABASE, &info, AT_SYMLINK_NOFOLLOW) || info.st_size)
		return false;
	return os_fstatat(store->root, STORE_DATABASE "-wal", &beside, AT_SYMLINK_NOFOLLOW) ||
	       os_fstatat(store->root, STORE_DATABASE "-shm", &beside, AT_SYMLINK_NOFOLLOW);
}

/* The file is there and can be opened; `lock` is exclusive afterwards if it had to be made. */
static bool find_file(struct store *store, int *lock)
{
	struct stat info;

	if (os_fstatat(store->root, STORE_DATABASE, &info, AT_SYMLINK_NOFOLLOW)) {
		if (!S_ISREG(info.st_mode)) {
			errno = ELOOP;
			(void)store_system_failed(store, STORE_DATABASE);
			return false;
		}
	} else {
		if (errno != ENOENT) {
			(void)store_system_failed(store, STORE_DATABASE);
			return false;
		}
		os_close(lock);
		*lock = lock_file(store, F_WRLCK);
		if (*lock < 0)
			return false;
		if (!os_fstatat(store->root, STORE_DATABASE, &info, AT_SYMLINK_NOFOLLOW) &&
			!make_file(store))
			return false;
	}
	store->damaged = is_wreck(store);
	if (store->damaged)
		(void)store_failed(
			store, "%s/" STORE_DATABASE ": cut while it was in use", store->folder);
	return !store->damaged;
}

static bool open_handle(struct store *store)
{
	char path[PATH_MAX];
	struct stat info;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (snprintf(path, sizeof(path), "%s/" STORE_DATABASE, store->folder) >=
		(int)sizeof(path)) {
		(void)store_failed(store, "%s: path too long", store->folder);
		return false;
	}
	if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
		(void)store_database_failed(store, "open");
		return false;
	}
	if (!os_fstatat(store->root, STORE_DATABASE, &info, AT_SYMLINK_NOFOLLOW)) {
		(void)store_system_failed(store, STORE_DATABASE);
		return false;
	}
	store->db_device = info.st_dev;
	store->db_inode = info.st_ino;
	sqlite3_extended_result_codes(store->db, 0);
	sqlite3_busy_handler(store->db, wait_for_writer, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return run_text(store, "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192; "
			       "PRAGMA journal_size_limit=16777216; PRAGMA synchronous=NORMAL; "
			       "PRAGMA trusted_schema=OFF");
}

/* From version 0 or an older one to ours. The lock is let go on the way: another one may have been faster, or replaced the file. */
static bool raise_schema(struct store *store, int *lock)
{
	os_close(lock);
	*lock = lock_file(store, F_WRLCK);
	return *lock >= 0 && !store_replaced(store) && migrate(store);
}

bool store_database_open(struct store *store)
{
	int lock = lock_file(store, F_RDLCK), version = -1;
	bool good = false;

	store->damaged = store->replaced = store->durable = false;
	if (lock < 0)
		return false;
	if (find_file(store, &lock) && open_handle(store))
		version = schema_version(store);
	if (version >= 0 && version < STORE_SCHEMA)
		good = raise_schema(store, &lock);
	else if (version > STORE_SCHEMA)
		(void)store_failed(store, "%s/" STORE_DATABASE ": made by a newer version (%d)",
			store->folder, version);
	else
		good = version == STORE_SCHEMA;
	os_close(&lock);
	if (!good)
		store_database_close(store);
	return good;
}

void store_database_close(struct store *store)
{
	for (unsigned i = 0; i < SQL_COUNT; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	sqlite3_close(store->db);
	store->db = NULL;
	store->writing = false;
}

/* Reads all of it, on a connection of its own. */
static bool is_damaged(struct store *store)
{
	struct store look = { .folder = store->folder, .root = store->root };
	sqlite3_stmt *check = NULL;
	bool damaged = true;

	if (is_wreck(store))
		return true;
	if (open_handle(&look) &&
		sqlite3_prepare_v2(look.db, "PRAGMA quick_check(1)", -1, &check, NULL) ==
			SQLITE_OK &&
		sqlite3_step(check) == SQLITE_ROW)
		damaged = strcmp((const char *)sqlite3_column_text(check, 0), "ok") != 0;
	else if (!look.damaged)
		damaged = false; /* busy, out of memory: nothing is known */
	sqlite3_finalize(check);
	store_database_close(&look);
	return damaged;
}

bool store_database_discard(struct store *store, bool even_if_good)
{
	static const char *const SUFFIXES[] = { "-wal", "-shm", "" };
	int lock = lock_file(store, F_WRLCK);
	char from[64], to[96];
	bool good = lock >= 0;

	if (good && !even_if_good && !is_damaged(store)) {
		os_close(&lock);
		return true; /* somebody else has mended it */
	}
	for (size_t i = 0; good && i < sizeof(SUFFIXES) / sizeof(SUFFIXES[0]); i++) {
		snprintf(from, sizeof(from), STORE_DATABASE "%s", SUFFIXES[i]);
		snprintf(to, sizeof(to), STORE_DATABASE ".damaged%s", SUFFIXES[i]);
		if (even_if_good)
			good = os_unlinkat(store->root, from, 0) || errno == ENOENT;
		else
			good = os_renameat(store->root, from, store->root, to) || errno == ENOENT;
	}
	if (!good)
		(void)store_system_failed(store, "set the damaged database aside");
	os_close(&lock);
	return good;
}

/* --- statements --- */

static bool bind(sqlite3_stmt *statement, const char *types, va_list args)
{
	int result = SQLITE_OK;

	for (int i = 1; types[i - 1] && result == SQLITE_OK; i++) {
		struct slice s;

		switch (types[i - 1]) {
		case 'i':
			result = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
			break;
		case 't':
			s = va_arg(args, struct slice);
			result = sqlite3_bind_text(
				statement, i, s.data ? s.data : "", (int)s.length, SQLITE_STATIC);
			break;
		default:
			s = va_arg(args, struct slice);
			result = sqlite3_bind_blob(
				statement, i, s.data, (int)s.length, SQLITE_STATIC);
			break;
		}
	}
	return result == SQLITE_OK;
}

static sqlite3_stmt *bound(
	struct store *store, enum statement which, const char *types, va_list args)
{
	sqlite3_stmt *statement = store->statements[which];

	if (!store->db) {
		(void)store_failed(store, "%s: the index is closed", store->folder);
		return NULL;
	}
	if (!statement && sqlite3_prepare_v3(store->db, SQL_TEXT[which], -1,
				  SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
		(void)store_database_failed(store, SQL_TEXT[which]);
		return NULL;
	}
	store->statements[which] = statement;
	sqlite3_reset(statement);
	if (!bind(statement, types, args)) {
		(void)store_database_failed(store, SQL_TEXT[which]);
		return NULL;
	}
	return statement;
}

sqlite3_stmt *store_sql(struct store *store, enum statement which, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list args;

	va_start(args, types);
	statement = bound(store, which, types, args);
	va_end(args);
	return statement;
}

int store_step(struct store *store, sqlite3_stmt *statement)
{
	int result = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	if (result == SQLITE_ROW)
		return 1;
	if (statement && result != SQLITE_DONE)
		(void)store_database_failed(store, sqlite3_sql(statement));
	/* An open read would hold back checkpoints and see an old state. */
	sqlite3_reset(statement);
	return result == SQLITE_DONE ? 0 : -1;
}

bool store_run(struct store *store, enum statement which, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list args;

	va_start(args, types);
	statement = bound(store, which, types, args);
	va_end(args);
	return store_step(store, statement) == 0;
}

struct slice store_column(sqlite3_stmt *statement, int column)
{
	const void *data = sqlite3_column_blob(statement, column);

	return slice_of(data, data ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

/* --- transactions --- */

enum store_status store_begin(struct store *store, bool durable)
{
	/* The error text of what was found stays. */
	if (store_lost(store))
		return STORE_TEMPORARY;
	if (store->writing || !store->db)
		return store_failed(store, "%s: no transaction can begin", store->folder);
	if (durable != store->durable) {
		if (!store_run(store, durable ? SQL_FULL : SQL_NORMAL, ""))
			return STORE_TEMPORARY;
		store->durable = durable;
	}
	if (!store_run(store, SQL_BEGIN, ""))
		return STORE_TEMPORARY;
	store->writing = true;
	if (store_replaced(store)) {
		char error[sizeof(store->error)];

		memcpy(error, store->error, sizeof(error));
		store_rollback(store);
		memcpy(store->error, error, sizeof(error));
		return STORE_TEMPORARY;
	}
	return STORE_OK;
}

enum store_status store_commit(struct store *store)
{
	if (store_run(store, SQL_COMMIT, "")) {
		store->writing = store->full = false;
		return STORE_OK;
	}
	store_rollback(store);
	return STORE_TEMPORARY;
}

void store_rollback(struct store *store)
{
	char error[sizeof(store->error)];
	bool full = store->full;

	/* The text tells why we give up; that there was nothing left to roll back would tell nothing. */
	memcpy(error, store->error, sizeof(error));
	if (store->writing && !sqlite3_get_autocommit(store->db))
		(void)store_run(store, SQL_ROLLBACK, "");
	store->writing = false;
	store->full = full;
	memcpy(store->error, error, sizeof(error));
}

bool store_lost(const struct store *store)
{
	return store->damaged || store->replaced;
}
