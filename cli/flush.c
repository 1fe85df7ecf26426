// SPDX-License-Identifier: ISC
/*
 * postern flush - try all deferred mail now, as postqueue -f does.
 */
#include <stdio.h>

#include "cli/cli.h"

int flush_main(int argc, char **argv)
{
	char *arguments[] = { "postqueue", "-f", NULL };

	if (argc > 1) {
		puts("usage: postern [-c FOLDER] flush\nTry to deliver all queued mail now; as "
		     "postqueue -f.");
		return strcmp(argv[1], "--help") == 0 ? EX_OK : EX_USAGE;
	}
	return postqueue_main(2, arguments);
}
