// SPDX-License-Identifier: ISC
/* What authd may touch. */
#ifndef AUTH_AUTHD_CELL_H
#define AUTH_AUTHD_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_AUTHD = {
	.service = SERVICE_AUTH,
	.uid = UID_AUTH,
	.files = { { CELL_DATA, "auth", CELL_READ | CELL_WRITE | CELL_CREATE | CELL_REMOVE,
		false } },
	.talk_to = PEER(INTROSPECT) | PEER(PROXYMAP),
	.serve = PEER(IMAPD) | PEER(IMAPD_SESSION) | PEER(POP3D) | PEER(POP3D_SESSION) |
		 PEER(SMTPD_SESSION) | PEER(MANAGESIEVED),
	.calls = CELL_CALLS_FILE | CELL_CALLS_SYNC | CELL_CALLS_THREAD,
	.outside = CELL_OUTSIDE_SASLAUTHD,
	.memory = MIB(2048),
	.descriptors = 4096,
	.processes = 64,
	.purpose = "Checks passwords against credentials.db and other back ends, and gives tickets "
		   "for sessions; "
		   "nobody else reads them.",
};

#endif
