// SPDX-License-Identifier: ISC
/* Telling on standard error how far a command is that takes longer than two seconds. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what; /* "passwords hashed" */
	size_t total; /* 0: not known */
	int64_t began, told; /* us */
	bool terminal, shown;
};

void progress_begin(struct progress *progress, const char *what, size_t total);
/* So many are done. Cheap: to be called for each. On a terminal one line is kept up to date, elsewhere there is one every ten seconds. */
void progress_tell(struct progress *progress, size_t done);
/* The line on the terminal is finished. */
void progress_end(struct progress *progress, size_t done);

#endif
