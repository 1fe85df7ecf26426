// SPDX-License-Identifier: ISC
/* The queue's folders, ids, and moving files between folders. See queue.h. */
#include "queue/format.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "os/os.h"

/* Digits and letters without I L O U, in ASCII order: ids sort as their times do. */
static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
enum {
	TIME_DIGITS = 11,
	RANDOM_DIGITS = QUEUE_ID_LENGTH - TIME_DIGITS,
	SHARE_DIGIT = TIME_DIGITS - 5 /* changes every 2^20 microseconds */
};

static const char *const FOLDERS[QUEUE_NAMES] = { "incoming", "active", "deferred", "hold",
	"corrupt" };

const char *queue_folder_name(enum queue_name name)
{
	return (unsigned)name < QUEUE_NAMES ? FOLDERS[name] : "?";
}

static bool open_folder(struct queue *queue, int base, enum queue_name name, bool create)
{
	if (create && !os_mkdirat(base, FOLDERS[name], 0700) && errno != EEXIST)
		return false;
	queue->folder[name] =
		os_openat(base, FOLDERS[name], O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return queue->folder[name] >= 0;
}

/* As many as there are, without a gap. */
static void open_shares(struct queue *queue, bool create)
{
	int incoming = queue->folder[QUEUE_INCOMING];
	char name[8];

	queue->share_count = 0;
	for (unsigned i = 0; i < QUEUE_SHARES; i++) {
		snprintf(name, sizeof(name), "%x", i);
		if (create && !os_mkdirat(incoming, name, 0700) && errno != EEXIST)
			return;
		queue->share[i] = os_openat(incoming, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (queue->share[i] < 0)
			return;
		queue->share_count++;
	}
}

int queue_folder(const struct queue *queue, enum queue_name name, const char *id)
{
	const char *digit;

	if (name != QUEUE_INCOMING || !queue->share_count || strlen(id) != QUEUE_ID_LENGTH)
		return queue->folder[name];
	digit = strchr(ALPHABET, id[SHARE_DIGIT]);
	return digit ? queue->share[(unsigned)(digit - ALPHABET) % queue->share_count]
		     : queue->folder[name];
}

int queue_open_file(const struct queue *queue, enum queue_name name, const char *id, int flags)
{
	return os_openat(queue_folder(queue, name, id), id, flags | O_NOFOLLOW | O_NONBLOCK, 0);
}

bool queue_remove(const struct queue *queue, enum queue_name name, const char *id)
{
	return os_unlinkat(queue_folder(queue, name, id), id, 0);
}

bool queue_open(struct queue *queue, const char *path, bool create, char *error, size_t error_size)
{
	int base;

	for (unsigned i = 0; i < QUEUE_NAMES; i++)
		queue->folder[i] = -1;
	queue->share_count = 0;
	if (create && !os_mkdirat(AT_FDCWD, path, 0700) && errno != EEXIST) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return false;
	}
	base = os_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (base < 0) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return false;
	}
	for (unsigned i = 0; i < QUEUE_NAMES; i++) {
		if (!open_folder(queue, base, (enum queue_name)i, create)) {
			snprintf(error, error_size, "%s/%s: %s", path, FOLDERS[i], strerror(errno));
			os_close(&base);
			queue_close(queue);
			return false;
		}
	}
	os_close(&base);
	open_shares(queue, create);
	return true;
}

static int again(int folder)
{
	return os_openat(folder, ".", O_RDONLY | O_DIRECTORY, 0);
}

bool queue_open_again(struct queue *copy, const struct queue *queue)
{
	bool good = true;
	int error;

	copy->share_count = 0;
	for (unsigned i = 0; i < QUEUE_NAMES; i++)
		copy->folder[i] = -1;
	for (unsigned i = 0; i < QUEUE_NAMES && good; i++)
		good = (copy->folder[i] = again(queue->folder[i])) >= 0;
	for (unsigned i = 0; i < queue->share_count && good; i++) {
		good = (copy->share[i] = again(queue->share[i])) >= 0;
		copy->share_count += good;
	}
	error = errno;
	if (!good)
		queue_close(copy);
	errno = error;
	return good;
}

void queue_close(struct queue *queue)
{
	for (unsigned i = 0; i < QUEUE_NAMES; i++) {
		if (queue->folder[i] >= 0)
			os_close(&queue->folder[i]);
	}
	while (queue->share_count > 0)
		os_close(&queue->share[--queue->share_count]);
}

static void write_digits(char *at, unsigned count, uint64_t value)
{
	for (unsigned i = count; i-- > 0; value >>= 5)
		at[i] = ALPHABET[value & 31];
}

void queue_id_new(char id[QUEUE_ID_SIZE])
{
	static _Atomic int64_t last;
	int64_t now = os_now(), before = atomic_load(&last);
	uint32_t chance;

	/* The clock may stand still or go back: then one more than the id before. */
	do {
		if (now <= before)
			now = before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, now));
	os_random(&chance, sizeof(chance));
	write_digits(id, TIME_DIGITS, (uint64_t)now);
	write_digits(id + TIME_DIGITS, RANDOM_DIGITS, chance);
	id[QUEUE_ID_LENGTH] = '\0';
}

bool queue_id_valid(struct slice id)
{
	if (id.length != QUEUE_ID_LENGTH)
		return false;
	for (size_t i = 0; i < id.length; i++) {
		if (!id.data[i] || !strchr(ALPHABET, id.data[i]))
			return false;
	}
	return true;
}

bool queue_move(struct queue *queue, const char *id, enum queue_name from, enum queue_name to)
{
	return os_renameat(queue_folder(queue, from, id), id, queue_folder(queue, to, id), id);
}

/* A file that cleanup is still writing. */
static bool is_unfinished(struct slice name)
{
	return name.length == QUEUE_ID_LENGTH + 4 &&
	       queue_id_valid(slice_head(name, QUEUE_ID_LENGTH)) &&
	       slice_equal(slice_tail(name, QUEUE_ID_LENGTH), SLICE(".tmp"));
}

static DIR *open_listing(int at)
{
	int fd = os_openat(at, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *folder;

	if (fd < 0)
		return NULL;
	folder = fdopendir(fd);
	if (!folder)
		os_close(&fd);
	return folder;
}

bool queue_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool queue_has_writer(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static unsigned remove_unfinished_in(int at)
{
	DIR *folder = open_listing(at);
	struct dirent *entry;
	unsigned removed = 0;

	if (!folder)
		return 0;
	while ((entry = readdir(folder))) {
		int fd;

		if (!is_unfinished(slice_from(entry->d_name)))
			continue;
		fd = os_openat(at, entry->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
		if (fd < 0)
			continue;
		/* Its writer holds the lock as long as it lives. */
		if (queue_lock(fd) && os_unlinkat(at, entry->d_name, 0))
			removed++;
		os_close(&fd);
	}
	closedir(folder);
	return removed;
}

unsigned queue_remove_unfinished(struct queue *queue)
{
	unsigned removed = remove_unfinished_in(queue->folder[QUEUE_INCOMING]);

	for (unsigned i = 0; i < queue->share_count; i++)
		removed += remove_unfinished_in(queue->share[i]);
	return removed;
}
