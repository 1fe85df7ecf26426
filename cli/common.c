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

static void say(const char *command, const char *weight, const char *format, va_list args)
{
	fprintf(stderr, "%s: %s: ", command, weight);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void cli_complain(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, "fatal", format, args);
	va_end(args);
}

void cli_warn(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, "warning", format, args);
	va_end(args);
}
