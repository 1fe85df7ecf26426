// SPDX-License-Identifier: ISC
/*
 * Inside of mysql: and pgsql: tables: what table_sql.c (the table), table_sql_hosts.c (its servers), table_sql_query.c (its query),
 * table_sql_tls.c (what its connections are secured by) and table_sql_ask.c (connections and questions) share.
 */
#ifndef TABLE_TABLE_SQL_IMPL_H
#define TABLE_TABLE_SQL_IMPL_H

#include "base/vector.h"
#include "table/table_cf.h"
#include "table/table_sql.h"

struct sql_host {
	char *name; /* as it is written, without the port; NULL: a socket, or the library's default */
	char *address; /* once resolved */
	char *socket;
	char *uri; /* pgsql: the other members are read out of it, and the library gets it whole */
	unsigned port; /* 0: the standard one */
	void *connection;
	int64_t rest_until; /* us */
};

/* A file that the client library reads when it connects. */
struct sql_file {
	char *path;
	struct file_stamp stamp;
};

struct sql_lookup_table {
	struct table table;
	const struct sql_driver *driver; /* NULL: asked through somebody else */
	struct cf_result result;
	char *query;
	struct cf_options options; /* kept for connecting; empty when another process asks */
	struct vector files; /* of struct sql_file */
	struct sql_host hosts[SQL_HOSTS_MOST];
	unsigned host_count, first; /* the one to begin with: they share the load */
	unsigned timeout;
	char error[300];
};

/* --- table_sql_hosts.c --- */
/* CF_HOSTS; without it the library's default. False with the opening's error. */
MUST_CHECK bool sql_hosts_read(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, const struct cf_options *options);
void sql_host_free(struct sql_host *host);

/* --- table_sql_tls.c --- */
/* Are the options of TLS what they should be? False with the opening's error. */
MUST_CHECK bool sql_tls_check(
	const struct table_opening *opening, const char *path, const struct cf_options *options);
/* Those of the table, kept in table->options. */
struct sql_tls sql_tls_of(const struct sql_lookup_table *table);
/* The library will read this file. False with the opening's error: it is not there. */
MUST_CHECK bool sql_file_add(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, unsigned line, const char *file);
/* All files that the options name. */
MUST_CHECK bool sql_files_add(
	struct sql_lookup_table *table, const struct table_opening *opening, const char *path);
void sql_files_free(struct sql_lookup_table *table);
/*
 * Can all of them be read now? One that was replaced cannot, until whoever confined himself starts anew. False with `error`, and the library must
 * not be asked: where it cannot read one, libpq 15 (SSLerrmessage) tells what happened to be in its memory, and may read behind its end.
 */
MUST_CHECK bool sql_files_read(const struct sql_lookup_table *table, char *error, size_t size);
/* Is the table's own file, or one of these, another one now? */
bool sql_files_changed(const struct table *table);

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
/* Why the last lookup was TABLE_ERROR. */
const char *sql_error(const struct table *table);
void sql_disconnect(struct sql_lookup_table *table, struct sql_host *host);

#endif
