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

bool sql_hosts_read(struct sql_lookup_table *table, const struct table_opening *opening,
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
