// SPDX-License-Identifier: ISC
/*
 * Looking a whole store through: does the database read well, do rows and files agree, do the counters? What is wrong is put right;
 * what cannot be is told. Also throws away what crashes left behind.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/internal.h"

enum {
	TEMPORARY_AGE_S = 36 * 3600
}; /* a file in tmp/ that old belongs to nobody (the Maildir convention) */

struct checking {
	struct store *store;
	void (*tell)(void *context, const char *text);
	void *context;
	struct store_check_result *result;
};

static void fault(struct checking *c, const char *format, ...) PRINTF_LIKE(2, 3);
static void fault(struct checking *c, const char *format, ...)
{
	char text[500];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	c->result->faults++;
	c->tell(c->context, text);
}

/* --- leftovers --- */

struct leftovers {
	struct checking *c;
	int fd;
};

static bool remove_old(void *context, const char *name, unsigned char type)
{
	struct leftovers *l = context;
	struct stat info;

	if (type == DT_DIR || !os_fstatat(l->fd, name, &info, AT_SYMLINK_NOFOLLOW) ||
		!S_ISREG(info.st_mode) ||
		os_now() / 1000000 - info.st_mtim.tv_sec < TEMPORARY_AGE_S ||
		os_now() / 1000000 - info.st_ctim.tv_sec < TEMPORARY_AGE_S)
		return true;
	if (os_unlinkat(l->fd, name, 0))
		l->c->result->leftovers++;
	return true;
}

static void clean_temporary(struct checking *c, const struct box *box)
{
	struct leftovers l = { c,
		os_openat(box->dir, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) };

	if (l.fd >= 0)
		(void)!store_each_file(l.fd, remove_old, &l);
	os_close(&l.fd);
}

static bool remove_trashed(void *context, const char *name, unsigned char type)
{
	struct leftovers *l = context;

	if (strncmp(name, STORE_TRASHED_PREFIX, sizeof(STORE_TRASHED_PREFIX) - 1) == 0) {
		store_remove_tree(l->fd, name);
		l->c->result->leftovers++;
	}
	return true;
}

/* --- one mailbox --- */

/* Counters against the rows they count. */
static enum store_status check_counters(struct checking *c, struct box *box)
{
	enum store_status status = box_begin(box, true);
	struct box_row sum;
	sqlite3_stmt *s;

	if (status != STORE_OK)
		return status;
	s = store_sql(c->store, SQL_MESSAGE_SUMS, "ii", box_id(box, 0), box_id(box, UINT32_MAX));
	if (store_step(c->store, s) <= 0) {
		store_rollback(c->store);
		return STORE_TEMPORARY;
	}
	sum = box->row;
	sum.messages = (uint32_t)sqlite3_column_int64(s, 0);
	sum.unseen = (uint32_t)sqlite3_column_int64(s, 1);
	sum.deleted = (uint32_t)sqlite3_column_int64(s, 2);
	sum.size = sqlite3_column_int64(s, 3);
	sqlite3_reset(s);
	if (sum.messages != box->row.messages || sum.unseen != box->row.unseen ||
		sum.deleted != box->row.deleted || sum.size != box->row.size)
		fault(c, "%s: counters were wrong (messages %u, are %u), corrected", box->name,
			box->row.messages, sum.messages);
	box->row = sum;
	return box_commit(box);
}

static enum store_status check_box(struct checking *c, struct slice name)
{
	struct box box;
	enum store_status status = box_open(c->store, name, &box);
	struct box_row before;

	if (status != STORE_OK)
		return status;
	status = box_refresh(&box, false);
	before = box.row;
	if (status == STORE_OK)
		status = box_refresh(&box, true);
	if (status == STORE_OK && box.row.highest_modseq != before.highest_modseq)
		fault(c, "%s: index and files differed, brought up to date", box.name);
	if (status == STORE_OK)
		status = check_counters(c, &box);
	if (status == STORE_OK)
		clean_temporary(c, &box);
	c->result->mailboxes++;
	c->result->messages += box.row.messages;
	box_close(&box);
	return status;
}

static bool database_is_sound(struct checking *c)
{
	sqlite3_stmt *s = store_sql(c->store, SQL_CHECK, "");
	bool sound = store_step(c->store, s) > 0 && slice_equal(store_column(s, 0), SLICE("ok"));

	if (s)
		sqlite3_reset(s);
	return sound;
}

static enum store_status check_all(struct checking *c)
{
	struct vector infos = vector_of(sizeof(struct mailbox_info), 0);
	struct leftovers l = { c, c->store->root };
	struct arena arena;
	enum store_status status, first = STORE_OK;

	arena_init(&arena, 64 << 20);
	(void)!store_each_file(l.fd, remove_trashed, &l);
	first = store_list(c->store, &arena, &infos);
	for (size_t i = 0; i < infos.count && first == STORE_OK; i++) {
		const struct mailbox_info *info = vector_at(&infos, i);

		status = info->exists ? check_box(c, info->name) : STORE_OK;
		/* Deleted meanwhile is no fault. */
		if (status != STORE_OK && status != STORE_NONE)
			first = status;
	}
	vector_free(&infos);
	arena_free(&arena);
	return first;
}

enum store_status store_check(const char *folder, void (*tell)(void *context, const char *text),
	void *context, struct store_check_result *result)
{
	struct checking c = { .tell = tell, .context = context, .result = result };
	enum store_status status;

	*result = (struct store_check_result){ 0 };
	status = store_open(folder, false, 0, &c.store);
	if (status != STORE_OK)
		return status;
	if (store_error(c.store)[0])
		fault(&c, "%s", store_error(c.store));
	if (!database_is_sound(&c)) {
		c.store->damaged = true; /* set aside when it is closed */
		store_close(&c.store);
		fault(&c, "the database was damaged: set aside, index made anew");
		status = store_open(folder, false, 0, &c.store);
		if (status != STORE_OK)
			return status;
	}
	status = check_all(&c);
	if (status != STORE_OK)
		fault(&c, "%s", store_error(c.store));
	store_close(&c.store);
	return status;
}
