// SPDX-License-Identifier: ISC
/*
 * The tree of mailboxes: list, create, delete, rename. The folders on disk are the truth for what exists; rows without a folder are
 * forgotten when their name is used again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"
#include "store/subscriptions.h"

/* --- list --- */

struct listing {
	struct store *store;
	struct arena *arena;
	struct vector *infos;
	enum store_status status;
};

static struct mailbox_info *add_info(struct listing *l, struct slice name)
{
	struct mailbox_info *info = l->infos->count < STORE_MAX_MAILBOXES + STORE_MAX_SUBSCRIPTIONS
					    ? vector_add(l->infos)
					    : NULL;

	if (info)
		info->name = arena_slice(l->arena, name);
	if (info && info->name.data)
		return info;
	if (info)
		l->infos->count--;
	l->status = store_failed(l->store, "%s: too many mailboxes", l->store->folder);
	return NULL;
}

static bool is_maildir(int root, const char *folder)
{
	char path[STORE_NAME_MAX + 8];
	struct stat info;

	snprintf(path, sizeof(path), "%s/cur", folder);
	return os_fstatat(root, path, &info, AT_SYMLINK_NOFOLLOW) && S_ISDIR(info.st_mode);
}

static bool list_entry(void *context, const char *folder, unsigned char type)
{
	struct listing *l = context;
	char name[STORE_NAME_MAX + 1];
	struct mailbox_info *info;

	if (folder[0] != '.' || (type != DT_DIR && type != DT_UNKNOWN))
		return true;
	if (!store_name_from_folder(folder, name, sizeof(name)) ||
		!is_maildir(l->store->root, folder))
		return true;
	info = add_info(l, slice_from(name));
	if (info)
		info->exists = true;
	return info != NULL;
}

/* '/' before every other byte, so that a mailbox's children stand right behind it. */
static int order_names(struct slice a, struct slice b)
{
	size_t i = 0;

	while (i < a.length && i < b.length && a.data[i] == b.data[i])
		i++;
	if (i == a.length || i == b.length)
		return a.length < b.length ? -1 : a.length > b.length;
	if (a.data[i] == '/' || b.data[i] == '/')
		return a.data[i] == '/' ? -1 : 1;
	return (unsigned char)a.data[i] < (unsigned char)b.data[i] ? -1 : 1;
}

static int order_infos(const void *a, const void *b)
{
	return order_names(
		((const struct mailbox_info *)a)->name, ((const struct mailbox_info *)b)->name);
}

static void sort_and_join(struct vector *infos)
{
	size_t kept = 0;

	qsort(infos->items, infos->count, sizeof(struct mailbox_info), order_infos);
	for (size_t i = 0; i < infos->count; i++) {
		struct mailbox_info *info = vector_at(infos, i);
		struct mailbox_info *before = kept ? vector_at(infos, kept - 1) : NULL;

		if (before && slice_equal(before->name, info->name)) {
			before->exists |= info->exists;
			before->subscribed |= info->subscribed;
		} else {
			*(struct mailbox_info *)vector_at(infos, kept++) = *info;
		}
	}
	infos->count = kept;
}

static bool is_below(struct slice name, struct slice parent)
{
	return name.length > parent.length && slice_starts(name, parent) &&
	       name.data[parent.length] == '/';
}

/* "A" for "A/B" when there is none: Maildir++ has no folder for it, but clients see a tree. */
static void add_parents(struct listing *l)
{
	size_t count = l->infos->count;

	for (size_t i = 0; i < count && l->status == STORE_OK; i++) {
		struct mailbox_info info = *(struct mailbox_info *)vector_at(l->infos, i);
		struct slice name = info.name;
		ptrdiff_t slash;

		if (!info.exists)
			continue;
		while ((slash = slice_find_last(name, '/')) >= 0) {
			name = slice_head(name, (size_t)slash);
			if (!add_info(l, name))
				return;
		}
	}
}

