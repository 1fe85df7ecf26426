// SPDX-License-Identifier: ISC
/*
 * What is to be taken in, and when: deferred messages that will be due, folders to be looked through. Whoever has something for it
 * writes it down here; intake.c works it off.
 */
#include <stdlib.h>

#include "qmgr/qmgr.h"

enum { SOON = 1000 /* ms */ };

void agenda_wake(struct qmgr *q)
{
	loop_defer(q->loop, &q->wake);
}

/* --- deferred messages and when they are due --- */

static void due(struct timer *timer)
{
	struct later *later = timer->context;
	struct qmgr *q = later->qmgr;

	if (later->due)
		return;
	later->due = true;
	later->next = NULL;
	if (q->due_tail)
		q->due_tail->next = later;
	else
		q->due_head = later;
	q->due_tail = later;
	agenda_wake(q);
}

void agenda_later(struct qmgr *q, const char *id, int64_t delay)
{
	struct later *later = map_get(&q->laters, slice_from(id));

	if (!later) {
		later = q->laters.count < QMGR_DEFERRED_LIMIT ? calloc(1, sizeof(*later)) : NULL;
		if (!later || !map_put(&q->laters, slice_from(id), later)) {
			free(later); /* the next look through the folder finds it */
			return;
		}
		later->qmgr = q;
		memcpy(later->id, id, QUEUE_ID_SIZE);
		later->timer = (struct timer){ .fire = due, .context = later };
	}
	if (later->due)
		return;
	if (delay <= 0)
		due(&later->timer);
	else if (!loop_timer_start(q->loop, &later->timer, delay))
		agenda_forget(q, id);
}

void agenda_forget(struct qmgr *q, const char *id)
{
	struct later *later = map_remove(&q->laters, slice_from(id));

	if (!later)
		return;
	loop_timer_stop(&later->timer);
	if (later->due)
		later->gone = true;
	else
		free(later);
}

bool agenda_due(struct qmgr *q, const char *id)
{
	struct later *later = map_get(&q->laters, slice_from(id));

	if (!later)
		return false;
	loop_timer_stop(&later->timer);
	due(&later->timer);
	return true;
}

static bool due_one(void *context, struct slice key, void *value)
{
	struct later *later = value;

	loop_timer_stop(&later->timer);
	due(&later->timer);
	return true;
}

size_t agenda_due_all(struct qmgr *q)
{
	map_each(&q->laters, due_one, NULL);
	return q->laters.count;
}

void agenda_drop_due(struct qmgr *q)
{
	struct later *later = q->due_head;

	q->due_head = later->next;
	if (!q->due_head)
		q->due_tail = NULL;
	if (!later->gone)
		map_remove(&q->laters, slice_from(later->id));
	free(later);
}

/* --- folders --- */

void agenda_scan(struct qmgr *q, enum queue_name name)
{
	q->scan_wanted[name] = true;
	agenda_wake(q);
}

static void look_again(struct timer *timer)
{
	struct qmgr *q = timer->context;

	for (unsigned i = 0; i < QUEUE_NAMES; i++)
		if (q->scan_soon[i]) {
			q->scan_soon[i] = false;
			agenda_scan(q, (enum queue_name)i);
		}
}

void agenda_soon(struct qmgr *q, enum queue_name name)
{
	q->scan_soon[name] = true;
	if (!q->soon.place)
		loop_timer_start(q->loop, &q->soon, SOON);
}

void agenda_open(struct qmgr *q, void (*wake)(struct deferred *deferred))
{
	q->wake = (struct deferred){ .run = wake, .context = q };
	q->soon = (struct timer){ .fire = look_again, .context = q };
}
