// SPDX-License-Identifier: ISC
/*
 * A spawner forks session processes: each child gets its own socket pair to the spawner, drops everything else that is open,
 * confines itself further, and serves. A zygote: libraries and configuration are loaded once, in the parent, and the sessions' seccomp
 * program is installed once, in the parent's thread that forks them.
 */
#ifndef SERVICE_SPAWNER_H
#define SERVICE_SPAWNER_H

#include "service/service.h"

struct spawner;
struct session_child {
	pid_t pid;
	struct channel channel; /* to the child; its `context` is this struct */
	void *context; /* the daemon's */
	int64_t started; /* loop time, ms */
	uint32_t dismissed; /* the order by which it has to end; 0: none */
	int64_t dismissed_at; /* loop time, ms */
};
/* Everything the child needs, given through the fork. */
struct session_start {
	const char *log_name; /* "postern/imap(user)"; NULL: as the parent */
	const int
		*keep; /* descriptors that stay open in the child, beside its channel and the log */
	unsigned keep_count;
	const char *folder; /* the only folder it may touch (absolute), or NULL for none */
	unsigned rights; /* CELL_READ | ... on it */
	/* Runs in the child, confined; `channel_fd` leads to the spawner. Its result is the exit status. */
	int (*run)(struct service *service, int channel_fd, void *argument);
	void *argument;
};
/* After service_enter with a cell that has CELL_CALLS_LOCK_IN. `receive` gets what children say; `ended` runs when one has gone (its channel is closed, status as of waitpid). */
struct spawner *spawner_open(struct service *service, unsigned limit, channel_receive receive,
	void (*ended)(void *context, struct session_child *child, int status), void *context);
/* NULL with errno EAGAIN when `limit` children run. */
struct session_child *spawner_start(
	struct spawner *spawner, const struct session_start *start, void *context);
unsigned spawner_count(const struct spawner *spawner);
void spawner_each(struct spawner *spawner, void (*each)(void *context, struct session_child *child),
	void *context);
/* A session whose user has to go: SIGHUP, upon which it takes leave of its client; SIGKILL when it has not ended after a while. */
void spawner_dismiss(struct spawner *spawner, struct session_child *child, uint32_t order);
/*
 * By an order of master: dismiss those whom `concerns` tells. When they have gone, master is answered with their number and `more`.
 */
void spawner_dismiss_some(struct spawner *spawner, const struct message_sessions_order *order,
	bool (*concerns)(const struct message_sessions_order *order, struct session_child *child),
	unsigned more);
/* SIGTERM to all; those alive after `grace` ms get SIGKILL. */
void spawner_end_all(struct spawner *spawner, int64_t grace);

#endif
