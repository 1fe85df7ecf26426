// SPDX-License-Identifier: ISC
/* The event loop. See loop.h. */
#include "base/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LOOP_BATCH = 64 };

struct loop {
	int epoll;
	bool stopped;
	int64_t now;
	loop_clock clock;
	struct timer **heap;
	size_t heap_count, heap_capacity;
	struct deferred *deferred_head, **deferred_tail;
	struct epoll_event batch[LOOP_BATCH];
	int batch_count, batch_at;
};

int64_t loop_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct loop *loop_new(loop_clock clock)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->clock = clock ? clock : loop_monotonic;
	loop->deferred_tail = &loop->deferred_head;
	loop->now = loop->clock();
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_free(struct loop **loop)
{
	if (!*loop)
		return;
	close((*loop)->epoll);
	free((*loop)->heap);
	free(*loop);
	*loop = NULL;
}

bool loop_watch(struct loop *loop, struct watch *watch)
{
	struct epoll_event event = { .events = watch->events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return false;
	watch->loop = loop;
	return true;
}

void loop_rewatch(struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (!watch->loop || watch->events == events)
		return;
	if (epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) == 0)
		watch->events = events;
}

void loop_unwatch(struct watch *watch)
{
	struct loop *loop = watch->loop;

	if (!loop)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = loop->batch_at; i < loop->batch_count; i++) {
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
	}
	watch->loop = NULL;
}

static void heap_set(struct loop *loop, size_t i, struct timer *timer)
{
	loop->heap[i] = timer;
	timer->place = i + 1;
}

static void heap_up(struct loop *loop, size_t i)
{
	struct timer *timer = loop->heap[i];

	for (; i && loop->heap[(i - 1) / 2]->when > timer->when; i = (i - 1) / 2)
		heap_set(loop, i, loop->heap[(i - 1) / 2]);
	heap_set(loop, i, timer);
}

static void heap_down(struct loop *loop, size_t i)
{
	struct timer *timer = loop->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= loop->heap_count)
			break;
		if (child + 1 < loop->heap_count &&
			loop->heap[child + 1]->when < loop->heap[child]->when)
			child++;
		if (loop->heap[child]->when >= timer->when)
			break;
		heap_set(loop, i, loop->heap[child]);
		i = child;
	}
	heap_set(loop, i, timer);
}

bool loop_timer_reserve(struct loop *loop, size_t count)
{
	struct timer **heap;

	if (count <= loop->heap_capacity)
		return true;
	heap = reallocarray(loop->heap, count, sizeof(struct timer *));
	if (!heap)
		return false;
	loop->heap = heap;
	loop->heap_capacity = count;
	return true;
}

bool loop_timer_start(struct loop *loop, struct timer *timer, int64_t milliseconds)
{
	loop_timer_stop(timer);
	if (loop->heap_count == loop->heap_capacity &&
		!loop_timer_reserve(loop, loop->heap_capacity ? loop->heap_capacity * 2 : 16))
		return false;
	timer->loop = loop;
	/* At least one, so that a timer that restarts itself cannot hold up the turn. */
	timer->when = loop->now + (milliseconds < 1 ? 1 : milliseconds);
	loop->heap[loop->heap_count] = timer;
	heap_up(loop, loop->heap_count++);
	return true;
}

void loop_timer_stop(struct timer *timer)
{
	struct loop *loop = timer->loop;
	size_t i = timer->place - 1;

	if (!timer->place)
		return;
	timer->place = 0;
	loop->heap_count--;
	if (i != loop->heap_count) {
		loop->heap[i] = loop->heap[loop->heap_count];
		loop->heap[i]->place = i + 1;
		heap_up(loop, i);
		heap_down(loop, loop->heap[i]->place - 1);
	}
}

void loop_defer(struct loop *loop, struct deferred *deferred)
{
	if (deferred->queued)
		return;
	deferred->queued = true;
	deferred->next = NULL;
	*loop->deferred_tail = deferred;
	loop->deferred_tail = &deferred->next;
}

void loop_cancel(struct loop *loop, struct deferred *deferred)
{
	struct deferred **at = &loop->deferred_head;

	if (!deferred->queued)
		return;
	while (*at && *at != deferred)
		at = &(*at)->next;
	if (*at)
		*at = deferred->next;
	deferred->queued = false;
	if (!deferred->next)
		for (loop->deferred_tail = &loop->deferred_head; *loop->deferred_tail;)
			loop->deferred_tail = &(*loop->deferred_tail)->next;
}

int64_t loop_now(const struct loop *loop)
{
	return loop->now;
}

static void run_deferred(struct loop *loop)
{
	while (loop->deferred_head) {
		struct deferred *d = loop->deferred_head;

		loop->deferred_head = d->next;
		if (!loop->deferred_head)
			loop->deferred_tail = &loop->deferred_head;
		d->queued = false;
		d->run(d);
	}
}

static void run_timers(struct loop *loop)
{
	while (loop->heap_count && loop->heap[0]->when <= loop->now) {
		struct timer *timer = loop->heap[0];

		loop_timer_stop(timer);
		timer->fire(timer);
	}
}

static int loop_wait_time(const struct loop *loop, int milliseconds)
{
	int64_t until;

	if (loop->heap_count == 0)
		return milliseconds;
	until = loop->heap[0]->when - loop->clock();
	if (until < 0)
		until = 0;
	if (until > 3600000)
		until = 3600000;
	return milliseconds < 0 || until < milliseconds ? (int)until : milliseconds;
}

void loop_turn(struct loop *loop, int milliseconds)
{
	int count;

	run_deferred(loop);
	/* What was put off may have ended it: then there is nothing to wait for. */
	if (loop->stopped)
		return;
	count = epoll_wait(
		loop->epoll, loop->batch, LOOP_BATCH, loop_wait_time(loop, milliseconds));
	loop->now = loop->clock();
	loop->batch_count = count < 0 ? 0 : count;
	for (loop->batch_at = 0; loop->batch_at < loop->batch_count;) {
		struct epoll_event *event = &loop->batch[loop->batch_at++];
		struct watch *watch = event->data.ptr;

		if (watch)
			watch->ready(watch, event->events);
	}
	loop->batch_count = 0;
	run_timers(loop);
	run_deferred(loop);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
