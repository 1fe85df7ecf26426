// SPDX-License-Identifier: ISC
/*
 * Reports to the sender: bounce writes them, one for each kind a message needs, and confirms when cleanup has it on disk. Only
 * then a failed recipient is done.
 */
#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/log.h"

/* --- whom a report is about --- */

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

bool notify_concerns(const struct mail *mail, uint32_t recipient, unsigned kind)
{
	return mail->targets[recipient].state == reported_state(kind) &&
	       wants(mail->envelope.recipients[recipient].notify, kind);
}

/* --- reports --- */

static unsigned first_kind(const struct mail *mail)
{
	for (unsigned kind = BOUNCE_FAILURE; kind <= BOUNCE_SUCCESS; kind++)
		if (mail->reports & 1u << kind)
			return kind;
	return 0;
}

static bool send_begin(struct channel *channel, struct mail *mail, unsigned kind, int fd)
{
	const struct queue_info *info = &mail->envelope.info;
	struct message message = { .type = MESSAGE_BOUNCE_BEGIN,
		.fd_count = 1,
		.fds = { fd },
		.bounce_begin = { .serial = mail->report_serial,
			.kind = (uint8_t)kind,
			.queue_id = slice_from(mail->id),
			.sender = mail->envelope.sender,
			.envid = mail->envelope.envid,
			.arrival = info->arrival,
			.content_offset = QUEUE_CONTENT_OFFSET,
			.content_size = info->content_size,
			.flags = info->flags,
			.give_up = info->arrival + mail->qmgr->settings.queue_lifetime } };

	return channel_send(channel, &message);
}

static bool send_recipient(struct channel *channel, const struct mail *mail, uint32_t index)
{
	const struct target *target = &mail->targets[index];
	const struct queue_recipient *recipient = &mail->envelope.recipients[index];
	struct message message = { .type = MESSAGE_BOUNCE_RECIPIENT,
		.bounce_recipient = { .serial = mail->report_serial,
			.address = target->address.length ? target->address : recipient->address,
			.original = recipient->original,
			.orcpt = recipient->orcpt,
			.dsn = target->dsn,
			.relay = target->relay,
			.reason = target->reason } };

	return channel_send(channel, &message);
}

/* False: not now. */
static bool send_report(struct mail *mail)
{
	struct channel *channel = link_channel(&mail->qmgr->bounce);
	unsigned kind = first_kind(mail);
	struct message end = { .type = MESSAGE_BOUNCE_END,
		.bounce_end = { .serial = mail->report_serial } };
	int fd = channel ? mail_fd(mail) : -1;

	if (fd < 0 || !send_begin(channel, mail, kind, fd))
		return false;
	for (uint32_t i = 0; i < mail->envelope.info.recipient_count; i++)
		if (notify_concerns(mail, i, kind) && !send_recipient(channel, mail, i))
			log_warning("%s: a recipient does not fit into the report", mail->id);
	return channel_send(channel, &end);
}

/* Start as many reports as may be under way. */
static void fill(struct qmgr *q)
{
	while (q->to_report.head && q->reporting_count < QMGR_REPORTS) {
		struct mail *mail = mail_list_take(&q->to_report);

		if (++q->report_serial == 0)
			q->report_serial = 1;
		mail->report_serial = q->report_serial;
		mail->report_deadline = loop_now(q->loop) + QMGR_REPORT_TIMEOUT * 1000;
		q->reporting[q->reporting_count++] = mail;
		(void)send_report(
			mail); /* otherwise when the link comes up, or never: notify_expire */
	}
}

static void over(struct qmgr *q, unsigned place, bool done)
{
	struct mail *mail = q->reporting[place];
	unsigned kind = first_kind(mail);

	q->reporting[place] = q->reporting[--q->reporting_count];
	mail->report_serial = 0;
	q->reported(mail, kind, done);
}

static void receive(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct qmgr *q = link->context;

	if (message->type != MESSAGE_BOUNCE_RESULT)
		return;
	for (unsigned i = 0; i < q->reporting_count; i++)
		if (q->reporting[i]->report_serial == message->bounce_result.serial) {
			over(q, i, message->bounce_result.done);
			break;
		}
	fill(q);
}

/* A new connection: a report the old one did not confirm is sent again. */
static void up(struct link *link)
{
	struct qmgr *q = link->context;

	for (unsigned i = 0; i < q->reporting_count; i++)
		if (!q->reporting[i]->vanished)
			(void)send_report(q->reporting[i]);
}

void notify_add(struct mail *mail)
{
	mail_list_add(&mail->qmgr->to_report, mail);
	fill(mail->qmgr);
}

void notify_expire(struct qmgr *q)
{
	int64_t now = loop_now(q->loop);

	for (unsigned i = q->reporting_count; i-- > 0;)
		if (i < q->reporting_count && q->reporting[i]->report_deadline <= now) {
			log_warning("%s: no report to the sender for now: bounce does not answer",
				q->reporting[i]->id);
			over(q, i, false);
		}
	fill(q);
}

void notify_open(struct qmgr *q, void (*reported)(struct mail *mail, unsigned kind, bool done))
{
	q->reported = reported;
	link_open(&q->bounce, q->service, SERVICE_BOUNCE, receive, up, NULL, q);
}
