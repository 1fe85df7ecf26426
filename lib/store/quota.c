// SPDX-License-Identifier: ISC
/*
 * Usage of a user's whole store, kept in the file maildirsize as Courier and Dovecot do: the limit on the first line, then one
 * "BYTES COUNT" line for each change, added with O_APPEND and summed up by the reader. It is a cache: when it is missing, too
 * long, or tells "full" and is old, the folders are counted again.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "store/internal.h"

#define QUOTA_FILE "maildirsize"
enum {
	QUOTA_FILE_MAX = 5120, /* Courier's bound: a longer one is counted anew */
	QUOTA_TRUST_S = 15 * 60, /* a count that says "full" is believed so long */
};

struct usage {
	int64_t size, count;
};

struct counting {
	int fd;
	struct usage *usage;
};

static bool count_file(void *context, const char *name, unsigned char type)
{
	struct counting *counting = context;
	struct file_name file = store_file_parse(slice_from(name));
	struct stat info;

	if (name[0] == '.' || type == DT_DIR)
		return true;
	if (file.size < 0) {
		if (!os_fstatat(counting->fd, name, &info, AT_SYMLINK_NOFOLLOW))
			return true;
		file.size = info.st_size;
	}
	counting->usage->size += file.size;
	counting->usage->count++;
	return true;
}

static bool count_folder(int dir, const char *path, struct usage *usage)
{
	struct counting counting = { os_openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0),
		usage };
	bool good;

	if (counting.fd < 0)
		return errno == ENOENT || errno == ENOTDIR;
	good = store_each_file(counting.fd, count_file, &counting);
	os_close(&counting.fd);
	return good;
}

static bool count_maildir(int root, const char *folder, struct usage *usage)
{
	char path[STORE_FILE_NAME + 8];

	snprintf(path, sizeof(path), "%s/cur", folder);
	if (!count_folder(root, path, usage))
		return false;
	snprintf(path, sizeof(path), "%s/new", folder);
	return count_folder(root, path, usage);
}

struct counting_all {
	int root;
	struct usage *usage;
	bool failed;
};

static bool count_entry(void *context, const char *name, unsigned char type)
{
	struct counting_all *all = context;

	if (name[0] != '.' || name[1] == '.' || (type != DT_DIR && type != DT_UNKNOWN))
		return true;
	all->failed = !count_maildir(all->root, name, all->usage);
	return !all->failed;
}

static bool count_all(int root, int64_t quota, struct usage *usage)
{
	struct counting_all all = { .root = root, .usage = usage };
	int fd = os_openat(root, ".", O_RDONLY | O_DIRECTORY, 0);
	char text[128];
	int n;
	bool good = fd >= 0;

	*usage = (struct usage){ 0 };
	good = good && count_maildir(root, ".", usage) && store_each_file(fd, count_entry, &all) &&
	       !all.failed;
	os_close(&fd);
	if (!good)
		return false;
	n = snprintf(text, sizeof(text), "%lldS\n%lld %lld\n", (long long)quota,
		(long long)usage->size, (long long)usage->count);
	/* Only a cache: not being able to write it is no reason to refuse mail. */
	(void)!store_replace_file(root, QUOTA_FILE, slice_of(text, (size_t)n), false);
	return true;
}

static bool limit_matches(struct slice line, int64_t quota)
{
	struct slice part;
	uint64_t value;

	while (slice_split(&line, ',', &part)) {
		if (part.length > 1 && part.data[part.length - 1] == 'S' &&
			slice_to_u64(slice_head(part, part.length - 1), INT64_MAX, &value))
			return (int64_t)value == quota;
	}
	return false;
}

/* False when it must be counted anew. */
static bool read_file(int root, int64_t quota, struct usage *usage)
{
	char text[QUOTA_FILE_MAX];
	ssize_t n = os_read_file(root, QUOTA_FILE, text, sizeof(text));
	struct slice rest = slice_of(text, n > 0 ? (size_t)n : 0), line, bytes, count;
	int64_t value;

	*usage = (struct usage){ 0 };
	if (n <= 0 || !slice_split(&rest, '\n', &line) || !limit_matches(line, quota))
		return false;
	while (slice_split(&rest, '\n', &line)) {
		if (!slice_word(&line, " ", &bytes))
			continue;
		if (!slice_word(&line, " ", &count) || !slice_to_i64(bytes, &value))
			return false;
		usage->size += value;
		if (!slice_to_i64(count, &value))
			return false;
		usage->count += value;
	}
	return usage->size >= 0 && usage->count >= 0;
}

enum store_status quota_check(int root, int64_t quota, int64_t size)
{
	struct usage usage;
	struct stat info;

	if (quota <= 0)
		return STORE_OK;
	if (read_file(root, quota, &usage)) {
		if (usage.size + size <= quota)
			return STORE_OK;
		if (os_fstatat(root, QUOTA_FILE, &info, 0) &&
			os_now() / 1000000 - info.st_mtim.tv_sec < QUOTA_TRUST_S)
			return STORE_OVER_QUOTA;
	}
	if (!count_all(root, quota, &usage))
		return STORE_TEMPORARY;
	return usage.size + size <= quota ? STORE_OK : STORE_OVER_QUOTA;
}

void quota_add(int root, int64_t quota, int64_t size, int64_t count)
{
	char text[64];
	int fd, n;

	if (quota <= 0)
		return;
	fd = os_openat(root, QUOTA_FILE, O_WRONLY | O_APPEND | O_NOFOLLOW, 0);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%lld %lld\n", (long long)size, (long long)count);
	/* A count that is wrong by one message is put right when the file is next counted. */
	(void)!os_write_all(fd, text, (size_t)n);
	os_close(&fd);
}
