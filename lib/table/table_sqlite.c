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
#include "table/table_impl.h"

enum {
	SQLITE_PARTS = 9, /* %1 ... %9 */
	SQLITE_BUSY_WAIT = 200, /* ms to wait for a lock */
	SQLITE_MAX_QUERY = 64 * 1024,
	SQLITE_MAX_STEPS = 2000, /* of one lookup, in units of SQLITE_UNIT */
	SQLITE_UNIT = 1000 /* instructions of SQLite's virtual machine */
};

/* Bound parameters of a query: ?1 key, ?2 local part, ?3 domain, ?4 ... ?12 parts of the domain from its end. */
enum { BIND_KEY = 1, BIND_LOCAL, BIND_DOMAIN, BIND_PART };

struct sqlite_table {
	struct table table;
	sqlite3 *db;
	sqlite3_stmt *query;
	unsigned needs; /* bit of each parameter the query holds */
	char *result_format; /* NULL: "%s" */
	char *domains; /* only keys of these domains; NULL: all keys */
	unsigned expansion_limit;
	unsigned steps; /* of the lookup at hand */
	struct table_stamp data; /* the database: is it still the file of that name? */
};

/* --- the .cf file --- */

enum sqlite_option {
	OPTION_DBPATH,
	OPTION_QUERY,
	OPTION_RESULT_FORMAT,
	OPTION_DOMAIN,
	OPTION_LIMIT,
	OPTION_SELECT_FIELD,
	OPTION_TABLE,
	OPTION_WHERE_FIELD,
	OPTION_CONDITIONS,
	OPTION_COUNT
};
static const char *const OPTIONS[OPTION_COUNT] = { "dbpath", "query", "result_format", "domain",
	"expansion_limit", "select_field", "table", "where_field", "additional_conditions" };

struct sqlite_options {
	char *value[OPTION_COUNT];
};

static void options_free(struct sqlite_options *options)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		free(options->value[i]);
}

static bool options_read(struct sqlite_options *options, const struct table_opening *opening,
	const char *path, struct slice source)
{
	struct table_lines lines;
	struct slice line, name;
	bool done = true;

	table_lines_begin(&lines, source);
	while (done && table_lines_next(&lines, &line)) {
		ptrdiff_t equals = slice_find(line, '=');
		int i = 0;

		name = slice_trim(slice_head(line, equals < 0 ? 0 : (size_t)equals));
		while (i < OPTION_COUNT && !slice_equal(name, slice_from(OPTIONS[i])))
			i++;
		if (equals < 0)
			done = table_fail(
				opening, "%s:%u: expected \"name = value\"", path, lines.number);
		/* An unknown name is passed over, as Postfix does: the file may serve other programs, too. */
		if (done && i < OPTION_COUNT) {
			free(options->value[i]);
			options->value[i] =
				slice_dup(slice_trim(slice_tail(line, (size_t)equals + 1)));
			done = options->value[i] ||
			       table_fail(opening, "%s:%u: bad value", path, lines.number);
		}
	}
	if (done && lines.failed)
		done = table_fail(opening, "%s:%u: line too long", path, lines.next_number);
	table_lines_end(&lines);
	return done;
}

/* --- the query --- */

/* The parameter a "%x" stands for; 0 when it is none. */
static int parameter_of_letter(char c)
{
	switch (ascii_lower(c)) {
	case 's':
		return BIND_KEY;
	case 'u':
		return BIND_LOCAL;
	case 'd':
		return BIND_DOMAIN;
	default:
		return c >= '1' && c <= '9' ? BIND_PART + (c - '1') : 0;
	}
}

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
		} else if (c == '%' && i + 1 < text.length &&
			   parameter_of_letter(text.data[i + 1])) {
			int parameter = parameter_of_letter(text.data[++i]);

			table->needs |= 1u << parameter;
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
			(text.data[i + 1] == '%' || parameter_of_letter(text.data[i + 1])))
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
		} else if (c == '%' && i + 1 < text.length &&
			   parameter_of_letter(text.data[i + 1])) {
			int parameter = parameter_of_letter(text.data[i + 1]);

			table->needs |= 1u << parameter;
			buffer_printf(out, "?%d", parameter);
			i += 2;
		} else {
			buffer_add_byte(out, c);
			i += c == '%' && i + 1 < text.length && text.data[i + 1] == '%' ? 2 : 1;
		}
	}
	return !out->failed;
}

