// SPDX-License-Identifier: ISC
/*
 * mysql: and pgsql: tables. A process with a loop cannot wait for a server: there such tables are asked through somebody who can
 * (directoryd, authd: proxymap). Elsewhere (proxymap itself, postmap, postern import) they connect themselves, when they are first asked.
 */
#ifndef TABLE_TABLE_SQL_H
#define TABLE_TABLE_SQL_H

#include "table/sql.h"
#include "table/table.h"

enum {
	SQL_HOSTS_MOST = 16, /* of one table */
	SQL_PORTS_MOST = 16
};

/* Once, before any table is opened: mysql: and pgsql: tables are asked through `ask`, by their spec. */
typedef enum table_status (*sql_ask)(
	void *context, const char *spec, struct slice key, struct buffer *value);
void sql_tables_through(sql_ask ask, void *context);
/* How many tables were opened that are asked so. */
unsigned sql_tables_far(void);

/* Seconds for connecting and for each answer; for tables that are opened after this. */
void sql_tables_timeout(unsigned seconds);

/* The following are for mysql: and pgsql: tables that connect themselves. The TCP ports of its servers; how many, at most SQL_PORTS_MOST - `count` are added. */
unsigned sql_table_ports(const struct table *table, uint16_t ports[SQL_PORTS_MOST], unsigned count);
/* Names of hosts as addresses, while they can be asked for. False with the name in `error` when one of them is not known. */
MUST_CHECK bool sql_table_resolve(struct table *table, char *error, size_t error_size);
/* The address of one of its hosts, once resolved; NULL when it has none of that name. */
const char *sql_table_address(const struct table *table, const char *name);
/* Has it a server that is reached by a UNIX socket? */
bool sql_table_uses_sockets(const struct table *table);
/* The files and folders that its client library reads when it connects, certificates for instance; false when `each` returned false. */
bool sql_table_files(
	const struct table *table, bool (*each)(void *context, const char *path), void *context);
/* Rows of any statement (postern import): false with `error`. */
MUST_CHECK bool sql_table_rows(struct table *table, const char *sql, sql_row row, void *context,
	char *error, size_t error_size);

#endif