static void mark_children(struct vector *infos)
{
	for (size_t i = 0; i + 1 < infos->count; i++) {
		struct mailbox_info *info = vector_at(infos, i);

		for (size_t k = i + 1; k < infos->count && !info->has_children; k++) {
			const struct mailbox_info *next = vector_at(infos, k);

			if (!is_below(next->name, info->name))
				break;
			info->has_children = next->exists;
		}
	}
}

static const struct {
	const char *name, *use;
} SPECIAL[] = { { "Drafts", "\\Drafts" }, { "Sent", "\\Sent" }, { "Sent Messages", "\\Sent" },
	{ "Trash", "\\Trash" }, { "Deleted Messages", "\\Trash" }, { "Junk", "\\Junk" },
	{ "Spam", "\\Junk" }, { "Archive", "\\Archive" } };
enum { SPECIAL_COUNT = sizeof(SPECIAL) / sizeof(SPECIAL[0]) };

static struct mailbox_info *find_info(struct vector *infos, struct slice name)
{
	struct mailbox_info key = { .name = name };

	return infos->count == 0
		       ? NULL
		       : bsearch(&key, infos->items, infos->count, sizeof(key), order_infos);
}

/* Uses that were asked for at CREATE, then by the customary name where nobody has that use. */
static void mark_special(struct listing *l)
{
	sqlite3_stmt *s = store_sql(l->store, SQL_BOX_LIST, "");
	struct mailbox_info *info;
	int result;

	while ((result = store_step(l->store, s)) > 0) {
		info = find_info(l->infos, store_column(s, 0));
		if (info && info->exists && sqlite3_column_bytes(s, 1) > 0)
			info->special_use = arena_slice(l->arena, store_column(s, 1));
	}
	if (result < 0)
		l->status = STORE_TEMPORARY;
	for (unsigned i = 0; i < SPECIAL_COUNT; i++) {
		struct slice use = slice_from(SPECIAL[i].use);
		bool taken = false;

		for (size_t k = 0; k < l->infos->count && !taken; k++)
			taken = slice_equal_nocase(
				((struct mailbox_info *)vector_at(l->infos, k))->special_use, use);
		info = find_info(l->infos, slice_from(SPECIAL[i].name));
		if (!taken && info && info->exists)
			info->special_use = use;
	}
}

static void add_subscription(void *context, struct slice name)
{
	struct listing *l = context;
	struct mailbox_info *info = l->status == STORE_OK ? add_info(l, name) : NULL;

	if (info)
		info->subscribed = true;
}

enum store_status store_list(struct store *store, struct arena *arena, struct vector *infos)
{
	struct listing l = { store, arena, infos, STORE_OK };
	int fd = os_openat(store->root, ".", O_RDONLY | O_DIRECTORY, 0);
	struct mailbox_info *inbox;

	vector_clear(infos);
	if (fd < 0 || !store_each_file(fd, list_entry, &l)) {
		os_close(&fd);
		return store_system_failed(store, "list");
	}
	os_close(&fd);
	inbox = l.status == STORE_OK ? add_info(&l, SLICE("INBOX")) : NULL;
	if (inbox)
		inbox->exists = is_maildir(store->root, ".");
	if (l.status == STORE_OK)
		add_parents(&l);
	if (l.status == STORE_OK && !subscriptions_each(store, add_subscription, &l))
		l.status = STORE_TEMPORARY;
	if (l.status != STORE_OK)
		return l.status;
	sort_and_join(infos);
	mark_children(infos);
	mark_special(&l);
	return l.status;
}

/* --- create --- */

static enum store_status forget_named(struct store *store, struct slice name)
{
	sqlite3_stmt *s = store_sql(store, SQL_BOX_FIND, "t", name);
	int result = store_step(store, s);
	int64_t id, validity;

	if (result <= 0)
		return result == 0 ? STORE_OK : STORE_TEMPORARY;
	id = sqlite3_column_int64(s, 0);
	validity = sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	/* One that another server gave out may be ahead of ours. */
	if (!store_run(store, SQL_VALIDITY_RAISE, "i", validity))
		return STORE_TEMPORARY;
	return box_forget(store, id);
}

