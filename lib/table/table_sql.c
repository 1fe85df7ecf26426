// SPDX-License-Identifier: ISC
/* mysql: and pgsql: tables after Postfix's mysql_table(5) and pgsql_table(5). See table_sql.h. */
#include "table/table_sql.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"
#include "table/table_cf.h"

enum {
	SQL_TIMEOUT = 5, /* s, unless sql_tables_timeout says otherwise */
	SQL_REST =
		3, /* s that a server is left alone when it takes long to find out that it cannot be reached */
	SQL_LONG = 200 /* ms: longer than that is long */
};

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

static struct {
	sql_ask ask;
	void *context;
	unsigned timeout, far;
} settings;

void sql_tables_through(sql_ask ask, void *context)
{
	settings.ask = ask;
	settings.context = context;
}

void sql_tables_timeout(unsigned seconds)
{
	settings.timeout = seconds;
}

unsigned sql_tables_far(void)
{
	return settings.far;
}

/* --- the servers --- */

/* "host", "host:port", "[::1]:port", "inet:host:port", "unix:/path". */
static bool read_host(const struct table_opening *opening, const char *path, struct slice item,
	struct sql_host *host)
{
	ptrdiff_t colon;
	uint64_t port;

	if (slice_starts(item, SLICE("unix:"))) {
		host->socket = slice_dup(slice_tail(item, strlen("unix:")));
		return host->socket && host->socket[0] == '/'
			       ? true
			       : table_fail(opening, "%s: hosts: not a path: %.*s", path,
					 SLICE_ARG(item)) != NULL;
	}
	if (slice_starts(item, SLICE("inet:")))
		item = slice_tail(item, strlen("inet:"));
	colon = slice_find_last(item, ':');
	/* More than one without brackets: an IPv6 address alone. */
	if (colon >= 0 && slice_find(item, ':') != colon && item.data[0] != '[')
		colon = -1;
	if (colon >= 0 && item.data[colon - (colon > 0)] != ']' && item.data[0] == '[')
		colon = -1;
	if (colon >= 0) {
		if (!slice_to_u64(slice_tail(item, (size_t)colon + 1), UINT16_MAX, &port))
			return table_fail(opening, "%s: hosts: no port: %.*s", path,
				       SLICE_ARG(item)) != NULL;
		host->port = (unsigned)port;
		item = slice_head(item, (size_t)colon);
	}
	if (item.length > 2 && item.data[0] == '[' && item.data[item.length - 1] == ']')
		item = slice_of(item.data + 1, item.length - 2);
	host->name = slice_dup(item);
	return host->name && host->name[0];
}

/* A socket as libpq wants it: its folder, and the port that its name ends with. */
static void split_pgsql_socket(struct sql_host *host)
{
	static const char NAME[] = "/.s.PGSQL.";
	char *name = host->socket ? strstr(host->socket, NAME) : NULL;
	uint64_t port;

	if (!name || !slice_to_u64(slice_from(name + strlen(NAME)), UINT16_MAX, &port))
		return;
	host->port = (unsigned)port;
	*name = '\0';
}

static bool read_hosts(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, const char *hosts)
{
	struct slice rest = slice_from(hosts), item;
	bool pgsql = strcmp(table->table.type->name, "pgsql") == 0;

	while (table_next_item(&rest, &item)) {
		if (table->host_count == SQL_HOSTS_MOST)
			return table_fail(opening, "%s: more than %d hosts", path,
				       SQL_HOSTS_MOST) != NULL;
		if (!read_host(opening, path, item, &table->hosts[table->host_count++]))
			return false;
		/* For MySQL's library "localhost" is its socket. */
		if (!pgsql && slice_equal(item, SLICE("localhost"))) {
			free(table->hosts[table->host_count - 1].name);
			table->hosts[table->host_count - 1].name = NULL;
		}
		if (pgsql)
			split_pgsql_socket(&table->hosts[table->host_count - 1]);
	}
	if (table->host_count == 0)
		table->host_count = 1;
	return true;
}

unsigned sql_table_ports(const struct table *base, uint16_t ports[SQL_PORTS_MOST], unsigned count)
{
	const struct sql_lookup_table *table = (const struct sql_lookup_table *)base;

	for (unsigned i = 0; i < table->host_count && count < SQL_PORTS_MOST; i++) {
		unsigned port = table->hosts[i].port ? table->hosts[i].port : table->driver->port;
		bool known = !table->hosts[i].name;

		for (unsigned k = 0; k < count; k++)
			known |= ports[k] == port;
		if (!known)
			ports[count++] = (uint16_t)port;
	}
	return count;
}

bool sql_table_resolve(struct table *base, char *error, size_t error_size)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	bool all = true;

	for (unsigned i = 0; i < table->host_count; i++) {
		struct sql_host *host = &table->hosts[i];
		struct addrinfo *found = NULL;
		char text[NI_MAXHOST];

		if (!host->name)
			continue;
		if (getaddrinfo(host->name, NULL, &hints, &found) == 0 &&
			getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0)
			host->address = strdup(text);
		else
			snprintf(error, error_size, "%s: the address of %s is not known",
				base->spec, host->name);
		all = all && host->address;
		if (found)
			freeaddrinfo(found);
	}
	return all;
}

