// SPDX-License-Identifier: ISC
/*
 * A full disk must not keep a user from deleting. A small file beside the database holds room back: enough to open the index (SQLite
 * needs 32 KB of shared memory beside it) and for some changes. It is given up when a call finds the disk full, and made again when
 * the store is opened or closed and there is room.
 */
#include <errno.h>

#include "store/internal.h"

static int64_t size_of(const struct store *store, const char *name)
{
	struct stat info;

	return os_fstatat(store->root, name, &info, AT_SYMLINK_NOFOLLOW) ? info.st_size : 0;
}

void store_reserve(struct store *store)
{
	int fd = os_openat(
		store->root, STORE_RESERVE_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);

	if (fd < 0)
		return; /* it is there, or there is no room even for its name */
	/* A file system that cannot allocate keeps the empty file: there is no use in trying each time. */
	if (!os_allocate(fd, STORE_RESERVE) && errno != EOPNOTSUPP)
		(void)!os_unlinkat(store->root, STORE_RESERVE_FILE, 0);
	os_close(&fd);
}

bool store_has_reserve(const struct store *store)
{
	return size_of(store, STORE_RESERVE_FILE) > 0;
}

bool store_make_room(struct store *store)
{
	int64_t log = size_of(store, STORE_DATABASE "-wal");
	bool room;

	if (!store->full || store->writing)
		return false;
	/* What the log holds goes into the database, mostly in place, and the log is cut. */
	if (store->db)
		(void)sqlite3_wal_checkpoint_v2(
			store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	room = size_of(store, STORE_DATABASE "-wal") < log;
	return os_unlinkat(store->root, STORE_RESERVE_FILE, 0) || room;
}

bool store_no_room(const struct store *store)
{
	return store->full;
}

bool store_want_room(struct store *store, enum store_status status)
{
	return status == STORE_TEMPORARY && store->full && store_make_room(store);
}
