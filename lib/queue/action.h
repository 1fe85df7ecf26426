// SPDX-License-Identifier: ISC
/*
 * What an operator does to a queue file that nobody is delivering: delete, hold, release, requeue, expire. Used by qmgr for
 * messages that are not in its hands, and by postsuper when the suite is down.
 */
#ifndef QUEUE_ACTION_H
#define QUEUE_ACTION_H

#include "ipc/messages.h"
#include "queue/queue.h"

enum queue_outcome {
	QUEUE_ACT_FAILED = 0, /* errno tells why; the file is as it was */
	QUEUE_ACT_DONE,
	QUEUE_ACT_NONE /* no such message in these folders: somebody was faster, or it is done already */
};

/* Folders (bits 1 << enum queue_name) that `action` looks into when nobody named any. */
unsigned queue_action_folders(enum queue_action action);
/* Act on message `id` in folder `name`. Then *now is where it is (unchanged when it was deleted). */
MUST_CHECK enum queue_outcome queue_act(struct queue *queue, const char *id,
	enum queue_action action, enum queue_name name, enum queue_name *now);
/* "removed", "placed on hold", ...: what the log says behind the queue id. */
const char *queue_action_done(enum queue_action action);

#endif
