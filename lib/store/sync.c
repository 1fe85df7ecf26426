// SPDX-License-Identifier: ISC
/*
 * Bringing the index up to date with the Maildir: what was delivered into new/, and what other programs did in cur/. The rules
 * are in docs/store.md, "Taking over". Everything here happens in a transaction, that is, one process at a time for a user; only
 * programs that do not know our index can change the folders meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "store/internal.h"

/* A file that is there. */
struct found {
	struct slice name; /* in scan.names */
	struct slice base;
	uint32_t uid; /* U= of the name */
	bool in_new, matched;
};
/* A message we know. */
struct known {
	uint32_t uid;
	uint8_t flags;
	uint64_t keywords;
	int64_t size;
	struct slice name, base;
	uint32_t next; /* of the same base: index + 1 */
	uint32_t file; /* index + 1 of its file */
};
struct scan {
	struct box *box;
	struct arena names, known_names;
	struct vector files; /* of struct found */
	struct vector known; /* of struct known */
	struct map by_base; /* to index + 1 of the first known message */
	struct vector added; /* of uint32_t: indexes of files nobody knows */
	uint64_t modseq; /* of this sync's changes */
	int64_t cur_mtime, new_mtime;
	bool backwards; /* cur/ is older than we left it: a crash lost renames of ours */
	bool in_new, failed, foreign; /* while listing */
	bool whole; /* cur/ was read, too */
	bool left; /* the disk is full: files that could not be taken over stay for later */
	bool keywords_read; /* dovecot-keywords was looked at */
	unsigned taken;
	uint32_t serial;
};

