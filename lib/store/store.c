// SPDX-License-Identifier: ISC
/*
 * The store of one user: opening and closing, mending what is broken, POP3's lock. See store.h for the interface and
 * docs/store.md for what is on disk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

static _Thread_local char open_error[sizeof(((struct store *)0)->error)];

static void discard(struct store **store)
{
	struct store *s = *store;

	snprintf(open_error, sizeof(open_error), "%s", s->error);
	*store = NULL;
	os_close(&s->pop3_lock);
	os_close(&s->root);
	free(s->folder);
	free(s);
}

static enum store_status open_folder(struct store *store, bool create)
{
	struct stat info;

	store->root = os_openat(AT_FDCWD, store->folder, O_RDONLY | O_DIRECTORY, 0);
	if (store->root < 0 && errno == ENOENT && create) {
		if (!store_make_maildir(AT_FDCWD, store->folder))
			return store_system_failed(store, "make");
		store->root = os_openat(AT_FDCWD, store->folder, O_RDONLY | O_DIRECTORY, 0);
	}
	if (store->root < 0)
		return errno == ENOENT ? STORE_NONE : store_system_failed(store, "open");
	if (!create)
		return STORE_OK;
	if (os_fstatat(store->root, "cur", &info, 0) && os_fstatat(store->root, "new", &info, 0) &&
		os_fstatat(store->root, "tmp", &info, 0))
		return STORE_OK;
	if (errno == ENOENT && store_make_maildir(store->root, "."))
		return STORE_OK;
	return store_system_failed(store, "make");
}

/* Opens the database; a damaged one is set aside, which is told in store->error although all went well. */
static enum store_status open_index(struct store *store)
{
	char damage[sizeof(store->error)];

	if (store_database_open(store) ||
		(store->full && store_make_room(store) && store_database_open(store)) ||
		(store->replaced && store_database_open(store))) {
		store->error[0] = '\0';
		return STORE_OK;
	}
	if (!store->damaged)
		return STORE_TEMPORARY;
	memcpy(damage, store->error, sizeof(damage));
	if (!store_database_discard(store, false) || !store_database_open(store))
		return STORE_TEMPORARY;
	store_failed(store, "%.300s: kept as " STORE_DATABASE ".damaged, index made anew", damage);
	return STORE_OK;
}

enum store_status store_open(const char *folder, bool create, int64_t quota, struct store **result)
{
	struct store *store = calloc(1, sizeof(*store));
	enum store_status status;

	*result = NULL;
	if (!store) {
		snprintf(open_error, sizeof(open_error), "out of memory");
		return STORE_TEMPORARY;
	}
	store->root = store->pop3_lock = -1;
	store->quota = quota;
	store->reserves = create;
	store->folder = slice_dup(slice_from(folder));
	os_random(&store->unique, sizeof(store->unique));
	store_host_name(store->host, sizeof(store->host));
	if (!store->folder) {
		(void)store_failed(store, "out of memory");
		discard(&store);
		return STORE_TEMPORARY;
	}
	status = open_folder(store, create);
	if (status == STORE_OK)
		status = open_index(store);
	if (status == STORE_OK) {
		/* A count kept while there was another limit, or none, is wrong by now. */
		if (quota <= 0)
			(void)!os_unlinkat(store->root, "maildirsize", 0);
		if (create && !store->full)
			store_reserve(store);
		store->full = false;
		*result = store;
		return STORE_OK;
	}
	discard(&store);
	return status;
}

void store_close(struct store **store)
{
	bool damaged;

	if (!*store)
		return;
	damaged = (*store)->damaged;
	store_rollback(*store);
	store_database_close(*store);
	/* Whoever opens next finds a good one. */
	if (damaged)
		(void)!store_database_discard(*store, false);
	/* What was given up for a full disk; closing has made the log go. */
	if ((*store)->reserves)
		store_reserve(*store);
	discard(store);
}

enum store_status store_reopen(struct store *store)
{
	char damage[sizeof(store->error)];
	bool damaged = store->damaged;
	enum store_status status;

	memcpy(damage, store->error, sizeof(damage));
	store_rollback(store);
	store_database_close(store);
	if (damaged && !store_database_discard(store, false))
		return STORE_TEMPORARY;
	status = open_index(store);
	if (status == STORE_OK && damaged && !store->error[0])
		(void)store_failed(store, "%.360s: index made anew", damage);
	return status;
}

