// SPDX-License-Identifier: ISC
/* Is an open file the same as before, and still the one of its name? For processes that see no path any more. */
#ifndef AUTH_FILE_STATE_H
#define AUTH_FILE_STATE_H

#include "os/os.h"

/* The change time tells of writes, of renaming, and of being unlinked or replaced, also where the file lives on under another name. */
static inline bool file_state_changed(int fd, const struct stat *before)
{
	struct stat now;

	return os_fstat(fd, &now) &&
	       (now.st_nlink != before->st_nlink || now.st_size != before->st_size ||
		       now.st_ctim.tv_sec != before->st_ctim.tv_sec ||
		       now.st_ctim.tv_nsec != before->st_ctim.tv_nsec);
}

#endif
