// SPDX-License-Identifier: ISC
/* Tables that are held in memory: texthash: (a postmap source read as it is), inline:, static:, and fail:. */
#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "table/table_impl.h"

struct text_entry {
	struct slice key, value;
	struct text_entry *next; /* in the order of the source */
};

struct text_table {
	struct table table;
	struct arena arena;
	struct map map;
	struct text_entry *first, *last;
};

static void text_close(struct table *table)
{
	struct text_table *text = (struct text_table *)table;

	map_free(&text->map);
	arena_free(&text->arena);
}

/* The first entry of a key counts. */
static bool text_add(struct text_table *text, struct slice key, struct slice value)
{
	struct buffer form = buffer_limited(TABLE_MAX_LINE);
	struct text_entry *entry;
	bool done = false;

	if (!table_key_form(key, false, text->table.flags & TABLE_FOLD, &form))
		goto end;
	done = map_get(&text->map, buffer_slice(&form)) != NULL;
	entry = done ? NULL : arena_alloc(&text->arena, sizeof(*entry));
	if (!entry)
		goto end;
	entry->key = arena_slice(&text->arena, buffer_slice(&form));
	entry->value = arena_slice(&text->arena, value);
	if (!entry->key.data || !entry->value.data || !map_put(&text->map, entry->key, entry))
		goto end;
	if (text->last)
		text->last->next = entry;
	else
		text->first = entry;
	text->last = entry;
	done = true;
end:
	buffer_free(&form);
	return done;
}

static struct text_table *text_new(const struct table_opening *opening)
{
	struct text_table *text = table_new(opening, sizeof(*text));

	if (text)
		arena_init(&text->arena, TABLE_MAX_ARENA);
	return text;
}

static enum table_status text_lookup(struct table *table, struct slice key, struct buffer *value)
{
	const struct text_entry *entry = map_get(&((struct text_table *)table)->map, key);

	if (!entry)
		return TABLE_NOT_FOUND;
	buffer_add(value, entry->value);
	return TABLE_FOUND;
}

static bool text_each(struct table *table,
	bool (*each)(void *context, struct slice key, struct slice value), void *context)
{
	for (const struct text_entry *e = ((struct text_table *)table)->first; e; e = e->next)
		if (!each(context, e->key, e->value))
			break;
	return true;
}

/* --- texthash: --- */

static bool texthash_read(struct text_table *text, const struct table_opening *opening,
	const char *path, struct slice source)
{
	struct table_lines lines;
	struct slice line, key, value;
	bool done = true;

	table_lines_begin(&lines, source);
	while (done && table_lines_next(&lines, &line)) {
		done = table_split_entry(line, &key, &value);
		if (!done)
			table_fail(opening, "%s:%u: expected \"key value\"", path, lines.number);
		else if (!text_add(text, key, value))
			done = table_fail(opening, "%s:%u: no memory", path, lines.number);
	}
	if (lines.failed)
		done = table_fail(opening, "%s:%u: line too long", path, lines.next_number);
	table_lines_end(&lines);
	return done;
}

static struct table *texthash_open(const struct table_opening *opening)
{
	struct text_table *text = text_new(opening);
	struct table *table = (struct table *)text;
	struct buffer path = { 0 }, source = { 0 };
	bool done = false;

	if (text && table_path(opening, "", &path)) {
		if (!file_stamp_take(&table->stamp, buffer_text(&path)) ||
			!table_read_file(buffer_text(&path), &source))
			table_fail(opening, "%s: %s", buffer_text(&path), strerror(errno));
		else
			done = texthash_read(
				text, opening, buffer_text(&path), buffer_slice(&source));
	}
	buffer_free(&path);
	buffer_free(&source);
	if (!done && table)
		table_close(&table);
	return table;
}

const struct table_type TABLE_TEXTHASH = { .name = "texthash",
	.folds = true,
	.open = texthash_open,
	.lookup = text_lookup,
	.close = text_close,
	.each = text_each };

