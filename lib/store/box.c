// SPDX-License-Identifier: ISC
/*
 * One mailbox as the other chapters handle it: its open folder and its row. Every change to a mailbox stands between box_begin,
 * which takes the write lock and brings the row up to date with the folder, and box_commit.
 */
#include <errno.h>
#include <stdio.h>
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

/* --- keywords --- */

static void keywords_free(struct box *box)
{
	for (unsigned i = 0; i < STORE_KEYWORDS; i++) {
		free(box->keywords[i]);
		box->keywords[i] = NULL;
	}
	box->keyword_count = 0;
	box->forwarded = -1;
}

static bool keyword_is_good(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7f)
			return false;
	}
	return name.length > 0 && name.length <= STORE_KEYWORD_MAX;
}

enum store_status box_keywords_load(struct box *box)
{
	sqlite3_stmt *statement;
	int result;

	if (box->keyword_count == box->row.keyword_count)
		return STORE_OK;
	keywords_free(box);
	statement = store_sql(box->store, SQL_KEYWORDS, "i", box->row.id);
	while ((result = store_step(box->store, statement)) > 0) {
		int bit = sqlite3_column_int(statement, 0);
		struct slice name = store_column(statement, 1);

		if (bit != (int)box->keyword_count || bit >= STORE_KEYWORDS)
			continue;
		box->keywords[bit] = slice_dup(name);
		if (!box->keywords[bit]) {
			sqlite3_reset(statement);
			return store_failed(box->store, "out of memory");
		}
		if (slice_equal_nocase(name, SLICE("$Forwarded")))
			box->forwarded = bit;
		box->keyword_count++;
	}
	return result == 0 ? STORE_OK : STORE_TEMPORARY;
}

/* The letters' meaning, for other readers and for a rebuild: one "NUMBER NAME" a line, as Dovecot has it. */
static bool keywords_write(struct box *box)
{
	struct buffer text = buffer_limited(STORE_LETTERS * (STORE_KEYWORD_MAX + 8));
	bool good = true;

	for (unsigned i = 0; i < box->keyword_count && i < STORE_LETTERS; i++)
		good = good && buffer_printf(&text, "%u %s\n", i, box->keywords[i]);
	good = good && store_replace_file(box->dir, "dovecot-keywords", buffer_slice(&text), true);
	buffer_free(&text);
	if (!good)
		(void)store_system_failed(box->store, "dovecot-keywords");
	return good;
}

static enum store_status keyword_add(struct box *box, struct slice name)
{
	unsigned bit = box->keyword_count;

	if (bit >= STORE_KEYWORDS)
		return STORE_LIMIT;
	if (!store_run(box->store, SQL_KEYWORD_INSERT, "iit", box->row.id, (int64_t)bit, name))
		return STORE_TEMPORARY;
	box->keywords[bit] = slice_dup(name);
	if (!box->keywords[bit])
		return store_failed(box->store, "out of memory");
	if (slice_equal_nocase(name, SLICE("$Forwarded")))
		box->forwarded = (int)bit;
	box->row.keyword_count = ++box->keyword_count;
	return STORE_OK;
}

/* One line of dovecot-keywords; numbers that were left out get a name, so that the letters behind them keep their meaning. */
static enum store_status keyword_import(struct box *box, struct slice line)
{
	struct slice number;
	char filler[32];
	uint64_t bit;
	enum store_status status = STORE_OK;

	if (!slice_split(&line, ' ', &number) || !slice_to_u64(number, STORE_LETTERS - 1, &bit) ||
		bit < box->keyword_count || !keyword_is_good(line))
		return STORE_OK;
	while (status == STORE_OK && box->keyword_count < bit) {
		snprintf(filler, sizeof(filler), "keyword-%u", box->keyword_count);
		status = keyword_add(box, slice_from(filler));
	}
	return status == STORE_OK ? keyword_add(box, line) : status;
}

enum store_status box_keywords_import(struct box *box)
{
	char text[STORE_LETTERS * (STORE_KEYWORD_MAX + 8)];
	ssize_t n = os_read_file(box->dir, "dovecot-keywords", text, sizeof(text));
	struct slice rest = slice_of(text, n > 0 ? (size_t)n : 0), line;
	enum store_status status = STORE_OK;

	if (n < 0 && errno != ENOENT && errno != EMSGSIZE)
		return store_system_failed(box->store, "dovecot-keywords");
	while (status == STORE_OK && slice_split(&rest, '\n', &line))
		status = keyword_import(box, line);
	return status;
}

/* `create` only inside of a transaction that saves the row. */
enum store_status box_keyword(struct box *box, struct slice name, bool create, unsigned *bit)
{
	enum store_status status;

	for (unsigned i = 0; i < box->keyword_count; i++) {
		if (slice_equal_nocase(slice_from(box->keywords[i]), name)) {
			*bit = i;
			return STORE_OK;
		}
	}
	if (!create)
		return STORE_NONE;
	if (!keyword_is_good(name))
		return STORE_LIMIT;
	/* A letter that somebody else has just taken must not get two meanings. */
	status = box_keywords_import(box);
	for (unsigned i = 0; status == STORE_OK && i < box->keyword_count; i++) {
		*bit = i;
		if (slice_equal_nocase(slice_from(box->keywords[i]), name))
			return STORE_OK;
	}
	*bit = box->keyword_count;
	if (status == STORE_OK)
		status = keyword_add(box, name);
	if (status == STORE_OK && *bit < STORE_LETTERS && !keywords_write(box))
		status = STORE_TEMPORARY;
	if (status != STORE_OK)
		keywords_free(box); /* loaded again when next needed */
	return status;
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
	keywords_free(box);
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

enum store_status box_begin(struct box *box, bool durable)
{
	enum store_status status;
	bool more = true;

	while (more) {
		status = store_begin(box->store, durable);
		if (status != STORE_OK)
			return status;
		status = box_load(box);
		if (status == STORE_OK)
			status = box_keywords_load(box);
		more = false;
		if (status == STORE_OK && box_stale(box))
			status = box_sync(box, false, &more);
		if (status == STORE_OK && more)
			status = box_commit(box);
		if (status != STORE_OK) {
			store_rollback(box->store);
			return status;
		}
	}
	return STORE_OK;
}

enum store_status box_join(struct box *box)
{
	enum store_status status = box_load(box);
	bool more = true;

	if (status == STORE_OK)
		status = box_keywords_load(box);
	while (status == STORE_OK && more && box_stale(box))
		status = box_sync(box, false, &more);
	return status;
}

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
