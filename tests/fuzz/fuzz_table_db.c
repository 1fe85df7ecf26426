// SPDX-License-Identifier: ISC
/* hash: and btree: tables: the input is the Berkeley DB file; its first byte says as which of them it is opened. */
#include <fcntl.h>

#include "tests/fuzz/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], path[80];

static void remove_folder(void)
{
	unlink(path);
	rmdir(folder);
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/dev/shm/postern-fuzz-db-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/table.db", folder);
	atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spec[100];
	int fd;

	if (!folder[0])
		make_folder();
	if (size == 0 || size > 64 * 1024)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1)
		abort();
	close(fd);
	snprintf(spec, sizeof(spec), "%s:%s/table", data[0] & 1 ? "btree" : "hash", folder);
	table_try(spec, data + 1, size - 1);
	return 0;
}
