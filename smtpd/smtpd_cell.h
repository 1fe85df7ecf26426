// SPDX-License-Identifier: ISC
/* What smtpd, the front of SMTP, may touch. */
#ifndef SMTPD_SMTPD_CELL_H
#define SMTPD_SMTPD_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_SMTPD = {
	.service = SERVICE_SMTPD,
	.uid = UID_NET,
	.talk_to = PEER(SMTPD_SESSION) | PEER(TLSD),
	.serve = 0,
	.calls = CELL_CALLS_SOCKET,
	.memory = MIB(256),
	.descriptors = 32768,
	.processes = 0,
	.purpose = "accepts SMTP clients, counts and limits them, and hands each to an SMTP "
		   "session; it reads nothing they send",
};

#endif
