// SPDX-License-Identifier: ISC
/*
 * postern explain [SERVICE ...] - what each process may touch, in plain words, from the same declaration that it is locked in with.
 */
#include <stdio.h>

#include "base/buffer.h"
#include "cli/cli.h"
#include "sandbox/cell.h"

static int explain(const struct cell *cell)
{
	struct buffer text = { 0 };
	bool good;

	cell_explain(cell, &text);
	good = buffer_text(&text) && fputs(text.data, stdout) >= 0;
	buffer_free(&text);
	return good ? EX_OK : EX_OSERR;
}

static int explain_all(void)
{
	int status = EX_OK;

	for (int id = 0; id < SERVICE_COUNT; id++) {
		const struct cell *cell = cell_of((enum service_id)id);

		if (!cell)
			continue;
		if (id)
			putchar('\n');
		if (explain(cell) != EX_OK)
			status = EX_OSERR;
	}
	return status;
}

int explain_main(int argc, char **argv)
{
	int status = EX_OK;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		printf("usage: postern explain [SERVICE ...]\nWhat a process of the mail system "
		       "may touch.\nSERVICE is one of:");
		for (int id = 0; id < SERVICE_COUNT; id++)
			if (cell_of((enum service_id)id))
				printf(" %s", service_id_name((enum service_id)id));
		putchar('\n');
		return EX_OK;
	}
	if (argc == 1)
		return explain_all();
	for (int i = 1; i < argc; i++) {
		enum service_id id = service_id_of(slice_from(argv[i]));
		const struct cell *cell = id < SERVICE_COUNT ? cell_of(id) : NULL;

		if (i > 1)
			putchar('\n');
		if (!cell) {
			cli_complain("explain", "no service \"%s\"; see postern explain --help",
				argv[i]);
			status = EX_USAGE;
		} else if (explain(cell) != EX_OK) {
			status = EX_OSERR;
		}
	}
	return status;
}
