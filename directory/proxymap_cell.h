// SPDX-License-Identifier: ISC
/* What proxymap may touch. */
#ifndef DIRECTORY_PROXYMAP_CELL_H
#define DIRECTORY_PROXYMAP_CELL_H

#include "sandbox/cell.h"

/*
 * The most it may have, for `postern explain`. A running one has the ports of the servers in its tables, UNIX sockets only when a table
 * names one, and may read the certificates, keys and option files that its tables name (proxymap_reach.c).
 */
static const struct cell CELL_PROXYMAP = {
	.service = SERVICE_PROXYMAP,
	.uid = UID_NET,
	.serve = PEER(DIRECTORY) | PEER(AUTH),
	.calls = CELL_CALLS_THREAD | CELL_CALLS_STREAM | CELL_CALLS_UNIX,
	.ports = { 3306, 5432 },
	.memory = MIB(2048),
	.descriptors = 1024,
	.processes = 256,
	.purpose = "Asks SQL servers for directoryd, and for authd, each its own tables; the only "
		   "process with a right to connect to them.",
};

#endif
