// SPDX-License-Identifier: ISC
/*
 * One message in the active queue: taken from a folder, its recipients' results collected, reported, and recorded.
 *
 * Nothing is synced on the way of a message that is delivered: its removal may be lost in a crash (then it is delivered
 * twice), never the message. What is deferred is synced, a few files a turn.
 */
#include <errno.h>
#include <stdlib.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "queue/report.h"
#include "service/figures.h"
#include "service/log.h"

enum { SOON_SECONDS = 30 /* until a message is tried again when the failure was our own */ };

/* --- lists --- */

void mail_list_add(struct mail_list *list, struct mail *mail)
{
	mail->list = list;
	mail->next = NULL;
	mail->before = list->tail;
	if (list->tail)
		list->tail->next = mail;
	else
		list->head = mail;
	list->tail = mail;
	list->count++;
}

void mail_list_leave(struct mail *mail)
{
	struct mail_list *list = mail->list;

	if (!list)
		return;
	if (mail->before)
		mail->before->next = mail->next;
	else
		list->head = mail->next;
	if (mail->next)
		mail->next->before = mail->before;
	else
		list->tail = mail->before;
	mail->next = mail->before = NULL;
	mail->list = NULL;
	list->count--;
}

struct mail *mail_list_take(struct mail_list *list)
{
	struct mail *mail = list->head;

	if (mail)
		mail_list_leave(mail);
	return mail;
}

/* --- taking --- */

struct mail *mail_find(struct qmgr *q, struct slice id)
{
	return map_get(&q->mails, id);
}

bool mail_room(const struct qmgr *q)
{
	return (int64_t)q->mails.count < q->settings.active_limit &&
	       q->recipients < q->settings.recipient_limit;
}

static void close_file(struct mail *mail)
{
	if (mail->fd < 0)
		return;
	os_close(&mail->fd);
	mail->qmgr->open_files--;
}

/* Out of the map, so that the id may come again; the struct stays while something refers to it. */
static void forget(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (!mail->known)
		return;
	mail->known = false;
	map_remove(&q->mails, slice_from(mail->id));
	q->recipients -= mail->left;
	figures_set(FIGURE_queue_now, (int64_t)q->mails.count);
	intake_room(q);
}

static void undirty(struct mail *mail)
{
	struct mail **at = &mail->qmgr->dirty;

	if (!mail->dirty)
		return;
	while (*at && *at != mail)
		at = &(*at)->dirty_next;
	if (*at)
		*at = mail->dirty_next;
	mail->dirty = false;
}

/* --- in incoming/ until it takes long --- */

static void fresh_add(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	mail->fresh_before = q->fresh_tail;
	*(q->fresh_tail ? &q->fresh_tail->fresh_next : &q->fresh_head) = mail;
	q->fresh_tail = mail;
}

static void fresh_leave(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (mail != q->fresh_head && !mail->fresh_before)
		return;
	*(mail->fresh_before ? &mail->fresh_before->fresh_next : &q->fresh_head) = mail->fresh_next;
	*(mail->fresh_next ? &mail->fresh_next->fresh_before : &q->fresh_tail) = mail->fresh_before;
	mail->fresh_next = mail->fresh_before = NULL;
}

void mail_settle_some(struct qmgr *q)
{
	int64_t before = os_now() - QMGR_SETTLE * 1000000ll;

	for (unsigned i = 0; i < QMGR_SETTLE_TURN && !q->sweeps; i++) {
		struct mail *mail = q->fresh_head;

		if (!mail || mail->active > before)
			return;
		fresh_leave(mail);
		if (mail->vanished)
			continue;
		if (queue_move(&q->queue, mail->id, QUEUE_INCOMING, QUEUE_ACTIVE))
			mail->place = QUEUE_ACTIVE;
		else if (errno != ENOENT)
			log_warning("%s: cannot be moved to active: %s", mail->id, strerror(errno));
	}
}

static void mail_free(struct mail *mail)
{
	forget(mail);
	fresh_leave(mail);
	undirty(mail);
	close_file(mail);
	arena_free(&mail->arena);
	free(mail);
}

/* A file that does not check out is set aside and told about; it stops nothing else. */
static void set_aside(struct qmgr *q, const char *id, enum queue_name from)
{
	log_warning("%s: corrupt queue file in %s, moved to corrupt", id, queue_folder_name(from));
	if (!queue_move(&q->queue, id, from, QUEUE_CORRUPT) && errno != ENOENT)
		log_error("%s: cannot be moved to corrupt: %s", id, strerror(errno));
}

static struct mail *new_mail(struct qmgr *q, const char *id, int fd)
{
	struct mail *mail = calloc(1, sizeof(*mail));

