// SPDX-License-Identifier: ISC
/* What keyd may touch. */
#ifndef TLS_KEYD_CELL_H
#define TLS_KEYD_CELL_H

#include "sandbox/cell.h"

static const struct cell CELL_KEYD = {
	.service = SERVICE_KEYD,
	.uid = UID_KEYS,
	.serve = PEER(TLSD),
	.memory = MIB(512),
	.descriptors = 512,
	.processes = 0,
	.purpose = "Holds the private keys of TLS and signs handshakes with them; nobody else has "
		   "them, and it signs nothing else.",
};

#endif
