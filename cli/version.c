// SPDX-License-Identifier: ISC
/*
 * postern version: the version of this build.
 */
#include <stdio.h>

#include "cli/cli.h"

int version_main(int argc, char **argv)
{
	printf("postern %s\n", POSTERN_VERSION);
	return EX_OK;
}
