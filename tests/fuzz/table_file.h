// SPDX-License-Identifier: ISC
/* For the fuzz targets of tables: the input as a file that table_open can open. */
#ifndef TESTS_FUZZ_TABLE_FILE_H
#define TESTS_FUZZ_TABLE_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "table/table.h"

/* A nameless file with these contents, and "type:/proc/self/fd/N" to open it. Close `fd` when done. */
static inline int table_file(
	const char *type, const void *data, size_t size, char *spec, size_t spec_size)
{
	int fd = memfd_create("table", MFD_CLOEXEC);

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		abort();
	snprintf(spec, spec_size, "%s:/proc/self/fd/%d", type, fd);
	return fd;
}

static inline bool table_seen(void *context, struct slice key, struct slice value)
{
	return ++*(unsigned *)context < 10000;
}

/* Open, ask for some keys and for the first words of the input itself, walk through all, close. */
static inline void table_try(const char *spec, const uint8_t *data, size_t size)
{
	static const char *const KEYS[] = { "user+ext@example.org", "192.0.2.1", "2001:db8::1", "a",
		"key" };
	char error[300];
	struct table *table = table_open(spec, NULL, TABLE_FOLD, error, sizeof(error));
	struct buffer value = { 0 };
	struct slice rest = slice_of(data, size), word;
	unsigned seen = 0;

	if (!table)
		return;
	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		(void)!table_lookup(table, slice_from(KEYS[i]), &value);
	for (int i = 0; i < 4 && slice_word(&rest, " \t\r\n/", &word); i++)
		(void)!table_lookup(table, word, &value);
	(void)!table_each(table, table_seen, &seen);
	buffer_free(&value);
	table_close(&table);
}

#endif
