// SPDX-License-Identifier: ISC
/*
 * What the commands share.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

const char *cli_folder(const char *option)
{
	const char *folder = option ? option : getenv("MAIL_CONFIG");

	return folder && *folder ? folder : POSTERN_SYSCONFDIR;
}

void cli_complain(const char *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: fatal: ", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