	if (!mail)
		return NULL;
	mail->qmgr = q;
	mail->fd = fd;
	q->open_files++;
	memcpy(mail->id, id, QUEUE_ID_SIZE);
	arena_init(&mail->arena, QMGR_MESSAGE_MEMORY);
	return mail;
}

static bool prepare_targets(struct mail *mail)
{
	struct queue_envelope *envelope = &mail->envelope;
	uint32_t count = envelope->info.recipient_count;

	mail->targets = arena_array(&mail->arena, count ? count : 1, sizeof(*mail->targets));
	if (!mail->targets)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (envelope->recipients[i].done) {
			mail->targets[i].state = RECIPIENT_SETTLED;
			mail->targets[i].marked = true;
		} else {
			mail->left++;
		}
	}
	return true;
}

/* An operator asked for its end: every recipient fails with what held it up. */
static void expire_by_order(struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++) {
		const struct queue_recipient *recipient = &mail->envelope.recipients[i];

		if (mail->targets[i].state == RECIPIENT_SETTLED)
			continue;
		mail->targets[i].state = RECIPIENT_DEFERRED;
		mail->targets[i].address = recipient->address;
		mail->targets[i].dsn = recipient->dsn.length ? recipient->dsn : SLICE("4.7.0");
		mail->targets[i].reason = recipient->reason.length
						  ? recipient->reason
						  : SLICE("message is administratively expired");
	}
	mail->resolve_next = mail->envelope.info.recipient_count;
}

static void begin(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	mail->known = true;
	mail->active = os_now();
	if (mail->place == QUEUE_INCOMING)
		fresh_add(mail);
	q->recipients += mail->left;
	figures_set(FIGURE_queue_now, (int64_t)q->mails.count);
	log_info("%s: from=<%.*s>, size=%lld, nrcpt=%u (queue active)", mail->id,
		SLICE_ARG(mail->envelope.sender), (long long)mail->envelope.info.content_size,
		mail->left);
	if (q->open_files > QMGR_OPEN_FILES)
		close_file(mail);
	if (mail->left == 0 || (mail->envelope.info.flags & QUEUE_FLAG_EXPIRED)) {
		expire_by_order(mail);
		mail_advance(mail);
	} else {
		resolve_add(mail);
	}
}

/* Read the envelope, and move an old file; on failure the message is freed. */
static enum mail_taken admit(struct mail *mail, enum queue_name from)
{
	struct qmgr *q = mail->qmgr;

	if (!queue_read(mail->fd, QUEUE_CHECK_HEAD, &mail->arena, &mail->envelope)) {
		if (errno == EBADMSG)
			set_aside(q, mail->id, from);
		else
			log_warning("%s: cannot be read: %s", mail->id, strerror(errno));
		mail_free(mail);
		return MAIL_GONE;
	}
	if (!prepare_targets(mail) || !map_put(&q->mails, slice_from(mail->id), mail)) {
		log_warning("%s: out of memory, left in %s", mail->id, queue_folder_name(from));
		mail_free(mail);
		return MAIL_GONE;
	}
	mail->place = from == QUEUE_INCOMING ? QUEUE_INCOMING : QUEUE_ACTIVE;
	if (mail->place != from && !queue_move(&q->queue, mail->id, from, mail->place)) {
		if (errno != ENOENT)
			log_warning("%s: cannot be moved to active: %s", mail->id, strerror(errno));
		map_remove(&q->mails, slice_from(mail->id));
		mail_free(mail);
		return MAIL_GONE;
	}
	begin(mail);
	return MAIL_TAKEN;
}

enum mail_taken mail_take(struct qmgr *q, const char *id, enum queue_name from, int fd)
{
	struct mail *mail;

	if (mail_find(q, slice_from(id)) || leftover_is(q, id)) {
		os_close(&fd);
		return MAIL_GONE;
	}
	if (!mail_room(q)) {
		os_close(&fd);
		return MAIL_NO_ROOM;
	}
	if (fd < 0)
		fd = queue_open_file(&q->queue, from, id, O_RDONLY);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			return MAIL_NO_ROOM;
		if (errno != ENOENT)
			log_warning("%s: cannot be opened: %s", id, strerror(errno));
		return MAIL_GONE;
	}
	mail = new_mail(q, id, fd);
	if (!mail) {
		os_close(&fd);
		return MAIL_NO_ROOM;
	}
	return admit(mail, from);
}

int mail_fd(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (mail->fd >= 0)
		return mail->fd;
	mail->fd = queue_open_file(&q->queue, mail->place, mail->id, O_RDONLY);
	if (mail->fd >= 0)
		q->open_files++;
	return mail->fd;
}

/* --- results --- */

static const char *status_name(const struct mail *mail, enum recipient_state state)
{
	if (state == RECIPIENT_SENT)
		return "sent";
	return state == RECIPIENT_BOUNCED ? "bounced" : "deferred";
}

