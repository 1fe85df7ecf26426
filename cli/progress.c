// SPDX-License-Identifier: ISC
/* How far a command is. See progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "os/os.h"

enum { PATIENCE = 2, ON_TERMINAL = 1, ELSEWHERE = 10 /* s */ };
#define SECOND INT64_C(1000000)

void progress_begin(struct progress *progress, const char *what, size_t total)
{
	*progress = (struct progress){
		.what = what, .total = total, .began = os_now(), .terminal = isatty(STDERR_FILENO)
	};
}

static void tell(struct progress *progress, size_t done, int64_t now)
{
	const char *begin = progress->terminal ? "\r" : "",
		   *end = progress->terminal ? "   " : "\n";
	int64_t passed = (now - progress->began) / SECOND;

	if (progress->total && done)
		fprintf(stderr, "%s%zu of %zu %s, about %lld s left%s", begin, done,
			progress->total, progress->what,
			(long long)(passed * (int64_t)(progress->total - done) / (int64_t)done),
			end);
	else
		fprintf(stderr, "%s%zu %s%s", begin, done, progress->what, end);
	fflush(stderr);
	progress->told = now;
	progress->shown = true;
}

void progress_tell(struct progress *progress, size_t done)
{
	int64_t now = os_now();

	if (now - progress->began >= PATIENCE * SECOND &&
		now - progress->told >= (progress->terminal ? ON_TERMINAL : ELSEWHERE) * SECOND)
		tell(progress, done, now);
}

void progress_end(struct progress *progress, size_t done)
{
	if (progress->shown && progress->terminal)
		fprintf(stderr, "\r%zu %s                              \n", done, progress->what);
}
