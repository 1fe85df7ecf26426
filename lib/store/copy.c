// SPDX-License-Identifier: ISC
/*
 * COPY by hard links and MOVE by renames, all messages in one transaction. As with APPEND the files carry their new UIDs and the
 * target folder is synced, so nothing that was answered depends on the rows being on disk.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/internal.h"

struct copied {
	char *from, *to; /* file names */
	uint32_t index, uid;
};
struct copying {
	struct mailbox *mailbox;
	struct box *source, *target;
	struct box other; /* the target when it is not the selected mailbox */
	bool move, rescanned;
	struct vector done; /* of struct copied */
	struct arena names;
	int bits[STORE_KEYWORDS]; /* source bit to target bit, -1 unknown */
	uint64_t modseq;
	int64_t size; /* physical */
};

static enum store_status map_keywords(struct copying *c, uint64_t keywords, uint64_t *mapped)
{
	*mapped = 0;
	if (c->source == c->target) {
		*mapped = keywords;
		return STORE_OK;
	}
	for (unsigned bit = 0; bit < c->source->keyword_count; bit++) {
		enum store_status status;
		unsigned there;

		if (!(keywords >> bit & 1))
			continue;
		if (c->bits[bit] < 0) {
			status = box_keyword(
				c->target, slice_from(c->source->keywords[bit]), true, &there);
			if (status != STORE_OK)
				return status;
			c->bits[bit] = (int)there;
		}
		*mapped |= 1ull << c->bits[bit];
	}
	return STORE_OK;
}

static enum store_status carry_file(
	struct copying *c, uint32_t uid, struct current *now, const char *name)
{
	int from = c->source->cur, to = c->target->cur;
	enum store_status status;
	bool more;

	for (;;) {
		if (c->move ? os_renameat(from, now->name, to, name)
			    : os_linkat(from, now->name, to, name))
			return STORE_OK;
		if (errno != ENOENT)
			return store_system_failed(c->mailbox->store, now->name);
		if (c->rescanned)
			return STORE_NONE;
		c->rescanned = true;
		do
			status = box_sync(c->source, true, &more);
		while (status == STORE_OK && more);
		if (status == STORE_OK)
			status = box_current(c->source, uid, now);
		if (status != STORE_OK)
			return status;
	}
}

static enum store_status carry_one(struct copying *c, uint32_t index)
{
	struct store *store = c->mailbox->store;
	uint32_t uid = c->mailbox->entries[index].uid;
	char base[160], name[STORE_FILE_NAME], letters[40];
	struct file_name parsed;
	struct copied *done;
	struct current now;
	uint64_t keywords = 0;
	enum store_status status = box_current(c->source, uid, &now);
	uint32_t copy;

	if (status == STORE_OK)
		status = map_keywords(c, now.keywords, &keywords);
	if (status != STORE_OK)
		return status;
	parsed = store_file_parse(slice_from(now.name));
	copy = box_next_uid(c->target);
	done = vector_add(&c->done);
	if (!copy || !done)
		return STORE_TEMPORARY;
	store_letters_write(now.flags, keywords, c->target->forwarded, letters);
	store_file_base(base, sizeof(base), store->host, store->unique, store->serial++);
	if (!store_file_format(name, slice_from(base), slice_of(NULL, 0),
		    parsed.size < 0 ? now.size : parsed.size, now.size, copy, letters))
		return store_failed(store, "%s: name too long", base);
	status = carry_file(c, uid, &now, name);
	if (status != STORE_OK)
		return status;
	*done = (struct copied){ .from = arena_dup(&c->names, slice_from(now.name)),
		.to = arena_dup(&c->names, slice_from(name)),
		.index = index,
		.uid = copy };
	c->size += parsed.size < 0 ? now.size : parsed.size;
	if (!done->from || !done->to)
		return store_failed(store, "out of memory");
	status = box_insert(
		c->target, copy, now.flags, keywords, now.size, now.date, slice_from(name));
	if (status == STORE_OK && c->move)
		status = box_remove_row(c->source, uid, now.flags, now.size);
	return status;
}

static void undo(struct copying *c)
{
	for (size_t i = 0; i < c->done.count; i++) {
		const struct copied *done = vector_at(&c->done, i);

		if (!done->from || !done->to)
			continue;
		if (c->move)
			(void)!os_renameat(c->target->cur, done->to, c->source->cur, done->from);
		else
			(void)!os_unlinkat(c->target->cur, done->to, 0);
	}
}

