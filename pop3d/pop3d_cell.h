// SPDX-License-Identifier: ISC
/* What the POP3 front may touch. */
#ifndef POP3D_POP3D_CELL_H
#define POP3D_POP3D_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_POP3D = {
	.service = SERVICE_POP3D,
	.uid = UID_NET,
	.talk_to = PEER(AUTH) | PEER(POP3D_SESSION) | PEER(TLSD),
	.calls = CELL_CALLS_SOCKET,
	.memory = MIB(512),
	.descriptors = 20000,
	.purpose = "accepts POP3 clients and speaks with them until they have logged in",
};

#endif
