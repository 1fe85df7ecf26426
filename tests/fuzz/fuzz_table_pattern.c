// SPDX-License-Identifier: ISC
/* pcre: and regexp: files. The first byte chooses. */
#include "tests/fuzz/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spec[64];
	int fd;

	if (size < 1 || size > 4096)
		return 0;
	fd = table_file(data[0] % 2 ? "pcre" : "regexp", data + 1, size - 1, spec, sizeof(spec));
	table_try(spec, data + 1, size - 1);
	close(fd);
	return 0;
}
