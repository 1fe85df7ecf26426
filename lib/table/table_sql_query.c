// SPDX-License-Identifier: ISC
/* The query of mysql: and pgsql: tables, and how a key becomes part of it. See table_sql_impl.h. */
#include "table/table_sql_impl.h"

bool sql_query_is_safe(const struct sql_driver *driver, const char *query)
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

void sql_query_needs(struct sql_lookup_table *table)
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

bool sql_query_expand(const struct sql_lookup_table *table, void *connection,
	const struct cf_key *key, struct buffer *sql)
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
