// SPDX-License-Identifier: ISC
/* Berkeley DB handles, for reading (table_db.c) and building (table_build.c). */
#ifndef TABLE_TABLE_DB_H
#define TABLE_TABLE_DB_H

#include <db.h>

#include "table/table_impl.h"

/* Open with Berkeley DB's `flags`; NULL with its error number in `error` (for db_strerror). */
DB *table_db_handle(const char *path, bool hash, unsigned flags, int mode, int *error);

#endif
