// SPDX-License-Identifier: ISC
/*
 * A client of SQL servers, as a module loaded on demand (sql/mysql.c, sql/pgsql.c): the suite runs without the client libraries.
 * Every call may wait as long as the server's timeout says; a connection is for one thread at a time.
 */
#ifndef TABLE_SQL_H
#define TABLE_SQL_H

#include <stdbool.h>
#include <stddef.h>

enum { SQL_DRIVER_VERSION = 2 };

/* How a server is told from an impostor, and what it is told by whom; all NULL or false: TLS is not asked for. */
struct sql_tls {
	const char *cert_file, *key_file; /* of the client, PEM */
	const char *ca_file, *ca_path; /* whose certificates are believed */
	const char *ciphers;
	bool verify_name; /* the certificate is for sql_server.host, and of a known authority */
	bool wanted; /* any of these was given: no connection without TLS */
};

/* One server, and how to log in there. */
struct sql_server {
	const char *host; /* an address or a name; NULL: a socket, or the library's default place */
	const char *address; /* of `host`, when that is known already */
	const char *socket; /* path of a UNIX socket (mysql), of its folder (pgsql); NULL: none */
	const char *uri; /* pgsql: says everything but the address; NULL: the other members do */
	unsigned port; /* 0: the standard one */
	const char *user, *password, *dbname; /* NULL: the library's default */
	unsigned timeout; /* s, for connecting and for each answer */
	struct sql_tls tls; /* mysql */
	const char *option_file, *option_group; /* mysql: the library's own; NULL: none is read */
};

enum sql_status {
	SQL_LOST = 0, /* the connection is of no use any more */
	SQL_FAILED, /* the server refused the statement */
	SQL_DONE
};

/* The columns of a row; a NULL is a NULL pointer. False stops. */
typedef bool (*sql_row)(
	void *context, const char *const *values, const size_t *lengths, unsigned columns);

struct sql_driver {
	unsigned version; /* SQL_DRIVER_VERSION */
	const char *name;
	unsigned port; /* the standard one */
	/* Once, before threads and confinement: whatever the library loads or reads late. */
	void (*prepare)(void);
	void *(*connect)(const struct sql_server *server, char *error, size_t error_size);
	void (*close)(void *connection);
	/* A text for use between quotes; `out` has room for 2 * length + 1. False: not in the connection's character set. */
	bool (*escape)(void *connection, const char *text, size_t length, char *out);
	enum sql_status (*query)(void *connection, const char *sql, sql_row row, void *context,
		char *error, size_t error_size);
	/* Each word of a connection URI with its value; false when it is none. NULL: there are no URIs. */
	bool (*read_uri)(const char *uri,
		void (*each)(void *context, const char *name, const char *value), void *context);
	bool backslash; /* a backslash protects the next character of a literal */
	bool double_quotes; /* "..." is a text, not an identifier */
};

/* What a module exports. */
#define SQL_DRIVER_SYMBOL "postern_sql_driver"

/*
 * The driver of "mysql" or "pgsql", loaded when it is first asked for: from the program's own folder, else from lib/postern. NULL
 * with `error` filled.
 */
const struct sql_driver *sql_driver_load(const char *name, char *error, size_t error_size);

#endif