const char *store_error(const struct store *store)
{
	return store ? store->error : open_error;
}

/* All mailboxes brought up to date. */
static enum store_status refresh_all(struct store *store, unsigned *mailboxes, unsigned *messages)
{
	struct vector infos = vector_of(sizeof(struct mailbox_info), 0);
	struct arena arena;
	enum store_status status;
	struct mailbox_counts counts;

	arena_init(&arena, 64 << 20);
	status = store_list(store, &arena, &infos);
	for (size_t i = 0; i < infos.count && status == STORE_OK; i++) {
		const struct mailbox_info *info = vector_at(&infos, i);

		if (!info->exists)
			continue;
		status = store_status(store, info->name, &counts);
		*mailboxes += 1;
		*messages += counts.messages;
	}
	vector_free(&infos);
	arena_free(&arena);
	return status;
}

/* Removals that were acknowledged are known to the old index alone as long as the files are there. */
static void finish_removals(const char *folder)
{
	char name[STORE_NAME_MAX + 1], last[STORE_NAME_MAX + 1] = "";
	struct store *store;
	struct box box;

	if (store_open(folder, false, 0, &store) != STORE_OK)
		return;
	for (;;) {
		sqlite3_stmt *s = store_sql(store, SQL_DOOMED_BOXES, "");
		bool any = store_step(store, s) > 0 &&
			   slice_to_string(store_column(s, 0), name, sizeof(name));

		if (s)
			sqlite3_reset(s);
		/* The same one twice: it cannot be done. */
		if (!any || strcmp(name, last) == 0 ||
			box_open(store, slice_from(name), &box) != STORE_OK)
			break;
		memcpy(last, name, sizeof(last));
		(void)box_refresh(&box, true);
		box_close(&box);
	}
	store_close(&store);
}

enum store_status store_rebuild(const char *folder, unsigned *mailboxes, unsigned *messages)
{
	struct store look = { .pop3_lock = -1 }, *store;
	enum store_status status;
	bool gone;

	*mailboxes = *messages = 0;
	finish_removals(folder);
	look.folder = slice_dup(slice_from(folder));
	look.root = os_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	gone = look.folder && look.root >= 0 && store_database_discard(&look, true);
	status = look.root < 0 && errno == ENOENT ? STORE_NONE : STORE_TEMPORARY;
	os_close(&look.root);
	free(look.folder);
	if (!gone)
		return status;
	status = store_open(folder, false, 0, &store);
	if (status != STORE_OK)
		return status;
	status = refresh_all(store, mailboxes, messages);
	store_close(&store);
	return status;
}

enum store_status store_status(
	struct store *store, struct slice name, struct mailbox_counts *counts)
{
	struct box box;
	enum store_status status = box_open(store, name, &box);
	sqlite3_stmt *s;

	*counts = (struct mailbox_counts){ 0 };
	if (status != STORE_OK)
		return status;
	status = box_refresh(&box, false);
	if (status == STORE_OK) {
		*counts = (struct mailbox_counts){ .messages = box.row.messages,
			.unseen = box.row.unseen,
			.deleted = box.row.deleted,
			.uid_validity = box.row.uid_validity,
			.uid_next = box.row.uid_next,
			.highest_modseq = box.row.highest_modseq,
			.size = box.row.size };
		s = box.row.recent_uid < box.row.uid_next
			    ? store_sql(store, SQL_RECENT_COUNT, "ii",
				      box_id(&box, box.row.recent_uid), box_id(&box, UINT32_MAX))
			    : NULL;
		if (s && store_step(store, s) > 0) {
			counts->recent = (uint32_t)sqlite3_column_int64(s, 0);
			sqlite3_reset(s);
		}
	}
	box_close(&box);
	return status;
}

enum store_status store_pop3_lock(struct store *store)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	if (store->pop3_lock >= 0)
		return STORE_OK;
	fd = os_openat(store->root, STORE_POP3_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return store_system_failed(store, STORE_POP3_LOCK);
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
		store->pop3_lock = fd;
		return STORE_OK;
	}
	if (errno != EAGAIN && errno != EACCES) {
		store_system_failed(store, STORE_POP3_LOCK);
		os_close(&fd);
		return STORE_TEMPORARY;
	}
	os_close(&fd);
	return STORE_LOCKED;
}

void store_pop3_unlock(struct store *store)
{
	os_close(&store->pop3_lock);
}
