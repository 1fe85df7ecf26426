// SPDX-License-Identifier: ISC
/*
 * Figures: one shared page set, a slot of counters for each process, so that `postern status` reads without asking anyone.
 * A process writes its own slot only; relaxed atomics.
 */
#ifndef SERVICE_FIGURES_H
#define SERVICE_FIGURES_H

#include <stdatomic.h>

#include "base/slice.h"

/* F(name, one line of help) */
/* clang-format off */
#define FIGURES(F) \
	F(connections, "connections accepted") \
	F(connections_refused, "connections refused by a limit") \
	F(sessions, "sessions begun") F(sessions_now, "sessions running") F(hibernated_now, \
		"sleeping IDLE connections") F(messages, "messages accepted") F(messages_refused, \
		"messages refused") F(recipients_refused, "recipients refused") F(bytes_in, \
		"message bytes received") F(delivered, "recipients delivered") \
		F(deferred, "recipient attempts deferred") F(bounced, "recipients given up") F( \
			queue_now, "messages in the active queue") F(lookups, "directory lookups") \
			F(logins, "logins") F(logins_failed, "logins refused") \
				F(fsyncs, "files synced to disk") F(wakes, "sleepers woken") \
					F(introductions, "introductions made") \
						F(restarts, "processes restarted")
/* clang-format on */

#define FIGURE_ENUM(name, help) FIGURE_##name,
enum figure { FIGURES(FIGURE_ENUM) FIGURE_COUNT };
#undef FIGURE_ENUM

struct figures_slot {
	char entry[32]; /* master.cf entry, written by master */
	_Atomic int64_t pid;
	_Atomic int64_t value[FIGURE_COUNT];
};
enum { FIGURES_SLOTS = 1024 };

/* Map the page set of `fd`; false when it is not one. Called by service_start; before it, figures_add counts into nowhere. */
MUST_CHECK bool figures_open(int fd, unsigned slot);
void figures_add(enum figure figure, int64_t n);
void figures_set(enum figure figure, int64_t n);
const char *figure_name(enum figure figure);
const char *figure_help(enum figure figure);

#endif
