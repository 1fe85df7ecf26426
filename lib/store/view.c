// SPDX-License-Identifier: ISC
/*
 * The selected mailbox as one session sees it: entries in UID order whose numbers stay until the session says otherwise, merged
 * with what others did at each refresh.
 */
#include <stdlib.h>

#include "store/internal.h"

static bool entries_reserve(struct mailbox *mailbox, uint32_t more)
{
	uint32_t need = mailbox->count + more, capacity = mailbox->capacity;
	void *entries;

	if (need <= capacity)
		return true;
	capacity = need < 64 ? 64 : need + need / 4;
	entries = reallocarray(mailbox->entries, capacity, sizeof(struct message_entry));
	if (!entries)
		return false;
	mailbox->entries = entries;
	mailbox->capacity = capacity;
	return true;
}

static struct message_entry row_entry(sqlite3_stmt *s)
{
	return (struct message_entry){
		.uid = (uint32_t)sqlite3_column_int64(s, 0),
		.flags = (uint8_t)sqlite3_column_int(s, 1),
		.keywords = (uint64_t)sqlite3_column_int64(s, 2),
		.size = (uint32_t)sqlite3_column_int64(s, 3),
		.internal_date = sqlite3_column_int64(s, 4),
		.modseq = (uint64_t)sqlite3_column_int64(s, 5),
	};
}

/* Rows from UID `first` on go behind the entries; those the store has seen nobody open are recent. */
static bool load_new(struct mailbox *mailbox, uint32_t first)
{
	struct box *box = &mailbox->box;
	sqlite3_stmt *s = store_sql(
		mailbox->store, SQL_MESSAGES, "ii", box_id(box, first), box_id(box, UINT32_MAX));
	int result;

	while ((result = store_step(mailbox->store, s)) > 0) {
		struct message_entry *entry;

		if (!entries_reserve(mailbox, 1)) {
			sqlite3_reset(s);
			(void)store_failed(mailbox->store, "%s: out of memory", box->name);
			return false;
		}
		entry = &mailbox->entries[mailbox->count++];
		*entry = row_entry(s);
		entry->recent = entry->uid >= box->row.recent_uid;
	}
	return result == 0;
}

/* \Recent belongs to the first session that may write. The row is right again when this is lost. */
static void claim_recent(struct mailbox *mailbox)
{
	struct box *box = &mailbox->box;
	uint32_t mine = box->row.uid_next, claimed;

	if (mailbox->read_only || box->row.recent_uid >= mine)
		return;
	if (store_begin(mailbox->store, false) != STORE_OK)
		return;
	if (box_load(box) == STORE_OK) {
		claimed = box->row.recent_uid;
		/* Somebody was faster between our look and now: what is below is his. */
		for (uint32_t i = mailbox->count; i > 0; i--) {
			struct message_entry *entry = &mailbox->entries[i - 1];

			if (entry->recent && entry->uid < claimed &&
				entry->uid >= mailbox->uid_next)
				entry->recent = false;
		}
		if (mine > claimed)
			box->row.recent_uid = mine;
		(void)box_commit(box);
	} else {
		store_rollback(mailbox->store);
	}
}

/* The view holds what the row told; claiming may load a newer row. */
static void view_is_current(struct mailbox *mailbox)
{
	uint32_t uid_next = mailbox->box.row.uid_next;

	mailbox->modseq = mailbox->box.row.highest_modseq;
	claim_recent(mailbox);
	mailbox->uid_next = uid_next;
}

enum store_status mailbox_open(
	struct store *store, struct slice name, bool read_only, struct mailbox **result)
{
	struct mailbox *mailbox;
	enum store_status status;

	*result = NULL;
	/* A ghost could be read, but the first change would end it. */
	if (store_lost(store) || store_replaced(store))
		return STORE_TEMPORARY;
	mailbox = calloc(1, sizeof(*mailbox));
	if (!mailbox)
		return store_failed(store, "out of memory");
	mailbox->store = store;
	mailbox->read_only = read_only;
	status = box_open(store, name, &mailbox->box);
	if (status != STORE_OK) {
		free(mailbox);
		return status;
	}
	status = box_refresh(&mailbox->box, false);
	/* Row and rows of one moment. */
	if (status == STORE_OK && !store_run(store, SQL_BEGIN_READ, ""))
		status = STORE_TEMPORARY;
	if (status == STORE_OK)
		status = box_load(&mailbox->box);
	if (status == STORE_OK &&
		(!entries_reserve(mailbox, mailbox->box.row.messages) || !load_new(mailbox, 1)))
		status = STORE_TEMPORARY;
	if (!sqlite3_get_autocommit(store->db))
		(void)store_run(store, SQL_ROLLBACK, "");
	if (status != STORE_OK) {
		mailbox_close(&mailbox);
		return status;
	}
	view_is_current(mailbox);
	*result = mailbox;
	return STORE_OK;
}

