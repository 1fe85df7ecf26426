// SPDX-License-Identifier: ISC
/* Reading a queue folder a few names at a time. See scan.h. */
#include "queue/scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"

struct queue_scan {
	const struct queue *queue;
	enum queue_name name;
	unsigned place; /* the share that is next; share_count: the folder itself */
	DIR *directory;
};

static bool open_next(struct queue_scan *scan)
{
	const struct queue *queue = scan->queue;
	unsigned shares = scan->name == QUEUE_INCOMING ? queue->share_count : 0;
	int fd;

	if (scan->directory)
		closedir(scan->directory);
	scan->directory = NULL;
	if (scan->place > shares)
		return false;
	fd = os_openat(scan->place < shares ? queue->share[scan->place] : queue->folder[scan->name],
		".", O_RDONLY | O_DIRECTORY, 0);
	scan->place++;
	if (fd < 0)
		return false;
	scan->directory = fdopendir(fd);
	if (!scan->directory)
		os_close(&fd);
	return scan->directory != NULL;
}

struct queue_scan *queue_scan_open(const struct queue *queue, enum queue_name name)
{
	struct queue_scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return NULL;
	scan->queue = queue;
	scan->name = name;
	if (!open_next(scan)) {
		free(scan);
		return NULL;
	}
	return scan;
}

/* A file that somebody put into incoming/ by hand goes to its own share; where that may not be done it is left out. */
static bool settle(const struct queue_scan *scan, const char *id)
{
	int here = dirfd(scan->directory), home = queue_folder(scan->queue, scan->name, id);
	bool at_home = scan->name != QUEUE_INCOMING || !scan->queue->share_count ||
		       (scan->place <= scan->queue->share_count &&
			       home == scan->queue->share[scan->place - 1]);

	return at_home || os_renameat(here, id, home, id);
}

bool queue_scan_next(struct queue_scan *scan, char id[QUEUE_ID_SIZE])
{
	struct dirent *entry;

	if (!scan)
		return false;
	do {
		while (scan->directory && (entry = readdir(scan->directory))) {
			if (queue_id_valid(slice_from(entry->d_name)) &&
				settle(scan, entry->d_name))
				return slice_to_string(
					slice_from(entry->d_name), id, QUEUE_ID_SIZE);
		}
	} while (open_next(scan));
	return false;
}

void queue_scan_close(struct queue_scan **scan)
{
	if (!*scan)
		return;
	if ((*scan)->directory)
		closedir((*scan)->directory);
	free(*scan);
	*scan = NULL;
}
