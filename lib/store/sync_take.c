// SPDX-License-Identifier: ISC
/* Bringing the index up to date: taking over messages that nobody knows yet. See sync_impl.h; the rules are in docs/store.md. */
#include "store/sync_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* --- in which order, and by which UID --- */

static int64_t name_time(struct slice base, int64_t *micros)
{
	struct slice seconds, rest = base;
	uint64_t value = 0;
	size_t digits = 0;

	*micros = 0;
	if (!slice_split(&rest, '.', &seconds) || !slice_to_u64(seconds, INT64_MAX, &value))
		return 0;
	if (rest.length && rest.data[0] == 'M') {
		while (digits + 1 < rest.length && ascii_digit(rest.data[digits + 1]) && digits < 6)
			*micros = *micros * 10 + (rest.data[++digits] - '0');
	}
	return (int64_t)value;
}

/* Messages that bring a UID of their own first, by it; the others in the order of their delivery. */
static int order_added(const void *a, const void *b, void *context)
{
	const struct scan *scan = context;
	const struct found *x = vector_at(&scan->files, *(const uint32_t *)a);
	const struct found *y = vector_at(&scan->files, *(const uint32_t *)b);
	int64_t x_micros, y_micros, x_time, y_time;

	if (x->uid != y->uid && (x->uid || y->uid))
		return !x->uid ? 1 : !y->uid ? -1 : x->uid < y->uid ? -1 : 1;
	x_time = name_time(x->base, &x_micros);
	y_time = name_time(y->base, &y_micros);
	if (x_time != y_time)
		return x_time < y_time ? -1 : 1;
	if (x_micros != y_micros)
		return x_micros < y_micros ? -1 : 1;
	return slice_compare(x->name, y->name);
}

/*
 * A UID that a file name tells is believed when nobody can have seen it on another message: it is not below what we have given out.
 */
static bool may_keep_uid(const struct scan *scan, const struct found *file, bool index_is_new)
{
	const struct box_row *row = &scan->box->row;

	if (!file->uid || file->in_new)
		return false;
	/* An index made anew: everything below the floor that is still there is what it was. */
	if (index_is_new)
		return file->uid <= STORE_UID_TRUSTED;
	return file->uid >= row->uid_next && file->uid - row->uid_next < STORE_UID_JUMP &&
	       file->uid <= STORE_UID_TRUSTED;
}

static struct found *added_at(const struct scan *scan, uint32_t i)
{
	return vector_at(&scan->files, *(uint32_t *)vector_at(&scan->added, i));
}

static void sort_added(struct scan *scan)
{
	bool twice = false;

	if (scan->added.count < 2)
		return;
	qsort_r(scan->added.items, scan->added.count, sizeof(uint32_t), order_added, scan);
	for (uint32_t i = (uint32_t)scan->added.count - 1; i > 0; i--) {
		struct found *file = added_at(scan, i);

		if (file->uid && file->uid == added_at(scan, i - 1)->uid) {
			file->uid =
				0; /* a copy made by somebody: one of the two is another message */
			twice = true;
		}
	}
	if (twice)
		qsort_r(scan->added.items, scan->added.count, sizeof(uint32_t), order_added, scan);
}

/* A row that lags behind its messages would give out UIDs twice, and no new mail could ever be taken over. */
static bool mend_row(struct box *box)
{
	sqlite3_stmt *s = store_sql(
		box->store, SQL_MESSAGE_LAST, "ii", box_id(box, 0), box_id(box, UINT32_MAX));
	struct box_row *row = &box->row;
	int64_t last;

	if (store_step(box->store, s) <= 0)
		return false;
	last = sqlite3_column_int64(s, 0) - box_id(box, 0);
	sqlite3_reset(s);
	if (last < (int64_t)row->uid_next)
		return true;
	row->uid_next = (uint32_t)last + 1;
	s = store_sql(box->store, SQL_MESSAGE_SUMS, "ii", box_id(box, 0), box_id(box, UINT32_MAX));
	if (store_step(box->store, s) <= 0)
		return false;
	row->messages = (uint32_t)sqlite3_column_int64(s, 0);
	row->unseen = (uint32_t)sqlite3_column_int64(s, 1);
	row->deleted = (uint32_t)sqlite3_column_int64(s, 2);
	row->size = sqlite3_column_int64(s, 3);
	sqlite3_reset(s);
	return true;
}

/* --- one message --- */

