// SPDX-License-Identifier: ISC
/*
 * Bringing the index up to date with the Maildir: what was delivered into new/, and what other programs did in cur/. The rules
 * are in docs/store.md, "Taking over". Everything here happens in a transaction, that is, one process at a time for a user; only
 * programs that do not know our index can change the folders meanwhile.
 */
#include "store/sync_impl.h"

/* --- is there anything new? --- */

static bool is_young(int64_t mtime)
{
	return os_now() - mtime / 1000 < STORE_DIRTY_US;
}

static bool stop_at_first(void *context, const char *name, unsigned char type)
{
	*(bool *)context = true;
	return false;
}

static bool new_is_stale(const struct box *box)
{
	int64_t mtime = sync_mtime(box->fresh);
	bool any = false;

	if (mtime != box->row.new_mtime)
		return true;
	/* new/ is nearly always empty; looking is cheaper than being wrong. */
	return box->row.new_dirty && (!store_each_file(box->fresh, stop_at_first, &any) || any);
}

static bool cur_is_stale(const struct box *box)
{
	int64_t mtime = sync_mtime(box->cur);

	return mtime != box->row.cur_mtime || (box->row.cur_dirty && !is_young(mtime));
}

bool box_stale(const struct box *box)
{
	return new_is_stale(box) || cur_is_stale(box);
}

/* --- one sync --- */

static void prune_expunged(struct box *box)
{
	sqlite3_stmt *s = store_sql(
		box->store, SQL_EXPUNGED_BOUND, "ii", box->row.id, (int64_t)STORE_VANISHED_MAX);
	int64_t floor;

	if (store_step(box->store, s) <= 0)
		return;
	floor = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	if (store_run(box->store, SQL_EXPUNGED_PRUNE, "ii", box->row.id, floor))
		box->row.vanished_floor = (uint64_t)floor;
}

static void remember_mtimes(struct scan *scan, bool more)
{
	struct box_row *row = &scan->box->row;

	/* What we renamed ourselves changed them; a foreign change in between is found when the dirt is looked through. */
	if (scan->modseq || scan->taken) {
		scan->cur_mtime = sync_mtime(scan->box->cur);
		scan->new_mtime = sync_mtime(scan->box->fresh);
	}
	more = more || scan->left;
	row->cur_mtime = more ? 0 : scan->cur_mtime;
	row->new_mtime = more ? 0 : scan->new_mtime;
	row->cur_dirty = is_young(scan->cur_mtime) || (row->cur_dirty && !scan->whole);
	row->new_dirty = is_young(scan->new_mtime);
}

static void scan_free(struct scan *scan)
{
	arena_free(&scan->names);
	arena_free(&scan->known_names);
	vector_free(&scan->files);
	vector_free(&scan->known);
	vector_free(&scan->added);
	map_free(&scan->by_base);
}

static bool sync_whole(struct scan *scan, bool *more)
{
	bool index_is_new;

	scan->whole = true;
	if (!scan_finish_expunge(scan) || !scan_load_known(scan) || !scan_match(scan))
		return false;
	index_is_new = scan->known.count == 0 && scan->box->row.highest_modseq <= 1;
	return scan_apply_known(scan) && scan_take_over(scan, index_is_new, more);
}

/* Nothing but new mail: cur/ need not be read. */
static bool sync_new(struct scan *scan, bool *more)
{
	struct box *box = scan->box;

	scan->cur_mtime = box->row.cur_mtime;
	scan->new_mtime = sync_mtime(box->fresh);
	if (!scan_folder(scan, box->fresh, true)) {
		(void)store_system_failed(box->store, box->name);
		return false;
	}
	if (scan->foreign)
		return sync_whole(scan, more);
	return scan_take_over(scan, false, more);
}

enum store_status box_sync(struct box *box, bool force, bool *more)
{
	struct scan scan = { .box = box,
		.files = vector_of(sizeof(struct found), STORE_MAX_MESSAGES),
		.known = vector_of(sizeof(struct known), STORE_MAX_MESSAGES),
		.added = vector_of(sizeof(uint32_t), STORE_MAX_MESSAGES) };
	bool good;

	*more = false;
	arena_init(&scan.names, SIZE_MAX / 4);
	arena_init(&scan.known_names, SIZE_MAX / 4);
	scan.backwards = sync_mtime(box->cur) < box->row.cur_mtime;
	if (force || cur_is_stale(box))
		good = sync_whole(&scan, more);
	else
		good = sync_new(&scan, more);
	if (good) {
		remember_mtimes(&scan, *more);
		prune_expunged(box);
		box->unsaved = box->unsaved || scan.modseq || scan.taken;
	}
	scan_free(&scan);
	return good ? STORE_OK : STORE_TEMPORARY;
}

/* --- transactions of syncs --- */

static enum store_status follow(struct box *box, bool force)
{
	enum store_status status = box_load(box);
	bool more = true;

	if (status != STORE_OK || (!force && !box_stale(box)))
		return status == STORE_OK ? box_keywords_load(box) : status;
	while (more) {
		status = store_begin(box->store, true);
		if (status != STORE_OK)
			return status;
		more = false;
		status = box_load(box);
		if (status == STORE_OK)
			status = box_keywords_load(box);
		if (status == STORE_OK && (force || box_stale(box)))
			status = box_sync(box, force, &more);
		if (status != STORE_OK) {
			store_rollback(box->store);
			return status;
		}
		status = box_commit(box);
		if (status != STORE_OK)
			return status;
		force = force && more;
	}
	return STORE_OK;
}

enum store_status box_refresh(struct box *box, bool force)
{
	enum store_status status = follow(box, force);

	if (store_want_room(box->store, status))
		status = follow(box, force);
	if (status != STORE_TEMPORARY || !box->store->full || force)
		return status;
	status = box_load(box);
	return status == STORE_OK ? box_keywords_load(box) : status;
}