static enum store_status too_many(struct store *store)
{
	sqlite3_stmt *s = store_sql(store, SQL_BOX_COUNT, "");
	bool full;

	if (store_step(store, s) <= 0)
		return STORE_TEMPORARY;
	full = sqlite3_column_int64(s, 0) >= STORE_MAX_MAILBOXES;
	sqlite3_reset(s);
	return full ? STORE_LIMIT : STORE_OK;
}

static bool make_folder(struct store *store, const char *folder, const struct validity *validity)
{
	int fd;
	bool good = store_make_maildir(store->root, folder);

	fd = good ? os_openat(store->root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) : -1;
	/* The marker of Maildir++ for delivery programs. */
	good = fd >= 0 && store_replace_file(fd, "maildirfolder", SLICE(""), false) &&
	       store_validity_write(fd, validity);
	os_close(&fd);
	if (!good) {
		(void)store_system_failed(store, folder);
		store_remove_tree(store->root, folder);
	}
	return good;
}

static enum store_status create_inside(
	struct store *store, const char *name, const char *folder, struct slice special_use)
{
	struct validity validity = { .uid_floor = 1 };
	struct stat info;
	enum store_status status = too_many(store);

	if (status != STORE_OK)
		return status;
	if (os_fstatat(store->root, folder, &info, AT_SYMLINK_NOFOLLOW))
		return STORE_EXISTS;
	if (errno != ENOENT)
		return store_system_failed(store, folder);
	if (!slice_to_string(special_use, validity.special_use, sizeof(validity.special_use)))
		return STORE_LIMIT;
	status = forget_named(store, slice_from(name));
	if (status == STORE_OK)
		status = box_uid_validity(store, &validity.uid_validity);
	if (status != STORE_OK)
		return status;
	if (!make_folder(store, folder, &validity))
		return STORE_TEMPORARY;
	return store_run(store, SQL_BOX_INSERT, "tiiit", slice_from(name),
		       (int64_t)validity.uid_validity, (int64_t)1, (int64_t)1, special_use)
		       ? STORE_OK
		       : STORE_TEMPORARY;
}

enum store_status store_create(struct store *store, struct slice name, struct slice special_use)
{
	char canonical[STORE_NAME_MAX + 1], folder[STORE_NAME_MAX + 1];
	enum store_status status = store_name_check(name, canonical, sizeof(canonical));

	if (status != STORE_OK || !store_name_to_folder(canonical, folder, sizeof(folder)))
		return STORE_BAD_NAME;
	if (strcmp(canonical, "INBOX") == 0)
		return STORE_EXISTS;
	status = store_begin(store, true);
	if (status != STORE_OK)
		return status;
	status = create_inside(store, canonical, folder, special_use);
	if (status != STORE_OK) {
		store_rollback(store);
		return status;
	}
	/* The folder may stay when the commit fails: it is an empty mailbox with a UIDVALIDITY of its own. */
	return store_commit(store);
}

/* --- names and their children --- */

/* Canonical names of existing mailboxes at and below `name`, in order. */
static enum store_status collect(struct store *store, struct slice name, struct arena *arena,
	struct vector *infos, size_t *first, size_t *count)
{
	enum store_status status = store_list(store, arena, infos);

	*first = *count = 0;
	for (size_t i = 0; i < infos->count && status == STORE_OK; i++) {
		const struct mailbox_info *info = vector_at(infos, i);

		if (!slice_equal(info->name, name) && !is_below(info->name, name))
			continue;
		if (*count == 0)
			*first = i;
		*count = i - *first + 1;
	}
	return status;
}

/* --- delete --- */

static enum store_status delete_inside(
	struct store *store, const char *name, const char *folder, char *trashed, size_t size)
{
	uint64_t unique;
	enum store_status status = forget_named(store, slice_from(name));

	if (status != STORE_OK)
		return status;
	os_random(&unique, sizeof(unique));
	snprintf(trashed, size, STORE_TRASHED_PREFIX "%016llx", (unsigned long long)unique);
	if (!os_renameat(store->root, folder, store->root, trashed))
		return errno == ENOENT ? STORE_NONE : store_system_failed(store, folder);
	if (os_fsync(store->root))
		return STORE_OK;
	status = store_system_failed(store, folder);
	(void)!os_renameat(store->root, trashed, store->root, folder);
	return status;
}

