// SPDX-License-Identifier: ISC
/*
 * Lookup tables: one interface, many types. "type:name" as in main.cf:
 * hash: btree: (Berkeley DB, name.db, written by postmap), sqlite: (name is a .cf file: dbpath, query, result_format,
 * expansion_limit, domain), texthash: inline:{ k=v, ... } static:value cidr: pcre: regexp: unionmap:{ a, b } pipemap:{ a, b }
 * fail:. Before any of them "proxy:" may stand, and means nothing here.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "base/buffer.h"

enum table_status {
	TABLE_ERROR = 0, /* it could not be asked: answer "try again later", never "not there" */
	TABLE_FOUND,
	TABLE_NOT_FOUND
};

struct table;
/* Lookups with partial keys are the caller's business (table_lookup_address and so on below). */
enum table_flag {
	TABLE_FOLD = 1 /* keys are looked up in lower case (hash, btree, texthash, inline) */
};

/* NULL with `error` filled: unknown type, unreadable, bad pattern at file:line. Relative names are relative to `folder`. */
struct table *table_open(
	const char *spec, const char *folder, unsigned flags, char *error, size_t error_size);
void table_close(struct table **table);
/* The value is appended to `value` (cleared first). Bounded: keys over 4096 bytes are not found. Domains are asked for in
 * A-labels; where the table does not have the key so, it is asked for once more with U-labels (lower case, NFC). */
MUST_CHECK enum table_status table_lookup(
	struct table *table, struct slice key, struct buffer *value);
/* True when the file behind it was replaced or changed since it was opened (by descriptor, no path needed). */
bool table_changed(const struct table *table);
/* Why the last lookup was TABLE_ERROR, in words of a server; "" when nobody said. */
const char *table_error(const struct table *table);
const char *table_spec(const struct table *table);

/* Several tables, the first answer counts; TABLE_ERROR ends the search. "hash:/a, pcre:/b inline:{...}". */
struct table_list;
struct table_list *table_list_open(
	const char *specs, const char *folder, unsigned flags, char *error, size_t error_size);
void table_list_close(struct table_list **list);
MUST_CHECK enum table_status table_list_lookup(
	struct table_list *list, struct slice key, struct buffer *value);
/* Likewise for a key that is only a part of the one in question: pattern tables do not get it. */
MUST_CHECK enum table_status table_list_lookup_part(
	struct table_list *list, struct slice key, struct buffer *value);
bool table_list_changed(const struct table_list *list);
unsigned table_list_count(const struct table_list *list);

/* How Postfix looks an address up: user+ext@domain, user@domain, (user+ext, user when `local_domain`), @domain. Pattern tables
 * get the full address only. `delimiters` is recipient_delimiter. `extension` is set to the part that was dropped (or empty). */
MUST_CHECK enum table_status table_lookup_address(struct table_list *list, struct slice address,
	const char *delimiters, bool local_domain, struct buffer *value, struct slice *extension);
/* transport(5) order: user+ext@domain, user@domain, @domain, domain, its parents as above, "*". */
MUST_CHECK enum table_status table_lookup_transport(struct table_list *list, struct slice address,
	const char *delimiters, bool parents_match, struct buffer *value);

/* For postmap and postalias: build name.db from the text file `name`, into a temporary file that is renamed over the old one. */
struct table_build_report {
	unsigned entries, duplicates;
	char error[512]; /* file, line and what */
};
MUST_CHECK bool table_build(const char *type, const char *name, bool alias_syntax, bool fold,
	struct table_build_report *report);
/* All entries of a hash:, btree:, texthash: or inline: table, for postmap -s. */
MUST_CHECK bool table_each(struct table *table,
	bool (*each)(void *context, struct slice key, struct slice value), void *context);
/* postmap -i / -d on an existing database. */
MUST_CHECK bool table_edit(const char *type, const char *name, struct slice key,
	const struct slice *value, char *error, size_t error_size);

#endif