static int64_t mtime_of(int fd)
{
	struct stat info;

	if (!os_fstat(fd, &info))
		return -1;
	return (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

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
	int64_t mtime = mtime_of(box->fresh);
	bool any = false;

	if (mtime != box->row.new_mtime)
		return true;
	/* new/ is nearly always empty; looking is cheaper than being wrong. */
	return box->row.new_dirty && (!store_each_file(box->fresh, stop_at_first, &any) || any);
}

static bool cur_is_stale(const struct box *box)
{
	int64_t mtime = mtime_of(box->cur);

	return mtime != box->row.cur_mtime || (box->row.cur_dirty && !is_young(mtime));
}

bool box_stale(const struct box *box)
{
	return new_is_stale(box) || cur_is_stale(box);
}

/* --- listing --- */

static bool list_file(void *context, const char *name, unsigned char type)
{
	struct scan *scan = context;
	struct found *file;
	struct file_name parsed;

	if (name[0] == '.' || (type != DT_REG && type != DT_UNKNOWN))
		return true;
	file = vector_add(&scan->files);
	if (file)
		file->name = arena_slice(&scan->names, slice_from(name));
	if (!file || !file->name.data) {
		scan->failed = true;
		return false;
	}
	parsed = store_file_parse(file->name);
	file->base = parsed.base;
	file->uid = parsed.uid;
	file->in_new = scan->in_new;
	/* A message of ours that somebody moved back, perhaps. */
	if (scan->in_new && parsed.uid)
		scan->foreign = true;
	return true;
}

static bool list_folder(struct scan *scan, int fd, bool in_new)
{
	scan->in_new = in_new;
	return store_each_file(fd, list_file, scan) && !scan->failed;
}

static bool load_known(struct scan *scan)
{
	struct box *box = scan->box;
	sqlite3_stmt *s = store_sql(
		box->store, SQL_MESSAGE_FILES, "ii", box_id(box, 0), box_id(box, UINT32_MAX));
	int result;

	while ((result = store_step(box->store, s)) > 0) {
		struct known *known = vector_add(&scan->known);

		if (!known)
			break;
		known->uid = (uint32_t)sqlite3_column_int64(s, 0);
		known->flags = (uint8_t)sqlite3_column_int(s, 1);
		known->keywords = (uint64_t)sqlite3_column_int64(s, 2);
		known->size = sqlite3_column_int64(s, 3);
		known->name = arena_slice(&scan->known_names, store_column(s, 4));
		known->base = store_file_parse(known->name).base;
		known->next = (uint32_t)(uintptr_t)map_get(&scan->by_base, known->base);
		if (!known->name.data ||
			!map_put(&scan->by_base, known->base, (void *)(uintptr_t)scan->known.count))
			break;
	}
	if (result == 0)
		return true;
	sqlite3_reset(s);
	if (result > 0)
		(void)store_failed(box->store, "%s: out of memory", box->store->folder);
	return false;
}

/* --- matching --- */

static struct known *known_at(const struct scan *scan, uint32_t number)
{
	return number ? vector_at(&scan->known, number - 1) : NULL;
}

static struct found *file_at(const struct scan *scan, uint32_t number)
{
	return number ? vector_at(&scan->files, number - 1) : NULL;
}

static struct known *first_of_base(const struct scan *scan, struct slice base)
{
	return known_at(scan, (uint32_t)(uintptr_t)map_get(&scan->by_base, base));
}

static void match_names(struct scan *scan)
{
	for (uint32_t i = 0; i < scan->files.count; i++) {
		struct found *file = vector_at(&scan->files, i);
		struct known *known = file->in_new ? NULL : first_of_base(scan, file->base);

		for (; known; known = known_at(scan, known->next)) {
			if (!known->file && slice_equal(known->name, file->name)) {
				known->file = i + 1;
				file->matched = true;
				break;
			}
		}
	}
}

/* Files of another name but the same base were renamed; of several candidates the one with the name's UID is meant. */
static void match_bases(struct scan *scan)
{
	for (uint32_t i = 0; i < scan->files.count; i++) {
		struct found *file = vector_at(&scan->files, i);
		struct known *best = NULL;

		if (file->matched)
			continue;
		for (struct known *k = first_of_base(scan, file->base); k;
			k = known_at(scan, k->next)) {
			if (!k->file && (!best || k->uid == file->uid))
				best = k;
		}
		if (best) {
			best->file = i + 1;
			file->matched = true;
		}
	}
}

static void match_reset(struct scan *scan)
{
	arena_reset(&scan->names);
	vector_clear(&scan->files);
	for (uint32_t i = 0; i < scan->known.count; i++)
		((struct known *)vector_at(&scan->known, i))->file = 0;
}

static uint32_t missing_count(const struct scan *scan)
{
	uint32_t missing = 0;

	for (uint32_t i = 0; i < scan->known.count; i++)
		missing += ((struct known *)vector_at(&scan->known, i))->file == 0;
	return missing;
}

/*
 * A file that is renamed while the folder is read may show up twice or not at all, so a listing during which the folder changed
 * does not prove that a message is gone.
 */
static bool list_and_match(struct scan *scan)
{
	struct box *box = scan->box;

	for (unsigned try = 0; try < STORE_SCAN_TRIES; try++) {
		match_reset(scan);
		scan->cur_mtime = mtime_of(box->cur);
		scan->new_mtime = mtime_of(box->fresh);
		if (!list_folder(scan, box->cur, false) || !list_folder(scan, box->fresh, true)) {
			(void)store_system_failed(box->store, box->name);
			return false;
		}
		match_names(scan);
		match_bases(scan);
		if (missing_count(scan) == 0 || mtime_of(box->cur) == scan->cur_mtime)
			break;
	}
	return true;
}

/* --- applying --- */

/* One modseq for all that this sync finds. */
static void changed(struct scan *scan, bool addition)
{
	struct box_row *row = &scan->box->row;

	if (!scan->modseq)
		scan->modseq = ++row->highest_modseq;
	if (!addition)
		row->changed_modseq = scan->modseq;
}

/* Flags and keywords of a file's letters; letters that nobody explains are no keywords. */
static uint8_t read_letters(struct scan *scan, struct slice letters, uint64_t *keywords)
{
	struct box *box = scan->box;
	uint8_t flags = store_letters_flags(letters, box->forwarded, keywords);

	if (*keywords >> box->keyword_count && !scan->keywords_read) {
		scan->keywords_read = true;
		(void)box_keywords_import(box);
		flags = store_letters_flags(letters, box->forwarded, keywords);
	}
	*keywords &= (1ull << box->keyword_count) - 1;
	return flags;
}

/* The file's letters are the truth about flags, but for keywords that have no letter. */
static bool adopt_flags(struct scan *scan, struct known *known, struct slice name)
{
	struct box *box = scan->box;
	uint64_t keywords, lettered = (1ull << STORE_LETTERS) - 1;
	uint8_t flags = read_letters(scan, store_file_parse(name).letters, &keywords);

	if (box->forwarded >= 0)
		lettered |= 1ull << box->forwarded;
	keywords |= known->keywords & ~lettered;
	changed(scan, false);
	box_count(box, known->flags, known->size, -1);
	box_count(box, flags, known->size, 1);
	return store_run(box->store, SQL_MESSAGE_FLAGS, "iiiit", box_id(box, known->uid),
		(int64_t)flags, (int64_t)keywords, (int64_t)scan->modseq, name);
}

/* A known message under another name, or in new/. */
static bool adopt_rename(struct scan *scan, struct known *known, const struct found *file)
{
	struct box *box = scan->box;
	char name[STORE_FILE_NAME], letters[40], from[STORE_FILE_NAME];
	struct file_name parsed = store_file_parse(file->name),
			 ours = store_file_parse(known->name);
	uint64_t keywords;
	uint8_t flags = read_letters(scan, parsed.letters, &keywords);
	bool plain = !file->in_new && parsed.uid == known->uid && !scan->backwards;

	if (plain)
		return adopt_flags(scan, known, file->name);
	/* Ours again: in cur/, with sizes and UID, and after a crash with the flags that were acknowledged. */
	if (scan->backwards) {
		flags = known->flags;
		keywords = known->keywords;
	}
	store_letters_write(flags, keywords, box->forwarded, letters);
	if (!store_file_reletter(name, known->name, letters) || ours.uid != known->uid ||
		!slice_to_string(file->name, from, sizeof(from)))
		return adopt_flags(scan, known, file->name);
	if (os_renameat(file->in_new ? box->fresh : box->cur, from, box->cur, name))
		return adopt_flags(scan, known, slice_from(name));
	if (errno == ENOENT)
		return true; /* moved again: the next scan will tell */
	(void)store_system_failed(box->store, from);
	return false;
}

static bool apply_known(struct scan *scan)
{
	struct box *box = scan->box;
	char name[STORE_FILE_NAME];
	struct stat info;

	for (uint32_t i = 0; i < scan->known.count; i++) {
		struct known *known = vector_at(&scan->known, i);
		const struct found *file = file_at(scan, known->file);

		if (file && !file->in_new && slice_equal(file->name, known->name))
			continue;
		if (file) {
			if (!adopt_rename(scan, known, file))
				return false;
			continue;
		}
		if (!slice_to_string(known->name, name, sizeof(name)))
			name[0] = '\0';
		if (name[0] && os_fstatat(box->cur, name, &info, AT_SYMLINK_NOFOLLOW))
			continue;
		if (name[0] && errno != ENOENT) {
			(void)store_system_failed(box->store, name);
			return false;
		}
		changed(scan, false);
		if (box_remove_row(box, known->uid, known->flags, known->size) != STORE_OK)
			return false;
	}
	return true;
}

/* --- taking over --- */

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

	if (!first_of_base(scan, parsed->base) && parsed->base.length > 0 &&
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
	flags = read_letters(scan, parsed.letters, &keywords);
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
	changed(scan, true);
	return box_insert(box, uid, flags, keywords, parsed.virtual_size, date, slice_from(name)) ==
	       STORE_OK;
}

/* Expunged and acknowledged, but the crash came before the file was removed. */
static bool finish_expunge(struct scan *scan)
{
	struct box *box = scan->box;
	sqlite3_stmt *s = store_sql(box->store, SQL_DOOMED_LIST, "i", box->row.id);
	char name[STORE_FILE_NAME];
	bool any = false;
	int result;

	while ((result = store_step(box->store, s)) > 0) {
		any = true;
		if (slice_to_string(store_column(s, 0), name, sizeof(name)))
			(void)!os_unlinkat(box->cur, name, 0);
	}
	return result == 0 && (!any || store_run(box->store, SQL_DOOMED_CLEAR, "i", box->row.id));
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

static bool take_over_all(struct scan *scan, bool index_is_new, bool *more)
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
		scan->cur_mtime = mtime_of(scan->box->cur);
		scan->new_mtime = mtime_of(scan->box->fresh);
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
	if (!finish_expunge(scan) || !load_known(scan) || !list_and_match(scan))
		return false;
	index_is_new = scan->known.count == 0 && scan->box->row.highest_modseq <= 1;
	return apply_known(scan) && take_over_all(scan, index_is_new, more);
}

/* Nothing but new mail: cur/ need not be read. */
static bool sync_new(struct scan *scan, bool *more)
{
	struct box *box = scan->box;

	scan->cur_mtime = box->row.cur_mtime;
	scan->new_mtime = mtime_of(box->fresh);
	if (!list_folder(scan, box->fresh, true)) {
		(void)store_system_failed(box->store, box->name);
		return false;
	}
	if (scan->foreign)
		return sync_whole(scan, more);
	return take_over_all(scan, false, more);
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
	scan.backwards = mtime_of(box->cur) < box->row.cur_mtime;
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
