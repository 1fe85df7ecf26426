// SPDX-License-Identifier: ISC
/*
 * The event loop: descriptors (epoll), timers, and calls put off to the end of a turn. One loop a thread; the time comes from
 * a clock that tests replace.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <sys/epoll.h>

#include "base/slice.h"

struct loop;

/* Milliseconds that never go back. */
typedef int64_t (*loop_clock)(void);
int64_t loop_monotonic(void);

/* Embedded in the caller's struct, which must stay until loop_unwatch. */
struct watch {
	int fd;
	uint32_t events;
	void (*ready)(
		struct watch *watch, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
	void *context;
	struct loop *loop; /* set while watched */
};

struct timer {
	void (*fire)(struct timer *timer);
	void *context;
	int64_t when; /* loop time, ms */
	size_t place; /* in the heap, plus one; 0 when not running */
	struct loop *loop;
};

struct deferred {
	void (*run)(struct deferred *deferred);
	void *context;
	struct deferred *next;
	bool queued;
};

/* NULL when the system refuses. `clock` may be NULL for loop_monotonic. */
struct loop *loop_new(loop_clock clock);
void loop_free(struct loop **loop);

/* False with errno when epoll refuses. */
MUST_CHECK bool loop_watch(struct loop *loop, struct watch *watch);
/* Change the events of a watch; a no-op when they are the same. */
void loop_rewatch(struct watch *watch, uint32_t events);
/* Safe inside any callback, also for a watch whose event is still to come this turn. Does not close the descriptor. */
void loop_unwatch(struct watch *watch);

/* Room for so many timers at once: starting them cannot fail then. */
MUST_CHECK bool loop_timer_reserve(struct loop *loop, size_t count);
/* Start or restart; false when memory is out. */
bool loop_timer_start(struct loop *loop, struct timer *timer, int64_t milliseconds);
void loop_timer_stop(struct timer *timer);

/* Run at the end of this turn, once however often it was asked for. */
void loop_defer(struct loop *loop, struct deferred *deferred);
/* Take it back, before its struct is freed; a no-op when it is not queued. */
void loop_cancel(struct loop *loop, struct deferred *deferred);

/* Milliseconds at the start of this turn. */
int64_t loop_now(const struct loop *loop);
/* One turn, waiting at most `milliseconds` (-1: as long as timers allow). */
void loop_turn(struct loop *loop, int milliseconds);
/* loop_turn waits for nothing any more. */
void loop_stop(struct loop *loop);

#endif
