// SPDX-License-Identifier: ISC
/*
 * Changing flags and removing messages. Both are durable when they answer STORE_OK: flags are in the database and in the file
 * names, removed messages are first written down as doomed, then taken away.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/internal.h"

struct change {
	struct mailbox *mailbox;
	enum flag_change how;
	uint8_t flags;
	uint64_t keywords, modseq; /* modseq of this change; 0: none was needed yet */
	uint64_t unchanged_since;
	struct vector *conflicts;
	bool rescanned;
	bool names_only; /* the disk is full: the index follows the names when there is room */
};

static uint64_t combine(enum flag_change how, uint64_t old, uint64_t bits)
{
	return how == FLAGS_ADD ? old | bits : how == FLAGS_REMOVE ? old & ~bits : bits;
}

/* Renames the file. STORE_NONE: it is gone, so the next refresh will tell. */
static enum store_status reletter(
	struct change *change, uint32_t uid, struct current *now, uint8_t flags, uint64_t keywords)
{
	struct box *box = &change->mailbox->box;
	char name[STORE_FILE_NAME], letters[40];
	enum store_status status;
	bool more = true;

	store_letters_write(flags, keywords, box->forwarded, letters);
	for (;;) {
		if (!store_file_reletter(name, slice_from(now->name), letters))
			return store_failed(box->store, "%s: no room for flags", now->name);
		if (strcmp(name, now->name) == 0 ||
			os_renameat(box->cur, now->name, box->cur, name))
			break;
		if (errno != ENOENT)
			return store_system_failed(box->store, now->name);
		if (change->rescanned)
			return STORE_NONE;
		/* Somebody else renamed it: look once at the whole folder. */
		change->rescanned = true;
		do
			status = box_sync(box, true, &more);
		while (status == STORE_OK && more);
		if (status == STORE_OK)
			status = box_current(box, uid, now);
		if (status != STORE_OK)
			return status;
	}
	memcpy(now->name, name, sizeof(name));
	return STORE_OK;
}

static void entry_update(
	struct message_entry *entry, uint8_t flags, uint64_t keywords, uint64_t modseq)
{
	if (entry->flags == flags && entry->keywords == keywords && entry->modseq == modseq)
		return;
	entry->flags = flags;
	entry->keywords = keywords;
	entry->modseq = modseq;
	entry->changed = true;
}

static enum store_status change_one(struct change *change, uint32_t index)
{
	struct box *box = &change->mailbox->box;
	struct message_entry *entry = &change->mailbox->entries[index];
	struct current now;
	uint8_t flags;
	uint64_t keywords;
	enum store_status status = box_current(box, entry->uid, &now);

	if (status != STORE_OK)
		return status == STORE_NONE ? STORE_OK : status;
	if (change->unchanged_since && now.modseq > change->unchanged_since &&
		now.modseq != change->modseq) {
		uint32_t *conflict = change->conflicts ? vector_add(change->conflicts) : NULL;

		if (change->conflicts && !conflict)
			return store_failed(box->store, "out of memory");
		if (conflict)
			*conflict = index;
		return STORE_OK;
	}
	flags = (uint8_t)combine(change->how, now.flags, change->flags);
	keywords = combine(change->how, now.keywords, change->keywords);
	if (flags == now.flags && keywords == now.keywords) {
		entry_update(entry, flags, keywords, now.modseq);
		return STORE_OK;
	}
	if (change->names_only && (keywords ^ now.keywords) >> STORE_LETTERS)
		return STORE_TEMPORARY;
	status = reletter(change, entry->uid, &now, flags, keywords);
	if (status != STORE_OK)
		return status == STORE_NONE ? STORE_OK : status;
	if (change->names_only) {
		entry_update(entry, flags, keywords, now.modseq);
		return STORE_OK;
	}
	if (!change->modseq)
		change->modseq = ++box->row.highest_modseq;
	box_count(box, now.flags, now.size, -1);
	box_count(box, flags, now.size, 1);
	if (!store_run(box->store, SQL_MESSAGE_FLAGS, "iiiit", box_id(box, entry->uid),
		    (int64_t)flags, (int64_t)keywords, (int64_t)change->modseq,
		    slice_from(now.name)))
		return STORE_TEMPORARY;
	entry_update(entry, flags, keywords, change->modseq);
	return STORE_OK;
}

