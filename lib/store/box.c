// SPDX-License-Identifier: ISC
/*
 * One mailbox as the other chapters handle it: its open folder and its row. Every change to a mailbox stands between box_begin,
 * which takes the write lock and brings the row up to date with the folder, and box_commit.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/internal.h"

static void row_read(sqlite3_stmt *s, struct box_row *row)
{
	int c = 0;

	row->id = sqlite3_column_int64(s, c++);
	row->uid_validity = (uint32_t)sqlite3_column_int64(s, c++);
	row->uid_next = (uint32_t)sqlite3_column_int64(s, c++);
	row->uid_floor = (uint32_t)sqlite3_column_int64(s, c++);
	row->recent_uid = (uint32_t)sqlite3_column_int64(s, c++);
	row->highest_modseq = (uint64_t)sqlite3_column_int64(s, c++);
	row->changed_modseq = (uint64_t)sqlite3_column_int64(s, c++);
	row->vanished_floor = (uint64_t)sqlite3_column_int64(s, c++);
	row->messages = (uint32_t)sqlite3_column_int64(s, c++);
	row->unseen = (uint32_t)sqlite3_column_int64(s, c++);
	row->deleted = (uint32_t)sqlite3_column_int64(s, c++);
	row->size = sqlite3_column_int64(s, c++);
	row->new_mtime = sqlite3_column_int64(s, c++);
	row->cur_mtime = sqlite3_column_int64(s, c++);
	row->new_dirty = sqlite3_column_int(s, c++) != 0;
	row->cur_dirty = sqlite3_column_int(s, c++) != 0;
	row->keyword_count = (unsigned)sqlite3_column_int(s, c++);
}

static enum store_status row_fetch(struct box *box, sqlite3_stmt *statement)
{
	int result = store_step(box->store, statement);

	if (result < 0)
		return STORE_TEMPORARY;
	if (result == 0)
		return STORE_NONE;
	row_read(statement, &box->row);
	sqlite3_reset(statement);
	box->unsaved = false;
	return STORE_OK;
}

enum store_status box_load(struct box *box)
{
	return row_fetch(box, store_sql(box->store, SQL_BOX_LOAD, "i", box->row.id));
}

enum store_status box_save(struct box *box)
{
	const struct box_row *r = &box->row;

	box->unsaved = false;
	return store_run(box->store, SQL_BOX_SAVE, "iiiiiiiiiiiiiiiii", r->id,
		       (int64_t)r->uid_validity, (int64_t)r->uid_next, (int64_t)r->uid_floor,
		       (int64_t)r->recent_uid, (int64_t)r->highest_modseq,
		       (int64_t)r->changed_modseq, (int64_t)r->vanished_floor, (int64_t)r->messages,
		       (int64_t)r->unseen, (int64_t)r->deleted, r->size, r->new_mtime, r->cur_mtime,
		       (int64_t)r->new_dirty, (int64_t)r->cur_dirty, (int64_t)r->keyword_count)
		       ? STORE_OK
		       : STORE_TEMPORARY;
}

/* --- UIDVALIDITY and UIDs --- */

/*
 * A UIDVALIDITY higher than any given out before: the clock's seconds, or one more than the last. The last one stands in the
 * database and in INBOX's file, so that neither a lost database nor a clock set back makes one come again.
 */
enum store_status box_uid_validity(struct store *store, uint32_t *value)
{
	sqlite3_stmt *statement = store_sql(store, SQL_VALIDITY, "");
	int64_t last = 0, now = os_now() / 1000000;
	struct validity inbox;
	int result = store_step(store, statement);

