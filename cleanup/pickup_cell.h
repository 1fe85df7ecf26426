// SPDX-License-Identifier: ISC
/* What pickup may touch. */
#ifndef CLEANUP_PICKUP_CELL_H
#define CLEANUP_PICKUP_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_PICKUP = {
	.service = SERVICE_PICKUP,
	.uid = UID_QUEUE,
	.files = { { CELL_QUEUE, "maildrop", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE,
		false } },
	.talk_to = PEER(CLEANUP),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_SOCKET,
	.memory = MIB(256),
	.descriptors = 1024,
	.processes = 0,
	.purpose = "Takes mail from local users, over its socket or out of maildrop, and hands it "
		   "to cleanup.",
};

#endif
