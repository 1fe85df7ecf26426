// SPDX-License-Identifier: ISC
/* The types of tables by name, and opening one. See table.h. */
#include <string.h>

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