	if (result < 0)
		return STORE_TEMPORARY;
	if (result > 0) {
		last = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	if (!store_validity_read(store->root, &inbox))
		return store_system_failed(store, STORE_VALIDITY_FILE);
	if (last < inbox.last)
		last = inbox.last;
	if (last < inbox.uid_validity)
		last = inbox.uid_validity;
	if (now <= last)
		now = last + 1;
	if (now < 1 || now > UINT32_MAX)
		return store_failed(store, "%s: no UIDVALIDITY is left", store->folder);
	inbox.last = *value = (uint32_t)now;
	if (!store_validity_write(store->root, &inbox))
		return store_system_failed(store, STORE_VALIDITY_FILE);
	return store_run(store, SQL_VALIDITY_SET, "i", now) ? STORE_OK : STORE_TEMPORARY;
}

/* UIDs below uid_floor may have been given out; the file has it before the first of them is, for a rebuild's sake. */
static bool reserve_uids(struct box *box)
{
	struct validity validity;
	bool known = store_validity_read(box->dir, &validity);

	validity.uid_validity = box->row.uid_validity;
	validity.uid_floor = box->row.uid_next + STORE_UID_BLOCK;
	if (!known || !store_validity_write(box->dir, &validity)) {
		(void)store_system_failed(box->store, STORE_VALIDITY_FILE);
		return false;
	}
	box->row.uid_floor = validity.uid_floor;
	return true;
}

uint32_t box_next_uid(struct box *box)
{
	if (box->row.uid_next >= STORE_UID_MAX) {
		(void)store_failed(
			box->store, "%s: no UID is left in %s", box->store->folder, box->name);
		return 0;
	}
	if (box->row.uid_next >= box->row.uid_floor && !reserve_uids(box))
		return 0;
	return box->row.uid_next++;
}

/* --- opening --- */

/* UIDVALIDITY of a mailbox without a row: what its file tells, what another server gave it, or a new one. */
static enum store_status first_validity(struct box *box, struct validity *validity)
{
	struct store *store = box->store;
	struct validity imported = { 0 };
	enum store_status status;

	if (!store_validity_read(box->dir, validity))
		return store_system_failed(store, STORE_VALIDITY_FILE);
	if (validity->uid_validity)
		return STORE_OK;
	status = box_import_uids(box, &imported);
	if (status != STORE_OK)
		return status;
	if (!imported.uid_validity) {
		status = box_uid_validity(store, &imported.uid_validity);
		/* INBOX's file has just been written with `last`. */
		if (status == STORE_OK && strcmp(box->name, "INBOX") == 0)
			validity->last = imported.uid_validity;
	}
	if (status != STORE_OK)
		return status;
	validity->uid_validity = imported.uid_validity;
	validity->uid_floor = imported.uid_floor ? imported.uid_floor : 1;
	return store_validity_write(box->dir, validity)
		       ? STORE_OK
		       : store_system_failed(store, STORE_VALIDITY_FILE);
}

/* There is a folder, and nobody has given it a row yet: in the write lock, look again, then make one. */
static enum store_status make_row(struct box *box)
{
	struct store *store = box->store;
	struct validity validity;
	enum store_status status = store_begin(store, true);

	if (status != STORE_OK)
		return status;
	status = row_fetch(box, store_sql(store, SQL_BOX_FIND, "t", slice_from(box->name)));
	if (status != STORE_NONE) {
		store_rollback(store);
		return status;
	}
	status = first_validity(box, &validity);
	if (validity.uid_floor == 0)
		validity.uid_floor = 1;
	if (status == STORE_OK &&
		!store_run(store, SQL_BOX_INSERT, "tiiit", slice_from(box->name),
			(int64_t)validity.uid_validity, (int64_t)validity.uid_floor,
			(int64_t)validity.uid_floor, slice_from(validity.special_use)))
		status = STORE_TEMPORARY;
	if (status == STORE_OK)
		status = row_fetch(box, store_sql(store, SQL_BOX_FIND, "t", slice_from(box->name)));
	if (status == STORE_OK)
		status = box_keywords_import(box);
	if (status == STORE_OK)
		status = box_save(box);
	if (status == STORE_OK)
		return store_commit(store);
	store_rollback(store);
	return status == STORE_NONE ? STORE_TEMPORARY : status;
}

enum store_status box_open(struct store *store, struct slice name, struct box *box)
{
	char folder[STORE_NAME_MAX + 1];
	enum store_status status;

