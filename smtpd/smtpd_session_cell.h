// SPDX-License-Identifier: ISC
/* What smtpd-session may touch: the spawner. Its sessions have the same without forking, and nobody to be introduced to. */
#ifndef SMTPD_SMTPD_SESSION_CELL_H
#define SMTPD_SMTPD_SESSION_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_SMTPD_SESSION = {
	.service = SERVICE_SMTPD_SESSION,
	.uid = UID_NET,
	.talk_to = PEER(DIRECTORY) | PEER(CLEANUP) | PEER(TLSD) | PEER(AUTH),
	.serve = PEER(SMTPD),
	.calls = CELL_CALLS_FORK | CELL_CALLS_LOCK_IN,
	.memory = MIB(256),
	.descriptors = 8192,
	.processes = 1000,
	.purpose = "keeps SMTP session processes ready, each of which speaks with one client at a "
		   "time and owns nothing",
};

#endif
