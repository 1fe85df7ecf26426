// SPDX-License-Identifier: ISC
/*
 * UIDs that another server gave out: `dovecot-uidlist` (versions 1 and 3) and Courier's `courierimapuiddb`. When a mailbox is seen
 * for the first time, its files get their UIDs into their names; from there the ordinary taking over believes them. A crash in
 * between is harmless: the next one does it again.
 */
#include <errno.h>
#include <stdio.h>

#include "base/map.h"
#include "store/internal.h"

enum { IMPORT_MAX = 256 << 20 }; /* bytes of a list */

struct import {
	struct box *box;
	struct map uids; /* base to UID */
	int dir;
	bool failed;
};

static bool read_list(struct box *box, struct buffer *text)
{
	static const char *const NAMES[] = { "dovecot-uidlist", "courierimapuiddb" };
	struct stat info;
	char *room;
	ssize_t n;

	for (unsigned i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (!os_fstatat(box->dir, NAMES[i], &info, AT_SYMLINK_NOFOLLOW)) {
			if (errno != ENOENT)
				return false;
			continue;
		}
		if (!S_ISREG(info.st_mode) || info.st_size <= 0 || info.st_size > IMPORT_MAX)
			return true;
		text->limit = (size_t)info.st_size + 1;
		room = buffer_reserve(text, (size_t)info.st_size);
		n = room ? os_read_file(box->dir, NAMES[i], room, (size_t)info.st_size) : -1;
		text->length = n > 0 ? (size_t)n : 0;
		return n >= 0;
	}
	return true;
}

/* "3 V123 N45 G..." or "1 123 45". */
static bool parse_header(struct slice line, struct validity *validity)
{
	struct slice version, word;
	uint64_t value, validity_value = 0, next = 0;
	unsigned plain = 0;

	if (!slice_word(&line, " ", &version) ||
		!(slice_equal(version, SLICE("1")) || slice_equal(version, SLICE("3"))))
		return false;
	while (slice_word(&line, " ", &word)) {
		char key = ascii_digit(word.data[0]) ? "VN"[plain++ & 1] : word.data[0];

		if (!ascii_digit(word.data[0]))
			word = slice_tail(word, 1);
		if ((key != 'V' && key != 'N') || !slice_to_u64(word, STORE_UID_TRUSTED, &value))
			continue;
		if (key == 'V')
			validity_value = value;
		else
			next = value;
	}
	validity->uid_validity = (uint32_t)validity_value;
	validity->uid_floor = (uint32_t)next;
	return validity_value > 0;
}

/* "12 W34 :name" or "12 name". */
static bool parse_line(struct import *import, struct slice line)
{
	ptrdiff_t colon = slice_search(line, SLICE(" :"));
	struct slice number, name = line;
	uint64_t uid;

	if (!slice_word(&name, " ", &number) || !slice_to_u64(number, STORE_UID_TRUSTED, &uid) ||
		uid == 0)
		return true;
	name = colon >= 0 ? slice_tail(line, (size_t)colon + 2) : slice_tail(name, 1);
	name = store_file_parse(name).base;
	return name.length == 0 || map_put(&import->uids, name, (void *)(uintptr_t)uid);
}

static bool name_file(void *context, const char *name, unsigned char type)
{
	struct import *import = context;
	struct file_name file = store_file_parse(slice_from(name));
	uint32_t uid = (uint32_t)(uintptr_t)map_get(&import->uids, file.base);
	const char *info = strchr(name, ':');
	char full[STORE_FILE_NAME + 32];

	if (!uid || file.uid == uid || (type != DT_REG && type != DT_UNKNOWN))
		return true;
	/* Two U= fields: the last one counts. */
	snprintf(full, sizeof(full), "%.*s,U=%u%s", info ? (int)(info - name) : (int)strlen(name),
		name, uid, info ? info : ":2,");
	if (strlen(full) > NAME_MAX)
		return true;
	import->failed = !os_renameat(import->dir, name, import->box->cur, full) && errno != ENOENT;
	return !import->failed;
}

/* Renaming while reading a folder may show a file twice: it has its UID then. */
static bool name_files(struct import *import)
{
	import->dir = import->box->cur;
	if (!store_each_file(import->dir, name_file, import) || import->failed)
		return false;
	import->dir = import->box->fresh;
	return store_each_file(import->dir, name_file, import) && !import->failed;
}

enum store_status box_import_uids(struct box *box, struct validity *validity)
{
	struct import import = { .box = box };
	struct buffer text = { 0 };
	struct slice rest, line;
	bool good = read_list(box, &text);

	rest = buffer_slice(&text);
	if (good && slice_split(&rest, '\n', &line) && parse_header(line, validity)) {
		while (good && slice_split(&rest, '\n', &line))
			good = parse_line(&import, line);
		good = good && name_files(&import);
	}
	map_free(&import.uids);
	buffer_free(&text);
	if (good)
		return STORE_OK;
	*validity = (struct validity){ 0 };
	return store_system_failed(box->store, "UIDs of another server");
}
