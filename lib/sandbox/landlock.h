// SPDX-License-Identifier: ISC
/* Landlock by its system calls: the C library has no functions for them, and Debian's header is older than the kernel's ABI. */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include "sandbox/cell.h"

/*
 * A ruleset that denies everything it can deny on this kernel. -1 with errno when there is no Landlock (ENOSYS, EOPNOTSUPP) or it
 * cannot move files between folders (ABI 1). `network` leaves TCP alone.
 */
int landlock_begin(bool network);
/* Allow `rights` (enum cell_right) below an absolute path. False with errno; ENOENT when the path does not exist. */
bool landlock_allow(int ruleset, const char *path, unsigned rights);
/* Allow connecting to a TCP port; true where the kernel cannot tell ports apart. */
bool landlock_allow_port(int ruleset, uint16_t port);
/* For good. Needs no_new_privs. */
bool landlock_apply(int ruleset);

/*
 * Open a file for adding lines at its end, made when it is missing. Who is given the descriptor can add, but not truncate, whatever
 * its own rights are (with Landlock ABI 3; before that, it can). -1 with errno.
 */
int landlock_open_log(const char *path, mode_t mode);

#endif