	*box = (struct box){ .store = store, .dir = -1, .cur = -1, .fresh = -1, .forwarded = -1 };
	status = store_name_check(name, box->name, sizeof(box->name));
	if (status != STORE_OK)
		return status;
	if (!store_name_to_folder(box->name, folder, sizeof(folder)))
		return STORE_BAD_NAME;
	box->dir = os_openat(store->root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (box->dir >= 0)
		box->cur = os_openat(box->dir, "cur", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (box->cur >= 0)
		box->fresh = os_openat(box->dir, "new", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (box->fresh < 0) {
		status = errno == ENOENT || errno == ENOTDIR
				 ? STORE_NONE
				 : store_system_failed(store, box->name);
	} else {
		status = row_fetch(box, store_sql(store, SQL_BOX_FIND, "t", slice_from(box->name)));
		if (status == STORE_NONE)
			status = make_row(box);
	}
	if (status != STORE_OK)
		box_close(box);
	return status;
}

void box_close(struct box *box)
{
	os_close(&box->fresh);
	os_close(&box->cur);
	os_close(&box->dir);
	box_keywords_free(box);
}

enum store_status box_forget(struct store *store, int64_t id)
{
	static const enum statement RANGES[] = { SQL_MESSAGES_DELETE, SQL_STRUCTURES_DELETE,
		SQL_HEADERS_DELETE };
	int64_t first = (int64_t)((uint64_t)id << 32), last = first | UINT32_MAX;
	bool good = true;

	for (unsigned i = 0; i < sizeof(RANGES) / sizeof(RANGES[0]); i++)
		good = good && store_run(store, RANGES[i], "ii", first, last);
	good = good && store_run(store, SQL_EXPUNGED_PRUNE, "ii", id, INT64_MAX) &&
	       store_run(store, SQL_DOOMED_CLEAR, "i", id) &&
	       store_run(store, SQL_KEYWORDS_DELETE, "i", id) &&
	       store_run(store, SQL_BOX_DELETE, "i", id);
	return good ? STORE_OK : STORE_TEMPORARY;
}

/* --- changes --- */

enum store_status box_commit(struct box *box)
{
	enum store_status status = box_save(box);

	if (status == STORE_OK)
		return store_commit(box->store);
	store_rollback(box->store);
	return status;
}

enum store_status box_end(struct box *box, bool changed)
{
	return changed || box->unsaved ? box_commit(box) : store_commit(box->store);
}

void box_touch(struct box *box)
{
	struct stat info;

	if (!os_fstat(box->cur, &info)) {
		box->row.cur_mtime = 0; /* unknown: the next one scans */
		return;
	}
	box->row.cur_mtime = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
	box->row.cur_dirty = true;
}

void box_count(struct box *box, uint8_t flags, int64_t size, int sign)
{
	box->row.messages += (uint32_t)sign;
	box->row.size += sign * size;
	if (!(flags & FLAG_SEEN))
		box->row.unseen += (uint32_t)sign;
	if (flags & FLAG_DELETED)
		box->row.deleted += (uint32_t)sign;
}

enum store_status box_current(struct box *box, uint32_t uid, struct current *now)
{
	sqlite3_stmt *s = store_sql(box->store, SQL_MESSAGE_GET, "i", box_id(box, uid));
	int result = store_step(box->store, s);

	if (result <= 0)
		return result == 0 ? STORE_NONE : STORE_TEMPORARY;
	now->flags = (uint8_t)sqlite3_column_int(s, 0);
	now->keywords = (uint64_t)sqlite3_column_int64(s, 1);
	now->size = sqlite3_column_int64(s, 2);
	now->date = sqlite3_column_int64(s, 3);
	now->modseq = (uint64_t)sqlite3_column_int64(s, 4);
	if (!slice_to_string(store_column(s, 5), now->name, sizeof(now->name)))
		now->name[0] = '\0';
	sqlite3_reset(s);
	return STORE_OK;
}

enum store_status box_insert(struct box *box, uint32_t uid, uint8_t flags, uint64_t keywords,
	int64_t size, int64_t date, struct slice name)
{
	if (!store_run(box->store, SQL_MESSAGE_INSERT, "iiiiiit", box_id(box, uid), (int64_t)flags,
		    (int64_t)keywords, size, date, (int64_t)box->row.highest_modseq, name))
		return STORE_TEMPORARY;
	box_count(box, flags, size, 1);
	return STORE_OK;
}

enum store_status box_remove_row(struct box *box, uint32_t uid, uint8_t flags, int64_t size)
{
	if (!store_run(box->store, SQL_MESSAGE_DELETE, "i", box_id(box, uid)) ||
		!store_run(box->store, SQL_EXPUNGED_INSERT, "iii", box->row.id,
			(int64_t)box->row.highest_modseq, (int64_t)uid))
		return STORE_TEMPORARY;
	box_count(box, flags, size, -1);
	box->row.changed_modseq = box->row.highest_modseq;
	return STORE_OK;
}
