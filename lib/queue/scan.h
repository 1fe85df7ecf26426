// SPDX-License-Identifier: ISC
/*
 * Reading a queue folder a few names at a time, for event loops that must not stop for a folder of a hundred thousand files.
 * Files that come or go meanwhile may or may not be seen, as with readdir(3). What is no file (a folder, a pipe, a link) is none of the
 * queue's, whatever its name.
 */
#ifndef QUEUE_SCAN_H
#define QUEUE_SCAN_H

#include "queue/queue.h"

struct queue_scan; /* NULL is a scan that has ended */

/* NULL with errno when the folder cannot be read. */
struct queue_scan *queue_scan_open(const struct queue *queue, enum queue_name name);
/* The next queue id (names that are none are passed over); false at the end. A file in incoming/ that stands outside its share is
 * moved there first. */
MUST_CHECK bool queue_scan_next(struct queue_scan *scan, char id[QUEUE_ID_SIZE]);
/* How many things with a queue id for a name were passed over because they are no files, and one of them ("": none). */
unsigned queue_scan_strange(const struct queue_scan *scan, const char **name);
void queue_scan_close(struct queue_scan **scan);

#endif
