// SPDX-License-Identifier: ISC
/*
 * How qmgr learns of messages: cleanup tells of each (a hint that may get lost: the file in incoming/ is what counts), and what stands on
 * the agenda is worked off, a few files a turn. What does not fit stays where it is.
 */
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/log.h"

enum {
	PAUSE = 1000, /* ms, when memory or descriptors are out */
	FILE_COST =
		1 << 20 /* bytes of content that are read in about the time a turn has for a file */
};

static void go_on(struct qmgr *q, int64_t delay)
{
	if (!q->intake_more.place)
		loop_timer_start(q->loop, &q->intake_more, delay);
}

/* What is not finished yet is looked for in a moment. */
static enum mail_taken take(struct qmgr *q, const char *id, enum queue_name from, bool told)
{
	enum mail_taken taken = mail_take(q, id, from, told);

	if (taken == MAIL_UNFINISHED)
		agenda_soon(q, from);
	return taken;
}

/* A fifth of the active queue is left to new mail, however much old mail is due. */
static bool room_for_old(const struct qmgr *q)
{
	return mail_room(q) && (int64_t)q->mails.count < q->settings.active_limit / 5 * 4 + 1;
}

/* False when there is no room for more. */
static bool take_due(struct qmgr *q, unsigned *left)
{
	while (q->due_head && *left && room_for_old(q)) {
		struct later *later = q->due_head;

		(*left)--;
		if (!later->gone && take(q, later->id, QUEUE_DEFERRED, false) == MAIL_NO_ROOM) {
			go_on(q, PAUSE);
			return false;
		}
		agenda_drop_due(q);
	}
	return true;
}

/* --- folders --- */

/* A file of deferred/ that was not known: when is it due? */
static void learn_deferred(struct qmgr *q, const char *id)
{
	struct queue_envelope envelope;
	struct arena arena;
	int fd;

	if (map_get(&q->laters, slice_from(id)) || q->laters.count >= QMGR_DEFERRED_LIMIT)
		return;
	fd = queue_open_file(&q->queue, QUEUE_DEFERRED, id, O_RDONLY);
	if (fd < 0)
		return;
	arena_init(&arena, QMGR_MESSAGE_MEMORY);
	if (queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope))
		agenda_later(q, id, (envelope.info.next_try - os_now()) / 1000);
	else
		agenda_later(q, id, 0); /* taking it sets it aside, with a warning */
	arena_free(&arena);
	os_close(&fd);
}

/* The next folder that somebody wants looked through; false: none. */
static bool next_folder(struct qmgr *q)
{
	static const enum queue_name ORDER[] = { QUEUE_ACTIVE, QUEUE_INCOMING, QUEUE_DEFERRED };

	for (size_t i = 0; i < sizeof(ORDER) / sizeof(*ORDER); i++) {
		if (!q->scan_wanted[ORDER[i]])
			continue;
		q->scan_wanted[ORDER[i]] = false;
		q->scan_folder = ORDER[i];
		q->scan = queue_scan_open(&q->queue, ORDER[i]);
		if (q->scan)
			return true;
		log_error(
			"cannot look through %s: %s", queue_folder_name(ORDER[i]), strerror(errno));
	}
	return false;
}

/* What is no file is left where it is, and told once. */
static void end_scan(struct qmgr *q)
{
	const char *name;
	unsigned strange = queue_scan_strange(q->scan, &name);

	if (strange && strange != q->strange[q->scan_folder])
		log_warning("%s in %s is no file: left alone (%u such things in all)", name,
			queue_folder_name(q->scan_folder), strange);
	q->strange[q->scan_folder] = strange;
	queue_scan_close(&q->scan);
}

/* The name kept from a turn that had no room, or the next one. */
static bool next_name(struct qmgr *q, char id[QUEUE_ID_SIZE])
{
	if (q->scan_kept[0]) {
		memcpy(id, q->scan_kept, QUEUE_ID_SIZE);
		q->scan_kept[0] = '\0';
		return true;
	}
	return queue_scan_next(q->scan, id);
}

/* What taking a message cost, counted in files: the content of one that is found and was never tried has been read. */
static unsigned extra_cost(struct qmgr *q, const char *id)
{
	const struct mail *mail = mail_find(q, slice_from(id));

	return mail && mail->envelope.info.attempts == 0
		       ? (unsigned)(mail->envelope.info.content_size / FILE_COST)
		       : 0;
}

