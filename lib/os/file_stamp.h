// SPDX-License-Identifier: ISC
/*
 * A file as it was when it was read, and whether its name means another one now: it was written to, renamed or replaced, or a symbolic
 * link on the way to it was. Kept by descriptors that do nothing else, so that who is confined and sees no path any more can ask.
 *
 * Not noticed: a folder on the way, itself no link, that gave its name to another.
 */
#ifndef OS_FILE_STAMP_H
#define OS_FILE_STAMP_H

#include <time.h>

#include "os/os.h"

enum {
	FILE_STAMP_LINKS = 16 /* on the way to one file, at most; those beyond are not looked at */
};

struct file_stamp_part {
	int fd; /* O_PATH: closing it does not release locks that a library holds on the same file */
	off_t size;
	struct timespec changed;
};
struct file_stamp {
	struct file_stamp_part file; /* file.fd -1: none */
	struct file_stamp_part *links;
	unsigned link_count;
};
#define FILE_STAMP_NONE ((struct file_stamp){ .file.fd = -1 })

/* To be taken before the file is read: what changes meanwhile is noticed. False with errno, and `stamp` is none. */
MUST_CHECK bool file_stamp_take(struct file_stamp *stamp, const char *path);
/* False for none, and where it cannot be found out. */
bool file_stamp_changed(const struct file_stamp *stamp);
/* Likewise, but a file that was only written to is the same. */
bool file_stamp_replaced(const struct file_stamp *stamp);
void file_stamp_free(struct file_stamp *stamp);

#endif
