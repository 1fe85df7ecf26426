// SPDX-License-Identifier: ISC
/*
 * Files in maildrop/: SUBMIT packets, each behind its length. Anybody may put one there, so they are read like network input.
 */
#ifndef CLEANUP_MAILDROP_H
#define CLEANUP_MAILDROP_H

#include "ipc/message.h"

enum { MAILDROP_NAME = 64 /* bytes of a file's name, at most */ };

struct maildrop_reader {
	int fd; /* its own */
	struct buffer bytes;
	size_t used; /* of `bytes` */
	bool at_end;
};
enum maildrop_status {
	MAILDROP_FAILED = 0, /* cannot be read now */
	MAILDROP_MESSAGE,
	MAILDROP_END, /* the file ended behind a whole packet */
	MAILDROP_BAD /* never will be read */
};
/* Takes `fd` over. */
void maildrop_open(struct maildrop_reader *reader, int fd);
/* The next packet; its texts are valid until the next call. */
enum maildrop_status maildrop_next(struct maildrop_reader *reader, struct message *message);
void maildrop_close(struct maildrop_reader *reader);

/* A name that a finished submission may have: letters, digits, '-', '_' and '.', no suffix ".tmp" or ".bad". */
bool maildrop_name_good(struct slice name);
bool maildrop_name_unfinished(struct slice name);

#endif
