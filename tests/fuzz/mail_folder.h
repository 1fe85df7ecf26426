// SPDX-License-Identifier: ISC
/* A folder for the mail of a session under fuzzing: in memory where there is room, made anew when it is asked for, removed at the end. */
#ifndef TESTS_FUZZ_MAIL_FOLDER_H
#define TESTS_FUZZ_MAIL_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char mail_folder[64]; /* its path */

static inline int mail_folder_drop(
	const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void mail_folder_remove(void)
{
	if (mail_folder[0])
		nftw(mail_folder, mail_folder_drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* Empty, in the place of the one before. */
static inline void mail_folder_new(void)
{
	if (mail_folder[0])
		mail_folder_remove();
	else
		atexit(mail_folder_remove);
	snprintf(mail_folder, sizeof(mail_folder), "%s/fuzz-mail-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(mail_folder))
		abort();
}

#endif
