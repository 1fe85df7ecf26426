// SPDX-License-Identifier: ISC
/* One daemon as it is built, in its cell, with the test in the place of master and of the daemon's peers. */
#ifndef TESTS_MASTER_WORLD_H
#define TESTS_MASTER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipc/channel.h"
#include "sandbox/cell.h"

enum { WORLD_WAIT = 20000 /* ms */ };

/* The instance's folder, of whom the daemon runs as, who is never root. */
extern char world_folder[64];

void world_make(void);
/* Below world_folder, "/data" for instance. */
void world_make_folder(const char *name);
/* `program` with these lines of main.cf, until it is ready. */
void world_start(const char *program, const char *settings);
/* Kill it, and remove `files` (below world_folder, ending with NULL), then `folders`, then world_folder. */
void world_end(const char *const *files, const char *const *folders);

void say(int fd, const struct message *message);
/* Valid until the next. */
void hear(int fd, struct message *message, enum message_type type);
/* A connection that the daemon believes to be somebody's, as master tells it. */
int introduce(enum service_id from, uint32_t pid);
/* The daemon ended this connection, and said nothing more. */
bool is_closed(int fd);

#endif
