// SPDX-License-Identifier: ISC
/*
 * Inside of mysql: and pgsql: tables: what table_sql.c (the table), table_sql_hosts.c (its servers), table_sql_query.c (its query) and
 * table_sql_ask.c (connections and questions) share.
 */
#ifndef TABLE_TABLE_SQL_IMPL_H
#define TABLE_TABLE_SQL_IMPL_H

#include "table/table_cf.h"
#include "table/table_sql.h"

struct sql_host {
	char *name; /* as it is written, without the port; NULL: a socket, or the library's default */
	char *address; /* once resolved */
	char *socket;
	unsigned port; /* 0: the standard one */
	void *connection;
	int64_t rest_until; /* us */
};

struct sql_lookup_table {
	struct table table;
	const struct sql_driver *driver; /* NULL: asked through somebody else */
	struct cf_result result;
	char *query, *user, *password, *dbname;
	struct sql_host hosts[SQL_HOSTS_MOST];
	unsigned host_count, first; /* the one to begin with: they share the load */
	unsigned timeout;
	char error[300];
};

/* --- table_sql_hosts.c --- */
/* The value of `hosts`; NULL is the library's default. False with the opening's error. */
MUST_CHECK bool sql_hosts_read(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, const char *hosts);

/* --- table_sql_query.c --- */
/* Is every expansion within a text? Elsewhere it gets quotes of its own, but within an identifier nothing protects it. */
bool sql_query_is_safe(const struct sql_driver *driver, const char *query);
/* Note what the query needs of a key. */
void sql_query_needs(struct sql_lookup_table *table);
/* The query for a key. False: that cannot be written in the connection's character set, or is too long. */
MUST_CHECK bool sql_query_expand(const struct sql_lookup_table *table, void *connection,
	const struct cf_key *key, struct buffer *sql);

/* --- table_sql_ask.c --- */
/* A statement under way. */
struct sql_statement {
	const struct cf_key *key; /* of a lookup; NULL: `sql` is all of it */
	struct buffer sql;
	sql_row row;
	void *context;
	void (*again)(void *context); /* what the rows so far have left is taken back */
};
/* Ask one server after the other until one has answered. False with the table's error. */
MUST_CHECK bool sql_run(struct sql_lookup_table *table, struct sql_statement *statement);
void sql_disconnect(struct sql_lookup_table *table, struct sql_host *host);

#endif
