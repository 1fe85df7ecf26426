// SPDX-License-Identifier: ISC
/*
 * Inside of table.h: what a table type supplies, and what the types share (source files and their lines).
 */
#ifndef TABLE_TABLE_IMPL_H
#define TABLE_TABLE_IMPL_H

#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "os/file_stamp.h"
#include "table/table.h"

enum {
	TABLE_MAX_KEY = 4096,
	TABLE_MAX_LINE = 1 << 20, /* a logical line of a source file */
	TABLE_MAX_FILE = 256 << 20,
	TABLE_MAX_ARENA = 512 << 20, /* what a text table may take in memory */
	TABLE_MAX_RULES = 1000000, /* of a pattern or cidr file */
	TABLE_MAX_NESTING = 50, /* if ... endif */
	TABLE_MAX_LIST = 100, /* tables of one list */
	TABLE_MAX_DEPTH = 4 /* lists in lists: unionmap, pipemap */
};

struct table_opening; /* the arguments of an open, below */

struct table_type {
	const char *name;
	bool pattern; /* gets whole keys only, never parts of an address */
	bool folds; /* honours TABLE_FOLD */
	struct table *(*open)(const struct table_opening *opening);
	enum table_status (*lookup)(struct table *table, struct slice key, struct buffer *value);
	void (*close)(struct table *table);
	bool (*changed)(const struct table *table); /* NULL: by the stamp */
	const char *(*error)(const struct table *table); /* NULL: it has nothing to say */
	bool (*each)(struct table *table,
		bool (*each)(void *context, struct slice key, struct slice value), void *context);
};

struct table_opening {
	const struct table_type *type;
	const char *name; /* behind "type:" */
	const char *folder; /* for relative names; NULL: the current one */
	unsigned flags;
	unsigned depth; /* of nested lists */
	char *error;
	size_t error_size;
};

/* First member of each type's struct. */
struct table {
	const struct table_type *type;
	char *spec;
	unsigned flags;
	struct file_stamp stamp;
};

extern const struct table_type TABLE_HASH, TABLE_BTREE, TABLE_SQLITE, TABLE_TEXTHASH, TABLE_INLINE,
	TABLE_STATIC, TABLE_FAIL, TABLE_CIDR, TABLE_PCRE, TABLE_REGEXP, TABLE_UNIONMAP,
	TABLE_PIPEMAP, TABLE_MYSQL, TABLE_PGSQL;

struct table *table_open_nested(const char *spec, const char *folder, unsigned flags,
	unsigned depth, char *error, size_t error_size);
struct table_list *table_list_open_nested(const char *specs, const char *folder, unsigned flags,
	unsigned depth, char *error, size_t error_size);
struct table *table_list_at(const struct table_list *list, unsigned i);

/* Zeroed memory of `size` bytes for a table of this type; NULL with the error filled. */
void *table_new(const struct table_opening *opening, size_t size);
/* Fill the opening's error; returns NULL for the caller to return. */
void *table_fail(const struct table_opening *opening, const char *format, ...) PRINTF_LIKE(2, 3);
/* "folder/name" + suffix, or name + suffix when it is absolute. */
bool table_path(const struct table_opening *opening, const char *suffix, struct buffer *path);

/* The whole file; false with errno. */
bool table_read_file(const char *path, struct buffer *text);

/* The next item of a list separated by commas and white space, with { } kept whole; false at the end. */
bool table_next_item(struct slice *rest, struct slice *item);
/* "{ text }" without the braces and the white space within; anything else as it is. */
struct slice table_strip_braces(struct slice text);

/* Logical lines of a source: comments and empty lines dropped, lines that begin with white space joined to the one before. */
struct table_lines {
	struct slice rest;
	unsigned next_number;
	unsigned number; /* of the first physical line of `line` */
	struct buffer line;
	bool failed; /* a line was too long, or memory ran out */
};
void table_lines_begin(struct table_lines *lines, struct slice text);
bool table_lines_next(struct table_lines *lines, struct slice *line);
void table_lines_end(struct table_lines *lines);

/* "key value" of a postmap source; quotes in the key protect white space. False without key or value. */
bool table_split_entry(struct slice line, struct slice *key, struct slice *value);
/* "name: value" of an alias file. */
bool table_split_alias(struct slice line, struct slice *key, struct slice *value);
/* Append the key as it is stored: in lower case with `fold`. Addresses keep their quotes, as they have them in lookups; names of
 * alias files lose them (`unquote`), as Postfix does it. */
bool table_key_form(struct slice key, bool unquote, bool fold, struct buffer *out);

/* The part of `local` before an extension (split at the first of `delimiters`); false when there is none. */
bool table_split_extension(
	struct slice local, const char *delimiters, struct slice *user, struct slice *extension);

/* The key with its domain ("user@domain", "@domain", ".domain", "domain") in U-labels; false when it has no A-label. */
bool table_unicode_key(struct slice key, char space[TABLE_MAX_KEY + 1], struct slice *unicode);

#endif
