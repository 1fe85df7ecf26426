// SPDX-License-Identifier: ISC
/*
 * One run of a program: text in, text out, within a time and a size. Used by introspect, in a cell that allows it.
 *
 * The program gets an environment of PATH alone, no descriptor but its input, its output and /dev/null for what it complains, a process
 * group of its own, and SIGKILL with everything in that group when it takes too long, says too much, or has ended.
 */
#ifndef AUTH_COMMAND_H
#define AUTH_COMMAND_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/loop.h"

enum command_end {
	COMMAND_DONE, /* status 0, and `output` is all it said */
	COMMAND_FAILED, /* another status, or a signal */
	COMMAND_LATE,
	COMMAND_TOO_MUCH
};

struct command_settings {
	char *const *arguments; /* the program's path, its arguments, NULL */
	size_t output_most; /* bytes */
	int null; /* descriptor of /dev/null */
	unsigned
		processes; /* of its user, all that run at the same time together; 0: no bound of its own */
};

/* Embedded in the caller's; zeroed. */
struct command {
	struct loop *loop;
	void (*ended)(struct command *command, enum command_end end);
	struct buffer output; /* secret; the owner's to free when it has ended */
	size_t most;
	struct watch watch;
	struct timer limit;
	pid_t pid;
	int status; /* of waitpid */
	enum command_end end;
};

/*
 * `ended` is called once, never from within; `time` in ms. False with errno: it did not start.
 */
MUST_CHECK bool command_start(struct command *command, const struct command_settings *settings,
	struct loop *loop, struct slice input, int64_t time);
/* After a SIGCHLD: has it ended? Then `ended` was called. */
bool command_reap(struct command *command);
/* "exit status 75", "it took too long"; for the log. */
void command_describe(const struct command *command, char *text, size_t size);

#endif
