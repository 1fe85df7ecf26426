// SPDX-License-Identifier: ISC
/* What directoryd may touch. */
#ifndef DIRECTORY_DIRECTORYD_CELL_H
#define DIRECTORY_DIRECTORYD_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_DIRECTORYD = {
	.service = SERVICE_DIRECTORY,
	.uid = UID_DIRECTORY,
	.files = { { CELL_DATA, "directory", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE,
		false } },
	.talk_to = PEER(PROXYMAP),
	.serve = PEER(SMTPD_SESSION) | PEER(CLEANUP) | PEER(QMGR) | PEER(IMAPD_SESSION) |
		 PEER(POP3D_SESSION) | PEER(BOUNCE) | PEER(LOCAL) | PEER(LMTPD) |
		 PEER(MANAGESIEVED),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC,
	.memory = MIB(1024),
	.descriptors = 4096,
	.processes = 0,
	.purpose = "Answers who an address is and where its mail goes, from accounts.db and the "
		   "lookup tables.",
};

#endif
