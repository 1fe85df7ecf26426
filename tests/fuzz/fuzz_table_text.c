// SPDX-License-Identifier: ISC
/* texthash: files, and inline: and lists of tables in a configuration. The first byte chooses. */
#include "tests/fuzz/table_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_list(const char *text)
{
	char error[300];
	struct table_list *list =
		table_list_open(text, "/nonexistent", TABLE_FOLD, error, sizeof(error));
	struct buffer value = { 0 };
	struct slice extension;

	if (!list)
		return;
	(void)!table_lookup_address(list, SLICE("a+b@example.org"), "+-", true, &value, &extension);
	(void)!table_lookup_transport(list, SLICE("a+b@b.example.org"), "+", false, &value);
	buffer_free(&value);
	table_list_close(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spec[64], *text;
	int fd;

	if (size < 1)
		return 0;
	if (data[0] % 2 == 0) {
		fd = table_file("texthash", data + 1, size - 1, spec, sizeof(spec));
		table_try(spec, data + 1, size - 1);
		close(fd);
		return 0;
	}
	text = slice_dup(slice_of(data + 1, size - 1));
	/* Names of files would be opened: nothing is there to be read but what the system has; leave them out. */
	if (text && !strchr(text, '/'))
		try_list(text);
	free(text);
	return 0;
}
