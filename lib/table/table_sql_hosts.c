// SPDX-License-Identifier: ISC
/* The servers of mysql: and pgsql: tables: how `hosts` names them, their ports and addresses. See table_sql_impl.h. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "table/table_sql_impl.h"

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

/* --- URIs of PostgreSQL --- */

struct uri {
	struct sql_lookup_table *table;
	const struct table_opening *opening;
	const char *path;
	unsigned line;
	struct sql_host *host;
	bool failed; /* told */
};

/* Words of a URI that name files; the library reads them when it connects. */
static bool names_file(const char *name)
{
	static const char *const FILES[] = { "sslrootcert", "sslcert", "sslkey", "sslcrl",
		"sslcrldir", "passfile" };

	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
		if (strcmp(name, FILES[i]) == 0)
			return true;
	return false;
}

static void uri_fail(struct uri *uri, const char *what)
{
	if (!uri->failed)
		table_fail(uri->opening, "%s:%u: hosts: %s", uri->path, uri->line, what);
	uri->failed = true;
}

static void uri_word(void *context, const char *name, const char *value)
{
	struct uri *uri = context;
	struct sql_host *host = uri->host;
	uint64_t port;

	if (uri->failed || !*value)
		return;
	if ((strcmp(name, "host") == 0 || strcmp(name, "hostaddr") == 0) && strchr(value, ',')) {
		uri_fail(uri, "a URI names one server: write one for each");
	} else if (strcmp(name, "host") == 0 && value[0] != '/') {
		free(host->name);
		host->name = strdup(value);
	} else if (strcmp(name, "hostaddr") == 0) {
		host->address = strdup(value);
		if (!host->name)
			host->name = strdup(value);
	} else if (strcmp(name, "port") == 0) {
		if (!slice_to_u64(slice_from(value), UINT16_MAX, &port))
			uri_fail(uri, "no port");
		else
			host->port = (unsigned)port;
	} else if (strcmp(name, "service") == 0) {
		uri_fail(uri, "service files are not read");
	} else if (names_file(name) && value[0] != '/') {
		uri_fail(uri, "files of a URI have absolute names");
	} else if (names_file(name) &&
		   !sql_file_add(uri->table, uri->opening, uri->path, uri->line, value)) {
		uri->failed = true;
	}
}

static bool is_uri(struct slice item)
{
	return slice_starts(item, SLICE("postgresql://")) ||
	       slice_starts(item, SLICE("postgres://"));
}

static bool read_uri(struct uri *uri, struct slice item)
{
	const struct sql_driver *driver = uri->table->driver;

	uri->host->uri = slice_dup(item);
	/* Who only asks another process leaves the reading to that one. What is wrong is not told: it may be in the password. */
	if (driver && (!uri->host->uri || !driver->read_uri(uri->host->uri, uri_word, uri)))
		uri_fail(uri, "not a URI that can be read");
	return !uri->failed;
}

/* --- all --- */

static bool read_item(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, unsigned line, struct slice item)
{
	bool pgsql = strcmp(table->table.type->name, "pgsql") == 0;
	struct sql_host *host = &table->hosts[table->host_count++];

	if (pgsql && is_uri(item))
		return read_uri(&(struct uri){ table, opening, path, line, host, false }, item);
	if (!read_host(opening, path, item, host))
		return false;
	/* For MySQL's library "localhost" is its socket. */
	if (!pgsql && slice_equal(item, SLICE("localhost"))) {
		free(host->name);
		host->name = NULL;
	}
	if (pgsql)
		split_pgsql_socket(host);
	return true;
}

bool sql_hosts_read(struct sql_lookup_table *table, const struct table_opening *opening,
	const char *path, const struct cf_options *options)
{
	struct slice rest = slice_from(options->value[CF_HOSTS]), item;

	while (table_next_item(&rest, &item)) {
		if (table->host_count == SQL_HOSTS_MOST)
			return table_fail(opening, "%s: more than %d hosts", path,
				       SQL_HOSTS_MOST) != NULL;
		if (!read_item(table, opening, path, options->line[CF_HOSTS], item))
			return false;
	}
	if (table->host_count == 0)
		table->host_count = 1;
	return true;
}

void sql_host_free(struct sql_host *host)
{
	/* It may hold a password. */
	if (host->uri)
		explicit_bzero(host->uri, strlen(host->uri));
	free(host->uri);
	free(host->name);
	free(host->address);
	free(host->socket);
}

/* --- for who confines himself --- */

bool sql_table_uses_sockets(const struct table *base)
{
	const struct sql_lookup_table *table = (const struct sql_lookup_table *)base;

	for (unsigned i = 0; i < table->host_count; i++)
		if (!table->hosts[i].name)
			return true;
	return false;
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

		if (!host->name || host->address)
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

const char *sql_table_address(const struct table *base, const char *name)
{
	const struct sql_lookup_table *table = (const struct sql_lookup_table *)base;

	for (unsigned i = 0; i < table->host_count; i++)
		if (table->hosts[i].name && strcmp(table->hosts[i].name, name) == 0)
			return table->hosts[i].address;
	return NULL;
}
