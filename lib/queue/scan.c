// SPDX-License-Identifier: ISC
/* Reading a queue folder a few names at a time. See scan.h. */
#include "queue/scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"

struct queue_scan {
	DIR *directory;
};

struct queue_scan *queue_scan_open(const struct queue *queue, enum queue_name name)
{
	struct queue_scan *scan;
	int fd = os_openat(queue->folder[name], ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return NULL;
	scan = calloc(1, sizeof(*scan));
	if (!scan) {
		os_close(&fd);
		return NULL;
	}
	scan->directory = fdopendir(fd);
	if (!scan->directory) {
		os_close(&fd);
		free(scan);
		return NULL;
	}
	return scan;
}

bool queue_scan_next(struct queue_scan *scan, char id[QUEUE_ID_SIZE])
{
	struct dirent *entry;

	if (!scan)
		return false;
	for (;;) {
		errno = 0;
		entry = readdir(scan->directory);
		if (!entry)
			return false;
		if (queue_id_valid(slice_from(entry->d_name)))
			return slice_to_string(slice_from(entry->d_name), id, QUEUE_ID_SIZE);
	}
}

void queue_scan_close(struct queue_scan **scan)
{
	if (!*scan)
		return;
	closedir((*scan)->directory);
	free(*scan);
	*scan = NULL;
}
