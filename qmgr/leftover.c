// SPDX-License-Identifier: ISC
/*
 * Files of finished messages that could not be removed. Their recipients are marked as done, so a later start would only remove
 * them; until then it is tried again here, with growing waits, and nothing else may take them for new work.
 */
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/log.h"

enum { FIRST_WAIT = 1000, LONGEST_WAIT = 300000 /* ms */ };

struct leftover {
	struct qmgr *qmgr;
	struct timer timer;
	int64_t wait;
	enum queue_name place;
	char id[QUEUE_ID_SIZE];
};

static void leftover_free(struct leftover *left)
{
	loop_timer_stop(&left->timer);
	map_remove(&left->qmgr->leftovers, slice_from(left->id));
	free(left);
}

static void try_again(struct timer *timer)
{
	struct leftover *left = timer->context;
	struct qmgr *q = left->qmgr;

	if (queue_remove(&q->queue, left->place, left->id)) {
		log_info("%s: removed", left->id);
		leftover_free(left);
		return;
	}
	if (errno == ENOENT) {
		leftover_free(left);
		return;
	}
	left->wait = left->wait * 2 < LONGEST_WAIT ? left->wait * 2 : LONGEST_WAIT;
	if (!loop_timer_start(q->loop, &left->timer, left->wait))
		leftover_free(left);
}

bool leftover_is(const struct qmgr *q, const char *id)
{
	return map_get(&q->leftovers, slice_from(id)) != NULL;
}

void leftover_add(struct qmgr *q, const char *id, enum queue_name place)
{
	struct leftover *left;

	if (leftover_is(q, id) || q->leftovers.count >= QMGR_LEFTOVER_LIMIT)
		return;
	left = calloc(1, sizeof(*left));
	if (!left || !map_put(&q->leftovers, slice_from(id), left)) {
		free(left);
		return;
	}
	left->qmgr = q;
	left->wait = FIRST_WAIT;
	left->place = place;
	memcpy(left->id, id, QUEUE_ID_SIZE);
	left->timer = (struct timer){ .fire = try_again, .context = left };
	if (!loop_timer_start(q->loop, &left->timer, left->wait))
		leftover_free(left);
}
