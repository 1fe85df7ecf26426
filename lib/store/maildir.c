// SPDX-License-Identifier: ISC
/*
 * Maildir on disk: file names and what they tell, sizes, folders made so that they last, small files replaced as a whole. Knows
 * nothing of the index.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail/crlf.h"
#include "store/internal.h"

/* --- file names --- */

static int64_t field_number(struct slice field, int64_t most)
{
	uint64_t value;

	return slice_to_u64(slice_tail(field, 2), (uint64_t)most, &value) ? (int64_t)value : -1;
}

/* One field behind the base, "S=123"; false when it is not ours. */
static bool take_field(struct file_name *file, struct slice field)
{
	int64_t value;

	if (field.length < 3 || field.data[1] != '=' || !strchr("SWU", field.data[0]) ||
		field.data[0] == '\0')
		return false;
	value = field_number(field, field.data[0] == 'U' ? UINT32_MAX : STORE_MAX_MESSAGE);
	if (field.data[0] == 'S')
		file->size = value;
	else if (field.data[0] == 'W')
		file->virtual_size = value;
	else
		file->uid = value > 0 ? (uint32_t)value : 0;
	return true;
}

struct file_name store_file_parse(struct slice name)
{
	struct file_name file = { .size = -1, .virtual_size = -1 };
	ptrdiff_t info = slice_search(name, SLICE(":2,"));
	struct slice rest, field;

	if (info >= 0)
		file.letters = slice_tail(name, (size_t)info + 3);
	else
		info = slice_find(name, ':');
	rest = info >= 0 ? slice_head(name, (size_t)info) : name;
	if (!slice_split(&rest, ',', &file.base))
		return file;
	while (slice_split(&rest, ',', &field)) {
		if (take_field(&file, field))
			continue;
		/* Foreign fields are kept only in one piece: from the first to the last of a run. */
		if (file.extra.length == 0)
			file.extra = slice_of(field.data - 1, field.length + 1);
		else if (file.extra.data + file.extra.length + 1 == field.data)
			file.extra.length += field.length + 1;
	}
	return file;
}

static const struct {
	char letter;
	uint8_t flag;
} LETTERS[] = { { 'D', FLAG_DRAFT }, { 'F', FLAG_FLAGGED }, { 'P', 0 }, { 'R', FLAG_ANSWERED },
	{ 'S', FLAG_SEEN }, { 'T', FLAG_DELETED } };
enum { LETTER_COUNT = sizeof(LETTERS) / sizeof(LETTERS[0]) };

uint8_t store_letters_flags(struct slice letters, int forwarded, uint64_t *keywords)
{
	uint8_t flags = 0;

	*keywords = 0;
	for (size_t i = 0; i < letters.length; i++) {
		char c = letters.data[i];

		if (c >= 'a' && c <= 'z')
			*keywords |= 1ull << (c - 'a');
		if (c == 'P' && forwarded >= 0)
			*keywords |= 1ull << forwarded;
		for (unsigned k = 0; k < LETTER_COUNT; k++)
			flags |= c == LETTERS[k].letter ? LETTERS[k].flag : 0;
	}
	return flags;
}

void store_letters_write(uint8_t flags, uint64_t keywords, int forwarded, char *letters)
{
	for (unsigned k = 0; k < LETTER_COUNT; k++) {
		if ((flags & LETTERS[k].flag) ||
			(LETTERS[k].letter == 'P' && forwarded >= 0 && (keywords >> forwarded & 1)))
			*letters++ = LETTERS[k].letter;
	}
	for (int bit = 0; bit < STORE_LETTERS; bit++) {
		if ((keywords >> bit & 1) && bit != forwarded)
			*letters++ = (char)('a' + bit);
	}
	*letters = '\0';
}

static char *put(char *at, const char *end, struct slice s)
{
	if (!at || s.length >= (size_t)(end - at))
		return NULL;
	if (s.length)
		memcpy(at, s.data, s.length);
	at[s.length] = '\0';
	return at + s.length;
}

