// SPDX-License-Identifier: ISC
/* Bringing the index up to date: what became of messages that are known. See sync_impl.h. */
#include "store/sync_impl.h"

#include <errno.h>

/* One modseq for all that this sync finds. */
void scan_changed(struct scan *scan, bool addition)
{
	struct box_row *row = &scan->box->row;

	if (!scan->modseq)
		scan->modseq = ++row->highest_modseq;
	if (!addition)
		row->changed_modseq = scan->modseq;
}

/* Flags and keywords of a file's letters; letters that nobody explains are no keywords. */
uint8_t scan_letters(struct scan *scan, struct slice letters, uint64_t *keywords)
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
	uint8_t flags = scan_letters(scan, store_file_parse(name).letters, &keywords);

	if (box->forwarded >= 0)
		lettered |= 1ull << box->forwarded;
	keywords |= known->keywords & ~lettered;
	scan_changed(scan, false);
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
	uint8_t flags = scan_letters(scan, parsed.letters, &keywords);
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

bool scan_apply_known(struct scan *scan)
{
	struct box *box = scan->box;
	char name[STORE_FILE_NAME];
	struct stat info;

	for (uint32_t i = 0; i < scan->known.count; i++) {
		struct known *known = vector_at(&scan->known, i);
		const struct found *file = scan_file_at(scan, known->file);

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
		scan_changed(scan, false);
		if (box_remove_row(box, known->uid, known->flags, known->size) != STORE_OK)
			return false;
	}
	return true;
}

/* Expunged and acknowledged, but the crash came before the file was removed. */
bool scan_finish_expunge(struct scan *scan)
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
