// SPDX-License-Identifier: ISC
/* The common part of all tables: lookups with their bounds, what goes wrong, closing. See table.h. */
#include "table/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "table/table_impl.h"

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
