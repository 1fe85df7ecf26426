// SPDX-License-Identifier: ISC
/* What qmgr may touch. */
#ifndef QMGR_QMGR_CELL_H
#define QMGR_QMGR_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_QMGR = {
	.service = SERVICE_QMGR,
	.uid = UID_QUEUE,
	.files = {
		{ CELL_QUEUE, "incoming", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
		{ CELL_QUEUE, "active", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
		{ CELL_QUEUE, "deferred", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
		{ CELL_QUEUE, "hold", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
		{ CELL_QUEUE, "corrupt", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
	},
	.talk_to = PEER(DIRECTORY) | PEER(VIRTUAL) | PEER(BOUNCE),
	.serve = PEER(CLEANUP),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_SOCKET,
	.memory = MIB(2048),
	.descriptors = 4096,
	.processes = 0,
	.purpose = "Decides when and by whom queued messages are delivered; it reads envelopes, never what is in a message.",
};

#endif
