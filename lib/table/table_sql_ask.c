// SPDX-License-Identifier: ISC
/* Connections of mysql: and pgsql: tables, and what is asked on them. See table_sql_impl.h. */
#include <stdio.h>

#include "os/os.h"
#include "table/table_sql_impl.h"

enum {
	SQL_REST =
		3, /* s that a server is left alone when it takes long to find out that it cannot be reached */
	SQL_LONG = 200 /* ms: longer than that is long */
};

void sql_disconnect(struct sql_lookup_table *table, struct sql_host *host)
{
	if (host->connection)
		table->driver->close(host->connection);
	host->connection = NULL;
}

static bool connect_to(struct sql_lookup_table *table, struct sql_host *host)
{
	char *const *value = table->options.value;
	const struct sql_server server = { .host = host->name,
		.address = host->address,
		.socket = host->socket,
		.uri = host->uri,
		.port = host->port ? host->port : table->driver->port,
		.user = value[CF_USER],
		.password = value[CF_PASSWORD],
		.dbname = value[CF_DBNAME],
		.timeout = table->timeout,
		.tls = sql_tls_of(table),
		.option_file = value[CF_OPTION_FILE],
		.option_group = value[CF_OPTION_GROUP] };
	char error[sizeof(table->error) - 100];
	int64_t began = os_now();

	if (host->connection)
		return true;
	if (began < host->rest_until)
		return false;
	if (!sql_files_read(table, table->error, sizeof(table->error)))
		return false;
	host->connection = table->driver->connect(&server, error, sizeof(error));
	if (host->connection)
		return true;
	/* Being refused costs nothing, and the next question may find the server there. */
	if (os_now() - began > SQL_LONG * INT64_C(1000))
		host->rest_until = os_now() + SQL_REST * INT64_C(1000000);
	for (char *p = error; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	snprintf(table->error, sizeof(table->error), "%.60s: %s",
		host->socket ? host->socket
		: host->name ? host->name
			     : "localhost",
		error);
	return false;
}

static enum sql_status ask_host(
	struct sql_lookup_table *table, struct sql_host *host, struct sql_statement *statement)
{
	if (statement->key) {
		buffer_clear(&statement->sql);
		if (!sql_query_expand(table, host->connection, statement->key, &statement->sql)) {
			snprintf(table->error, sizeof(table->error), "the key cannot be asked for");
			return SQL_FAILED;
		}
	}
	return table->driver->query(host->connection, buffer_text(&statement->sql), statement->row,
		statement->context, table->error, sizeof(table->error));
}

/* A connection that was open may have been closed by the server meanwhile: then once more on a new one, and then the other servers. */
bool sql_run(struct sql_lookup_table *table, struct sql_statement *statement)
{
	unsigned first = table->first++;
	bool fresh;

	for (unsigned i = 0; i < table->host_count; i++) {
		struct sql_host *host = &table->hosts[(first + i) % table->host_count];
		enum sql_status status = SQL_LOST;

		do {
			fresh = !host->connection;
			if (!connect_to(table, host))
				break;
			if (statement->again)
				statement->again(statement->context);
			status = ask_host(table, host, statement);
			if (status == SQL_LOST)
				sql_disconnect(table, host);
		} while (status == SQL_LOST && !fresh);
		if (status != SQL_LOST)
			return status == SQL_DONE;
	}
	if (!table->error[0])
		snprintf(table->error, sizeof(table->error), "no server can be reached");
	return false;
}

const char *sql_error(const struct table *table)
{
	return ((const struct sql_lookup_table *)table)->error;
}

bool sql_table_rows(struct table *base, const char *sql, sql_row row, void *context, char *error,
	size_t error_size)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;
	struct sql_statement statement = { .row = row, .context = context };
	bool done;

	buffer_add_text(&statement.sql, sql);
	done = buffer_text(&statement.sql) && sql_run(table, &statement);
	buffer_free(&statement.sql);
	if (!done)
		snprintf(error, error_size, "%s", table->error);
	return done;
}