static char *put_field(char *at, const char *end, const char *key, uint64_t value)
{
	char digits[24];
	char *first = digits + sizeof(digits);
	size_t length;

	do
		*--first = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	length = (size_t)(digits + sizeof(digits) - first);
	at = put(at, end, slice_of(key, 3));
	return put(at, end, slice_of(first, length));
}

bool store_file_format(char *name, struct slice base, struct slice extra, int64_t size,
	int64_t virtual_size, uint32_t uid, const char *letters)
{
	const char *end = name + NAME_MAX + 1;
	char *at = put(name, end, base);

	at = put(at, end, extra);
	at = put_field(at, end, ",S=", (uint64_t)size);
	at = put_field(at, end, ",W=", (uint64_t)virtual_size);
	if (uid)
		at = put_field(at, end, ",U=", uid);
	if (letters) {
		at = put(at, end, SLICE(":2,"));
		at = put(at, end, slice_from(letters));
	}
	return at != NULL;
}

bool store_file_reletter(char *name, struct slice old, const char *letters)
{
	const char *end = name + NAME_MAX + 1;
	ptrdiff_t info = slice_find(old, ':');
	char *at = put(name, end, info >= 0 ? slice_head(old, (size_t)info) : old);

	at = put(at, end, SLICE(":2,"));
	return put(at, end, slice_from(letters)) != NULL;
}

void store_file_base(char *base, size_t size, const char *host, uint64_t unique, uint32_t serial)
{
	int64_t now = os_now();

	snprintf(base, size, "%lld.M%06lldP%ld_%u_%016llx.%s", (long long)(now / 1000000),
		(long long)(now % 1000000), (long)getpid(), serial, (unsigned long long)unique,
		host);
}

void store_host_name(char *host, size_t size)
{
	char name[HOST_NAME_MAX + 1] = "";
	size_t used = 0;

	if (gethostname(name, sizeof(name) - 1) != 0 || !name[0])
		snprintf(name, sizeof(name), "localhost");
	for (; name[used] && used + 1 < size; used++) {
		char c = name[used];

		host[used] = (char)(ascii_alnum(c) || c == '-' || (c == '.' && used) ? c : '_');
	}
	host[used] = '\0';
}

/* --- sizes --- */

bool store_file_sizes(int fd, int64_t *size, int64_t *virtual_size)
{
	struct crlf_state state = { 0 };
	char chunk[32768];
	ssize_t n;

	while ((n = os_pread(fd, chunk, sizeof(chunk), (int64_t)state.bytes)) > 0)
		crlf_count_next(&state, slice_of(chunk, (size_t)n));
	*size = (int64_t)state.bytes;
	*virtual_size = (int64_t)crlf_state_size(&state);
	return n == 0;
}

/* --- folders --- */

bool store_sync_dir(int dir, const char *path)
{
	int fd = os_openat(dir, path, O_RDONLY | O_DIRECTORY, 0);
	bool good = fd >= 0 && os_fsync(fd);

	os_close(&fd);
	return good;
}

/* One level; its parent is synced even if it was there: whoever made it may not have got that far. */
static bool make_level(int dir, const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!os_mkdirat(dir, path, 0700) && errno != EEXIST)
		return false;
	if (!slash)
		return store_sync_dir(dir, ".");
	if (!slice_to_string(slice_of(path, (size_t)(slash - path)), parent, sizeof(parent)))
		return false;
	return store_sync_dir(dir, parent[0] ? parent : "/");
}

bool store_make_maildir(int dir, const char *path)
{
	static const char *const FOLDERS[] = { "tmp", "new", "cur" };
	char step[PATH_MAX];
	struct stat info;

	for (const char *p = path; *p; p++) {
		if (*p != '/' || p == path)
			continue;
		if (!slice_to_string(slice_of(path, (size_t)(p - path)), step, sizeof(step)))
			return false;
		if (!os_fstatat(dir, step, &info, 0) && (errno != ENOENT || !make_level(dir, step)))
			return false;
	}
	if (strcmp(path, ".") != 0 && !make_level(dir, path))
		return false;
	for (unsigned i = 0; i < sizeof(FOLDERS) / sizeof(FOLDERS[0]); i++) {
		if (snprintf(step, sizeof(step), "%s/%s", path, FOLDERS[i]) >= (int)sizeof(step)) {
			errno = ENAMETOOLONG;
			return false;
		}
		if (!os_mkdirat(dir, step, 0700) && errno != EEXIST)
			return false;
	}
	return store_sync_dir(dir, path);
}

