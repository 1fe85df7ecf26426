// SPDX-License-Identifier: ISC
/*
 * "DAEMON --check ARGUMENT": a daemon looks at what it would open and parse at its start, and says what is wrong, before a
 * configuration is taken up. Master runs it (master/check.c) with the snapshot at descriptor 3; each fault is a line on standard
 * output, "error NAME<tab>TEXT" or "warning NAME<tab>TEXT", where NAME is a parameter, for keyd a file, or empty.
 */
#ifndef CONFIG_SELF_CHECK_H
#define CONFIG_SELF_CHECK_H

#include "config/config.h"

/* The configuration at descriptor 3; NULL when there is none. */
struct config *self_check_open(void);
/* Say a fault. */
void self_check_fault(bool error, const char *name, const char *text);
/* The exit status: 0 when no error was said and all could be. */
int self_check_close(struct config **config);

#endif