static void log_result(struct mail *mail, uint32_t recipient, enum recipient_state state,
	struct slice dsn, struct slice relay, struct slice reason)
{
	const struct queue_recipient *entry = &mail->envelope.recipients[recipient];
	struct slice address = mail->targets[recipient].address;

	queue_report_log(&(struct queue_report){ .queue_id = mail->id,
		.address = address.length ? address : entry->address,
		.original = entry->original,
		.relay = relay,
		.arrival = mail->envelope.info.arrival,
		.active = mail->active,
		.now = os_now(),
		.dsn = dsn,
		.status = status_name(mail, state),
		.reason = reason });
}

static void add_dirty(struct mail *mail)
{
	if (mail->dirty)
		return;
	mail->dirty = true;
	mail->dirty_next = mail->qmgr->dirty;
	mail->qmgr->dirty = mail;
	loop_defer(mail->qmgr->loop, &mail->qmgr->mark);
}

void mail_result(struct mail *mail, uint32_t recipient, enum recipient_state state,
	struct slice dsn, struct slice relay, struct slice reason, bool log)
{
	struct target *target = &mail->targets[recipient];

	target->state = (uint8_t)state;
	if (log)
		log_result(mail, recipient, state, dsn, relay, reason);
	if (state == RECIPIENT_SENT) {
		figures_add(FIGURE_delivered, 1);
		add_dirty(mail);
		if (!(mail->envelope.recipients[recipient].notify & NOTIFY_SUCCESS))
			return;
	} else {
		figures_add(state == RECIPIENT_BOUNCED ? FIGURE_bounced : FIGURE_deferred, 1);
	}
	target->dsn = arena_slice(&mail->arena, slice_head(dsn, 12));
	target->relay = arena_slice(&mail->arena, slice_head(relay, 300));
	target->reason = arena_slice(&mail->arena, slice_head(reason, MAX_REASON));
}

static bool is_done(const struct target *target)
{
	return target->state == RECIPIENT_SENT || target->state == RECIPIENT_SETTLED;
}

/* Mark what is done in the open file; false when the file cannot take it. */
static bool mark_all(struct mail *mail, int fd)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++) {
		struct target *target = &mail->targets[i];

		if (target->marked || !is_done(target))
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
	undirty(mail);
	forget(mail);
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

static void mark_one(struct mail *mail)
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

		undirty(mail);
		mark_one(mail);
	}
}

/* --- what is reported --- */

static bool wants(uint8_t notify, unsigned kind)
{
	if (kind == BOUNCE_SUCCESS)
		return notify & NOTIFY_SUCCESS;
	if (notify == 0)
		return true;
	return !(notify & NOTIFY_NEVER) &&
	       (notify & (kind == BOUNCE_FAILURE ? NOTIFY_FAILURE : NOTIFY_DELAY));
}

static enum recipient_state reported_state(unsigned kind)
{
	return kind == BOUNCE_FAILURE ? RECIPIENT_BOUNCED
	       : kind == BOUNCE_DELAY ? RECIPIENT_DEFERRED
				      : RECIPIENT_SENT;
}

bool mail_reportable(const struct mail *mail, uint32_t recipient, unsigned kind)
{
	return mail->targets[recipient].state == reported_state(kind) &&
	       wants(mail->envelope.recipients[recipient].notify, kind);
}

static bool any_reportable(const struct mail *mail, unsigned kind)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (mail_reportable(mail, i, kind))
			return true;
	return false;
}

static bool any_deferred(const struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (mail->targets[i].state == RECIPIENT_DEFERRED)
			return true;
	return false;
}

static void expire(struct mail *mail, bool forced)
{
	log_info("%s: from=<%.*s>, status=%s, returned to sender", mail->id,
		SLICE_ARG(mail->envelope.sender), forced ? "force-expired" : "expired");
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (mail->targets[i].state == RECIPIENT_DEFERRED)
			mail->targets[i].state = RECIPIENT_BOUNCED;
	mail->expired = true;
}

static void find_reports(struct mail *mail)
{
	const struct qmgr_settings *settings = &mail->qmgr->settings;
	const struct queue_info *info = &mail->envelope.info;
	int64_t age = os_now() - info->arrival;
	int64_t lifetime =
		mail->envelope.sender.length ? settings->queue_lifetime : settings->bounce_lifetime;
	bool forced = info->flags & QUEUE_FLAG_EXPIRED;

	if (any_deferred(mail) && (forced || age >= lifetime))
		expire(mail, forced);
	else if (settings->delay_warning && !info->delay_warned && age >= settings->delay_warning &&
		 mail->envelope.sender.length && any_reportable(mail, BOUNCE_DELAY))
		mail->reports |= 1u << BOUNCE_DELAY;
	if (any_reportable(mail, BOUNCE_FAILURE))
		mail->reports |= 1u << BOUNCE_FAILURE;
	if (mail->envelope.sender.length && any_reportable(mail, BOUNCE_SUCCESS))
		mail->reports |= 1u << BOUNCE_SUCCESS;
}

