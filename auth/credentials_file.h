// SPDX-License-Identifier: ISC
/*
 * credentials.db while authd runs: it may go away, be replaced, be emptied or be damaged, or be away at the start. Without it
 * nothing is known about anybody, so every answer is "try later" (never "wrong password", as an empty database would say), until
 * a whole file is there again. It is never made here.
 */
#ifndef AUTH_CREDENTIALS_FILE_H
#define AUTH_CREDENTIALS_FILE_H

#include "auth/credentials.h"

struct credentials_file;
/* NULL when memory is out. */
struct credentials_file *credentials_file_new(const char *path);
/* After its connections were closed. */
void credentials_file_free(struct credentials_file **file);
/* A connection, closed with credentials_close; all it answers is CREDENTIALS_ERROR until the next look. NULL when memory is out. */
struct credentials *credentials_file_connect(struct credentials_file *file);
/*
 * At the start, and from time to time: notice that the file is away, another one or damaged, and open it (again) when it can be
 * read. Logs both. Connections may be in use by other threads; all are closed before another file is opened.
 */
void credentials_file_look(struct credentials_file *file);
/* At the end: no log is left for a backup that somebody puts in the file's place. Who is being asked just then is left open. */
void credentials_file_close(struct credentials_file *file);

#endif
