// SPDX-License-Identifier: ISC
/*
 * sqlite: tables after Postfix's sqlite_table(5). The query of the .cf file becomes one prepared statement: each '...' literal
 * with %-expansions turns into a concatenation of bound parameters, so that no key can become part of the SQL text, quoted
 * or not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/database.h"
#include "table/table_cf.h"

enum {
	SQLITE_BUSY_WAIT = 200, /* ms to wait for a lock */
	SQLITE_MAX_STEPS = 2000, /* of one lookup, in units of SQLITE_UNIT */
	SQLITE_UNIT = 1000 /* instructions of SQLite's virtual machine */
};

struct sqlite_table {
	struct table table;
	sqlite3 *db;
	sqlite3_stmt *query;
	struct cf_result result;
	unsigned steps; /* of the lookup at hand */
	struct file_stamp data; /* the database: is it still the file of that name? */
};

/* --- the query: ?1 is the key, ?2 its local part, and so on (enum cf_parameter) --- */

/* The inside of a literal, up to its closing quote, as "('text' || ?1 || 'text')". `*at` is behind the opening quote. */
static bool translate_literal(
	struct slice text, size_t *at, struct sqlite_table *table, struct buffer *out)
{
	char quote = text.data[*at - 1];

	buffer_add_text(out, "('");
	for (size_t i = *at; i < text.length; i++) {
		char c = text.data[i];

		if (c == quote && i + 1 < text.length && text.data[i + 1] == quote) {
			buffer_add_text(out, quote == '\'' ? "''" : "\"");
			i++;
		} else if (c == quote) {
			buffer_add_text(out, "')");
			*at = i + 1;
			return true;
		} else if (c == '%' && i + 1 < text.length && cf_parameter_of(text.data[i + 1])) {
			int parameter = cf_parameter_of(text.data[++i]);

			table->result.needs |= 1u << parameter;
			buffer_printf(out, "' || ?%d || '", parameter);
		} else {
			if (c == '%' && i + 1 < text.length && text.data[i + 1] == '%')
				i++;
			if (c == '\'')
				buffer_add_byte(out, c);
			buffer_add_byte(out, c);
		}
	}
	return false;
}

/* Does the literal at `at` (behind its quote) hold an expansion? Only then a "..." is a text and not an identifier. */
static bool literal_expands(struct slice text, size_t at)
{
	char quote = text.data[at - 1];

	for (size_t i = at; i + 1 < text.length && text.data[i] != quote; i++)
		if (text.data[i] == '%' &&
			(text.data[i + 1] == '%' || cf_parameter_of(text.data[i + 1])))
			return true;
	return false;
}

static bool translate_query(struct slice text, struct sqlite_table *table, struct buffer *out)
{
	for (size_t i = 0; i < text.length;) {
		char c = text.data[i];

		if ((c == '\'' || c == '"') && literal_expands(text, i + 1)) {
			i++;
			if (!translate_literal(text, &i, table, out))
				return false;
		} else if (c == '\'' || c == '"') {
			ptrdiff_t end = slice_find(slice_tail(text, i + 1), c);

			if (end < 0)
				return false;
			buffer_add(out, slice_of(text.data + i, (size_t)end + 2));
			i += (size_t)end + 2;
		} else if (c == '%' && i + 1 < text.length && cf_parameter_of(text.data[i + 1])) {
			int parameter = cf_parameter_of(text.data[i + 1]);

			table->result.needs |= 1u << parameter;
			buffer_printf(out, "?%d", parameter);
			i += 2;
		} else {
			buffer_add_byte(out, c);
			i += c == '%' && i + 1 < text.length && text.data[i + 1] == '%' ? 2 : 1;
		}
	}
	return !out->failed;
}

/* --- opening --- */

