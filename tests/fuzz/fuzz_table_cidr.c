// SPDX-License-Identifier: ISC
/* cidr: files. */
#include "tests/fuzz/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spec[64];
	int fd = table_file("cidr", data, size, spec, sizeof(spec));

	table_try(spec, data, size);
	close(fd);
	return 0;
}