/* A parent that is none itself cannot be deleted while it has children (RFC 3501 6.3.4). */
static enum store_status no_such(struct store *store, struct slice name)
{
	struct vector infos = vector_of(sizeof(struct mailbox_info), 0);
	struct arena arena;
	size_t first, count;
	enum store_status status;

	arena_init(&arena, 64 << 20);
	status = collect(store, name, &arena, &infos, &first, &count);
	if (status == STORE_OK) {
		status = STORE_NONE;
		for (size_t i = first; i < first + count; i++) {
			if (((struct mailbox_info *)vector_at(&infos, i))->exists)
				status = STORE_IN_USE;
		}
	}
	vector_free(&infos);
	arena_free(&arena);
	return status;
}

/* `folder` is one. */
static enum store_status delete_mailbox(struct store *store, const char *name, const char *folder)
{
	char trashed[64];
	enum store_status status = store_begin(store, true);

	if (status != STORE_OK)
		return status;
	status = delete_inside(store, name, folder, trashed, sizeof(trashed));
	if (status != STORE_OK) {
		store_rollback(store);
		return status;
	}
	status = store_commit(store);
	if (status != STORE_OK) {
		(void)!os_renameat(store->root, trashed, store->root, folder);
		return status;
	}
	store_remove_tree(store->root, trashed);
	/* Counted anew when next needed. */
	if (store->quota > 0)
		(void)!os_unlinkat(store->root, "maildirsize", 0);
	return STORE_OK;
}

enum store_status store_delete(struct store *store, struct slice name)
{
	char canonical[STORE_NAME_MAX + 1], folder[STORE_NAME_MAX + 1];
	enum store_status status = store_name_check(name, canonical, sizeof(canonical));

	if (status != STORE_OK || !store_name_to_folder(canonical, folder, sizeof(folder)))
		return STORE_NONE;
	if (strcmp(canonical, "INBOX") == 0)
		return STORE_IN_USE;
	if (!is_maildir(store->root, folder))
		return no_such(store, slice_from(canonical));
	status = delete_mailbox(store, canonical, folder);
	if (store_want_room(store, status))
		status = delete_mailbox(store, canonical, folder);
	return status;
}

/* --- rename --- */

struct renaming {
	struct store *store;
	struct vector infos;
	struct arena arena;
	size_t first, count;
	struct slice from, to;
	size_t done;
};

static bool renamed(
	const struct renaming *r, size_t i, char *old_folder, char *new_name, char *new_folder)
{
	const struct mailbox_info *info = vector_at(&r->infos, r->first + i);
	char old_name[STORE_NAME_MAX + 1], joined[2 * STORE_NAME_MAX + 2];

	if (!slice_to_string(info->name, old_name, sizeof(old_name)) ||
		snprintf(joined, sizeof(joined), "%.*s%s", SLICE_ARG(r->to),
			old_name + r->from.length) >= (int)sizeof(joined))
		return false;
	return store_name_check(slice_from(joined), new_name, STORE_NAME_MAX + 1) == STORE_OK &&
	       store_name_to_folder(old_name, old_folder, STORE_NAME_MAX + 1) &&
	       store_name_to_folder(new_name, new_folder, STORE_NAME_MAX + 1);
}

static enum store_status rename_one(struct renaming *r, size_t i)
{
	const struct mailbox_info *info = vector_at(&r->infos, r->first + i);
	char old_folder[STORE_NAME_MAX + 1], name[STORE_NAME_MAX + 1], folder[STORE_NAME_MAX + 1];
	struct stat there;
	enum store_status status;

