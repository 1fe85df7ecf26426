// SPDX-License-Identifier: ISC
/* The .cf files of SQL tables. See table_cf.h. */
#include "table/table_cf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	const char *
		only; /* the one type of tables that has it; others refuse it. NULL: all, or passed over */
} OPTIONS[CF_OPTION_COUNT] = {
	[CF_DBPATH] = { "dbpath", NULL },
	[CF_HOSTS] = { "hosts", NULL },
	[CF_USER] = { "user", NULL },
	[CF_PASSWORD] = { "password", NULL },
	[CF_DBNAME] = { "dbname", NULL },
	[CF_QUERY] = { "query", NULL },
	[CF_RESULT_FORMAT] = { "result_format", NULL },
	[CF_DOMAIN] = { "domain", NULL },
	[CF_LIMIT] = { "expansion_limit", NULL },
	[CF_SELECT_FIELD] = { "select_field", NULL },
	[CF_TABLE] = { "table", NULL },
	[CF_WHERE_FIELD] = { "where_field", NULL },
	[CF_CONDITIONS] = { "additional_conditions", NULL },
	[CF_TLS_CERT_FILE] = { "tls_cert_file", "mysql" },
	[CF_TLS_KEY_FILE] = { "tls_key_file", "mysql" },
	[CF_TLS_CA_FILE] = { "tls_CAfile", "mysql" },
	[CF_TLS_CA_PATH] = { "tls_CApath", "mysql" },
	[CF_TLS_CIPHERS] = { "tls_ciphers", "mysql" },
	[CF_TLS_VERIFY_CERT] = { "tls_verify_cert", "mysql" },
	[CF_OPTION_FILE] = { "option_file", "mysql" },
	[CF_OPTION_GROUP] = { "option_group", "mysql" },
};

void cf_free(struct cf_options *options)
{
	for (int i = 0; i < CF_OPTION_COUNT; i++) {
		if (options->value[i] && i == CF_PASSWORD)
			explicit_bzero(options->value[i], strlen(options->value[i]));
		free(options->value[i]);
		options->value[i] = NULL;
	}
}

char *cf_take(struct cf_options *options, enum cf_option option)
{
	char *value = options->value[option];

	options->value[option] = NULL;
	return value;
}

/* CF_OPTION_COUNT when there is none of this name. */
static int option_of(struct slice name)
{
	int i = 0;

	while (i < CF_OPTION_COUNT && !slice_equal(name, slice_from(OPTIONS[i].name)))
		i++;
	return i;
}

static bool read_option(struct cf_options *options, const struct table_opening *opening,
	const char *path, unsigned line, struct slice name, struct slice value)
{
	int i = option_of(name);

	if (i == CF_OPTION_COUNT)
		return (!slice_starts(name, SLICE("tls_")) &&
			       !slice_starts(name, SLICE("option_"))) ||
		       table_fail(opening, "%s:%u: %.*s: there is no such parameter", path, line,
			       SLICE_ARG(name));
	if (OPTIONS[i].only && strcmp(OPTIONS[i].only, opening->type->name) != 0)
		return table_fail(opening, "%s:%u: %s is for %s tables only", path, line,
			       OPTIONS[i].name, OPTIONS[i].only) != NULL;
	free(options->value[i]);
	options->value[i] = slice_dup(value);
	options->line[i] = line;
	return options->value[i] || table_fail(opening, "%s:%u: bad value", path, line);
}

bool cf_read(struct cf_options *options, const struct table_opening *opening, const char *path,
	struct slice source)
{
	struct table_lines lines;
	struct slice line;
	bool done = true;

	table_lines_begin(&lines, source);
	while (done && table_lines_next(&lines, &line)) {
		ptrdiff_t equals = slice_find(line, '=');

		done = equals < 0 ? table_fail(opening, "%s:%u: expected \"name = value\"", path,
					    lines.number) != NULL
				  : read_option(options, opening, path, lines.number,
					    slice_trim(slice_head(line, (size_t)equals)),
					    slice_trim(slice_tail(line, (size_t)equals + 1)));
	}
	if (done && lines.failed)
		done = table_fail(opening, "%s:%u: line too long", path, lines.next_number);
	table_lines_end(&lines);
	return done;
}

struct table *cf_open(const struct table_opening *opening, struct table *table,
	bool (*set_up)(struct table *table, const struct table_opening *opening, const char *path,
		struct slice source))
{
	struct buffer path = { 0 }, source = buffer_secret(0);
	bool done = false;

	if (table_path(opening, "", &path)) {
		if (!file_stamp_take(&table->stamp, buffer_text(&path)) ||
			!table_read_file(buffer_text(&path), &source))
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else
			done = set_up(table, opening, buffer_text(&path), buffer_slice(&source));
	}
	buffer_free(&path);
	buffer_free(&source);
	if (!done)
		table_close(&table);
	return table;
}

/* --- keys --- */