static bool measure(struct scan *scan, int dir, const char *from, struct file_name *parsed,
	int64_t *date, bool *gone)
{
	struct stat info;
	int fd;

	*gone = false;
	if (!os_fstatat(dir, from, &info, AT_SYMLINK_NOFOLLOW)) {
		*gone = errno == ENOENT;
		return *gone;
	}
	*gone = !S_ISREG(info.st_mode) || info.st_size > STORE_MAX_MESSAGE / 2;
	*date = info.st_mtim.tv_sec;
	if (*gone || (parsed->size == info.st_size && parsed->virtual_size >= parsed->size &&
			     parsed->virtual_size <= 2 * parsed->size))
		return true;
	fd = os_openat(dir, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0) {
		*gone = errno == ENOENT || errno == EACCES || errno == ELOOP;
		return *gone;
	}
	if (!store_file_sizes(fd, &parsed->size, &parsed->virtual_size)) {
		os_close(&fd);
		return false;
	}
	os_close(&fd);
	return true;
}

/* The name it gets; a base that another message has, or that leaves no room, is replaced. */
static bool choose_name(struct scan *scan, const struct found *file, const struct file_name *parsed,
	uint32_t uid, const char *letters, char *name)
{
	struct store *store = scan->box->store;
	char base[160];

	if (!scan_first_of_base(scan, parsed->base) && parsed->base.length > 0 &&
		store_file_format(name, parsed->base, parsed->extra, parsed->size,
			parsed->virtual_size, uid, letters))
		return true;
	store_file_base(base, sizeof(base), store->host, store->unique, store->serial++);
	return store_file_format(name, slice_from(base), slice_of(NULL, 0), parsed->size,
		parsed->virtual_size, uid, letters);
}

static bool take_over(struct scan *scan, const struct found *file)
{
	struct box *box = scan->box;
	struct file_name parsed = store_file_parse(file->name);
	char from[STORE_FILE_NAME], name[STORE_FILE_NAME], letters[40];
	int dir = file->in_new ? box->fresh : box->cur;
	uint32_t uid = file->uid, before = box->row.uid_next;
	uint64_t keywords;
	uint8_t flags;
	int64_t date;
	bool gone;

	if (!slice_to_string(file->name, from, sizeof(from)))
		return true;
	if (!measure(scan, dir, from, &parsed, &date, &gone)) {
		(void)store_system_failed(box->store, from);
		return false;
	}
	if (gone)
		return true;
	if (uid > box->row.uid_next)
		box->row.uid_next = uid;
	if (uid == 0 || uid == box->row.uid_next)
		uid = box_next_uid(box);
	flags = scan_letters(scan, parsed.letters, &keywords);
	store_letters_write(flags, keywords, box->forwarded, letters);
	if (uid == 0 || !choose_name(scan, file, &parsed, uid, letters, name)) {
		box->row.uid_next = before;
		return false;
	}
	if (strcmp(from, name) != 0 && !os_renameat(dir, from, box->cur, name)) {
		box->row.uid_next = before;
		if (errno == ENOENT)
			return true;
		(void)store_system_failed(box->store, from);
		return false;
	}
	scan_changed(scan, true);
	return box_insert(box, uid, flags, keywords, parsed.virtual_size, date, slice_from(name)) ==
	       STORE_OK;
}

/* --- all of them --- */

bool scan_take_over(struct scan *scan, bool index_is_new, bool *more)
{
	for (uint32_t i = 0; i < scan->files.count; i++) {
		struct found *file = vector_at(&scan->files, i);
		uint32_t *index = file->matched ? NULL : vector_add(&scan->added);

		if (!file->matched && !index)
			return false;
		if (!index)
			continue;
		*index = i;
		if (!may_keep_uid(scan, file, index_is_new))
			file->uid = 0;
	}
	if (scan->added.count && !mend_row(scan->box))
		return false;
	sort_added(scan);
	for (uint32_t i = 0; i < scan->added.count; i++) {
		const struct found *file = added_at(scan, i);

		/* With a new index all those that keep their UID go in one transaction, or the rest would come too late. */
		if (scan->taken >= STORE_TAKE_CHUNK && !file->uid) {
			*more = true;
			return true;
		}
		if (!take_over(scan, file)) {
			/* What has a UID already can be read, and be removed to make room. */
			scan->left = scan->box->store->full && !store_has_reserve(scan->box->store);
			return scan->left;
		}
		scan->taken++;
	}
	return true;
}