/* Failures nobody wants to hear of are over as they are. */
static void settle_unwanted(struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (mail->targets[i].state == RECIPIENT_BOUNCED &&
			!wants(mail->envelope.recipients[i].notify, BOUNCE_FAILURE))
			mail->targets[i].state = RECIPIENT_SETTLED;
}

static void settle_failures(struct mail *mail, bool done)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (mail->targets[i].state == RECIPIENT_BOUNCED)
			mail->targets[i].state = done ? RECIPIENT_SETTLED : RECIPIENT_DEFERRED;
	if (!done)
		mail->soon = true;
}

/* --- the end of a pass --- */

static void remove_file(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (queue_remove(&q->queue, mail->place, mail->id)) {
		log_info("%s: removed", mail->id);
	} else if (errno != ENOENT) {
		log_error("%s: cannot be removed: %s; trying again", mail->id, strerror(errno));
		mark_one(mail);
		if (!mail->vanished)
			leftover_add(q, mail->id, mail->place);
	}
}

static void retire(struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (!is_done(&mail->targets[i])) {
			mail_list_add(&mail->qmgr->retiring, mail);
			loop_defer(mail->qmgr->loop, &mail->qmgr->retire);
			return;
		}
	undirty(mail);
	remove_file(mail);
	mail_free(mail);
}

void mail_advance(struct mail *mail)
{
	if (mail->resolving || mail->deliveries)
		return;
	if (mail->vanished) {
		if (!mail->report_serial)
			mail_free(mail);
		return;
	}
	if (!mail->hold && mail->resolve_next < mail->envelope.info.recipient_count)
		return;
	find_reports(mail);
	settle_unwanted(mail);
	if (mail->reports)
		notify_add(mail);
	else
		retire(mail);
}

void mail_reported(struct mail *mail, unsigned kind, bool done)
{
	if (mail->vanished) {
		mail_advance(mail);
		return;
	}
	mail->reports &= ~(1u << kind);
	if (kind == BOUNCE_FAILURE)
		settle_failures(mail, done);
	else if (kind == BOUNCE_DELAY && done)
		mail->envelope.info.delay_warned = os_now();
	if (mail->reports)
		notify_add(mail);
	else
		retire(mail);
}

void mail_delete(struct mail *mail)
{
	resolve_cancel(mail);
	mail_list_leave(mail);
	mail_lost(mail);
	mail_advance(mail);
}

void mail_hold(struct mail *mail)
{
	mail->hold = true;
	if (mail->flying || mail->report_serial)
		return;
	/* What waits for an agent will find the message gone; the results so far go with the file. */
	resolve_cancel(mail);
	mail_list_leave(mail);
	mail_record(mail);
	mail_lost(mail);
	mail_advance(mail);
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

/* Write down how far it came and move it to where it waits. */
void mail_record(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;
	enum queue_name to = mail->hold ? QUEUE_HOLD : QUEUE_DEFERRED;
	int fd = open_for_marks(mail);
	int64_t now = os_now(), next = next_try(mail);

	if (mail->vanished)
		return;
	mail->envelope.info.attempts++;
	mail->envelope.info.next_try = next;
	if (fd >= 0)
		write_results(mail, fd);
	os_close(&fd);
	if (!queue_move(&q->queue, mail->id, mail->place, to)) {
		if (errno != ENOENT)
			log_error("%s: cannot be moved to %s: %s", mail->id, queue_folder_name(to),
				strerror(errno));
		if (errno != ENOENT)
			intake_scan(q, mail->place);
		return;
	}
	if (!mail->hold)
		intake_later(q, mail->id, next > now ? (next - now) / 1000 : 0);
}

void mail_retire_some(struct qmgr *q)
{
	unsigned syncs = 0;

	for (unsigned i = 0; i < QMGR_TURN_FILES && syncs < QMGR_TURN_SYNCS; i++) {
		struct mail *mail = mail_list_take(&q->retiring);

		if (!mail)
			return;
		undirty(mail);
		mail_record(mail);
		syncs += must_sync(mail);
		mail_free(mail);
	}
	if (q->retiring.head)
		loop_timer_start(q->loop, &q->retire_more, 0);
}

bool mail_idle(const struct qmgr *q)
{
	return q->flying == 0 && q->retiring.count == 0 && q->reporting_count == 0 && !q->dirty;
}
