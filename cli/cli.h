// SPDX-License-Identifier: ISC
/*
 * What the commands share: their entries (from commands.def), where the configuration is, and exit codes.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <sysexits.h>

#include "base/slice.h"

#define COMMAND(name, function, help) int function(int argc, char **argv);
#include "cli/commands.def"
#undef COMMAND

/*
 * The configuration folder: `option` (the command's own -c) if not NULL, else MAIL_CONFIG (which `postern -c DIR` sets), else
 * the one postern was built for. Lives as long as the process.
 */
const char *cli_folder(const char *option);
/* Run the command that argv[0] names; EX_UNAVAILABLE when there is none. */
int cli_run(int argc, char **argv);
/* "NAME: fatal: text" on standard error, NAME being the command's. */
void cli_complain(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);
/* "NAME: warning: text": the command goes on. */
void cli_warn(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