/* `query`, or one put together of the older options. */
static bool query_text(const struct sqlite_options *options, struct buffer *query)
{
	char *const *value = options->value;

	if (value[OPTION_QUERY])
		return buffer_add_text(query, value[OPTION_QUERY]);
	return value[OPTION_SELECT_FIELD] && value[OPTION_TABLE] && value[OPTION_WHERE_FIELD] &&
	       buffer_printf(query, "SELECT %s FROM %s WHERE %s = '%%s' %s",
		       value[OPTION_SELECT_FIELD], value[OPTION_TABLE], value[OPTION_WHERE_FIELD],
		       value[OPTION_CONDITIONS] ? value[OPTION_CONDITIONS] : "");
}

/* --- opening --- */

static bool sqlite_prepare(struct sqlite_table *table, const struct table_opening *opening,
	const char *path, const struct sqlite_options *options)
{
	struct buffer query = buffer_limited(SQLITE_MAX_QUERY),
		      sql = buffer_limited(4 * SQLITE_MAX_QUERY);
	char error[300] = "";
	bool done = false;

	if (!query_text(options, &query))
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

static char *take_option(struct sqlite_options *options, enum sqlite_option option)
{
	char *value = options->value[option];

	options->value[option] = NULL;
	return value;
}

static bool sqlite_set_up(struct sqlite_table *table, const struct table_opening *opening,
	const char *path, struct slice source)
{
	struct sqlite_options options = { 0 };
	uint64_t limit = 0;
	bool done = false;

	if (!options_read(&options, opening, path, source))
		goto end;
	if (!options.value[OPTION_DBPATH]) {
		table_fail(opening, "%s: no dbpath", path);
		goto end;
	}
	if (options.value[OPTION_LIMIT] &&
		!slice_to_u64(slice_from(options.value[OPTION_LIMIT]), UINT32_MAX, &limit)) {
		table_fail(opening, "%s: bad expansion_limit", path);
		goto end;
	}
	table->expansion_limit = (unsigned)limit;
	table->db = database_open(options.value[OPTION_DBPATH], DATABASE_READ_ONLY,
		SQLITE_BUSY_WAIT, opening->error, opening->error_size);
	if (!table->db)
		goto end;
	if (!table_stamp_take(&table->data, options.value[OPTION_DBPATH])) {
		table_fail(opening, "%s: %s", options.value[OPTION_DBPATH], strerror(errno));
		goto end;
	}
	sqlite3_progress_handler(table->db, SQLITE_UNIT, count_steps, table);
	done = sqlite_prepare(table, opening, path, &options);
	table->result_format = take_option(&options, OPTION_RESULT_FORMAT);
	table->domains = take_option(&options, OPTION_DOMAIN);
end:
	options_free(&options);
	return done;
}

static struct table *sqlite_open(const struct table_opening *opening)
{
	struct sqlite_table *sqlite = table_new(opening, sizeof(*sqlite));
	struct table *table = (struct table *)sqlite;
	struct buffer path = { 0 }, source = { 0 };
	bool done = false;

	if (!sqlite)
		return NULL;
	sqlite->data.fd = -1;
	if (table_path(opening, "", &path)) {
		if (!table_stamp_take(&table->stamp, buffer_text(&path)) ||
			!table_read_file(buffer_text(&path), &source))
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else
			done = sqlite_set_up(
				sqlite, opening, buffer_text(&path), buffer_slice(&source));
	}
	buffer_free(&path);
	buffer_free(&source);
	if (!done)
		table_close(&table);
	return table;
}

static void sqlite_close(struct table *table)
{
	struct sqlite_table *sqlite = (struct sqlite_table *)table;

	sqlite3_finalize(sqlite->query);
	sqlite3_close(sqlite->db);
	table_stamp_free(&sqlite->data);
	free(sqlite->result_format);
	free(sqlite->domains);
}

/* Rows change all the time and are seen at once; what counts is whether the database is another file now. */
static bool sqlite_changed(const struct table *table)
{
	const struct sqlite_table *sqlite = (const struct sqlite_table *)table;
	struct stat info;

	return table_stamp_changed(&table->stamp) || fstat(sqlite->data.fd, &info) != 0 ||
	       info.st_nlink == 0;
}

/* --- lookups --- */

struct key_parts {
	struct slice key, local, domain;
	struct slice part[SQLITE_PARTS]; /* %1 is the top-level domain */
	unsigned count;
};

static void split_key(struct slice key, struct key_parts *parts)
{
	ptrdiff_t at = slice_find_last(key, '@');
	struct slice rest;

	*parts = (struct key_parts){ .key = key, .local = key };
	if (at >= 0) {
		parts->local = slice_head(key, (size_t)at);
		parts->domain = slice_tail(key, (size_t)at + 1);
	}
	rest = at >= 0 ? parts->domain : key;
	while (rest.length && parts->count < SQLITE_PARTS) {
		ptrdiff_t dot = slice_find_last(rest, '.');

		parts->part[parts->count++] = slice_tail(rest, dot < 0 ? 0 : (size_t)dot + 1);
		rest = slice_head(rest, dot < 0 ? 0 : (size_t)dot);
	}
}

/* False when the query asks for something that this key does not have: then it is not in the table. */
static bool key_fits(const struct sqlite_table *table, const struct key_parts *parts)
{
	if ((table->needs & 1u << BIND_DOMAIN) && parts->domain.length == 0)
		return false;
	if ((table->needs & 1u << BIND_LOCAL) && parts->local.length == 0)
		return false;
	return table->needs >> BIND_PART >> parts->count == 0;
}

static bool domain_wanted(const struct sqlite_table *table, const struct key_parts *parts)
{
	struct slice rest = slice_from(table->domains), item;

	if (!table->domains)
		return true;
	if (parts->domain.length == 0 || parts->local.length == 0)
		return false;
	while (table_next_item(&rest, &item))
		if (slice_equal_nocase(item, parts->domain))
			return true;
	return false;
}

/* "%s" is the row's value, %u and %d its parts; %S %U %D %1... are the key's. False when a part is not there. */
static bool format_value(
	const char *format, const struct key_parts *key, struct slice row, struct buffer *out)
{
	struct key_parts value;

	split_key(row, &value);
	for (const char *p = format; *p; p++) {
		const struct key_parts *from =
			p[0] == '%' && p[1] >= 'a' && p[1] <= 'z' ? &value : key;
		int parameter = p[0] == '%' ? parameter_of_letter(p[1]) : 0;
		struct slice part = { 0 };

		if (!parameter) {
			p += p[0] == '%' && p[1] == '%' ? 1 : 0;
			buffer_add_byte(out, *p);
			continue;
		}
		p++;
		part = parameter == BIND_KEY      ? from->key
		       : parameter == BIND_LOCAL  ? from->local
		       : parameter == BIND_DOMAIN ? from->domain
		       : (unsigned)(parameter - BIND_PART) < key->count
			       ? key->part[parameter - BIND_PART]
			       : (struct slice){ 0 };
		if (part.length == 0)
			return false;
		buffer_add(out, part);
	}
	return true;
}

static bool add_row(const struct sqlite_table *table, const struct key_parts *key, struct slice row,
	struct buffer *value)
{
	size_t before = value->length;

	if (row.length == 0)
		return false;
	if (before)
		buffer_add_byte(value, ',');
	if (!format_value(table->result_format ? table->result_format : "%s", key, row, value)) {
		value->length = before;
		return false;
	}
	return true;
}

static void bind_key(struct sqlite_table *table, const struct key_parts *parts)
{
	const struct slice texts[] = { parts->key, parts->local, parts->domain };

	for (int i = 0; i < 3; i++)
		if (table->needs & 1u << (BIND_KEY + i))
			database_bind(table->query, BIND_KEY + i, texts[i]);
	for (int i = 0; i < SQLITE_PARTS; i++)
		if (table->needs & 1u << (BIND_PART + i))
			database_bind(table->query, BIND_PART + i, parts->part[i]);
}

static enum table_status sqlite_lookup(struct table *base, struct slice key, struct buffer *value)
{
	struct sqlite_table *table = (struct sqlite_table *)base;
	struct key_parts parts;
	unsigned rows = 0;
	int result;

	split_key(key, &parts);
	if (!key_fits(table, &parts) || !domain_wanted(table, &parts))
		return TABLE_NOT_FOUND;
	bind_key(table, &parts);
	table->steps = 0;
	while ((result = sqlite3_step(table->query)) == SQLITE_ROW && !value->failed) {
		rows += add_row(table, &parts, database_column(table->query, 0), value);
		if (table->expansion_limit && rows > table->expansion_limit)
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
