// SPDX-License-Identifier: ISC
/* Bringing the index up to date: the files that are there, and which of them are known. See sync_impl.h. */
#include "store/sync_impl.h"

/* --- listing --- */

int64_t sync_mtime(int fd)
{
	struct stat info;

	if (!os_fstat(fd, &info))
		return -1;
	return (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

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

bool scan_folder(struct scan *scan, int fd, bool in_new)
{
	scan->in_new = in_new;
	return store_each_file(fd, list_file, scan) && !scan->failed;
}

bool scan_load_known(struct scan *scan)
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

struct found *scan_file_at(const struct scan *scan, uint32_t number)
{
	return number ? vector_at(&scan->files, number - 1) : NULL;
}

struct known *scan_first_of_base(const struct scan *scan, struct slice base)
{
	return known_at(scan, (uint32_t)(uintptr_t)map_get(&scan->by_base, base));
}

static void match_names(struct scan *scan)
{
	for (uint32_t i = 0; i < scan->files.count; i++) {
		struct found *file = vector_at(&scan->files, i);
		struct known *known = file->in_new ? NULL : scan_first_of_base(scan, file->base);

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
		for (struct known *k = scan_first_of_base(scan, file->base); k;
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
bool scan_match(struct scan *scan)
{
	struct box *box = scan->box;

	for (unsigned try = 0; try < STORE_SCAN_TRIES; try++) {
		match_reset(scan);
		scan->cur_mtime = sync_mtime(box->cur);
		scan->new_mtime = sync_mtime(box->fresh);
		if (!scan_folder(scan, box->cur, false) || !scan_folder(scan, box->fresh, true)) {
			(void)store_system_failed(box->store, box->name);
			return false;
		}
		match_names(scan);
		match_bases(scan);
		if (missing_count(scan) == 0 || sync_mtime(box->cur) == scan->cur_mtime)
			break;
	}
	return true;
}