/* --- the query --- */

/* Is every expansion within a text? Elsewhere it gets quotes of its own, but within an identifier nothing protects it. */
static bool query_is_safe(const struct sql_driver *driver, const char *query)
{
	char quote = '\0';

	for (const char *p = query; *p; p++) {
		if (quote && driver->backslash && *p == '\\' && p[1])
			p++;
		else if (quote ? *p == quote : strchr("'\"`", *p) != NULL)
			quote = quote ? '\0' : *p;
		else if (*p == '%' && cf_parameter_of(p[1]) &&
			 (quote == '`' || (quote == '"' && !driver->double_quotes)))
			return false;
	}
	return quote == '\0';
}

static void note_needs(struct sql_lookup_table *table)
{
	for (const char *p = table->query; *p; p++) {
		int parameter = p[0] == '%' ? cf_parameter_of(p[1]) : 0;

		if (parameter)
			table->result.needs |= 1u << parameter;
		if (p[0] == '%' && p[1])
			p++;
	}
}

static bool add_escaped(const struct sql_lookup_table *table, void *connection, struct slice text,
	struct buffer *sql)
{
	char *room = buffer_reserve(sql, 2 * text.length + 1);

	if (!room || !table->driver->escape(connection, text.data, text.length, room))
		return false;
	sql->length += strlen(room);
	return true;
}

static bool expand(const struct sql_lookup_table *table, void *connection, const struct cf_key *key,
	struct buffer *sql)
{
	char quote = '\0';

	for (const char *p = table->query; *p; p++) {
		int parameter = *p == '%' ? cf_parameter_of(p[1]) : 0;

		if (parameter) {
			p++;
			if (!quote)
				buffer_add_byte(sql, '\'');
			if (!add_escaped(table, connection, cf_value(key, parameter), sql))
				return false;
			if (!quote)
				buffer_add_byte(sql, '\'');
			continue;
		}
		if (quote && table->driver->backslash && *p == '\\' && p[1])
			buffer_add_byte(sql, *p++);
		else if (quote ? *p == quote : strchr("'\"`", *p) != NULL)
			quote = quote ? '\0' : *p;
		else if (*p == '%' && p[1] == '%')
			p++;
		buffer_add_byte(sql, *p);
	}
	return buffer_text(sql) != NULL;
}

/* --- opening --- */

static char *take(struct cf_options *options, enum cf_option option)
{
	char *value = options->value[option];

	options->value[option] = NULL;
	return value;
}

static bool set_up(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, struct slice source)
{
	struct cf_options options = { 0 };
	struct buffer query = buffer_limited(CF_MAX_QUERY);
	char error[300];
	bool done = false;

	/* A process that only asks through another loads no client library, and keeps no password. */
	if (!settings.ask) {
		table->driver = sql_driver_load(table->table.type->name, error, sizeof(error));
		if (!table->driver)
			return table_fail(opening, "%s: %s", path, error);
	}
	if (!cf_read(&options, opening, path, source) ||
		!cf_result_take(&table->result, &options, opening, path) ||
		!read_hosts(table, opening, path, options.value[CF_HOSTS]))
		; /* told */
	else if (!cf_query(&options, &query) || !buffer_text(&query))
		table_fail(opening, "%s: no query", path);
	else if (table->driver && !query_is_safe(table->driver, buffer_text(&query)))
		table_fail(opening,
			"%s: the query has an open quote, or an expansion within an identifier",
			path);
	else {
		table->query = slice_dup(buffer_slice(&query));
		done = table->query != NULL;
	}
	if (done && table->driver) {
		table->user = take(&options, CF_USER);
		table->password = take(&options, CF_PASSWORD);
		table->dbname = take(&options, CF_DBNAME);
		note_needs(table);
	}
	cf_free(&options);
	buffer_free(&query);
	return done;
}

static struct table *sql_open(const struct table_opening *opening)
{
	struct sql_lookup_table *sql = table_new(opening, sizeof(*sql));
	struct table *table = (struct table *)sql;
	struct buffer path = { 0 }, source = { 0 };
	bool done = false;

	if (!sql)
		return NULL;
	sql->timeout = settings.timeout ? settings.timeout : SQL_TIMEOUT;
	if (table_path(opening, "", &path)) {
		if (!table_stamp_take(&table->stamp, buffer_text(&path)) ||
			!table_read_file(buffer_text(&path), &source))
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else
			done = set_up(sql, opening, buffer_text(&path), buffer_slice(&source));
	}
	if (source.data)
		explicit_bzero(source.data, source.length);
	buffer_free(&path);
	buffer_free(&source);
	if (!done)
		table_close(&table);
	settings.far += done && settings.ask;
	return table;
}

static void disconnect(struct sql_lookup_table *table, struct sql_host *host)
{
	if (host->connection)
		table->driver->close(host->connection);
	host->connection = NULL;
}