static enum store_status carry_all(struct copying *c, const uint32_t *indexes, uint32_t count)
{
	enum store_status status = STORE_OK;

	c->target->row.highest_modseq++;
	if (c->move && c->source != c->target)
		c->source->row.highest_modseq++;
	c->modseq = c->source->row.highest_modseq;
	for (uint32_t i = 0; i < count && status == STORE_OK; i++) {
		if (indexes[i] < c->mailbox->count && !c->mailbox->entries[indexes[i]].expunged)
			status = carry_one(c, indexes[i]);
	}
	if (status == STORE_OK && !os_fsync(c->target->cur))
		status = store_system_failed(c->mailbox->store, c->target->name);
	if (status != STORE_OK)
		return status;
	box_touch(c->target);
	if (c->move || c->rescanned) {
		if (c->move && c->source != c->target)
			box_touch(c->source);
		status = box_save(c->source);
	}
	return status == STORE_OK ? box_save(c->target) : status;
}

/* Both mailboxes up to date, in one transaction. */
static enum store_status begin(struct copying *c, struct slice target)
{
	enum store_status status = box_open(c->mailbox->store, target, &c->other);

	if (status != STORE_OK)
		return status;
	c->target = c->other.row.id == c->source->row.id ? c->source : &c->other;
	status = box_begin(c->source, c->move);
	if (status != STORE_OK || c->target == c->source)
		return status;
	status = box_join(c->target);
	/* What the sync of the source found must not be lost. */
	if (status == STORE_OK)
		status = box_save(c->source);
	if (status != STORE_OK)
		store_rollback(c->mailbox->store);
	return status;
}

static enum store_status room_for(struct copying *c, const uint32_t *indexes, uint32_t count)
{
	struct store *store = c->mailbox->store;
	int64_t size = 0;

	if (c->move)
		return STORE_OK;
	for (uint32_t i = 0; i < count; i++)
		size += indexes[i] < c->mailbox->count ? c->mailbox->entries[indexes[i]].size : 0;
	return quota_check(store->root, store->quota, size);
}

static void tell(struct copying *c, uint32_t *uid_validity, struct vector *uids)
{
	*uid_validity = c->target->row.uid_validity;
	for (size_t i = 0; i < c->done.count; i++) {
		const struct copied *done = vector_at(&c->done, i);
		uint32_t *slot = uids ? vector_add(uids) : NULL;

		if (slot)
			*slot = done->uid;
		if (c->move) {
			c->mailbox->entries[done->index].expunged = true;
			c->mailbox->entries[done->index].modseq = c->modseq;
		}
	}
}

static enum store_status carry(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count,
	struct slice target, bool move, uint32_t *uid_validity, struct vector *uids)
{
	struct store *store = mailbox->store;
	struct copying c = { .mailbox = mailbox,
		.source = &mailbox->box,
		.move = move,
		.done = vector_of(sizeof(struct copied), 0) };
	enum store_status status = room_for(&c, indexes, count);
	uint64_t before;

	if (status != STORE_OK)
		return status;
	memset(c.bits, -1, sizeof(c.bits));
	arena_init(&c.names, SIZE_MAX / 4);
	status = begin(&c, target);
	before = mailbox->box.row.highest_modseq;
	if (status == STORE_OK) {
		status = carry_all(&c, indexes, count);
		if (status == STORE_OK)
			status = store_commit(store);
		else
			store_rollback(store);
		if (status != STORE_OK)
			undo(&c);
	}
	if (status == STORE_OK) {
		tell(&c, uid_validity, uids);
		if (!move)
			quota_add(store->root, store->quota, c.size, (int64_t)c.done.count);
		if (move && c.source != c.target && mailbox->modseq == before && !c.rescanned)
			mailbox->modseq = c.modseq;
	}
	read_plan_stale(mailbox);
	vector_free(&c.done);
	arena_free(&c.names);
	box_close(&c.other);
	return status;
}

enum store_status mailbox_copy(struct mailbox *mailbox, const uint32_t *indexes, uint32_t count,
	struct slice target, bool move, uint32_t *uid_validity, struct vector *uids)
{
	enum store_status status = carry(mailbox, indexes, count, target, move, uid_validity, uids);

	/* Into the trash is the way many clients delete. */
	if (store_want_room(mailbox->store, status))
		status = carry(mailbox, indexes, count, target, move, uid_validity, uids);
	return status;
}
