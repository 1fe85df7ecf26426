// SPDX-License-Identifier: ISC
/* What cleanup may touch. */
#ifndef CLEANUP_CLEANUP_CELL_H
#define CLEANUP_CLEANUP_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_CLEANUP = {
	.service = SERVICE_CLEANUP,
	.uid = UID_QUEUE,
	.files = { { CELL_QUEUE, "incoming",
			   CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
		{ CELL_QUEUE, "hold", CELL_CREATE | CELL_REMOVE | CELL_MOVE, false } },
	.talk_to = PEER(DIRECTORY) | PEER(QMGR),
	.serve = PEER(SMTPD_SESSION) | PEER(PICKUP) | PEER(BOUNCE),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_TOGETHER | CELL_CALLS_THREAD,
	.memory = MIB(1024),
	.descriptors = 8192,
	.processes = 8,
	.purpose = "Makes queue files: completes headers, expands aliases, and says 250 only when "
		   "the message is on disk.",
};

#endif
