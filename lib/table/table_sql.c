// SPDX-License-Identifier: ISC
/* mysql: and pgsql: tables after Postfix's mysql_table(5) and pgsql_table(5). See table_sql.h. */
#include "table/table_sql.h"

#include <stdio.h>
#include <stdlib.h>

#include "table/table_sql_impl.h"

enum { SQL_TIMEOUT = 5 /* s, unless sql_tables_timeout says otherwise */ };

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

/* --- opening --- */

static bool set_up(struct table *base, const struct table_opening *opening, const char *path,
	struct slice source)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;
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
		!sql_tls_check(opening, path, &options) ||
		!sql_hosts_read(table, opening, path, &options))
		; /* told */
	else if (!cf_query(&options, &query) || !buffer_text(&query))
		table_fail(opening, "%s: no query", path);
	else if (table->driver && !sql_query_is_safe(table->driver, buffer_text(&query)))
		table_fail(opening,
			"%s: the query has an open quote, or an expansion within an identifier",
			path);
	else {
		table->query = slice_dup(buffer_slice(&query));
		done = table->query != NULL;
	}
	if (done && table->driver) {
		table->options = options;
		options = (struct cf_options){ 0 };
		sql_query_needs(table);
		done = sql_files_add(table, opening, path);
	}
	settings.far += done && settings.ask;
	cf_free(&options);
	buffer_free(&query);
	return done;
}

static struct table *sql_open(const struct table_opening *opening)
{
	struct sql_lookup_table *table = table_new(opening, sizeof(*table));

	if (!table)
		return NULL;
	table->timeout = settings.timeout ? settings.timeout : SQL_TIMEOUT;
	return cf_open(opening, &table->table, set_up);
}

static void sql_close(struct table *base)
{
	struct sql_lookup_table *table = (struct sql_lookup_table *)base;

	for (unsigned i = 0; i < table->host_count; i++) {
		sql_disconnect(table, &table->hosts[i]);
		sql_host_free(&table->hosts[i]);
	}
	cf_result_free(&table->result);
	cf_free(&table->options);
	sql_files_free(table);
	free(table->query);
}

/* --- lookups --- */

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
	struct sql_statement statement = { .key = &parts,
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
	done = sql_run(table, &statement);
	buffer_free(&statement.sql);
	if (done && answer.too_many)
		snprintf(table->error, sizeof(table->error), "more rows than expansion_limit");
	if (!done || answer.too_many)
		return TABLE_ERROR;
	table->error[0] = '\0';
	return answer.rows ? TABLE_FOUND : TABLE_NOT_FOUND;
}

const struct table_type TABLE_MYSQL = { .name = "mysql",
	.open = sql_open,
	.lookup = sql_lookup,
	.close = sql_close,
	.changed = sql_files_changed,
	.error = sql_error };
const struct table_type TABLE_PGSQL = { .name = "pgsql",
	.open = sql_open,
	.lookup = sql_lookup,
	.close = sql_close,
	.changed = sql_files_changed,
	.error = sql_error };
