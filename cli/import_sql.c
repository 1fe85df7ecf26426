// SPDX-License-Identifier: ISC
/*
 * Accounts in SQL databases, in the tables that the usual guides to Postfix and Dovecot make. A .cf file of a lookup table tells
 * how to reach the database; of its query nothing is used, since that finds single keys.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/import.h"
#include "os/database.h"
#include "table/table_cf.h"
#include "table/table_sql.h"

/* The same columns from each guide's tables: the first statement that the server takes is the one. */
static const struct listing {
	enum record_kind kind;
	const char *sql[8];
} LISTINGS[] = {
	{ RECORD_DOMAIN,
		{ "SELECT domain, enabled, transport FROM domain",
			"SELECT domain, enabled, transport FROM domains",
			"SELECT domain, active, transport, backupmx FROM domain",
			"SELECT domain, enabled FROM domain", "SELECT domain, enabled FROM domains",
			"SELECT domain, active FROM domain",
			"SELECT name, 1 FROM virtual_domains" } },
	{ RECORD_MAILBOX, { "SELECT email, enabled, password, quota FROM users",
				  "SELECT email, enabled, password, quota FROM `user`",
				  "SELECT email, enabled, password, quota FROM \"user\"",
				  "SELECT username, active, password, quota FROM mailbox",
				  "SELECT email, 1, password, quota FROM virtual_users",
				  "SELECT email, 1, password, 0 FROM virtual_users" } },
	{ RECORD_ALIAS, { "SELECT source, enabled, destination FROM alias",
				"SELECT source, enabled, destination FROM aliases",
				"SELECT address, active, goto FROM alias",
				"SELECT source, 1, destination FROM virtual_aliases" } },
};

enum { COLUMN_NAME, COLUMN_ENABLED, COLUMN_VALUE, COLUMN_QUOTA };
/* Of domains, where the tables have them. */
enum { COLUMN_TRANSPORT = COLUMN_VALUE, COLUMN_BACKUP = COLUMN_QUOTA };

struct rows {
	struct import_source *source;
	enum record_kind kind;
	unsigned number;
	uint64_t quota_unit; /* bytes */
};

/* What the databases print for "no". */
static bool is_false(const char *value)
{
	return !value || strcmp(value, "0") == 0 || strcmp(value, "f") == 0 ||
	       strcmp(value, "false") == 0;
}

static void take_user(struct rows *rows, const char *const *values, const size_t *lengths)
{
	struct record *record = import_record(rows->source, RECORD_MAILBOX, rows->number,
		slice_of(values[COLUMN_NAME], lengths[COLUMN_NAME]));
	uint64_t quota = 0;

	if (!record)
		return;
	record->enabled = !is_false(values[COLUMN_ENABLED]);
	if (values[COLUMN_VALUE] && lengths[COLUMN_VALUE] &&
		!import_password(rows->source, record,
			slice_of(values[COLUMN_VALUE], lengths[COLUMN_VALUE])))
		return;
	if (!values[COLUMN_QUOTA] || values[COLUMN_QUOTA][0] == '-')
		return;
	if (!slice_to_u64(slice_of(values[COLUMN_QUOTA], lengths[COLUMN_QUOTA]),
		    INT64_MAX / rows->quota_unit, &quota)) {
		import_refuse(rows->source, rows->number, "%s: not a quota", values[COLUMN_QUOTA]);
		record->bad = true;
	} else if (quota && !import_quota(rows->source, record, quota * rows->quota_unit)) {
		record->bad = true;
	}
}

/* --- domains whose mail goes elsewhere --- */

/* Is it delivered into mailboxes by that transport (as in Postfix's transport(5), or its name alone)? An empty one is the default. */
static bool delivers_here(struct slice transport)
{
	static const struct slice NAMES[] = { SLICE("virtual"), SLICE("local"), SLICE("lmtp"),
		SLICE("maildrop"), SLICE("lda"), SLICE("deliver"), SLICE("cyrus"),
		SLICE("procmail") };
	struct slice rest = slice_trim(transport), name = rest;

	if (rest.length == 0 || slice_equal(rest, SLICE(":")))
		return true;
	slice_split(&rest, ':', &name);
	if (slice_starts_nocase(name, SLICE("dovecot"))) /* -lmtp, -lda, -spamass, ... */
		return true;
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		if (slice_equal_nocase(name, NAMES[i]))
			return true;
	return false;
}

/* Users of it are not taken over either. False: no memory, and told. */
static bool note_elsewhere(struct rows *rows, struct slice name)
{
	char *copy = arena_dup(&rows->source->records->arena, name), **place;

	place = copy ? vector_add(&rows->source->elsewhere) : NULL;
	if (place)
		*place = copy;
	else
		import_refuse(rows->source, rows->number, "no memory");
	return place != NULL;
}

static void take_domain(struct rows *rows, struct slice name, struct slice transport, bool backup)
{
	int shown = (int)slice_head(name, 100).length;

	if (delivers_here(transport) && !backup) {
		import_postfix_entry(rows->source, RECORD_DOMAIN, rows->number, name, SLICE(""));
		return;
	}
	if (!note_elsewhere(rows, name))
		return;
	if (delivers_here(transport))
		import_refuse(rows->source, rows->number,
			"%.*s: its mail is only passed on (backupmx), there are no mailboxes for "
			"it: "
			"add %.*s to relay_domains",
			shown, name.data, shown, name.data);
	else
		import_refuse(rows->source, rows->number,
			"%.*s: its mail goes by %.*s, there are no mailboxes for it: add %.*s to "
			"relay_domains, and to a table of transport_maps the line %.*s %.*s",
			shown, name.data, SLICE_ARG(slice_head(transport, 100)), shown, name.data,
			shown, name.data, SLICE_ARG(slice_head(transport, 100)));
}

