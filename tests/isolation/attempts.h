// SPDX-License-Identifier: ISC
/* The table of attempts: what a taken-over process would try. Shared by its chapters (files, processes and sockets). */
#ifndef ISOLATION_ATTEMPTS_H
#define ISOLATION_ATTEMPTS_H

#include "tests/isolation/inject.h"

/* What stands around the process, told by who runs the table: "other-message /path" and the like, one a line. */
enum { WORLD_MOST = 400 };
struct world {
	struct {
		char *name, *value;
	} entry[WORLD_MOST];
	unsigned count;
	int tcp_port; /* somebody listens there, on loopback */
	const char *abstract; /* name of an abstract socket that somebody listens on */
};
/* The n-th entry of a name; NULL when there is none. */
const char *world_value(const struct world *world, const char *name, unsigned n);

struct outcome {
	bool worked;
	bool absent; /* this system has no such thing */
	long error; /* of a refusal: errno, 0 when it was not the kernel that refused */
	char detail[600]; /* what exactly worked, or what came instead */
};

struct attempt {
	const char *name, *what;
	void (*run)(struct target *target, const struct world *world, const struct attempt *attempt,
		struct outcome *outcome);
	const char *key; /* which entry of the world */
	long number; /* for whoever needs one */
	bool control; /* it is the process's own business: shows that the others were real */
};

/* Both lists end with an entry without a name. */
extern const struct attempt ATTEMPTS_ON_FILES[], ATTEMPTS_ON_PROCESSES[];

/* Nothing that a spawner says to the session, and no signal but SIGKILL, makes it go from now on; false when that did not work. */
bool rebel(struct target *target);

/* Remember a result: worked when it is not an error; a later refusal does not hide an earlier success. */
bool outcome_add(struct outcome *outcome, const char *what, long result);

/* A path as the process would name it: without its root folder, when it is below that. */
const char *target_path(const struct target *target, const char *path);
/* openat(AT_FDCWD, ...) in the process; the descriptor there, or -errno. */
long target_open_path(struct target *target, const char *path, int flags);

#endif