/* False when there is no room for more. */
static bool scan_some(struct qmgr *q, unsigned *left)
{
	char id[QUEUE_ID_SIZE];
	enum mail_taken taken;
	unsigned cost;

	while (*left && (q->scan || next_folder(q))) {
		if (!next_name(q, id)) {
			end_scan(q);
			continue;
		}
		(*left)--;
		if (q->scan_folder == QUEUE_DEFERRED) {
			learn_deferred(q, id);
			continue;
		}
		taken = take(q, id, q->scan_folder, false);
		if (taken == MAIL_NO_ROOM) {
			memcpy(q->scan_kept, id, QUEUE_ID_SIZE);
			return false;
		}
		cost = taken == MAIL_TAKEN ? extra_cost(q, id) : 0;
		*left -= cost < *left ? cost : *left;
	}
	return true;
}

static void work(struct timer *timer)
{
	struct qmgr *q = timer->context;
	unsigned left = QMGR_TURN_FILES;
	bool room;

	if (!q->locked || q->draining || q->sweeps)
		return;
	room = scan_some(q, &left) && take_due(q, &left);
	if (room && q->backlog && !q->scan && mail_room(q)) {
		q->backlog = false;
		q->scan_wanted[QUEUE_INCOMING] = true;
		left = 0;
	}
	if (room && left == 0)
		go_on(q, 0);
	else if (!room && mail_room(q))
		go_on(q, PAUSE);
}

/* Something is to be taken in, or there is room for what waits. */
static void wake(struct deferred *deferred)
{
	struct qmgr *q = deferred->context;

	if (q->draining || !q->locked)
		return;
	if (q->scan || q->backlog || q->due_head || q->scan_wanted[QUEUE_INCOMING] ||
		q->scan_wanted[QUEUE_ACTIVE] || q->scan_wanted[QUEUE_DEFERRED])
		go_on(q, 0);
}

/* Hints get lost, clocks jump: look everywhere now and then. */
static void run(struct timer *timer)
{
	struct qmgr *q = timer->context;

	agenda_scan(q, QUEUE_INCOMING);
	agenda_scan(q, QUEUE_DEFERRED);
	loop_timer_start(q->loop, &q->run, q->settings.run_delay);
}

void intake_open(struct qmgr *q)
{
	agenda_open(q, wake);
}

void intake_start(struct qmgr *q)
{
	q->intake_more = (struct timer){ .fire = work, .context = q };
	q->run = (struct timer){ .fire = run, .context = q };
	loop_timer_start(q->loop, &q->run, q->settings.run_delay);
	agenda_scan(q, QUEUE_ACTIVE); /* what was in hand at the last end */
	agenda_scan(q, QUEUE_INCOMING);
	agenda_scan(q, QUEUE_DEFERRED);
}

/* --- cleanup's hints --- */

struct teller {
	struct channel channel;
	struct qmgr *qmgr;
};

static void receive(struct channel *channel, struct message *message)
{
	struct teller *teller = channel->context;
	struct qmgr *q = teller->qmgr;
	char id[QUEUE_ID_SIZE];

	if (message->type != MESSAGE_QUEUE_ARRIVED ||
		!queue_id_valid(message->queue_arrived.queue_id) ||
		!slice_to_string(message->queue_arrived.queue_id, id, sizeof(id)))
		return;
	if (!q->locked || q->draining || q->sweeps || !mail_room(q)) {
		q->backlog = true;
		return;
	}
	if (take(q, id, QUEUE_INCOMING, true) == MAIL_NO_ROOM)
		q->backlog = true;
}

/* What it had no time to tell is in incoming/. */
static void closed(struct channel *channel, const char *why)
{
	struct teller *teller = channel->context;

	agenda_scan(teller->qmgr, QUEUE_INCOMING);
	free(teller);
}

void intake_peer(struct qmgr *q, int fd)
{
	struct teller *teller = calloc(1, sizeof(*teller));

	if (!teller) {
		os_close(&fd);
		return;
	}
	teller->qmgr = q;
	if (!channel_open(&teller->channel, q->loop, fd, receive, closed, teller))
		free(teller);
	if (q->locked)
		agenda_scan(q, QUEUE_INCOMING); /* what came while nobody could be told */
}