	if (!info->exists)
		return STORE_OK;
	if (!renamed(r, i, old_folder, name, folder))
		return STORE_BAD_NAME;
	if (os_fstatat(r->store->root, folder, &there, AT_SYMLINK_NOFOLLOW))
		return STORE_EXISTS;
	if (errno != ENOENT)
		return store_system_failed(r->store, folder);
	status = forget_named(r->store, slice_from(name));
	if (status != STORE_OK)
		return status;
	if (!store_run(r->store, SQL_BOX_RENAME, "tt", info->name, slice_from(name)))
		return STORE_TEMPORARY;
	if (!os_renameat(r->store->root, old_folder, r->store->root, folder))
		return store_system_failed(r->store, old_folder);
	return STORE_OK;
}

static void rename_back(struct renaming *r)
{
	char old_folder[STORE_NAME_MAX + 1], name[STORE_NAME_MAX + 1], folder[STORE_NAME_MAX + 1];

	for (size_t i = r->done; i > 0; i--) {
		const struct mailbox_info *info = vector_at(&r->infos, r->first + i - 1);

		if (info->exists && renamed(r, i - 1, old_folder, name, folder))
			(void)!os_renameat(r->store->root, folder, r->store->root, old_folder);
	}
}

static enum store_status rename_tree(struct renaming *r)
{
	enum store_status status = store_begin(r->store, true);

	if (status != STORE_OK)
		return status;
	status = collect(r->store, r->from, &r->arena, &r->infos, &r->first, &r->count);
	if (status == STORE_OK && r->count == 0)
		status = STORE_NONE;
	/* Only subscribed: there is nothing to rename. */
	if (status == STORE_OK) {
		bool any = false;

		for (size_t i = 0; i < r->count; i++)
			any |= ((struct mailbox_info *)vector_at(&r->infos, r->first + i))->exists;
		status = any ? STORE_OK : STORE_NONE;
	}
	for (; status == STORE_OK && r->done < r->count; r->done++) {
		status = rename_one(r, r->done);
		if (status != STORE_OK)
			break;
	}
	if (status == STORE_OK && !os_fsync(r->store->root))
		status = store_system_failed(r->store, "rename");
	if (status == STORE_OK)
		status = store_commit(r->store);
	else
		store_rollback(r->store);
	if (status != STORE_OK)
		rename_back(r);
	return status;
}

/* INBOX stays, empty; its messages move. */
static enum store_status rename_inbox(struct store *store, const char *to)
{
	struct mailbox *inbox = NULL;
	uint32_t count, *all, validity;
	enum store_status status = store_create(store, slice_from(to), slice_of("", 0));

	if (status != STORE_OK)
		return status;
	status = mailbox_open(store, SLICE("INBOX"), true, &inbox);
	if (status == STORE_OK) {
		(void)mailbox_entries(inbox, &count);
		all = calloc(count ? count : 1, sizeof(*all));
		for (uint32_t i = 0; all && i < count; i++)
			all[i] = i;
		status = !all    ? store_failed(store, "out of memory")
			 : count ? mailbox_copy(
					   inbox, all, count, slice_from(to), true, &validity, NULL)
				 : STORE_OK;
		free(all);
	}
	mailbox_close(&inbox);
	if (status != STORE_OK)
		(void)store_delete(store, slice_from(to));
	return status;
}

enum store_status store_rename(struct store *store, struct slice from, struct slice to)
{
	char old[STORE_NAME_MAX + 1], new[STORE_NAME_MAX + 1];
	struct renaming r = { .store = store, .infos = vector_of(sizeof(struct mailbox_info), 0) };
	enum store_status status;

	if (store_name_check(from, old, sizeof(old)) != STORE_OK)
		return STORE_NONE;
	if (store_name_check(to, new, sizeof(new)) != STORE_OK)
		return STORE_BAD_NAME;
	if (strcmp(new, "INBOX") == 0 || strcmp(old, new) == 0)
		return STORE_EXISTS;
	if (strcmp(old, "INBOX") == 0)
		return rename_inbox(store, new);
	r.from = slice_from(old);
	r.to = slice_from(new);
	if (is_below(r.to, r.from))
		return STORE_BAD_NAME;
	arena_init(&r.arena, 64 << 20);
	status = rename_tree(&r);
	vector_free(&r.infos);
	arena_free(&r.arena);
	return status;
}
