// SPDX-License-Identifier: ISC
/* What virtual may touch. */
#ifndef LOCAL_VIRTUAL_CELL_H
#define LOCAL_VIRTUAL_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_VIRTUAL = {
	.service = SERVICE_VIRTUAL,
	.uid = UID_VMAIL,
	.files = {
		{ CELL_MAIL, "", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE, false },
	},
	.talk_to = PEER(IMAPD_SESSION),
	.serve = PEER(QMGR),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_TOGETHER,
	.memory = MIB(256),
	.descriptors = 256,
	.processes = 0,
	.purpose = "Puts messages into the Maildirs of mailbox users; it reads a message only through the descriptor it is given.",
};

#endif