static struct slice column(
	const char *const *values, const size_t *lengths, unsigned columns, unsigned number)
{
	return number < columns && values[number] ? slice_of(values[number], lengths[number])
						  : SLICE("");
}

static bool take_row(
	void *context, const char *const *values, const size_t *lengths, unsigned columns)
{
	struct rows *rows = context;
	struct slice name;

	rows->number++;
	if (!values[COLUMN_NAME]) {
		import_refuse(rows->source, rows->number, "no name");
		return true;
	}
	name = slice_of(values[COLUMN_NAME], lengths[COLUMN_NAME]);
	if (rows->kind == RECORD_MAILBOX)
		take_user(rows, values, lengths);
	else if (is_false(values[COLUMN_ENABLED]) ||
		 (rows->kind == RECORD_DOMAIN && slice_equal(name, SLICE("ALL"))))
		return true;
	else if (rows->kind == RECORD_DOMAIN)
		take_domain(rows, name, column(values, lengths, columns, COLUMN_TRANSPORT),
			columns > COLUMN_BACKUP && !is_false(values[COLUMN_BACKUP]));
	else
		import_postfix_entry(rows->source, rows->kind, rows->number, name,
			column(values, lengths, columns, COLUMN_VALUE));
	return true;
}

/* --- databases --- */

struct import_database {
	struct table *table; /* mysql:, pgsql: */
	sqlite3 *sqlite;
};

static bool open_sqlite(
	struct import_database *database, const char *path, char *error, size_t error_size)
{
	const struct table_opening opening = {
		.name = path, .error = error, .error_size = error_size
	};
	struct cf_options options = { 0 };
	struct buffer source = { 0 };

	if (!table_read_file(path, &source))
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
	else if (cf_read(&options, &opening, path, buffer_slice(&source)) &&
		 options.value[CF_DBPATH])
		database->sqlite = database_open(
			options.value[CF_DBPATH], DATABASE_READ_ONLY, 1000, error, error_size);
	else if (!options.value[CF_DBPATH])
		snprintf(error, error_size, "%s: no dbpath", path);
	cf_free(&options);
	buffer_free(&source);
	return database->sqlite != NULL;
}

static bool sqlite_rows(
	sqlite3 *db, const char *sql, struct rows *rows, char *error, size_t error_size)
{
	enum { COLUMNS = COLUMN_QUOTA + 1 };
	sqlite3_stmt *statement = database_prepare(db, sql, error, error_size);
	int result = SQLITE_ERROR;

	while (statement && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *values[COLUMNS] = { 0 };
		size_t lengths[COLUMNS] = { 0 };

		for (int i = 0; i < COLUMNS && i < sqlite3_column_count(statement); i++) {
			struct slice value = database_column(statement, i);

			values[i] = sqlite3_column_type(statement, i) == SQLITE_NULL ? NULL
										     : value.data;
			lengths[i] = value.length;
		}
		take_row(rows, values, lengths, COLUMNS);
	}
	if (statement && result != SQLITE_DONE)
		snprintf(error, error_size, "%s", sqlite3_errmsg(db));
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

static bool run(struct import_database *database, const char *sql, struct rows *rows, char *error,
	size_t error_size)
{
	return database->table
		       ? sql_table_rows(database->table, sql, take_row, rows, error, error_size)
		       : sqlite_rows(database->sqlite, sql, rows, error, error_size);
}

static bool read_listing(struct import_database *database, const struct listing *listing,
	struct rows *rows, char *error, size_t error_size)
{
	rows->kind = listing->kind;
	rows->number = 0;
	for (unsigned i = 0; i < sizeof(listing->sql) / sizeof(listing->sql[0]); i++) {
		if (!listing->sql[i])
			break;
		if (run(database, listing->sql[i], rows, error, error_size))
			return true;
		/* It began well: no other statement would be the right one. */
		if (rows->number)
			return false;
	}
	return false;
}

bool import_sql(struct import_source *source, const char *spec, uint64_t quota_unit, char *error,
	size_t error_size)
{
	struct rows rows = { .source = source, .quota_unit = quota_unit };
	struct import_database database = { 0 };
	bool sqlite = slice_starts(slice_from(spec), SLICE("sqlite:"));
	bool done;

	if (!sqlite && !slice_starts(slice_from(spec), SLICE("mysql:")) &&
		!slice_starts(slice_from(spec), SLICE("pgsql:"))) {
		snprintf(error, error_size, "%s: not mysql:, pgsql: or sqlite:", spec);
		return false;
	}
	if (sqlite)
		done = open_sqlite(&database, spec + strlen("sqlite:"), error, error_size);
	else
		done = (database.table = table_open(spec, NULL, 0, error, error_size)) != NULL;
	for (size_t i = 0; done && i < sizeof(LISTINGS) / sizeof(LISTINGS[0]); i++)
		done = read_listing(&database, &LISTINGS[i], &rows, error, error_size);
	table_close(&database.table);
	sqlite3_close(database.sqlite);
	return done;
}
