// SPDX-License-Identifier: ISC
/* What bounce may touch. */
#ifndef BOUNCE_BOUNCE_CELL_H
#define BOUNCE_BOUNCE_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_BOUNCE = {
	.service = SERVICE_BOUNCE,
	.uid = UID_QUEUE,
	.files = { { CELL_QUEUE, NULL, 0, false } },
	.talk_to = PEER(CLEANUP),
	.serve = PEER(QMGR),
	.calls = CELL_CALLS_FILE,
	.memory = MIB(256),
	.descriptors = 256,
	.processes = 0,
	.purpose = "Writes delivery status notifications; it reads a message only through the "
		   "descriptor it is given.",
};

#endif
