// SPDX-License-Identifier: ISC
/* What tlsd may touch. */
#ifndef TLS_TLSD_CELL_H
#define TLS_TLSD_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_TLSD = {
	.service = SERVICE_TLSD,
	.uid = UID_TLS,
	.talk_to = PEER(KEYD),
	.serve = PEER(SMTPD) | PEER(SMTPD_SESSION) | PEER(IMAPD) | PEER(POP3D) | PEER(SMTP),
	.calls = CELL_CALLS_PAIR,
	.memory = MIB(4096),
	.descriptors = 131072,
	.processes = 0,
	.purpose =
		"Speaks TLS with clients and servers for the other processes, which get the plain "
		"text; has no key and no file.",
};

#endif
