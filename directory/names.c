// SPDX-License-Identifier: ISC
/* Lists of domains. See names.h. */
#include "directory/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/vector.h"
#include "config/config.h"
#include "mail/address.h"
#include "mail/utf8.h"
#include "os/os.h"

enum { CANONICAL_MEMORY = 8 << 10 };

struct name_item {
	char *name; /* in lower case, or NULL */
	struct table *table; /* or NULL */
	bool negated;
};

struct names {
	struct vector items;
	bool parents;
};

struct names_reader {
	struct names *names;
	const char *folder;
	unsigned files; /* read so far */
	char *error;
	size_t error_size;
};

static bool read_list(struct names_reader *reader, const char *list);

static bool fail(struct names_reader *reader, const char *what, const char *why)
{
	snprintf(reader->error, reader->error_size, "%s: %s", what, why);
	return false;
}

/* A file of names, one or more a line; it is read once, and a change is noticed by whoever restarts the process. */
static bool read_names_file(struct names_reader *reader, const char *path)
{
	enum { MOST = 1 << 20 };
	char *text = malloc(MOST + 1);
	ssize_t length = text ? os_read_file(AT_FDCWD, path, text, MOST) : -1;
	bool done = false;

	if (++reader->files > NAMES_MAX_FILES)
		fail(reader, path, "too many files in a list");
	else if (length < 0)
		fail(reader, path, strerror(errno));
	else if (memchr(text, '\0', (size_t)length))
		fail(reader, path, "a NUL byte");
	else {
		text[length] = '\0';
		/* Comments to the end of the line. */
		for (char *hash = text; (hash = strchr(hash, '#'));)
			while (*hash && *hash != '\n')
				*hash++ = ' ';
		done = read_list(reader, text);
	}
	free(text);
	return done;
}

/* In lower case, U-labels as the A-labels that questions have. Takes the string over; NULL when memory is out. */
static char *canonical_name(char *name)
{
	struct slice domain = slice_tail(slice_from(name), name[0] == '.'), ascii;
	struct buffer whole = { 0 };
	struct arena arena;

	for (char *p = name; *p; p++)
		*p = ascii_lower(*p);
	if (utf8_ascii_prefix(domain) == domain.length)
		return name;
	arena_init(&arena, CANONICAL_MEMORY);
	/* What is no domain name matches nothing, as it always did. */
	if (address_domain(domain, true, &arena, &ascii)) {
		buffer_printf(&whole, "%s%.*s", name[0] == '.' ? "." : "", SLICE_ARG(ascii));
		free(name);
		name = slice_dup(buffer_slice(&whole));
	}
	buffer_free(&whole);
	arena_free(&arena);
	return name;
}

static bool add_item(struct names_reader *reader, struct slice text, bool negated)
{
	struct name_item *item;
	char *copy = slice_dup(text);

	if (!copy)
		return fail(reader, "a list of domains", "bad item");
	if (copy[0] == '/') {
		bool done = negated ? fail(reader, copy, "a file cannot be negated")
				    : read_names_file(reader, copy);

		free(copy);
		return done;
	}
	item = vector_add(&reader->names->items);
	if (!item) {
		free(copy);
		return fail(reader, "a list of domains", "too many items");
	}
	item->negated = negated;
	if (strchr(copy, ':') && copy[0] != '[') {
		item->table = table_open(
			copy, reader->folder, TABLE_FOLD, reader->error, reader->error_size);
		free(copy);
		return item->table != NULL;
	}
	item->name = canonical_name(copy);
	return item->name ? true : fail(reader, "a list of domains", "no memory");
}

static bool read_item(void *context, struct slice item)
{
	struct names_reader *reader = context;
	bool negated = false;

	while (item.length && item.data[0] == '!') {
		negated = !negated;
		item = slice_tail(item, 1);
	}
	if (item.length == 0 || add_item(reader, item, negated))
		return true;
	return false;
}

static bool read_list(struct names_reader *reader, const char *list)
{
	return config_each(list, read_item, reader);
}

struct names *names_open(
	const char *list, const char *folder, bool parents, char *error, size_t error_size)
{
	struct names *names = calloc(1, sizeof(*names));
	struct names_reader reader = {
		.names = names, .folder = folder, .error = error, .error_size = error_size
	};

	if (!names) {
		snprintf(error, error_size, "a list of domains: no memory");
		return NULL;
	}
	error[0] = '\0';
	names->parents = parents;
	names->items = vector_of(sizeof(struct name_item), NAMES_MAX);
	(void)read_list(&reader, list);
	if (error[0])
		names_close(&names);
	return names;
}

void names_close(struct names **names)
{
	if (!*names)
		return;
	for (size_t i = 0; i < (*names)->items.count; i++) {
		struct name_item *item = vector_at(&(*names)->items, i);

		free(item->name);
		table_close(&item->table);
	}
	vector_free(&(*names)->items);
	free(*names);
	*names = NULL;
}

static bool name_matches(const struct names *names, struct slice name, struct slice domain)
{
	struct slice tail;

	if (slice_equal(name, domain))
		return true;
	if (domain.length <= name.length)
		return false;
	tail = slice_tail(domain, domain.length - name.length);
	if (!slice_equal(tail, name))
		return false;
	/* ".example.com" names all below it; with `parents`, "example.com" does so, too. */
	return name.data[0] == '.' ||
	       (names->parents && domain.data[domain.length - name.length - 1] == '.');
}

static enum table_status ask_table(
	const struct names *names, struct table *table, struct slice domain)
{
	struct buffer value = { 0 };
	enum table_status status = table_lookup(table, domain, &value);

	for (ptrdiff_t dot; status == TABLE_NOT_FOUND && names->parents &&
			    (dot = slice_find(domain, '.')) >= 0;) {
		domain = slice_tail(domain, (size_t)dot + 1);
		status = table_lookup(table, domain, &value);
	}
	buffer_free(&value);
	return status;
}

enum table_status names_match(struct names *names, struct slice domain)
{
	for (size_t i = 0; i < names->items.count; i++) {
		const struct name_item *item = vector_at(&names->items, i);
		enum table_status status = TABLE_NOT_FOUND;

		if (item->table)
			status = ask_table(names, item->table, domain);
		else if (name_matches(names, slice_from(item->name), domain))
			status = TABLE_FOUND;
		if (status == TABLE_ERROR)
			return status;
		if (status == TABLE_FOUND)
			return item->negated ? TABLE_NOT_FOUND : TABLE_FOUND;
	}
	return TABLE_NOT_FOUND;
}

bool names_changed(const struct names *names)
{
	for (size_t i = 0; i < names->items.count; i++) {
		const struct name_item *item = vector_at(&names->items, i);

		if (item->table && table_changed(item->table))
			return true;
	}
	return false;
}