/* --- inline:{ key = value, { key = value with, commas } } --- */

/* "key = value" at the start of *rest, up to a comma; the key may stand without spaces around "=", the value may not hold
 * white space unless the whole is in braces. */
static bool inline_item(struct slice *rest, struct slice *key, struct slice *value)
{
	struct slice item, next;
	ptrdiff_t equals;

	if (!table_next_item(rest, &item))
		return false;
	if (item.data[0] == '{') {
		item = table_strip_braces(item);
	} else {
		/* "key = value" came as three items: take what belongs together. */
		while (slice_find(item, '=') < 0 || item.data[item.length - 1] == '=') {
			if (!table_next_item(rest, &next))
				break;
			item.length = (size_t)(next.data + next.length - item.data);
		}
		next = *rest;
		if (table_next_item(&next, value) && value->data[0] == '=' &&
			slice_find(item, '=') < 0)
			*rest = next;
	}
	equals = slice_find(item, '=');
	if (equals < 0) {
		*key = item;
		*value = slice_of(NULL, 0);
		return true;
	}
	*key = slice_trim(slice_head(item, (size_t)equals));
	*value = table_strip_braces(slice_tail(item, (size_t)equals + 1));
	return true;
}

static struct table *inline_open(const struct table_opening *opening)
{
	struct slice spec = slice_trim(slice_from(opening->name)), rest, key, value;
	struct text_table *text;
	struct table *table;

	if (spec.length < 2 || spec.data[0] != '{' || spec.data[spec.length - 1] != '}')
		return table_fail(opening, "inline:%s: expected \"inline:{ key=value, ... }\"",
			opening->name);
	text = text_new(opening);
	table = (struct table *)text;
	rest = table_strip_braces(spec);
	while (text && inline_item(&rest, &key, &value)) {
		if (key.length && value.length && text_add(text, key, value))
			continue;
		table_fail(opening, "inline:%s: expected \"key=value\" at \"%.*s\"", opening->name,
			SLICE_ARG(key));
		table_close(&table);
		return NULL;
	}
	if (text && !text->first) {
		table_close(&table);
		return table_fail(opening, "inline:%s: no entries", opening->name);
	}
	return table;
}

const struct table_type TABLE_INLINE = { .name = "inline",
	.folds = true,
	.open = inline_open,
	.lookup = text_lookup,
	.close = text_close,
	.each = text_each };

/* --- static: one value for every key --- */

struct static_table {
	struct table table;
	struct slice value; /* of table.spec's memory */
	char *memory;
};

static struct table *static_open(const struct table_opening *opening)
{
	struct static_table *fixed = table_new(opening, sizeof(*fixed));
	struct table *table = (struct table *)fixed;

	if (!fixed)
		return NULL;
	fixed->memory = strdup(opening->name);
	if (!fixed->memory) {
		table_close(&table);
		return table_fail(opening, "static: no memory");
	}
	fixed->value = table_strip_braces(slice_from(fixed->memory));
	return table;
}

static void static_close(struct table *table)
{
	free(((struct static_table *)table)->memory);
}

static enum table_status static_lookup(struct table *table, struct slice key, struct buffer *value)
{
	buffer_add(value, ((struct static_table *)table)->value);
	return TABLE_FOUND;
}

const struct table_type TABLE_STATIC = {
	.name = "static", .open = static_open, .lookup = static_lookup, .close = static_close
};

/* --- fail: an error for every key, for tests of what depends on tables --- */

static struct table *fail_open(const struct table_opening *opening)
{
	return table_new(opening, sizeof(struct table));
}

static enum table_status fail_lookup(struct table *table, struct slice key, struct buffer *value)
{
	return TABLE_ERROR;
}

const struct table_type TABLE_FAIL = { .name = "fail", .open = fail_open, .lookup = fail_lookup };
