// SPDX-License-Identifier: ISC
/* What introspect may touch. */
#ifndef AUTH_INTROSPECT_CELL_H
#define AUTH_INTROSPECT_CELL_H

#include "sandbox/cell.h"

/*
 * With a command; its own path comes in place of the last. Without one introspect has neither files nor programs. What it may, the
 * command may, and no more: programs and their libraries, the network, nothing of Postern's.
 */
static const struct cell CELL_INTROSPECT = {
	.service = SERVICE_INTROSPECT,
	.uid = UID_INTROSPECT,
	.files = { { CELL_SYSTEM, "usr", CELL_READ | CELL_EXECUTE, false },
		{ CELL_SYSTEM, "bin", CELL_READ | CELL_EXECUTE, true },
		{ CELL_SYSTEM, "lib", CELL_READ | CELL_EXECUTE, true },
		{ CELL_SYSTEM, "lib64", CELL_READ | CELL_EXECUTE, true },
		{ CELL_SYSTEM, "opt", CELL_READ | CELL_EXECUTE, true },
		{ CELL_SYSTEM, "etc", CELL_READ, true },
		{ CELL_SYSTEM, "$auth_oauth_introspection_command", CELL_READ | CELL_EXECUTE,
			true } },
	.serve = PEER(AUTH),
	.calls = CELL_CALLS_FILE | CELL_CALLS_FORK | CELL_CALLS_COMMAND,
	.memory = MIB(4096),
	.descriptors = 1024,
	.processes = 64,
	.purpose = "Runs the command that says whether a token is good, for authd, which runs "
		   "nothing.",
};

#endif