static enum store_status change_each(struct change *change, const uint32_t *indexes, uint32_t count)
{
	struct mailbox *mailbox = change->mailbox;
	enum store_status status = STORE_OK;

	for (uint32_t i = 0; i < count && status == STORE_OK; i++) {
		if (indexes[i] < mailbox->count && !mailbox->entries[indexes[i]].expunged)
			status = change_one(change, indexes[i]);
	}
	read_plan_stale(mailbox);
	return status;
}

/* Entries may be ahead of the database now; the next refresh looks at all of them. */
static void distrust(struct change *change, const uint32_t *indexes, uint32_t count)
{
	struct mailbox *mailbox = change->mailbox;

	for (uint32_t i = 0; i < count; i++) {
		if (indexes[i] < mailbox->count && change->modseq &&
			mailbox->entries[indexes[i]].modseq == change->modseq)
			mailbox->entries[indexes[i]].modseq = 0;
	}
	mailbox->modseq = 0;
}

static enum store_status change_flags(
	struct change *change, const uint32_t *indexes, uint32_t count)
{
	struct mailbox *mailbox = change->mailbox;
	struct box *box = &mailbox->box;
	enum store_status status = box_begin(box, true);
	uint64_t before = box->row.highest_modseq;

	if (status != STORE_OK)
		return status;
	status = change_each(change, indexes, count);
	if (status != STORE_OK) {
		store_rollback(mailbox->store);
		distrust(change, indexes, count);
		return status;
	}
	if (change->modseq) {
		box->row.changed_modseq = change->modseq;
		box_touch(box);
	}
	status = box_end(box, change->modseq || change->rescanned);
	if (status != STORE_OK)
		distrust(change, indexes, count);
	/* Nothing of others came between: the view is as new as the database. */
	else if (change->modseq && mailbox->modseq == before && !change->rescanned)
		mailbox->modseq = change->modseq;
	return status;
}

/* No room for the rows: the letters of the file names keep the flags, and the index takes them over later. */
static enum store_status change_names(
	struct change *change, const uint32_t *indexes, uint32_t count)
{
	struct box *box = &change->mailbox->box;
	enum store_status status = box_begin(box, true);

	if (status != STORE_OK)
		return status;
	change->names_only = true;
	status = change_each(change, indexes, count);
	store_rollback(box->store);
	if (status == STORE_OK && !os_fsync(box->cur))
		status = store_system_failed(box->store, "cur");
	return status;
}

enum store_status mailbox_store_flags(struct mailbox *mailbox, const uint32_t *indexes,
	uint32_t count, enum flag_change how, uint8_t flags, uint64_t keywords,
	uint64_t unchanged_since, struct vector *conflicts)
{
	const struct change first = { .mailbox = mailbox,
		.how = how,
		.flags = flags & FLAG_SYSTEM,
		.keywords = keywords,
		.unchanged_since = unchanged_since,
		.conflicts = conflicts };
	struct change change = first;
	size_t before = conflicts ? conflicts->count : 0;
	enum store_status status = change_flags(&change, indexes, count);

	if (store_want_room(mailbox->store, status)) {
		change = first;
		if (conflicts)
			conflicts->count = before;
		status = change_flags(&change, indexes, count);
	}
	/* Without rows there is no modseq to hold a condition against. */
	if (status == STORE_TEMPORARY && mailbox->store->full && !unchanged_since) {
		change = first;
		status = change_names(&change, indexes, count);
	}
	return status;
}

/* --- removing --- */

