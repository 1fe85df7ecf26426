// SPDX-License-Identifier: ISC
/* What proxymap must reach for the tables it has, as its cell: no port, socket or file beyond that. */
#ifndef DIRECTORY_PROXYMAP_REACH_H
#define DIRECTORY_PROXYMAP_REACH_H

#include "sandbox/cell.h"
#include "table/table_sql.h"

struct reach {
	struct cell cell;
	unsigned ports, files;
};

/* CELL_PROXYMAP without ports, sockets and files. */
void reach_begin(struct reach *reach);
/* Add what a table needs to connect. Files must be there; what is beyond the bounds of a cell is told in the log, and not reached. */
void reach_add(struct reach *reach, const struct table *table);

#endif
