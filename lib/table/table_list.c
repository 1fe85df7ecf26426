// SPDX-License-Identifier: ISC
/* Several tables as one, and the partial keys of addresses, domains and networks. See table.h; also unionmap: and pipemap:. */
#include <stdio.h>
#include <stdlib.h>

#include "base/vector.h"
#include "table/table_impl.h"

struct table_list {
	struct vector tables; /* struct table * */
};

struct table *table_list_at(const struct table_list *list, unsigned i)
{
	return *(struct table **)vector_at(&list->tables, i);
}

static bool list_add(struct table_list *list, struct slice item, const char *folder, unsigned flags,
	unsigned depth, char *error, size_t error_size)
{
	char *spec = slice_dup(item);
	struct table *table = NULL, **place;

	if (!spec) {
		snprintf(error, error_size, "a list of tables: no memory");
		return false;
	}
	table = table_open_nested(spec, folder, flags, depth, error, error_size);
	free(spec);
	if (!table)
		return false;
	place = vector_add(&list->tables);
	if (!place) {
		table_close(&table);
		snprintf(error, error_size, "more than %d tables in a list", TABLE_MAX_LIST);
		return false;
	}
	*place = table;
	return true;
}

struct table_list *table_list_open_nested(const char *specs, const char *folder, unsigned flags,
	unsigned depth, char *error, size_t error_size)
{
	struct table_list *list = calloc(1, sizeof(*list));
	struct slice rest = slice_from(specs), item;

	if (!list) {
		snprintf(error, error_size, "a list of tables: no memory");
		return NULL;
	}
	list->tables = vector_of(sizeof(struct table *), TABLE_MAX_LIST);
	while (table_next_item(&rest, &item))
		if (!list_add(list, item, folder, flags, depth, error, error_size)) {
			table_list_close(&list);
			return NULL;
		}
	return list;
}

struct table_list *table_list_open(
	const char *specs, const char *folder, unsigned flags, char *error, size_t error_size)
{
	return table_list_open_nested(specs, folder, flags, 0, error, error_size);
}

void table_list_close(struct table_list **list)
{
	if (!*list)
		return;
	for (unsigned i = 0; i < table_list_count(*list); i++)
		table_close(vector_at(&(*list)->tables, i));
	vector_free(&(*list)->tables);
	free(*list);
	*list = NULL;
}

unsigned table_list_count(const struct table_list *list)
{
	return (unsigned)list->tables.count;
}

bool table_list_changed(const struct table_list *list)
{
	for (unsigned i = 0; i < table_list_count(list); i++)
		if (table_changed(table_list_at(list, i)))
			return true;
	return false;
}

/* With `part` the key is a part of the one asked for: patterns do not get it. */
static enum table_status lookup(
	struct table_list *list, struct slice key, bool part, struct buffer *value)
{
	buffer_clear(value);
	for (unsigned i = 0; i < table_list_count(list); i++) {
		struct table *table = table_list_at(list, i);
		enum table_status status;

		if (part && table->type->pattern)
			continue;
		status = table_lookup(table, key, value);
		if (status != TABLE_NOT_FOUND)
			return status;
	}
	return TABLE_NOT_FOUND;
}

enum table_status table_list_lookup(struct table_list *list, struct slice key, struct buffer *value)
{
	return lookup(list, key, false, value);
}

enum table_status table_list_lookup_part(
	struct table_list *list, struct slice key, struct buffer *value)
{
	return lookup(list, key, true, value);
}

/* --- addresses --- */

enum table_status table_lookup_address(struct table_list *list, struct slice address,
	const char *delimiters, bool local_domain, struct buffer *value, struct slice *extension)
{
	ptrdiff_t at = slice_find_last(address, '@');
	struct slice local = at < 0 ? address : slice_head(address, (size_t)at);
	struct slice domain =
		at < 0 ? slice_of("", 0) : slice_tail(address, (size_t)at); /* with its "@" */
	char text[TABLE_MAX_KEY];
	struct slice user = local;
	enum table_status status;
	bool extended;

	*extension = slice_of("", 0);
	status = lookup(list, address, false, value);
	if (status != TABLE_NOT_FOUND || address.length > sizeof(text))
		return status;
	extended = table_split_extension(local, delimiters, &user, extension);
	if (extended) {
		memcpy(text, user.data, user.length);
		memcpy(text + user.length, domain.data, domain.length);
		status = lookup(list, slice_of(text, user.length + domain.length), true, value);
		if (status != TABLE_NOT_FOUND)
			return status;
	}
	if (local_domain && at > 0) {
		if (extended) {
			struct slice dropped = *extension;

			*extension = slice_of("", 0);
			status = lookup(list, local, true, value);
			if (status != TABLE_NOT_FOUND)
				return status;
			*extension = dropped;
		}
		status = lookup(list, user, true, value);
		if (status != TABLE_NOT_FOUND)
			return status;
	}
	*extension = slice_of("", 0);
	return domain.length > 1 ? lookup(list, domain, true, value) : TABLE_NOT_FOUND;
}

