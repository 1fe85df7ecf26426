// SPDX-License-Identifier: ISC
/* What showq may touch. */
#ifndef QMGR_SHOWQ_CELL_H
#define QMGR_SHOWQ_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_SHOWQ = {
	.service = SERVICE_SHOWQ,
	.uid = UID_QUEUE,
	.files = {
		{ CELL_QUEUE, "incoming", CELL_READ, false },
		{ CELL_QUEUE, "active", CELL_READ, false },
		{ CELL_QUEUE, "deferred", CELL_READ, false },
		{ CELL_QUEUE, "hold", CELL_READ, false },
		{ CELL_QUEUE, "corrupt", CELL_READ, false },
	},
	.talk_to = 0,
	.serve = 0,
	.calls = CELL_CALLS_FILE | CELL_CALLS_SOCKET,
	.memory = MIB(512),
	.descriptors = 256,
	.processes = 0,
	.purpose = "Lists the queue for mailq; it can read queue files and change nothing.",
};

#endif