static enum store_status remove_one(struct mailbox *mailbox, uint32_t index, bool only_deleted,
	bool drop_cache, uint64_t *modseq)
{
	struct box *box = &mailbox->box;
	struct message_entry *entry = &mailbox->entries[index];
	struct current now;
	enum store_status status = box_current(box, entry->uid, &now);
	int64_t id = box_id(box, entry->uid);

	if (status != STORE_OK)
		return status == STORE_NONE ? STORE_OK : status;
	if (only_deleted && !(now.flags & FLAG_DELETED))
		return STORE_OK;
	if (!*modseq)
		*modseq = ++box->row.highest_modseq;
	status = box_remove_row(box, entry->uid, now.flags, now.size);
	if (status != STORE_OK)
		return status;
	if (!store_run(box->store, SQL_DOOMED_INSERT, "it", box->row.id, slice_from(now.name)))
		return STORE_TEMPORARY;
	if (drop_cache && (!store_run(box->store, SQL_STRUCTURE_DELETE, "i", id) ||
				  !store_run(box->store, SQL_HEADER_DELETE, "i", id)))
		return STORE_TEMPORARY;
	entry->modseq = *modseq; /* marks it for finish() */
	return STORE_OK;
}

/* Nothing to delete in the cache of a mailbox that has none spares two look-ups a message. */
static bool has_cache(struct box *box)
{
	sqlite3_stmt *s =
		store_sql(box->store, SQL_CACHE_ANY, "ii", box_id(box, 0), box_id(box, UINT32_MAX));
	bool any = true;

	if (store_step(box->store, s) > 0)
		any = sqlite3_column_int(s, 0) || sqlite3_column_int(s, 1);
	if (s)
		sqlite3_reset(s);
	return any;
}

struct doomed_files {
	struct arena arena;
	struct vector names; /* of char * */
	int64_t size, count;
};

static bool doomed_read(struct box *box, struct doomed_files *doomed)
{
	sqlite3_stmt *s = store_sql(box->store, SQL_DOOMED_LIST, "i", box->row.id);
	int result;

	while ((result = store_step(box->store, s)) > 0) {
		char **name = vector_add(&doomed->names);

		if (name)
			*name = arena_dup(&doomed->arena, store_column(s, 0));
		if (!name || !*name) {
			sqlite3_reset(s);
			return false;
		}
	}
	return result == 0;
}

/*
 * The removal is durable; take the files away and strike them off the list. When this fails half way, the list is left and the
 * next scan of the folder goes on with it.
 */
static void finish_removal(struct mailbox *mailbox)
{
	struct box *box = &mailbox->box;
	struct doomed_files doomed = { .names = vector_of(sizeof(char *), 0) };
	bool all = true;

	arena_init(&doomed.arena, SIZE_MAX / 4);
	if (store_begin(mailbox->store, false) != STORE_OK) {
		arena_free(&doomed.arena);
		return;
	}
	if (box_load(box) == STORE_OK && doomed_read(box, &doomed)) {
		bool clean = !box_stale(box);

		for (size_t i = 0; i < doomed.names.count; i++) {
			const char *name = *(char **)vector_at(&doomed.names, i);

			if (os_unlinkat(box->cur, name, 0))
				doomed.size += store_file_parse(slice_from(name)).size;
			else
				all = all && errno == ENOENT;
		}
		if (clean)
			box_touch(box);
		if (all)
			all = store_run(mailbox->store, SQL_DOOMED_CLEAR, "i", box->row.id);
		(void)box_commit(box);
		quota_add(mailbox->store->root, mailbox->store->quota, -doomed.size,
			-(int64_t)doomed.names.count);
	} else {
		store_rollback(mailbox->store);
	}
	vector_free(&doomed.names);
	arena_free(&doomed.arena);
}

static enum store_status remove_rows(
	struct mailbox *mailbox, const uint32_t *indexes, uint32_t count, bool only_deleted)
{
	struct box *box = &mailbox->box;
	enum store_status status = box_begin(box, true);
	uint64_t before = box->row.highest_modseq, modseq = 0;
	bool cached;

