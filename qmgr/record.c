// SPDX-License-Identifier: ISC
/*
 * What of a message is written down: who has it already, why it failed, when it is tried again.
 *
 * Nothing is synced on the way of a message that is delivered: its removal may be lost in a crash (then it is delivered
 * twice), never the message. What is deferred is synced, a few files a turn.
 */
#include <errno.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/figures.h"
#include "service/log.h"

enum { SOON_SECONDS = 30 /* until a message is tried again when the failure was our own */ };

/* --- marks --- */

bool mail_is_done(const struct target *target)
{
	return target->state == RECIPIENT_SENT || target->state == RECIPIENT_SETTLED;
}

/* Mark what is done in the open file; false when the file cannot take it. */
static bool mark_all(struct mail *mail, int fd)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++) {
		struct target *target = &mail->targets[i];

		if (target->marked || !mail_is_done(target))
			continue;
		if (!queue_mark_done(fd, &mail->envelope, i))
			return false;
		target->marked = target->fresh = true;
	}
	return true;
}

void mail_lost(struct mail *mail)
{
	mail->vanished = true;
	mail_undirty(mail);
	mail_forget(mail);
}

static int open_for_marks(struct mail *mail)
{
	int fd = queue_open_file(&mail->qmgr->queue, mail->place, mail->id, O_RDWR);

	if (fd < 0 && errno == ENOENT)
		mail_lost(mail);
	else if (fd < 0)
		log_warning(
			"%s: cannot be opened to record results: %s", mail->id, strerror(errno));
	return fd;
}

void mail_mark(struct mail *mail)
{
	int fd;

	if (mail->vanished)
		return;
	fd = open_for_marks(mail);
	if (fd < 0)
		return;
	if (!mark_all(mail, fd))
		log_warning("%s: cannot record results: %s", mail->id, strerror(errno));
	os_close(&fd);
}

/* At the end of a turn: messages that were finished meanwhile are off the list, and cost no write. */
void mail_mark_dirty(struct qmgr *q)
{
	while (q->dirty) {
		struct mail *mail = q->dirty;

		mail_undirty(mail);
		mail_mark(mail);
	}
}

void mail_expire(struct mail *mail)
{
	int fd = open_for_marks(mail);

	mail->envelope.info.flags |= QUEUE_FLAG_EXPIRED;
	if (fd >= 0 && !queue_update(fd, &mail->envelope))
		log_warning(
			"%s: cannot record that it is to expire: %s", mail->id, strerror(errno));
	os_close(&fd);
}

/* --- recording what is not finished --- */

static int64_t next_try(struct mail *mail)
{
	const struct qmgr_settings *settings = &mail->qmgr->settings;
	const struct queue_info *info = &mail->envelope.info;
	int64_t lifetime =
		mail->envelope.sender.length ? settings->queue_lifetime : settings->bounce_lifetime;
	int64_t now = os_now(), next, end = info->arrival + lifetime;
	uint32_t random;

	if (mail->hold)
		return 0;
	os_random(&random, sizeof(random));
	if (mail->soon) {
		next = now + SOON_SECONDS * 1000000ll / 2 + random % (SOON_SECONDS * 1000000ll);
		return next < now + settings->minimal_backoff ? next
							      : now + settings->minimal_backoff;
	}
	next = schedule_backoff(settings, now, info->arrival, random);
	/* The last attempt comes when it is due, not up to a whole back-off later. */
	return end > now && next > end ? end : next;
}

/* Reasons and times may be lost in a crash; that somebody has his mail already should not be. */
static bool must_sync(const struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (mail->targets[i].fresh)
			return true;
	return false;
}

static void write_results(struct mail *mail, int fd)
{
	struct queue_envelope *envelope = &mail->envelope;

	for (uint32_t i = 0; i < envelope->info.recipient_count; i++) {
		if (mail->targets[i].state != RECIPIENT_DEFERRED &&
			mail->targets[i].state != RECIPIENT_BOUNCED)
			continue;
		envelope->recipients[i].reason = mail->targets[i].reason;
		envelope->recipients[i].dsn = mail->targets[i].dsn;
	}
	if (!mark_all(mail, fd) || !queue_update(fd, envelope)) {
		log_warning("%s: cannot record results: %s", mail->id, strerror(errno));
		return;
	}
	if (!must_sync(mail))
		return;
	if (os_fdatasync(fd))
		figures_add(FIGURE_fsyncs, 1);
	else
		log_warning("%s: cannot sync results: %s", mail->id, strerror(errno));
}

void mail_record(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;
	int fd = open_for_marks(mail);
	int64_t now = os_now(), next = next_try(mail);

	if (mail->vanished)
		return;
	mail->envelope.info.attempts++;
	mail->envelope.info.next_try = next;
	if (fd >= 0)
		write_results(mail, fd);
	os_close(&fd);
	if (mail->place == QUEUE_HOLD)
		return;
	if (mail_move(mail, QUEUE_DEFERRED)) {
		agenda_later(q, mail->id, next > now ? (next - now) / 1000 : 0);
	} else if (errno != ENOENT) {
		log_error("%s: cannot be moved to deferred: %s", mail->id, strerror(errno));
		agenda_scan(q, mail->place);
	}
}

void mail_retire_some(struct qmgr *q)
{
	unsigned syncs = 0;

	for (unsigned i = 0; i < QMGR_TURN_FILES && syncs < QMGR_TURN_SYNCS; i++) {
		struct mail *mail = mail_list_take(&q->retiring);

		if (!mail)
			return;
		mail_undirty(mail);
		mail_record(mail);
		syncs += must_sync(mail);
		mail_free(mail);
	}
	if (q->retiring.head)
		loop_timer_start(q->loop, &q->retire_more, 0);
}
