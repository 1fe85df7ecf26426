// SPDX-License-Identifier: ISC
/*
 * Figures: what each process has counted, so that `postern status` reads without asking anyone. A process has a file of its own,
 * made by master: the first page says whose it is and is master's to write, the second holds the counters, and only it is
 * mapped by the process. So one that was taken over can falsify its own counters and nobody else's. Session children count into the
 * page of their spawner. Relaxed atomics.
 */
#ifndef SERVICE_FIGURES_H
#define SERVICE_FIGURES_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/slice.h"

/* F(name, kind, one line of help): a COUNTER only grows, a GAUGE is of the moment and ends with its process. */
/* clang-format off */
#define FIGURES(F) \
	F(connections, COUNTER, "connections accepted") \
	F(connections_refused, COUNTER, "connections refused by a limit") \
	F(sessions, COUNTER, "sessions begun") \
	F(sessions_now, GAUGE, "sessions running") \
	F(hibernated_now, GAUGE, "sleeping IDLE connections") \
	F(messages, COUNTER, "messages accepted") \
	F(messages_refused, COUNTER, "messages refused") \
	F(recipients_refused, COUNTER, "recipients refused") \
	F(bytes_in, COUNTER, "message bytes received") \
	F(delivered, COUNTER, "recipients delivered") \
	F(deferred, COUNTER, "recipient attempts deferred") \
	F(bounced, COUNTER, "recipients given up") \
	F(queue_now, GAUGE, "messages in the active queue") \
	F(lookups, COUNTER, "directory lookups") \
	F(logins, COUNTER, "logins") \
	F(logins_failed, COUNTER, "logins refused") \
	F(fsyncs, COUNTER, "files synced to disk") \
	F(wakes, COUNTER, "sleepers woken") \
	F(tls_handshakes, COUNTER, "TLS handshakes done") \
	F(tls_resumed, COUNTER, "TLS sessions resumed") \
	F(tls_failed, COUNTER, "TLS handshakes failed") \
	F(tls_now, GAUGE, "TLS connections open") \
	F(tls_signatures, COUNTER, "TLS signatures made") \
	F(introductions, COUNTER, "introductions made") \
	F(restarts, COUNTER, "processes restarted")
/* clang-format on */

#define FIGURE_ENUM(name, kind, help) FIGURE_##name,
enum figure { FIGURES(FIGURE_ENUM) FIGURE_COUNT };
#undef FIGURE_ENUM

/* A copy of one process's file. */
struct figures {
	char entry[32]; /* of master.cf */
	int64_t pid; /* 0: the sum of processes that have ended */
	int64_t value[FIGURE_COUNT];
};

/* Below the folder for sockets and the like; a file's name in it is a number. 0 is master, 1 the sum of those that have ended. */
#define FIGURES_FOLDER "run/figures"

/* For master: a new file in the folder, its pages on disk (a full disk must not kill who counts); -1 with errno. */
int figures_make(int folder, const char *name, const char *entry);
MUST_CHECK bool figures_set_pid(int fd, pid_t pid);
/* Add the counters of a process that has ended to those before it. */
void figures_add_up(struct figures *sum, const struct figures *ended);
MUST_CHECK bool figures_write(int fd, const struct figures *figures);
/* Both pages of a file; false with errno when they are not there. */
MUST_CHECK bool figures_read(int fd, struct figures *figures);

/* Map the counters of this process; false with errno. Called by service_start; before it, figures_add counts into nowhere. */
MUST_CHECK bool figures_open(int fd);
void figures_add(enum figure figure, int64_t n);
void figures_set(enum figure figure, int64_t n);
const char *figure_name(enum figure figure);
const char *figure_help(enum figure figure);

#ifdef POSTERN_TEST_HOOKS
/* What a taken-over process would try: 1 when it has got at what stands behind its page, or before it. */
int figures_try_behind(void);
int figures_try_before(void);
#endif

#endif
