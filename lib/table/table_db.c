// SPDX-License-Identifier: ISC
/*
 * hash: and btree: tables in Berkeley DB files as Postfix's postmap writes them: keys and values with a NUL behind them. Files
 * without (other programs') are read, too.
 */
#include <db.h>
#include <errno.h>

#include "os/os.h"
#include "table/table_db.h"

enum { DB_CACHE = 256 * 1024 };

struct db_table {
	struct table table;
	DB *db;
};

DB *table_db_handle(const char *path, bool hash, unsigned flags, int mode, int *error)
{
	DB *db = NULL;

	*error = db_create(&db, NULL, 0);
	if (*error)
		return NULL;
	/* Its complaints are returned; the library must not print them as well. */
	db->set_errfile(db, NULL);
	db->set_errcall(db, NULL);
	(void)db->set_cachesize(db, 0, DB_CACHE, 1);
	*error = db->open(db, NULL, path, NULL, hash ? DB_HASH : DB_BTREE, flags, mode);
	if (*error) {
		(void)db->close(db, DB_NOSYNC);
		return NULL;
	}
	return db;
}

static struct table *db_open(const struct table_opening *opening)
{
	struct db_table *table = table_new(opening, sizeof(*table));
	struct table *base = (struct table *)table;
	struct buffer path = { 0 };
	int error = 0;

	if (table && table_path(opening, ".db", &path)) {
		if (!table_stamp_take(&base->stamp, buffer_text(&path)))
			error = errno;
		else
			table->db = table_db_handle(buffer_text(&path),
				opening->type == &TABLE_HASH, DB_RDONLY | DB_NOMMAP, 0, &error);
		if (error == EINVAL)
			table_fail(opening, "%s: not a %s file of Berkeley DB", buffer_text(&path),
				opening->type->name);
		else if (!table->db)
			table_fail(opening, "%s: %s", buffer_text(&path), db_strerror(error));
	}
	buffer_free(&path);
	if (table && !table->db)
		table_close(&base);
	return base;
}

static void db_table_close(struct table *table)
{
	DB *db = ((struct db_table *)table)->db;

	if (db)
		(void)db->close(db, DB_NOSYNC);
}

static struct slice without_nul(const DBT *datum)
{
	struct slice s = slice_of(datum->data, datum->size);

	if (s.length && s.data[s.length - 1] == '\0')
		s.length--;
	return s;
}

static enum table_status db_lookup(struct table *table, struct slice key, struct buffer *value)
{
	DB *db = ((struct db_table *)table)->db;
	char text[TABLE_MAX_KEY + 1];
	int result = DB_NOTFOUND;

	memcpy(text, key.data, key.length);
	text[key.length] = '\0';
	for (int nul = 1; nul >= 0 && result == DB_NOTFOUND; nul--) {
		DBT name = { .data = text, .size = (u_int32_t)key.length + (u_int32_t)nul },
		    datum = { 0 };

		result = db->get(db, NULL, &name, &datum, 0);
		if (result == 0)
			buffer_add(value, without_nul(&datum));
	}
	return result == 0 ? TABLE_FOUND : result == DB_NOTFOUND ? TABLE_NOT_FOUND : TABLE_ERROR;
}

static bool db_each(struct table *table,
	bool (*each)(void *context, struct slice key, struct slice value), void *context)
{
	DB *db = ((struct db_table *)table)->db;
	DBT key = { 0 }, datum = { 0 };
	DBC *cursor = NULL;
	int result;

	if (db->cursor(db, NULL, &cursor, 0) != 0)
		return false;
	while ((result = cursor->get(cursor, &key, &datum, DB_NEXT)) == 0)
		if (!each(context, without_nul(&key), without_nul(&datum)))
			break;
	cursor->close(cursor);
	return result == 0 || result == DB_NOTFOUND;
}

const struct table_type TABLE_HASH = { .name = "hash",
	.folds = true,
	.open = db_open,
	.lookup = db_lookup,
	.close = db_table_close,
	.each = db_each };
const struct table_type TABLE_BTREE = { .name = "btree",
	.folds = true,
	.open = db_open,
	.lookup = db_lookup,
	.close = db_table_close,
	.each = db_each };
