// SPDX-License-Identifier: ISC
/* MySQL and MariaDB, by libmariadb. See lib/table/sql.h. */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>

#include "table/sql.h"

enum {
	MYSQL_STANDARD_PORT = 3306,
	CLIENT_GONE = 2000 /* the library's own errors begin here */,
	LOGIN_PLUGIN =
		2 /* MYSQL_CLIENT_AUTHENTICATION_PLUGIN, in a header that is not installed whole */
};

extern const struct sql_driver postern_sql_driver;

/* The ways to log in that the library would load when a server asks for them. */
static void prepare(void)
{
	static const char *const PLUGINS[] = { "caching_sha2_password", "sha256_password",
		"client_ed25519" };
	MYSQL *mysql = mysql_library_init(0, NULL, NULL) == 0 ? mysql_init(NULL) : NULL;

	for (size_t i = 0; mysql && i < sizeof(PLUGINS) / sizeof(PLUGINS[0]); i++)
		(void)mysql_load_plugin(mysql, PLUGINS[i], LOGIN_PLUGIN, 0);
	if (mysql)
		mysql_close(mysql);
}

/* Read anew for each connection, so that files which were renewed count. */
static void set_tls(MYSQL *mysql, const struct sql_tls *tls)
{
	const my_bool yes = 1;

	if (tls->wanted)
		mysql_ssl_set(mysql, tls->key_file, tls->cert_file, tls->ca_file, tls->ca_path,
			tls->ciphers);
	if (tls->verify_name)
		mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	/* Without authorities or ciphers of its own, too. */
	if (tls->wanted)
		mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
}

static void set_options(MYSQL *mysql, const struct sql_server *server)
{
	unsigned timeout = server->timeout, protocol = MYSQL_PROTOCOL_TCP;

	if (server->socket || !server->host)
		protocol = MYSQL_PROTOCOL_SOCKET;
	mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
	mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
	mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &timeout);
	mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
	mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (server->option_file) {
		mysql_options(mysql, MYSQL_READ_DEFAULT_FILE, server->option_file);
		mysql_options(mysql, MYSQL_READ_DEFAULT_GROUP,
			server->option_group ? server->option_group : "client");
	}
	set_tls(mysql, &server->tls);
}

static void *open_connection(const struct sql_server *server, char *error, size_t error_size)
{
	MYSQL *mysql = mysql_init(NULL);
	const char *host = server->socket ? "localhost" : server->host;

	if (!mysql) {
		snprintf(error, error_size, "no memory");
		return NULL;
	}
	set_options(mysql, server);
	if (mysql_real_connect(mysql, host, server->user, server->password, server->dbname,
		    server->port, server->socket, 0)) {
		/* The library goes on without when the server offers none. */
		if (!server->tls.wanted || mysql_get_ssl_cipher(mysql))
			return mysql;
		snprintf(error, error_size, "the server offers no TLS");
		mysql_close(mysql);
		return NULL;
	}
	snprintf(error, error_size, "%s", mysql_error(mysql));
	mysql_close(mysql);
	return NULL;
}

static void close_connection(void *connection)
{
	mysql_close(connection);
}

static bool escape(void *connection, const char *text, size_t length, char *out)
{
	return mysql_real_escape_string(connection, out, text, length) != (unsigned long)-1;
}

static enum sql_status fail(MYSQL *mysql, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s", mysql_error(mysql));
	return mysql_errno(mysql) >= CLIENT_GONE ? SQL_LOST : SQL_FAILED;
}

static enum sql_status query(void *connection, const char *sql, sql_row row, void *context,
	char *error, size_t error_size)
{
	MYSQL *mysql = connection;
	MYSQL_RES *result;
	MYSQL_ROW values;
	bool more = true;

	if (mysql_query(mysql, sql) != 0)
		return fail(mysql, error, error_size);
	result = mysql_use_result(mysql);
	if (!result)
		return mysql_errno(mysql) ? fail(mysql, error, error_size) : SQL_DONE;
	while (more && (values = mysql_fetch_row(result))) {
		unsigned long *lengths = mysql_fetch_lengths(result);

		_Static_assert(sizeof(unsigned long) == sizeof(size_t), "lengths are size_t");
		more = row(context, (const char *const *)values, (const size_t *)lengths,
			mysql_num_fields(result));
	}
	more = mysql_errno(mysql) != 0;
	if (more)
		snprintf(error, error_size, "%s", mysql_error(mysql));
	mysql_free_result(result);
	return more ? SQL_LOST : SQL_DONE;
}

__attribute__((visibility("default"))) const struct sql_driver postern_sql_driver = {
	.version = SQL_DRIVER_VERSION,
	.name = "mysql",
	.port = MYSQL_STANDARD_PORT,
	.prepare = prepare,
	.connect = open_connection,
	.close = close_connection,
	.escape = escape,
	.query = query,
	.backslash = true,
	.double_quotes = true,
};
