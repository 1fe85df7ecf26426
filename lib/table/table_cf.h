// SPDX-License-Identifier: ISC
/*
 * What sqlite:, mysql: and pgsql: tables share: the .cf file behind the name, the expansions of its query and result_format,
 * and which keys it is asked for at all. See sqlite_table(5).
 */
#ifndef TABLE_TABLE_CF_H
#define TABLE_TABLE_CF_H

#include "table/table_impl.h"

enum {
	CF_PARTS = 9, /* %1 ... %9 */
	CF_MAX_QUERY = 64 * 1024
};

enum cf_option {
	CF_DBPATH,
	CF_HOSTS,
	CF_USER,
	CF_PASSWORD,
	CF_DBNAME,
	CF_QUERY,
	CF_RESULT_FORMAT,
	CF_DOMAIN,
	CF_LIMIT,
	CF_SELECT_FIELD,
	CF_TABLE,
	CF_WHERE_FIELD,
	CF_CONDITIONS,
	CF_TLS_CERT_FILE,
	CF_TLS_KEY_FILE,
	CF_TLS_CA_FILE,
	CF_TLS_CA_PATH,
	CF_TLS_CIPHERS,
	CF_TLS_VERIFY_CERT,
	CF_OPTION_FILE,
	CF_OPTION_GROUP,
	CF_OPTION_COUNT
};

struct cf_options {
	char *value[CF_OPTION_COUNT]; /* NULL: not there */
	unsigned line[CF_OPTION_COUNT]; /* where it stands */
};

/*
 * "name = value" lines. An unknown name is passed over, as Postfix does it: such files serve other programs, too; but not one that
 * begins as those of TLS and option files do, since a misspelling would make a connection less safe. False with the opening's error.
 */
MUST_CHECK bool cf_read(struct cf_options *options, const struct table_opening *opening,
	const char *path, struct slice source);
void cf_free(struct cf_options *options);
/* Take a value out: the caller frees it. NULL: it is not there. */
char *cf_take(struct cf_options *options, enum cf_option option);
/*
 * What all of these types do to open a table: read the file, note how it was (table->stamp), let `set_up` make of its text what the type
 * needs, and wipe the text. Returns `table`, or NULL with the opening's error: then it is closed.
 */
struct table *cf_open(const struct table_opening *opening, struct table *table,
	bool (*set_up)(struct table *table, const struct table_opening *opening, const char *path,
		struct slice source));
/* `query`, or one put together of the older options. False: there is none. */
MUST_CHECK bool cf_query(const struct cf_options *options, struct buffer *query);

/* What an expansion stands for: the key, its local part, its domain, parts of the domain from its end. */
enum cf_parameter { CF_KEY = 1, CF_LOCAL_PART, CF_KEY_DOMAIN, CF_PART };
/* Of "%x"; 0 when it is none. */
int cf_parameter_of(char letter);

struct cf_key {
	struct slice key, local, domain;
	struct slice part[CF_PARTS]; /* %1 is the top-level domain */
	unsigned count;
};
void cf_split(struct slice key, struct cf_key *parts);
struct slice cf_value(const struct cf_key *key, int parameter);

/* What becomes of the rows. */
struct cf_result {
	unsigned needs; /* bit of each parameter the query holds */
	char *format; /* result_format; NULL: "%s" */
	char *domains; /* only keys of these domains; NULL: all keys */
	unsigned limit; /* expansion_limit; 0: none */
};
/* Takes the values out of the options. False with the opening's error. */
MUST_CHECK bool cf_result_take(struct cf_result *result, struct cf_options *options,
	const struct table_opening *opening, const char *path);
void cf_result_free(struct cf_result *result);
/* False when the query asks for something that this key does not have, or its domain is not wanted: it is not in the table. */
bool cf_asked(const struct cf_result *result, const struct cf_key *key);
/* Append a row's value; false when it gives none. */
bool cf_add_row(const struct cf_result *result, const struct cf_key *key, struct slice row,
	struct buffer *value);

#endif
