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
enum { TIME_DIGITS = 11, RANDOM_DIGITS = QUEUE_ID_LENGTH - TIME_DIGITS };

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
static void open_nurseries(struct queue *queue, int base, bool create)
{
	char name[16];

	queue->nursery_count = 0;
	if (create && !os_mkdirat(base, "nursery", 0700) && errno != EEXIST)
		return;
	for (unsigned i = 0; i < QUEUE_NURSERIES; i++) {
		snprintf(name, sizeof(name), "nursery/%x", i);
		if (create && !os_mkdirat(base, name, 0700) && errno != EEXIST)
			return;
		queue->nursery[i] = os_openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (queue->nursery[i] < 0)
			return;
		queue->nursery_count++;
	}
}

int queue_nursery(const struct queue *queue, const char *id)
{
	unsigned char last = (unsigned char)id[QUEUE_ID_LENGTH - 1];

	return queue->nursery_count ? queue->nursery[last % queue->nursery_count]
				    : queue->folder[QUEUE_INCOMING];
}

bool queue_open(struct queue *queue, const char *path, bool create, char *error, size_t error_size)
{
	int base;

	for (unsigned i = 0; i < QUEUE_NAMES; i++)
		queue->folder[i] = -1;
	queue->nursery_count = 0;
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
	open_nurseries(queue, base, create);
	os_close(&base);
	return true;
}

void queue_close(struct queue *queue)
{
	for (unsigned i = 0; i < QUEUE_NAMES; i++) {
		if (queue->folder[i] >= 0)
			os_close(&queue->folder[i]);
	}
	while (queue->nursery_count > 0)
		os_close(&queue->nursery[--queue->nursery_count]);
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
	return os_renameat(queue->folder[from], id, queue->folder[to], id);
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

bool queue_each(struct queue *queue, enum queue_name name,
	bool (*each)(void *context, const char *id, bool valid), void *context)
{
	DIR *folder = open_listing(queue->folder[name]);
	bool ok;

	if (!folder)
		return false;
	for (;;) {
		struct dirent *entry;
		struct slice text;

		errno = 0;
		entry = readdir(folder);
		ok = entry || errno == 0;
		if (!entry)
			break;
		text = slice_from(entry->d_name);
		if (entry->d_name[0] == '.' || is_unfinished(text))
			continue;
		if (!each(context, entry->d_name, queue_id_valid(text)))
			break;
	}
	closedir(folder);
	return ok;
}

bool queue_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
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

	for (unsigned i = 0; i < queue->nursery_count; i++)
		removed += remove_unfinished_in(queue->nursery[i]);
	return removed;
}
