// SPDX-License-Identifier: ISC
/*
 * The thin layer over the system calls whose failure must be survived: files, fsync, accept, clock, random. All code that touches
 * a disk goes through here, so that tests can make every call fail in turn.
 *
 * Each function does what the call of its name does, restarted after EINTR, with O_CLOEXEC; -1 or false with errno on failure.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/slice.h"

enum os_call {
	OS_OPEN,
	OS_READ,
	OS_WRITE,
	OS_FSYNC,
	OS_RENAME,
	OS_LINK,
	OS_UNLINK,
	OS_MKDIR,
	OS_COPY,
	OS_STAT,
	OS_TRUNCATE,
	OS_ACCEPT,
	OS_WRITE_BACK,
	OS_CALLS
};

/*
 * Fault injection: when set, asked before each call; a result other than 0 becomes errno and the call is not made.
 * In a build with test hooks, os_fault_from_environment() installs one from POSTERN_FAULT="call:ERRNO[:after[:count]]"
 * (e.g. "fsync:EIO:10:1": the eleventh fsync fails).
 */
typedef int (*os_fault)(enum os_call call, const char *path);
extern os_fault os_fault_hook;
void os_fault_from_environment(void);
/* For lib/os itself: true when a test wants this call to fail; errno is set then. */
bool os_faulted(enum os_call call, const char *path);

MUST_CHECK int os_openat(int dir, const char *path, int flags, mode_t mode);
MUST_CHECK int os_open(const char *path, int flags, mode_t mode);
ssize_t os_read(int fd, void *data, size_t length);
ssize_t os_pread(int fd, void *data, size_t length, int64_t offset);
/* All of it or failure: a short write is continued. */
MUST_CHECK bool os_write_all(int fd, const void *data, size_t length);
MUST_CHECK bool os_pwrite_all(int fd, const void *data, size_t length, int64_t offset);
/* Up to `length` bytes from the start; -1 on error, with EMSGSIZE when `path` holds more. */
MUST_CHECK ssize_t os_read_file(int dir, const char *path, char *data, size_t length);
/* A failed fsync is a failure: never call it again on the same data and call that good. */
MUST_CHECK bool os_fsync(int fd);
MUST_CHECK bool os_fdatasync(int fd);
enum { OS_SYNCS = 64 };
struct os_sync {
	int fd;
	bool folder; /* has no data of its own that could be written ahead of its fsync */
	int error; /* 0, or the errno with which its fsync failed */
};
/*
 * fsync of all of them (at most OS_SYNCS; files and folders, none twice), side by side where the cell has CELL_CALLS_TOGETHER, so that
 * they share one commit of a journal. Returns when each has its result; the same rule holds for each as for os_fsync.
 */
void os_fsync_all(struct os_sync *syncs, unsigned count);
MUST_CHECK bool os_renameat(int from_dir, const char *from, int to_dir, const char *to);
MUST_CHECK bool os_linkat(int from_dir, const char *from, int to_dir, const char *to);
MUST_CHECK bool os_unlinkat(int dir, const char *path, int flags);
MUST_CHECK bool os_mkdirat(int dir, const char *path, mode_t mode);
/* Blocks for `length` bytes of an empty file, kept until it is removed. EOPNOTSUPP: the file system cannot. */
MUST_CHECK bool os_allocate(int fd, int64_t length);
MUST_CHECK bool os_fstat(int fd, struct stat *info);
MUST_CHECK bool os_fstatat(int dir, const char *path, struct stat *info, int flags);
/* `length` bytes from in_offset of `in`, by the kernel (copy_file_range, sendfile where that cannot), to the position of `out`. */
MUST_CHECK bool os_copy(int in, int64_t in_offset, int out, int64_t length);
/* Set the modification time, seconds since 1970. */
MUST_CHECK bool os_set_mtime(int fd, int64_t seconds);
/* The next entries of an open folder, as getdents64; 0 at the end, -1 on error. os_rewind_folder goes back to the first. */
ssize_t os_read_folder(int fd, void *entries, size_t length);
MUST_CHECK bool os_rewind_folder(int fd);
/* The next client of a listening socket, close-on-exec and non-blocking; `from` is filled as far as it has an address. */
struct sockaddr_storage;
MUST_CHECK int os_accept(int fd, struct sockaddr_storage *from);
/* Whether reads and writes wait. Not by fcntl(F_SETFL), which cells refuse: it could take O_APPEND off the log. */
MUST_CHECK bool os_set_blocking(int fd, bool blocking);
/* Close and set to -1; keeps errno. */
void os_close(int *fd);

/* Microseconds since 1970, UTC. */
int64_t os_now(void);
/* Cryptographic random bytes; ends the process when the kernel has none (that does not happen after boot). */
void os_random(void *data, size_t length);
/* Tests set these; NULL is the real clock. */
extern int64_t (*os_clock_hook)(void);

#endif
