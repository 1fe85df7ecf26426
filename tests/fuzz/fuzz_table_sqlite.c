// SPDX-License-Identifier: ISC
/* The .cf files of sqlite: tables, with a small database behind them. */
#include <sqlite3.h>

#include "tests/fuzz/contains.h"
#include "tests/fuzz/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char database[64];

static void remove_database(void)
{
	unlink(database);
}

static void make_database(void)
{
	sqlite3 *db;
	int fd;

	snprintf(database, sizeof(database), "/tmp/postern-fuzz-sqlite-XXXXXX");
	fd = mkstemp(database);
	if (fd < 0 || sqlite3_open(database, &db) != SQLITE_OK)
		abort();
	atexit(remove_database);
	sqlite3_exec(db,
		"CREATE TABLE a (k TEXT, v TEXT); INSERT INTO a VALUES ('a', 'one'), ('key', "
		"'two@x.org')",
		NULL, NULL, NULL);
	sqlite3_close(db);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer text = { 0 };
	char spec[64];
	int fd;

	if (!database[0])
		make_database();
	/* What a query does is SQLite's business, and it may take its time: here it is the file and the expansions. */
	if (size > 2048 || contains_nocase(slice_of(data, size), SLICE("recursive")) ||
		contains_nocase(slice_of(data, size), SLICE("blob")) ||
		contains_nocase(slice_of(data, size), SLICE("printf")))
		return 0;
	buffer_append(&text, data, size);
	/* The last one counts: whatever the input says, this database is opened. */
	buffer_printf(&text, "\ndbpath = %s\n", database);
	fd = table_file("sqlite", text.data, text.length, spec, sizeof(spec));
	table_try(spec, data, size);
	close(fd);
	buffer_free(&text);
	return 0;
}
