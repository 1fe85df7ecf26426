// SPDX-License-Identifier: ISC
/*
 * What becomes of a message: results come in, reports go out, and when nothing is under way any more the message is over, or is
 * recorded to be tried again.
 */
#include <errno.h>

#include "os/os.h"
#include "qmgr/qmgr.h"
#include "queue/report.h"
#include "service/figures.h"
#include "service/log.h"

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

/* --- what is reported --- */

static bool any_reportable(const struct mail *mail, unsigned kind)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (notify_concerns(mail, i, kind))
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
			!notify_concerns(mail, i, BOUNCE_FAILURE))
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
		mail_mark(mail);
		if (!mail->vanished)
			leftover_add(q, mail->id, mail->place);
	}
}

static void retire(struct mail *mail)
{
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (!mail_is_done(&mail->targets[i])) {
			mail_list_add(&mail->qmgr->retiring, mail);
			loop_defer(mail->qmgr->loop, &mail->qmgr->retire);
			return;
		}
	mail_undirty(mail);
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

bool mail_idle(const struct qmgr *q)
{
	return q->flying == 0 && q->retiring.count == 0 && q->reporting_count == 0 && !q->dirty;
}
