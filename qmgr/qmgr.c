// SPDX-License-Identifier: ISC
/*
 * qmgr - the queue manager: takes messages from incoming/ into active/, asks directoryd where their recipients go, gives them to
 * the delivery agents, and removes, returns or defers them.
 *
 * One event loop that never waits for anybody. It reads envelopes, never contents: an agent gets a read-only descriptor. Only
 * one queue manager works on a queue at a time: after a reload the new one waits for the old one's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "config/place.h"
#include "os/os.h"
#include "qmgr/qmgr.h"
#include "qmgr/qmgr_cell.h"
#include "service/log.h"

enum {
	LOCK_RETRY = 100, /* ms between attempts to take the queue over */
	HOUSEKEEPING = 1000, /* ms */
	DRAIN_POLL = 20 /* ms */
};

static int64_t microseconds(const struct config *config, enum parameter p)
{
	return config_time(config, p) * 1000;
}

static void read_settings(struct qmgr *q)
{
	const struct config *config = q->config;

	q->settings = (struct qmgr_settings){
		.active_limit = config_int(config, PARAM_qmgr_message_active_limit),
		.recipient_limit = config_int(config, PARAM_qmgr_message_recipient_limit),
		.run_delay = config_time(config, PARAM_queue_run_delay),
		.minimal_backoff = microseconds(config, PARAM_minimal_backoff_time),
		.maximal_backoff = microseconds(config, PARAM_maximal_backoff_time),
		.queue_lifetime = microseconds(config, PARAM_maximal_queue_lifetime),
		.bounce_lifetime = microseconds(config, PARAM_bounce_queue_lifetime),
		.delay_warning = microseconds(config, PARAM_delay_warning_time),
		.max_idle = config_time(config, PARAM_max_idle),
	};
	if (q->settings.maximal_backoff < q->settings.minimal_backoff)
		q->settings.maximal_backoff = q->settings.minimal_backoff;
}

/* Everything that needs a path. False with a message in the log. */
static bool open_queue(struct qmgr *q)
{
	char error[512], path[4096];
	const char *folder;

	config_place(q->service, q->config);
	folder = service_path(q->service, CELL_QUEUE);
	if (!queue_open(&q->queue, folder, false, error, sizeof(error))) {
		log_error("%s", error);
		return false;
	}
	snprintf(path, sizeof(path), "%s/qmgr.lock", folder);
	q->lock = os_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (q->lock < 0) {
		log_error("%s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static void take_over(struct timer *timer)
{
	struct qmgr *q = timer->context;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(q->lock, F_SETLK, &lock) == 0) {
		q->locked = true;
		intake_start(q);
		return;
	}
	if (errno != EAGAIN && errno != EACCES) {
		log_error("cannot lock the queue: %s", strerror(errno));
		service_end(q->service, 1);
		return;
	}
	loop_timer_start(q->loop, timer, LOCK_RETRY);
}

static void housekeeping(struct timer *timer)
{
	struct qmgr *q = timer->context;

	resolve_expire(q);
	notify_expire(q);
	deliver_housekeeping(q);
	mail_settle_some(q);
	schedule_resume(q, loop_now(q->loop), false);
	loop_timer_start(q->loop, timer, HOUSEKEEPING);
}

static void run_mark(struct deferred *deferred)
{
	mail_mark_dirty(deferred->context);
}

static void run_retire(struct deferred *deferred)
{
	mail_retire_some(deferred->context);
}

static void retire_more(struct timer *timer)
{
	mail_retire_some(timer->context);
}

/* --- what master says --- */

static void peer(struct service *service, void *context, int fd, const struct peer *from)
{
	intake_peer(context, fd);
}

static void client(struct service *service, void *context, int fd, const struct peer *from)
{
	control_client(context, fd, from);
}

static void wakeup(struct service *service, void *context, unsigned reason)
{
	struct qmgr *q = context;

	agenda_scan(q, QUEUE_INCOMING);
	if (reason == 1) {
		schedule_resume(q, loop_now(q->loop), true);
		agenda_due_all(q);
	}
}

/* Wait for what is in flight; what waits stays in active/ and is found at the next start. */
static void drain_poll(struct timer *timer)
{
	struct qmgr *q = timer->context;

	if (mail_idle(q)) {
		service_end(q->service, 0);
		return;
	}
	loop_timer_start(q->loop, timer, DRAIN_POLL);
}

static void drain(struct service *service, void *context, bool fast)
{
	struct qmgr *q = context;

	q->draining = true;
	control_close_all(q);
	if (fast) {
		mail_mark_dirty(q);
		service_end(service, 0);
		return;
	}
	loop_timer_stop(&q->housekeeping);
	q->housekeeping = (struct timer){ .fire = drain_poll, .context = q };
	drain_poll(&q->housekeeping);
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = {
		.peer = peer, .client = client, .wakeup = wakeup, .drain = drain
	};
	static struct qmgr q;

	q.service = service_start("qmgr", argc, argv);
	q.config = config_open(service_snapshot(q.service));
	if (!q.config) {
		log_error("the configuration snapshot is not one of this build");
		return 78;
	}
	q.loop = service_loop(q.service);
	q.agents_allowed = CELL_QMGR.talk_to;
	read_settings(&q);
	if (!open_queue(&q))
		return 78;
	service_enter(q.service, &CELL_QMGR);
	q.mark = (struct deferred){ .run = run_mark, .context = &q };
	q.retire = (struct deferred){ .run = run_retire, .context = &q };
	q.retire_more = (struct timer){ .fire = retire_more, .context = &q };
	resolve_open(&q);
	notify_open(&q, mail_reported);
	intake_open(&q);
	q.housekeeping = (struct timer){ .fire = housekeeping, .context = &q };
	loop_timer_start(q.loop, &q.housekeeping, HOUSEKEEPING);
	q.intake_more = (struct timer){ .fire = take_over, .context = &q };
	loop_timer_start(q.loop, &q.intake_more, 0);
	return service_run(q.service, &HOOKS, &q);
}
