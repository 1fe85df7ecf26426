// SPDX-License-Identifier: ISC
/*
 * System calls from inside another process: what code that took the process over could do, with that process's own rights,
 * descriptors, root folder and filters. Needs root (or CAP_SYS_PTRACE) and x86_64. For tests only.
 */
#ifndef ISOLATION_INJECT_H
#define ISOLATION_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct target {
	pid_t pid;
	struct user_regs_struct saved;
	uint64_t instruction; /* address of a system call instruction in its memory */
	uint64_t scratch; /* memory of its own for arguments */
	size_t used;
	pid_t child; /* what the last call forked; stopped before its first instruction; 0: nothing */
	uint64_t signals; /* that arrived meanwhile, bit N-1; delivered at the end */
	char root[4096]; /* its root folder, as we name it */
	bool gone; /* it ended or became another program */
};

enum { SCRATCH_BYTES = 1 << 16 };

/* Stop the process and make room for arguments. When this program ends early the process is killed: it never runs on with foreign registers. */
bool target_open(struct target *target, pid_t pid);
/* Put everything back and let it run on. */
void target_close(struct target *target);

/* The system call's result, -errno when it failed. Blocks as long as the call does. */
long target_call6(struct target *target, long number, uint64_t a, uint64_t b, uint64_t c,
	uint64_t d, uint64_t e, uint64_t f);
#define CALL0(t, n)       target_call6(t, n, 0, 0, 0, 0, 0, 0)
#define CALL1(t, n, a)    target_call6(t, n, (uint64_t)(a), 0, 0, 0, 0, 0)
#define CALL2(t, n, a, b) target_call6(t, n, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define CALL3(t, n, a, b, c) \
	target_call6(t, n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define CALL4(t, n, a, b, c, d) \
	target_call6(t, n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)
#define CALL5(t, n, a, b, c, d, e) \
	target_call6(t, n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), \
		(uint64_t)(e), 0)
#define CALL6(t, n, a, b, c, d, e, f) \
	target_call6(t, n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), \
		(uint64_t)(e), (uint64_t)(f))

/* Bytes or a string into its memory, valid until target_forget; their address there. */
uint64_t target_put(struct target *target, const void *data, size_t size);
uint64_t target_text(struct target *target, const char *text);
/* Room without content. */
uint64_t target_room(struct target *target, size_t size);
bool target_get(struct target *target, uint64_t address, void *data, size_t size);
void target_forget(struct target *target);

/* Kill what the last call forked, and take it from the process. */
void target_bury(struct target *target);

#endif