/* The parents of a domain: "b.c" of "a.b.c" with `parents_match`, else ".b.c". */
static enum table_status lookup_parents(
	struct table_list *list, struct slice domain, bool parents_match, struct buffer *value)
{
	ptrdiff_t dot = domain.length && domain.data[0] == '['
				? -1
				: slice_find(slice_tail(domain, 1), '.');

	while (dot >= 0) {
		enum table_status status;

		domain = slice_tail(domain, (size_t)dot + 1); /* ".b.c" */
		if (domain.length < 2)
			break;
		status = lookup(list, parents_match ? slice_tail(domain, 1) : domain, true, value);
		if (status != TABLE_NOT_FOUND)
			return status;
		dot = slice_find(slice_tail(domain, 1), '.');
	}
	return TABLE_NOT_FOUND;
}

enum table_status table_lookup_transport(struct table_list *list, struct slice address,
	const char *delimiters, bool parents_match, struct buffer *value)
{
	ptrdiff_t at = slice_find_last(address, '@');
	struct slice domain = slice_tail(address, (size_t)at + 1), extension;
	enum table_status status =
		table_lookup_address(list, address, delimiters, false, value, &extension);

	if (status != TABLE_NOT_FOUND || at < 0)
		return status;
	status = lookup(list, domain, true, value);
	if (status == TABLE_NOT_FOUND)
		status = lookup_parents(list, domain, parents_match, value);
	return status == TABLE_NOT_FOUND ? lookup(list, SLICE("*"), true, value) : status;
}

/* --- unionmap:{a, b}: all answers, joined by commas; pipemap:{a, b}: the answer of each is the key of the next --- */

struct many_table {
	struct table table;
	struct table_list *list;
};

static struct table *many_open(const struct table_opening *opening)
{
	struct many_table *many = table_new(opening, sizeof(*many));
	struct table *table = (struct table *)many;
	struct slice inside = table_strip_braces(slice_from(opening->name));
	char *specs = slice_dup(inside);

	if (many && specs && inside.length)
		many->list = table_list_open_nested(specs, opening->folder, opening->flags,
			opening->depth + 1, opening->error, opening->error_size);
	else
		table_fail(opening, "%s:%s: expected { table, ... }", opening->type->name,
			opening->name);
	free(specs);
	if (many && !many->list)
		table_close(&table);
	return table;
}

static void many_close(struct table *table)
{
	table_list_close(&((struct many_table *)table)->list);
}

static bool many_changed(const struct table *table)
{
	return table_list_changed(((const struct many_table *)table)->list);
}

static enum table_status union_lookup(struct table *table, struct slice key, struct buffer *value)
{
	struct table_list *list = ((struct many_table *)table)->list;
	struct buffer one = { 0 };
	enum table_status status = TABLE_NOT_FOUND;

	for (unsigned i = 0; i < table_list_count(list); i++) {
		status = table_lookup(table_list_at(list, i), key, &one);
		if (status == TABLE_ERROR)
			break;
		if (status == TABLE_FOUND) {
			if (value->length)
				buffer_add_byte(value, ',');
			buffer_add(value, buffer_slice(&one));
		}
	}
	buffer_free(&one);
	return status == TABLE_ERROR ? status : value->length ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static enum table_status pipe_lookup(struct table *table, struct slice key, struct buffer *value)
{
	struct table_list *list = ((struct many_table *)table)->list;
	struct buffer input = { 0 };
	enum table_status status = TABLE_ERROR;

	buffer_add(&input, key);
	for (unsigned i = 0; i < table_list_count(list) && !input.failed; i++) {
		status = table_lookup(table_list_at(list, i), buffer_slice(&input), value);
		if (status != TABLE_FOUND)
			break;
		buffer_clear(&input);
		buffer_add(&input, buffer_slice(value));
	}
	if (input.failed)
		status = TABLE_ERROR;
	if (status != TABLE_FOUND)
		buffer_clear(value);
	buffer_free(&input);
	return status;
}

const struct table_type TABLE_UNIONMAP = { .name = "unionmap",
	.open = many_open,
	.lookup = union_lookup,
	.close = many_close,
	.changed = many_changed };
const struct table_type TABLE_PIPEMAP = { .name = "pipemap",
	.open = many_open,
	.lookup = pipe_lookup,
	.close = many_close,
	.changed = many_changed };