bool store_replace_file(int dir, const char *path, struct slice content, bool durable)
{
	char temporary[NAME_MAX];
	uint64_t unique;
	bool good;
	int fd;

	os_random(&unique, sizeof(unique));
	snprintf(temporary, sizeof(temporary), "%.200s.%016llx", path, (unsigned long long)unique);
	fd = os_openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	good = os_write_all(fd, content.data, content.length) && (!durable || os_fsync(fd));
	os_close(&fd);
	good = good && os_renameat(dir, temporary, dir, path);
	if (!good) {
		int error = errno;

		(void)!os_unlinkat(dir, temporary, 0);
		errno = error;
	}
	return good && (!durable || store_sync_dir(dir, "."));
}

bool store_each_file(
	int fd, bool (*each)(void *context, const char *name, unsigned char type), void *context)
{
	_Alignas(struct dirent64) char entries[32768];
	ssize_t n;

	if (!os_rewind_folder(fd))
		return false;
	while ((n = os_read_folder(fd, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			struct dirent64 *entry = (struct dirent64 *)(entries + at);

			at += entry->d_reclen;
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			if (!each(context, entry->d_name, entry->d_type))
				return true;
		}
	}
	return n == 0;
}

struct removal {
	int dir;
	unsigned depth;
};
enum { REMOVAL_DEPTH = 3 };

static void remove_below(int dir, const char *path, unsigned depth);

static bool remove_entry(void *context, const char *name, unsigned char type)
{
	const struct removal *removal = context;

	if (type != DT_DIR)
		(void)!os_unlinkat(removal->dir, name, 0);
	else if (removal->depth < REMOVAL_DEPTH)
		remove_below(removal->dir, name, removal->depth + 1);
	return true;
}

static void remove_below(int dir, const char *path, unsigned depth)
{
	struct removal removal = { os_openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0),
		depth };

	if (removal.dir >= 0)
		(void)!store_each_file(removal.dir, remove_entry, &removal);
	os_close(&removal.dir);
	(void)!os_unlinkat(dir, path, AT_REMOVEDIR);
}

void store_remove_tree(int dir, const char *path)
{
	remove_below(dir, path, 0);
}

/* --- postern-uidvalidity: "uidvalidity=N uidnext=N [last=N] [special=\Sent]" --- */

bool store_validity_read(int dir, struct validity *validity)
{
	char text[256];
	ssize_t n = os_read_file(dir, STORE_VALIDITY_FILE, text, sizeof(text));
	struct slice rest = slice_of(text, n > 0 ? (size_t)n : 0), word, key;
	uint64_t value;

	*validity = (struct validity){ 0 };
	if (n < 0)
		return errno == ENOENT;
	while (slice_word(&rest, " \n", &word)) {
		if (!slice_split(&word, '=', &key))
			continue;
		if (slice_equal(key, SLICE("special"))) {
			if (!slice_to_string(
				    word, validity->special_use, sizeof(validity->special_use)))
				validity->special_use[0] = '\0';
		} else if (!slice_to_u64(word, UINT32_MAX, &value)) {
			continue;
		} else if (slice_equal(key, SLICE("uidvalidity"))) {
			validity->uid_validity = (uint32_t)value;
		} else if (slice_equal(key, SLICE("uidnext"))) {
			validity->uid_floor = (uint32_t)value;
		} else if (slice_equal(key, SLICE("last"))) {
			validity->last = (uint32_t)value;
		}
	}
	return true;
}

bool store_validity_write(int dir, const struct validity *validity)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "uidvalidity=%u uidnext=%u", validity->uid_validity,
		validity->uid_floor);

	if (validity->last)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " last=%u", validity->last);
	if (validity->special_use[0])
		n += snprintf(
			text + n, sizeof(text) - (size_t)n, " special=%s", validity->special_use);
	text[n++] = '\n';
	return store_replace_file(dir, STORE_VALIDITY_FILE, slice_of(text, (size_t)n), true);
}
