// SPDX-License-Identifier: ISC
/* Reading a queue folder a few names at a time. See scan.h. */
#include "queue/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "os/os.h"

struct queue_scan {
	const struct queue *queue;
	enum queue_name name;
	unsigned place; /* the share that is next; share_count: the folder itself */
	DIR *directory;
	unsigned strange;
	char strange_name[QUEUE_ID_SIZE];
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

static bool is_file(const struct queue_scan *scan, const struct dirent *entry)
{
	struct stat info;

	/* Not every file system tells. What cannot be asked for is left to whoever opens it. */
	return entry->d_type == DT_REG ||
	       (entry->d_type == DT_UNKNOWN && (!os_fstatat(dirfd(scan->directory), entry->d_name,
							&info, AT_SYMLINK_NOFOLLOW) ||
						       S_ISREG(info.st_mode)));
}

static bool take_name(struct queue_scan *scan, const struct dirent *entry, char id[QUEUE_ID_SIZE])
{
	if (!queue_id_valid(slice_from(entry->d_name)))
		return false;
	if (!is_file(scan, entry)) {
		scan->strange++;
		snprintf(scan->strange_name, sizeof(scan->strange_name), "%s", entry->d_name);
		return false;
	}
	return settle(scan, entry->d_name) &&
	       slice_to_string(slice_from(entry->d_name), id, QUEUE_ID_SIZE);
}

bool queue_scan_next(struct queue_scan *scan, char id[QUEUE_ID_SIZE])
{
	struct dirent *entry;

	if (!scan)
		return false;
	do {
		while (scan->directory && (entry = readdir(scan->directory))) {
			if (take_name(scan, entry, id))
				return true;
		}
	} while (open_next(scan));
	return false;
}

unsigned queue_scan_strange(const struct queue_scan *scan, const char **name)
{
	*name = scan->strange_name;
	return scan->strange;
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
