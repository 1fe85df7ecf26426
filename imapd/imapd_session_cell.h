// SPDX-License-Identifier: ISC
/* What the IMAP session spawner may touch. Its sessions are confined further: to the folder of one mailbox, without fork. */
#ifndef IMAPD_IMAPD_SESSION_CELL_H
#define IMAPD_IMAPD_SESSION_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_IMAPD_SESSION = {
	.service = SERVICE_IMAPD_SESSION,
	.uid = UID_VMAIL,
	.files = { { CELL_MAIL, "", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE | CELL_MOVE,
		false } },
	.talk_to = PEER(AUTH) | PEER(DIRECTORY) | PEER(IMAPD_SESSION),
	.serve = PEER(IMAPD) | PEER(VIRTUAL) | PEER(POP3D_SESSION) | PEER(IMAPD_SESSION),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_FORK | CELL_CALLS_LOCK_IN |
		 CELL_CALLS_ROOT_FOLDER | CELL_CALLS_WATCH,
	.memory = MIB(1024),
	.descriptors = 16384,
	.processes = 10000,
	.purpose = "Opens a confined session for each IMAP client that logged in, and passes on "
		   "what changed in mailboxes.",
};

#endif
