// SPDX-License-Identifier: ISC
/* The seccomp allow-list: groups of system calls as a cell names them, compiled to a program that can be applied again and again. */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include "sandbox/cell.h"

/* Beside enum cell_calls: forking sessions, and what they need until they are confined. */
enum { CALLS_SESSION = 1 << 30 };

struct calls_program;
/* NULL with `error` filled. `calls` is a set of enum cell_calls. */
MUST_CHECK struct calls_program *calls_compile(unsigned calls, char *error, size_t error_size);
/* To the calling thread and all it starts. Needs no_new_privs. False with errno. */
MUST_CHECK bool calls_apply(const struct calls_program *program);
void calls_free(struct calls_program **program);

#endif
