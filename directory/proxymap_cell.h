// SPDX-License-Identifier: ISC
/* What proxymap may touch. */
#ifndef DIRECTORY_PROXYMAP_CELL_H
#define DIRECTORY_PROXYMAP_CELL_H

#include "sandbox/cell.h"

/* The ports are those of the servers in the tables; here the standard ones, for `postern explain`. */
static const struct cell CELL_PROXYMAP = {
	.service = SERVICE_PROXYMAP,
	.uid = UID_NET,
	.serve = PEER(DIRECTORY),
	.calls = CELL_CALLS_THREAD | CELL_CALLS_STREAM,
	.ports = { 3306, 5432 },
	.memory = MIB(2048),
	.descriptors = 1024,
	.processes = 256,
	.purpose = "Asks SQL servers for directoryd; the only process with a right to connect to "
		   "them.",
};

#endif
