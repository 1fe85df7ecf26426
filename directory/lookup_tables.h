// SPDX-License-Identifier: ISC
/* The tables that restrictions and other parameters of sessions name, and whether tables and lists can be opened at all. */
#ifndef DIRECTORY_LOOKUP_TABLES_H
#define DIRECTORY_LOOKUP_TABLES_H

#include "config/config.h"

enum { MAX_LOOKUP_TABLES = 64 * 1024 /* bytes of their specs */ };

/*
 * Every parameter that names such tables: `tables` are their specs, each followed by ", "; NULL when they are too many. Only these may be asked for. `name` is empty
 * for what stands in -o options of other entries.
 */
void lookup_tables_each(const struct config *config,
	void (*each)(void *context, const char *name, const char *tables), void *context);
/* For "directoryd --check": see config/self_check.h. The exit status. */
int lookup_tables_check(void);

#endif