static void sql_close(struct table *base)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;

	for (unsigned i = 0; i < table->host_count; i++) {
		disconnect(table, &table->hosts[i]);
		free(table->hosts[i].name);
		free(table->hosts[i].address);
		free(table->hosts[i].socket);
	}
	if (table->password)
		explicit_bzero(table->password, strlen(table->password));
	cf_result_free(&table->result);
	free(table->query);
	free(table->user);
	free(table->password);
	free(table->dbname);
}

/* --- asking --- */

static bool connect_to(struct sql_lookup_table *table, struct sql_host *host)
{
	const struct sql_server server = { .host = host->address ? host->address : host->name,
		.socket = host->socket,
		.port = host->port ? host->port : table->driver->port,
		.user = table->user,
		.password = table->password,
		.dbname = table->dbname,
		.timeout = table->timeout };
	char error[sizeof(table->error) - 100];
	int64_t began = os_now();

	if (host->connection)
		return true;
	if (began < host->rest_until)
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

struct statement {
	const struct cf_key *key; /* of a lookup; NULL: `sql` is all of it */
	struct buffer sql;
	sql_row row;
	void *context;
	void (*again)(void *context); /* what the rows so far have left is taken back */
};

static enum sql_status ask_host(
	struct sql_lookup_table *table, struct sql_host *host, struct statement *statement)
{
	if (statement->key) {
		buffer_clear(&statement->sql);
		if (!expand(table, host->connection, statement->key, &statement->sql)) {
			snprintf(table->error, sizeof(table->error), "the key cannot be asked for");
			return SQL_FAILED;
		}
	}
	return table->driver->query(host->connection, buffer_text(&statement->sql), statement->row,
		statement->context, table->error, sizeof(table->error));
}

/* A connection that was open may have been closed by the server meanwhile: then once more on a new one, and then the other servers. */
static bool run(struct sql_lookup_table *table, struct statement *statement)
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
				disconnect(table, host);
		} while (status == SQL_LOST && !fresh);
		if (status != SQL_LOST)
			return status == SQL_DONE;
	}
	if (!table->error[0])
		snprintf(table->error, sizeof(table->error), "no server can be reached");
	return false;
}

struct sql_answer {
	const struct sql_lookup_table *table;
	const struct cf_key *key;
	struct buffer *value;
	unsigned rows;
	bool too_many;
};

static void forget_rows(void *context)
{
	struct sql_answer *answer = context;

	buffer_clear(answer->value);
	answer->rows = 0;
}

static bool take_row(
	void *context, const char *const *values, const size_t *lengths, unsigned columns)
{
	struct sql_answer *answer = context;

	if (columns && values[0])
		answer->rows += cf_add_row(&answer->table->result, answer->key,
			slice_of(values[0], lengths[0]), answer->value);
	answer->too_many =
		answer->table->result.limit && answer->rows > answer->table->result.limit;
	return !answer->too_many && !answer->value->failed;
}

static enum table_status sql_lookup(struct table *base, struct slice key, struct buffer *value)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;
	struct cf_key parts;
	struct sql_answer answer = { table, &parts, value, 0, false };
	struct statement statement = { .key = &parts,
		.sql = buffer_limited(4 * CF_MAX_QUERY),
		.row = take_row,
		.context = &answer,
		.again = forget_rows };
	bool done;

	/* "proxy:" may stand before it, or not: it is the same table. */
	if (!table->driver)
		return settings.ask(settings.context,
			base->spec + (slice_starts(slice_from(base->spec), SLICE("proxy:"))
						     ? strlen("proxy:")
						     : 0),
			key, value);
	table->error[0] = '\0';
	cf_split(key, &parts);
	if (!cf_asked(&table->result, &parts))
		return TABLE_NOT_FOUND;
	done = run(table, &statement);
	buffer_free(&statement.sql);
	if (done && answer.too_many)
		snprintf(table->error, sizeof(table->error), "more rows than expansion_limit");
	if (!done || answer.too_many)
		return TABLE_ERROR;
	table->error[0] = '\0';
	return answer.rows ? TABLE_FOUND : TABLE_NOT_FOUND;
}

const char *sql_table_error(const struct table *table)
{
	return ((const struct sql_lookup_table *)table)->error;
}

bool sql_table_rows(struct table *base, const char *sql, sql_row row, void *context, char *error,
	size_t error_size)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;
	struct statement statement = { .row = row, .context = context };
	bool done;

	buffer_add_text(&statement.sql, sql);
	done = buffer_text(&statement.sql) && run(table, &statement);
	buffer_free(&statement.sql);
	if (!done)
		snprintf(error, error_size, "%s", table->error);
	return done;
}

const struct table_type TABLE_MYSQL = {
	.name = "mysql", .open = sql_open, .lookup = sql_lookup, .close = sql_close
};
const struct table_type TABLE_PGSQL = {
	.name = "pgsql", .open = sql_open, .lookup = sql_lookup, .close = sql_close
};
