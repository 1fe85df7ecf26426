// SPDX-License-Identifier: ISC
/* What the POP3 session spawner may touch. Its children are confined further: to the folder of one user. */
#ifndef POP3D_POP3D_SESSION_CELL_H
#define POP3D_POP3D_SESSION_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_POP3D_SESSION = {
	.service = SERVICE_POP3D_SESSION,
	.uid = UID_VMAIL,
	.files = { { CELL_MAIL, "", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE,
		false } },
	.talk_to = PEER(AUTH) | PEER(DIRECTORY) | PEER(IMAPD_SESSION),
	.serve = PEER(POP3D),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_FORK | CELL_CALLS_LOCK_IN |
		 CELL_CALLS_ROOT_FOLDER,
	.memory = MIB(1024),
	.descriptors = 8192,
	.processes = 500,
	.purpose = "forks one session for each POP3 login, which reads that user's mailbox and "
		   "nothing else",
};

#endif