void mailbox_close(struct mailbox **mailbox)
{
	if (!*mailbox)
		return;
	mailbox_plan_end(*mailbox);
	read_plan_free(&(*mailbox)->plan);
	box_close(&(*mailbox)->box);
	free((*mailbox)->entries);
	free(*mailbox);
	*mailbox = NULL;
}

void mailbox_counts(const struct mailbox *mailbox, struct mailbox_counts *counts)
{
	const struct box_row *row = &mailbox->box.row;

	*counts = (struct mailbox_counts){ .messages = mailbox->count,
		.uid_validity = row->uid_validity,
		.uid_next = row->uid_next,
		.highest_modseq = mailbox->modseq };
	for (uint32_t i = 0; i < mailbox->count; i++) {
		const struct message_entry *entry = &mailbox->entries[i];

		counts->recent += entry->recent;
		if (entry->expunged)
			continue;
		counts->unseen += !(entry->flags & FLAG_SEEN);
		counts->deleted += (entry->flags & FLAG_DELETED) != 0;
		counts->size += entry->size;
	}
}

const struct message_entry *mailbox_entries(const struct mailbox *mailbox, uint32_t *count)
{
	*count = mailbox->count;
	return mailbox->entries;
}

uint32_t mailbox_find_uid(const struct mailbox *mailbox, uint32_t uid)
{
	uint32_t low = 0, high = mailbox->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (mailbox->entries[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *const *mailbox_keywords(const struct mailbox *mailbox)
{
	return (const char *const *)mailbox->box.keywords;
}

enum store_status mailbox_keyword(
	struct mailbox *mailbox, struct slice name, bool create, unsigned *bit)
{
	struct box *box = &mailbox->box;
	enum store_status status = box_keyword(box, name, false, bit);

	if (status != STORE_NONE || !create || mailbox->read_only)
		return status;
	status = box_begin(box, true);
	if (status != STORE_OK)
		return status;
	status = box_keyword(box, name, true, bit);
	if (status == STORE_OK)
		return box_commit(box);
	store_rollback(mailbox->store);
	return status;
}

/* --- merging --- */

static bool merge_entry(struct mailbox *mailbox, const struct message_entry *row)
{
	uint32_t index = mailbox_find_uid(mailbox, row->uid);
	struct message_entry *entry = &mailbox->entries[index];

	if (index == mailbox->count || entry->uid != row->uid || entry->modseq >= row->modseq)
		return false;
	entry->flags = row->flags;
	entry->keywords = row->keywords;
	entry->modseq = row->modseq;
	entry->changed = true;
	return true;
}

static bool merge_changes(struct mailbox *mailbox, bool *news)
{
	struct box *box = &mailbox->box;
	sqlite3_stmt *s = store_sql(mailbox->store, SQL_MESSAGES_SINCE, "iii", box_id(box, 0),
		box_id(box, mailbox->uid_next - 1), (int64_t)mailbox->modseq);
	struct message_entry row;
	int result;

	while ((result = store_step(mailbox->store, s)) > 0) {
		row = row_entry(s);
		*news |= merge_entry(mailbox, &row);
	}
	return result == 0;
}

static void mark_expunged(struct mailbox *mailbox, uint32_t uid, bool *news)
{
	uint32_t index = mailbox_find_uid(mailbox, uid);

	if (index < mailbox->count && mailbox->entries[index].uid == uid &&
		!mailbox->entries[index].expunged) {
		mailbox->entries[index].expunged = true;
		*news = true;
	}
}

static bool merge_expunged(struct mailbox *mailbox, bool *news)
{
	struct box *box = &mailbox->box;
	sqlite3_stmt *s = store_sql(
		mailbox->store, SQL_EXPUNGED_SINCE, "ii", box->row.id, (int64_t)mailbox->modseq);
	int result;

	while ((result = store_step(mailbox->store, s)) > 0)
		mark_expunged(mailbox, (uint32_t)sqlite3_column_int64(s, 0), news);
	return result == 0;
}

/* Too long ago for the list of expunged messages: those that have no row are gone. */
static bool merge_missing(struct mailbox *mailbox, bool *news)
{
	struct box *box = &mailbox->box;
	sqlite3_stmt *s = store_sql(mailbox->store, SQL_MESSAGES, "ii", box_id(box, 0),
		box_id(box, mailbox->uid_next - 1));
	uint32_t at = 0, uid;
	int result;

	while ((result = store_step(mailbox->store, s)) > 0) {
		uid = (uint32_t)sqlite3_column_int64(s, 0);
		for (; at < mailbox->count && mailbox->entries[at].uid < uid; at++)
			mark_expunged(mailbox, mailbox->entries[at].uid, news);
		at += at < mailbox->count && mailbox->entries[at].uid == uid;
	}
	for (; result == 0 && at < mailbox->count; at++)
		mark_expunged(mailbox, mailbox->entries[at].uid, news);
	return result == 0;
}

static bool merge(struct mailbox *mailbox, bool *news)
{
	const struct box_row *row = &mailbox->box.row;
	uint32_t before = mailbox->count;

	if (row->changed_modseq > mailbox->modseq &&
		(!merge_changes(mailbox, news) ||
			!(row->vanished_floor > mailbox->modseq ? merge_missing(mailbox, news)
								: merge_expunged(mailbox, news))))
		return false;
	if (!load_new(mailbox, mailbox->uid_next))
		return false;
	*news |= mailbox->count != before;
	return true;
}

enum store_status mailbox_refresh(struct mailbox *mailbox, bool *news)
{
	struct store *store = mailbox->store;
	enum store_status status;

	*news = false;
	/* Who only reads would go on with a ghost for ever. */
	if (store_lost(store) || store_replaced(store))
		return STORE_TEMPORARY;
	status = box_refresh(&mailbox->box, false);
	if (status != STORE_OK || mailbox->box.row.highest_modseq == mailbox->modseq)
		return status;
	if (!store_run(store, SQL_BEGIN_READ, ""))
		return STORE_TEMPORARY;
	status = box_load(&mailbox->box);
	if (status == STORE_OK)
		status = box_keywords_load(&mailbox->box);
	if (status == STORE_OK && !merge(mailbox, news))
		status = STORE_TEMPORARY;
	(void)store_run(store, SQL_ROLLBACK, "");
	if (status != STORE_OK)
		return status;
	view_is_current(mailbox);
	read_plan_stale(mailbox);
	return STORE_OK;
}

void mailbox_forget_expunged(struct mailbox *mailbox,
	void (*each)(void *context, uint32_t number, uint32_t uid), void *context)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < mailbox->count; i++) {
		if (!mailbox->entries[i].expunged)
			mailbox->entries[kept++] = mailbox->entries[i];
		else if (each)
			each(context, kept + 1, mailbox->entries[i].uid);
	}
	mailbox->count = kept;
	read_plan_stale(mailbox);
}

void mailbox_clear_changed(struct mailbox *mailbox, uint32_t index)
{
	if (index < mailbox->count)
		mailbox->entries[index].changed = false;
}

enum store_status mailbox_vanished(struct mailbox *mailbox, uint64_t since, struct vector *uids)
{
	struct box *box = &mailbox->box;
	enum store_status status = box_load(box);
	sqlite3_stmt *s;
	int result;

	if (status != STORE_OK)
		return status;
	if (since < box->row.vanished_floor)
		return STORE_LIMIT;
	s = store_sql(mailbox->store, SQL_EXPUNGED_SINCE, "ii", box->row.id, (int64_t)since);
	while ((result = store_step(mailbox->store, s)) > 0) {
		uint32_t *uid = vector_add(uids);

		if (!uid) {
			sqlite3_reset(s);
			return STORE_LIMIT;
		}
		*uid = (uint32_t)sqlite3_column_int64(s, 0);
	}
	return result == 0 ? STORE_OK : STORE_TEMPORARY;
}
