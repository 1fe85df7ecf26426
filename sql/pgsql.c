// SPDX-License-Identifier: ISC
/* PostgreSQL, by libpq. Nothing waits without a deadline: connecting and answers are polled for. See lib/table/sql.h. */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "table/sql.h"

enum { PGSQL_STANDARD_PORT = 5432, COLUMNS_MOST = 16 };

extern const struct sql_driver postern_sql_driver;

struct pgsql {
	PGconn *connection;
	unsigned timeout; /* s */
};

static void prepare(void)
{
	/* TLS initializes itself now, and reads its configuration. */
	PQinitOpenSSL(1, 1);
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False when the time is over. */
static bool wait_for(PGconn *connection, short events, long long deadline)
{
	struct pollfd fd = { .fd = PQsocket(connection), .events = events };
	long long left = deadline - now_ms();

	return left > 0 && (poll(&fd, 1, (int)left) > 0 || errno == EINTR);
}

static bool connected(PGconn *connection, long long deadline)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
		if (!wait_for(connection, status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
			    deadline))
			return false;
		status = PQconnectPoll(connection);
	}
	return status == PGRES_POLLING_OK;
}

static void close_connection(void *connection)
{
	struct pgsql *pgsql = connection;

	PQfinish(pgsql->connection);
	free(pgsql);
}

static void *open_connection(const struct sql_server *server, char *error, size_t error_size)
{
	char port[16] = "";
	/* What follows a URI has precedence over it. */
	const char *const uri_names[] = { "dbname", "hostaddr", "gssencmode", "client_encoding",
		"fallback_application_name", NULL };
	const char *const uri_values[] = { server->uri, server->address, "disable", "UTF8",
		"postern", NULL };
	const char *const names[] = { "host", "hostaddr", "port", "user", "password", "dbname",
		"gssencmode", "client_encoding", "fallback_application_name", NULL };
	const char *const values[] = { server->socket ? server->socket : server->host,
		server->address, port, server->user, server->password, server->dbname, "disable",
		"UTF8", "postern", NULL };
	struct pgsql *pgsql = calloc(1, sizeof(*pgsql));

	if (server->port)
		snprintf(port, sizeof(port), "%u", server->port);
	if (!pgsql) {
		snprintf(error, error_size, "no memory");
		return NULL;
	}
	pgsql->timeout = server->timeout;
	pgsql->connection = server->uri ? PQconnectStartParams(uri_names, uri_values, 1)
					: PQconnectStartParams(names, values, 1);
	if (pgsql->connection && PQstatus(pgsql->connection) != CONNECTION_BAD &&
		connected(pgsql->connection, now_ms() + 1000ll * server->timeout) &&
		PQsetnonblocking(pgsql->connection, 1) == 0)
		return pgsql;
	snprintf(error, error_size, "%s",
		pgsql->connection && PQerrorMessage(pgsql->connection)[0]
			? PQerrorMessage(pgsql->connection)
			: "no connection in time");
	close_connection(pgsql);
	return NULL;
}

static bool read_uri(const char *uri,
	void (*each)(void *context, const char *name, const char *value), void *context)
{
	PQconninfoOption *options = PQconninfoParse(uri, NULL);

	for (PQconninfoOption *option = options; option && option->keyword; option++)
		if (option->val)
			each(context, option->keyword, option->val);
	PQconninfoFree(options);
	return options != NULL;
}

static bool escape(void *connection, const char *text, size_t length, char *out)
{
	int failed = 0;

	PQescapeStringConn(((struct pgsql *)connection)->connection, out, text, length, &failed);
	return !failed;
}

static bool send_all(PGconn *connection, long long deadline)
{
	int left;

	while ((left = PQflush(connection)) > 0)
		if (!wait_for(connection, POLLOUT, deadline))
			return false;
	return left == 0;
}

static bool give_rows(PGresult *result, sql_row row, void *context)
{
	const char *values[COLUMNS_MOST];
	size_t lengths[COLUMNS_MOST];
	int columns = PQnfields(result);

	if (columns > COLUMNS_MOST)
		columns = COLUMNS_MOST;
	for (int r = 0; r < PQntuples(result); r++) {
		for (int c = 0; c < columns; c++) {
			values[c] = PQgetisnull(result, r, c) ? NULL : PQgetvalue(result, r, c);
			lengths[c] = (size_t)PQgetlength(result, r, c);
		}
		if (!row(context, values, lengths, (unsigned)columns))
			return false;
	}
	return true;
}

/* The next result within the time; NULL at the end, or with *lost. */
static PGresult *next_result(PGconn *connection, long long deadline, bool *lost)
{
	while (PQisBusy(connection))
		if (!wait_for(connection, POLLIN, deadline) || !PQconsumeInput(connection)) {
			*lost = true;
			return NULL;
		}
	return PQgetResult(connection);
}

static enum sql_status query(
	void *context_, const char *sql, sql_row row, void *context, char *error, size_t error_size)
{
	struct pgsql *pgsql = context_;
	long long deadline = now_ms() + 1000ll * pgsql->timeout;
	enum sql_status status = SQL_DONE;
	bool lost = false, more = true;
	PGresult *result;

	snprintf(error, error_size, "no answer in time");
	if (!PQsendQuery(pgsql->connection, sql) || !PQsetSingleRowMode(pgsql->connection) ||
		!send_all(pgsql->connection, deadline))
		lost = true;
	while (!lost && (result = next_result(pgsql->connection, deadline, &lost))) {
		ExecStatusType what = PQresultStatus(result);

		if (what == PGRES_SINGLE_TUPLE) {
			more = more && give_rows(result, row, context);
		} else if (what != PGRES_TUPLES_OK && what != PGRES_COMMAND_OK) {
			status = SQL_FAILED;
			snprintf(error, error_size, "%s", PQresultErrorMessage(result));
		}
		PQclear(result);
	}
	return lost || PQstatus(pgsql->connection) != CONNECTION_OK ? SQL_LOST : status;
}

__attribute__((visibility("default"))) const struct sql_driver postern_sql_driver = {
	.version = SQL_DRIVER_VERSION,
	.name = "pgsql",
	.port = PGSQL_STANDARD_PORT,
	.prepare = prepare,
	.connect = open_connection,
	.close = close_connection,
	.escape = escape,
	.query = query,
	.read_uri = read_uri,
};