static bool sqlite_prepare(struct sqlite_table *table, const struct table_opening *opening,
	const char *path, const struct cf_options *options)
{
	struct buffer query = buffer_limited(CF_MAX_QUERY), sql = buffer_limited(4 * CF_MAX_QUERY);
	char error[300] = "";
	bool done = false;

	if (!cf_query(options, &query))
		table_fail(opening, "%s: no query", path);
	else if (!translate_query(buffer_slice(&query), table, &sql))
		table_fail(opening, "%s: the query has an open quote", path);
	else {
		table->query = database_prepare(table->db, buffer_text(&sql), error, sizeof(error));
		done = table->query && sqlite3_stmt_readonly(table->query);
		if (!done)
			table_fail(
				opening, "%s: %s", path, table->query ? "the query writes" : error);
	}
	buffer_free(&query);
	buffer_free(&sql);
	return done;
}

/* A query that goes on for ever is an error, not a hang. */
static int count_steps(void *context)
{
	struct sqlite_table *table = context;

	return ++table->steps > SQLITE_MAX_STEPS;
}

static bool sqlite_set_up(struct table *base, const struct table_opening *opening, const char *path,
	struct slice source)
{
	struct sqlite_table *table = (struct sqlite_table *)base;
	struct cf_options options = { 0 };
	bool done = false;

	if (!cf_read(&options, opening, path, source))
		goto end;
	if (!options.value[CF_DBPATH]) {
		table_fail(opening, "%s: no dbpath", path);
		goto end;
	}
	if (!cf_result_take(&table->result, &options, opening, path))
		goto end;
	table->db = database_open(options.value[CF_DBPATH], DATABASE_READ_ONLY, SQLITE_BUSY_WAIT,
		opening->error, opening->error_size);
	if (!table->db)
		goto end;
	if (!file_stamp_take(&table->data, options.value[CF_DBPATH])) {
		table_fail(opening, "%s: %s", options.value[CF_DBPATH], strerror(errno));
		goto end;
	}
	sqlite3_progress_handler(table->db, SQLITE_UNIT, count_steps, table);
	done = sqlite_prepare(table, opening, path, &options);
end:
	cf_free(&options);
	return done;
}

static struct table *sqlite_open(const struct table_opening *opening)
{
	struct sqlite_table *sqlite = table_new(opening, sizeof(*sqlite));

	if (!sqlite)
		return NULL;
	sqlite->data = FILE_STAMP_NONE;
	return cf_open(opening, &sqlite->table, sqlite_set_up);
}

static void sqlite_close(struct table *table)
{
	struct sqlite_table *sqlite = (struct sqlite_table *)table;

	sqlite3_finalize(sqlite->query);
	sqlite3_close(sqlite->db);
	file_stamp_free(&sqlite->data);
	cf_result_free(&sqlite->result);
}

/* Rows change all the time and are seen at once; what counts is whether the database is another file now. */
static bool sqlite_changed(const struct table *table)
{
	const struct sqlite_table *sqlite = (const struct sqlite_table *)table;

	return file_stamp_changed(&table->stamp) || file_stamp_replaced(&sqlite->data);
}

/* --- lookups --- */

static void bind_key(struct sqlite_table *table, const struct cf_key *key)
{
	for (int i = CF_KEY; i < CF_PART + CF_PARTS; i++)
		if (table->result.needs & 1u << i)
			database_bind(table->query, i, cf_value(key, i));
}

static enum table_status sqlite_lookup(struct table *base, struct slice key, struct buffer *value)
{
	struct sqlite_table *table = (struct sqlite_table *)base;
	struct cf_key parts;
	unsigned rows = 0;
	int result;

	cf_split(key, &parts);
	if (!cf_asked(&table->result, &parts))
		return TABLE_NOT_FOUND;
	bind_key(table, &parts);
	table->steps = 0;
	while ((result = sqlite3_step(table->query)) == SQLITE_ROW && !value->failed) {
		rows += cf_add_row(&table->result, &parts, database_column(table->query, 0), value);
		if (table->result.limit && rows > table->result.limit)
			break;
	}
	database_reset(table->query);
	if (result != SQLITE_DONE)
		return TABLE_ERROR;
	return rows ? TABLE_FOUND : TABLE_NOT_FOUND;
}

const struct table_type TABLE_SQLITE = { .name = "sqlite",
	.open = sqlite_open,
	.lookup = sqlite_lookup,
	.close = sqlite_close,
	.changed = sqlite_changed };
