// SPDX-License-Identifier: ISC
/* The common part of all tables: names of types, opening, lookups with their bounds. See table.h. */
#include "table/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "table/table_impl.h"

static const struct table_type *const TYPES[] = { &TABLE_HASH, &TABLE_BTREE, &TABLE_SQLITE,
	&TABLE_TEXTHASH, &TABLE_INLINE, &TABLE_STATIC, &TABLE_FAIL, &TABLE_CIDR, &TABLE_PCRE,
	&TABLE_REGEXP, &TABLE_UNIONMAP, &TABLE_PIPEMAP, &TABLE_MYSQL, &TABLE_PGSQL };

static const struct table_type *type_of(struct slice name)
{
	for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
		if (slice_equal(name, slice_from(TYPES[i]->name)))
			return TYPES[i];
	return NULL;
}

struct table *table_open_nested(const char *spec, const char *folder, unsigned flags,
	unsigned depth, char *error, size_t error_size)
{
	struct table_opening opening = { .folder = folder,
		.flags = flags,
		.depth = depth,
		.error = error,
		.error_size = error_size };
	struct slice text = slice_from(spec);
	struct table *table;
	ptrdiff_t colon;

	/* proxy: is a way round a chroot in Postfix; the process that opens tables here needs none. */
	if (slice_starts(text, SLICE("proxy:")))
		text = slice_tail(text, strlen("proxy:"));
	colon = slice_find(text, ':');
	if (text.length > 0 && text.data[0] == '/') {
		opening.type = &TABLE_HASH;
		opening.name = text.data;
	} else if (colon > 0) {
		opening.type = type_of(slice_head(text, (size_t)colon));
		opening.name = text.data + colon + 1;
	}
	if (!opening.type)
		return table_fail(&opening, "%s: no such type of table", spec);
	if (depth > TABLE_MAX_DEPTH)
		return table_fail(&opening, "%s: tables nested too deeply", spec);
	table = opening.type->open(&opening);
	if (!table)
		return NULL;
	table->spec = strdup(spec);
	if (!table->spec) {
		table_close(&table);
		return table_fail(&opening, "%s: no memory", spec);
	}
	return table;
}

struct table *table_open(
	const char *spec, const char *folder, unsigned flags, char *error, size_t error_size)
{
	return table_open_nested(spec, folder, flags, 0, error, error_size);
}

void table_close(struct table **table)
{
	if (!*table)
		return;
	if ((*table)->type->close)
		(*table)->type->close(*table);
	file_stamp_free(&(*table)->stamp);
	free((*table)->spec);
	free(*table);
	*table = NULL;
}

static enum table_status lookup_once(struct table *table, struct slice key, struct buffer *value)
{
	char folded[TABLE_MAX_KEY];
	enum table_status status;

	buffer_clear(value);
	if (key.length == 0 || key.length > TABLE_MAX_KEY || slice_find(key, '\0') >= 0)
		return TABLE_NOT_FOUND;
	if ((table->flags & TABLE_FOLD) && table->type->folds) {
		for (size_t i = 0; i < key.length; i++)
			folded[i] = ascii_lower(key.data[i]);
		key.data = folded;
	}
	status = table->type->lookup(table, key, value);
	return value->failed ? TABLE_ERROR : status;
}

enum table_status table_lookup(struct table *table, struct slice key, struct buffer *value)
{
	enum table_status status = lookup_once(table, key, value);
	char space[TABLE_MAX_KEY + 1];
	struct slice unicode;

	if (status == TABLE_NOT_FOUND && table_unicode_key(key, space, &unicode))
		status = lookup_once(table, unicode, value);
	return status;
}

bool table_changed(const struct table *table)
{
	return table->type->changed ? table->type->changed(table)
				    : file_stamp_changed(&table->stamp);
}

const char *table_error(const struct table *table)
{
	return table->type->error ? table->type->error(table) : "";
}

const char *table_spec(const struct table *table)
{
	return table->spec;
}

bool table_each(struct table *table,
	bool (*each)(void *context, struct slice key, struct slice value), void *context)
{
	return table->type->each && table->type->each(table, each, context);
}

void *table_fail(const struct table_opening *opening, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(opening->error, opening->error_size, format, args);
	va_end(args);
	return NULL;
}

void *table_new(const struct table_opening *opening, size_t size)
{
	struct table *table = calloc(1, size);

	if (!table)
		return table_fail(opening, "%s: no memory", opening->name);
	table->type = opening->type;
	table->flags = opening->flags;
	table->stamp = FILE_STAMP_NONE;
	return table;
}

bool table_path(const struct table_opening *opening, const char *suffix, struct buffer *path)
{
	if (opening->name[0] != '/' && opening->folder) {
		buffer_add_text(path, opening->folder);
		buffer_add_byte(path, '/');
	}
	buffer_add_text(path, opening->name);
	buffer_add_text(path, suffix);
	if (opening->name[0] && buffer_text(path))
		return true;
	table_fail(opening, "%s: a table needs a name", opening->type->name);
	return false;
}