	if (status != STORE_OK)
		return status;
	cached = has_cache(box);
	for (uint32_t i = 0; i < count && status == STORE_OK; i++) {
		uint32_t index = indexes ? indexes[i] : i;

		if (index < mailbox->count && !mailbox->entries[index].expunged)
			status = remove_one(mailbox, index, only_deleted, cached, &modseq);
	}
	if (status == STORE_OK)
		status = box_end(box, modseq != 0);
	else
		store_rollback(mailbox->store);
	read_plan_stale(mailbox);
	for (uint32_t i = 0; modseq && i < mailbox->count; i++) {
		struct message_entry *entry = &mailbox->entries[i];

		if (entry->modseq != modseq)
			continue;
		entry->expunged = status == STORE_OK;
		entry->modseq = status == STORE_OK ? modseq : 0;
	}
	if (status != STORE_OK) {
		mailbox->modseq = 0;
		return status;
	}
	if (modseq && mailbox->modseq == before)
		mailbox->modseq = modseq;
	if (modseq)
		finish_removal(mailbox);
	return STORE_OK;
}

/* The file first; its row follows. */
static enum store_status remove_file(
	struct mailbox *mailbox, uint32_t index, bool only_deleted, struct doomed_files *gone)
{
	struct box *box = &mailbox->box;
	struct message_entry *entry = &mailbox->entries[index];
	struct current now;
	enum store_status status = box_current(box, entry->uid, &now);

	if (status != STORE_OK)
		return status == STORE_NONE ? STORE_OK : status;
	if (only_deleted && !(now.flags & FLAG_DELETED))
		return STORE_OK;
	if (os_unlinkat(box->cur, now.name, 0)) {
		gone->size += store_file_parse(slice_from(now.name)).size;
		gone->count++;
	} else if (errno != ENOENT) {
		return store_system_failed(box->store, now.name);
	}
	entry->expunged = true;
	return STORE_OK;
}

/*
 * No room to write anything down: a message whose file is gone is gone (docs/store.md, "Taking over"), and its room may be what the
 * index needs to follow.
 */
static enum store_status remove_files(
	struct mailbox *mailbox, const uint32_t *indexes, uint32_t count, bool only_deleted)
{
	struct store *store = mailbox->store;
	struct box *box = &mailbox->box;
	struct doomed_files gone = { 0 };
	enum store_status status = box_begin(box, true);

	if (status != STORE_OK)
		return status;
	for (uint32_t i = 0; i < count && status == STORE_OK; i++) {
		uint32_t index = indexes ? indexes[i] : i;

		if (index < mailbox->count && !mailbox->entries[index].expunged)
			status = remove_file(mailbox, index, only_deleted, &gone);
	}
	store_rollback(store);
	read_plan_stale(mailbox);
	if (status == STORE_OK && !os_fsync(box->cur))
		status = store_system_failed(store, "cur");
	quota_add(store->root, store->quota, -gone.size, -gone.count);
	if (status == STORE_OK)
		status = box_refresh(box, false);
	return status;
}

static enum store_status remove_messages(
	struct mailbox *mailbox, const uint32_t *indexes, uint32_t count, bool only_deleted)
{
	enum store_status status = remove_rows(mailbox, indexes, count, only_deleted);

	if (store_want_room(mailbox->store, status))
		status = remove_rows(mailbox, indexes, count, only_deleted);
	if (status == STORE_TEMPORARY && mailbox->store->full)
		status = remove_files(mailbox, indexes, count, only_deleted);
	return status;
}

enum store_status mailbox_expunge(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count)
{
	return remove_messages(mailbox, indexes, indexes ? count : mailbox->count, true);
}

enum store_status mailbox_remove(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count)
{
	return remove_messages(mailbox, indexes, count, false);
}
