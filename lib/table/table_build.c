// SPDX-License-Identifier: ISC
/*
 * What postmap and postalias do: a Berkeley DB file from a text file, and changes of single entries. The new file is made
 * beside the old one and renamed over it when it is whole and on disk, so that no reader ever sees half a table.
 */
#include <db.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"
#include "table/table_impl.h"

struct build {
	struct table_build_report *report;
	const char *source; /* name of the text file */
	bool alias_syntax, fold;
	DB *db;
};

static bool fail_at(struct build *build, unsigned line, const char *text)
{
	snprintf(build->report->error, sizeof(build->report->error), "%s:%u: %s", build->source,
		line, text);
	return false;
}

static bool is_database_type(const char *type, bool *hash)
{
	*hash = strcmp(type, "hash") == 0;
	return *hash || strcmp(type, "btree") == 0;
}

/* Berkeley DB is used to make files only: it does not survive bad ones, which is why table_db.c reads them itself. */
static DB *open_handle(const char *path, bool hash, unsigned flags, int mode, int *error)
{
	enum { CACHE = 256 * 1024 };
	DB *db = NULL;

	*error = db_create(&db, NULL, 0);
	if (*error)
		return NULL;
	/* Its complaints are returned; the library must not print them as well. */
	db->set_errfile(db, NULL);
	db->set_errcall(db, NULL);
	(void)db->set_cachesize(db, 0, CACHE, 1);
	*error = db->open(db, NULL, path, NULL, hash ? DB_HASH : DB_BTREE, flags, mode);
	if (*error) {
		(void)db->close(db, DB_NOSYNC);
		return NULL;
	}
	return db;
}

/* Key and value with a NUL behind each, as Postfix writes them. */
static int put(
	DB *db, struct slice key, struct slice value, bool unquote, bool fold, u_int32_t flags)
{
	struct buffer name = { 0 }, text = { 0 };
	int result = ENOMEM;

	if (table_key_form(key, unquote, fold, &name) && buffer_add_byte(&name, '\0') &&
		buffer_add(&text, value) && buffer_add_byte(&text, '\0')) {
		DBT k = { .data = name.data, .size = (u_int32_t)name.length };
		DBT v = { .data = text.data, .size = (u_int32_t)text.length };

		result = db->put(db, NULL, &k, &v, flags);
	}
	buffer_free(&name);
	buffer_free(&text);
	return result;
}

static bool add_line(struct build *build, struct slice line, unsigned number)
{
	struct slice key, value;
	int result;

	if (build->alias_syntax ? !table_split_alias(line, &key, &value)
				: !table_split_entry(line, &key, &value))
		return fail_at(build, number,
			build->alias_syntax ? "expected \"name: value\""
					    : "expected \"key value\"");
	if (slice_find(line, '\0') >= 0)
		return fail_at(build, number, "a NUL byte");
	if (key.length > TABLE_MAX_KEY)
		return fail_at(build, number, "key too long");
	result = put(build->db, key, value, build->alias_syntax, build->fold, DB_NOOVERWRITE);
	if (result == DB_KEYEXIST)
		build->report->duplicates++; /* the first one counts */
	else if (result != 0)
		return fail_at(build, number, db_strerror(result));
	else
		build->report->entries++;
	return true;
}

static bool add_all(struct build *build, struct slice source)
{
	struct table_lines lines;
	struct slice line;
	bool done = true;

	table_lines_begin(&lines, source);
	while (done && table_lines_next(&lines, &line))
		done = add_line(build, line, lines.number);
	if (done && lines.failed)
		done = fail_at(build, lines.next_number, "line too long");
	table_lines_end(&lines);
	return done;
}

static bool sync_path(const char *path, int flags)
{
	int fd = os_open(path, flags, 0);
	bool done = fd >= 0 && os_fsync(fd);

	if (fd >= 0)
		os_close(&fd);
	return done;
}

/* Owner, group and mode of the table are those of the old table, or of the text when there is none. */
static void take_owner(int fd, const char *old, const char *source)
{
	struct stat info;

	if (!os_fstatat(AT_FDCWD, old, &info, 0) && !os_fstatat(AT_FDCWD, source, &info, 0))
		return;
	if (geteuid() == 0 && fchown(fd, info.st_uid, info.st_gid) != 0)
		return;
	(void)!fchmod(fd, info.st_mode & 0666);
}