int cf_parameter_of(char c)
{
	switch (ascii_lower(c)) {
	case 's':
		return CF_KEY;
	case 'u':
		return CF_LOCAL_PART;
	case 'd':
		return CF_KEY_DOMAIN;
	default:
		return c >= '1' && c <= '9' ? CF_PART + (c - '1') : 0;
	}
}

bool cf_query(const struct cf_options *options, struct buffer *query)
{
	char *const *value = options->value;

	if (value[CF_QUERY])
		return buffer_add_text(query, value[CF_QUERY]);
	return value[CF_SELECT_FIELD] && value[CF_TABLE] && value[CF_WHERE_FIELD] &&
	       buffer_printf(query, "SELECT %s FROM %s WHERE %s = '%%s' %s", value[CF_SELECT_FIELD],
		       value[CF_TABLE], value[CF_WHERE_FIELD],
		       value[CF_CONDITIONS] ? value[CF_CONDITIONS] : "");
}

void cf_split(struct slice key, struct cf_key *parts)
{
	ptrdiff_t at = slice_find_last(key, '@');
	struct slice rest;

	*parts = (struct cf_key){ .key = key, .local = key };
	if (at >= 0) {
		parts->local = slice_head(key, (size_t)at);
		parts->domain = slice_tail(key, (size_t)at + 1);
	}
	rest = at >= 0 ? parts->domain : key;
	while (rest.length && parts->count < CF_PARTS) {
		ptrdiff_t dot = slice_find_last(rest, '.');

		parts->part[parts->count++] = slice_tail(rest, dot < 0 ? 0 : (size_t)dot + 1);
		rest = slice_head(rest, dot < 0 ? 0 : (size_t)dot);
	}
}

struct slice cf_value(const struct cf_key *key, int parameter)
{
	unsigned part = (unsigned)(parameter - CF_PART);

	return parameter == CF_KEY          ? key->key
	       : parameter == CF_LOCAL_PART ? key->local
	       : parameter == CF_KEY_DOMAIN ? key->domain
	       : part < key->count          ? key->part[part]
					    : (struct slice){ 0 };
}

/* --- results --- */

bool cf_result_take(struct cf_result *result, struct cf_options *options,
	const struct table_opening *opening, const char *path)
{
	uint64_t limit = 0;

	if (options->value[CF_LIMIT] &&
		!slice_to_u64(slice_from(options->value[CF_LIMIT]), UINT32_MAX, &limit))
		return table_fail(opening, "%s: bad expansion_limit", path);
	result->limit = (unsigned)limit;
	result->format = cf_take(options, CF_RESULT_FORMAT);
	result->domains = cf_take(options, CF_DOMAIN);
	return true;
}

void cf_result_free(struct cf_result *result)
{
	free(result->format);
	free(result->domains);
}

static bool key_fits(const struct cf_result *result, const struct cf_key *key)
{
	if ((result->needs & 1u << CF_KEY_DOMAIN) && key->domain.length == 0)
		return false;
	if ((result->needs & 1u << CF_LOCAL_PART) && key->local.length == 0)
		return false;
	return result->needs >> CF_PART >> key->count == 0;
}

static bool domain_wanted(const struct cf_result *result, const struct cf_key *key)
{
	struct slice rest = slice_from(result->domains), item;

	if (!result->domains)
		return true;
	if (key->domain.length == 0 || key->local.length == 0)
		return false;
	while (table_next_item(&rest, &item))
		if (slice_equal_nocase(item, key->domain))
			return true;
	return false;
}

bool cf_asked(const struct cf_result *result, const struct cf_key *key)
{
	return key_fits(result, key) && domain_wanted(result, key);
}

/* "%s" is the row's value, %u and %d its parts; %S %U %D %1... are the key's. False when a part is not there. */
static bool format_value(
	const char *format, const struct cf_key *key, struct slice row, struct buffer *out)
{
	struct cf_key value;

	cf_split(row, &value);
	for (const char *p = format; *p; p++) {
		const struct cf_key *from =
			p[0] == '%' && p[1] >= 'a' && p[1] <= 'z' ? &value : key;
		int parameter = p[0] == '%' ? cf_parameter_of(p[1]) : 0;
		struct slice part;

		if (!parameter) {
			p += p[0] == '%' && p[1] == '%' ? 1 : 0;
			buffer_add_byte(out, *p);
			continue;
		}
		p++;
		part = cf_value(parameter >= CF_PART ? key : from, parameter);
		if (part.length == 0)
			return false;
		buffer_add(out, part);
	}
	return true;
}

bool cf_add_row(const struct cf_result *result, const struct cf_key *key, struct slice row,
	struct buffer *value)
{
	size_t before = value->length;

	if (row.length == 0)
		return false;
	if (before)
		buffer_add_byte(value, ',');
	if (!format_value(result->format ? result->format : "%s", key, row, value)) {
		value->length = before;
		return false;
	}
	return true;
}
