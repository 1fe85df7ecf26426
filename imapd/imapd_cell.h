// SPDX-License-Identifier: ISC
/* What the IMAP front may touch: its clients, and its peers. */
#ifndef IMAPD_IMAPD_CELL_H
#define IMAPD_IMAPD_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_IMAPD = {
	.service = SERVICE_IMAPD,
	.uid = UID_NET,
	.talk_to = PEER(AUTH) | PEER(IMAPD_SESSION) | PEER(TLSD),
	.calls = CELL_CALLS_SOCKET,
	.memory = MIB(1024),
	.descriptors = 32768,
	.purpose = "Takes IMAP clients in, speaks with them until login, and holds those who sleep "
		   "in IDLE.",
};

#endif