/* Fill the new file `path`, and put it in the place of `final`. */
static bool build_into(
	struct build *build, const char *path, const char *final, bool hash, struct slice source)
{
	char folder[PATH_MAX];
	int error, closed;
	bool done;

	build->db = open_handle(path, hash, DB_CREATE | DB_TRUNCATE, 0600, &error);
	if (!build->db) {
		snprintf(build->report->error, sizeof(build->report->error), "%.300s: %s", path,
			db_strerror(error));
		return false;
	}
	done = add_all(build, source);
	closed = build->db->close(build->db, 0);
	if (!done)
		return false;
	if (closed != 0 || !sync_path(path, O_RDWR) ||
		!os_renameat(AT_FDCWD, path, AT_FDCWD, final) ||
		!slice_to_string(slice_from(final), folder, sizeof(folder)) ||
		!sync_path(dirname(folder), O_RDONLY | O_DIRECTORY)) {
		snprintf(build->report->error, sizeof(build->report->error), "%.300s: %s", final,
			closed ? db_strerror(closed) : strerror(errno));
		return false;
	}
	return true;
}

bool table_build(const char *type, const char *name, bool alias_syntax, bool fold,
	struct table_build_report *report)
{
	struct build build = {
		.report = report, .source = name, .alias_syntax = alias_syntax, .fold = fold
	};
	char path[PATH_MAX], final[PATH_MAX];
	struct buffer source = { 0 };
	bool hash, done = false;
	int fd;

	*report = (struct table_build_report){ 0 };
	if (!is_database_type(type, &hash)) {
		snprintf(report->error, sizeof(report->error),
			"%s: tables of this type are not built", type);
		return false;
	}
	if (snprintf(final, sizeof(final), "%s.db", name) >= (int)sizeof(final) ||
		snprintf(path, sizeof(path), "%s.db.XXXXXX", name) >= (int)sizeof(path)) {
		snprintf(report->error, sizeof(report->error), "%.100s...: name too long", name);
		return false;
	}
	if (!table_read_file(name, &source)) {
		snprintf(report->error, sizeof(report->error), "%.300s: %s", name, strerror(errno));
		buffer_free(&source);
		return false;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		snprintf(report->error, sizeof(report->error), "%.300s: %s", path, strerror(errno));
	} else {
		take_owner(fd, final, name);
		os_close(&fd);
		done = build_into(&build, path, final, hash, buffer_slice(&source));
		if (!done)
			(void)!os_unlinkat(AT_FDCWD, path, 0);
	}
	buffer_free(&source);
	return done;
}

static int erase(DB *db, struct slice key, bool nul)
{
	struct buffer name = { 0 };
	DBT k = { 0 };
	int result = ENOMEM;

	buffer_add(&name, key);
	if (nul)
		buffer_add_byte(&name, '\0');
	k.data = name.data;
	k.size = (u_int32_t)name.length;
	if (!name.failed)
		result = db->del(db, NULL, &k, 0);
	buffer_free(&name);
	return result;
}

bool table_edit(const char *type, const char *name, struct slice key, const struct slice *value,
	char *error, size_t error_size)
{
	char path[PATH_MAX];
	int result, closed;
	bool hash;
	DB *db;

	if (!is_database_type(type, &hash) ||
		snprintf(path, sizeof(path), "%s.db", name) >= (int)sizeof(path)) {
		snprintf(
			error, error_size, "%s:%s: tables of this type are not edited", type, name);
		return false;
	}
	db = open_handle(path, hash, value ? DB_CREATE : 0, 0644, &result);
	if (!db) {
		snprintf(error, error_size, "%.300s: %s", path, db_strerror(result));
		return false;
	}
	if (value) {
		result = put(db, key, *value, false, false, 0);
	} else {
		result = erase(db, key, true);
		if (result == DB_NOTFOUND)
			result = erase(db, key, false);
	}
	closed = db->close(db, 0);
	if (result == 0 && closed == 0 && sync_path(path, O_RDWR))
		return true;
	if (result == DB_NOTFOUND)
		error[0] = '\0'; /* nothing to delete is no fault, but not done either */
	else
		snprintf(error, error_size, "%.300s: %s", path,
			result || closed ? db_strerror(result ? result : closed) : strerror(errno));
	return false;
}
