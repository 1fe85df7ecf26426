// SPDX-License-Identifier: ISC
/*
 * Where recipients go, asked of directoryd: many questions under way at once, in the order the messages came. When directoryd is
 * away the questions wait for it, and after a while the recipients are deferred.
 */
#include "mail/status.h"
#include "qmgr/qmgr.h"
#include "service/figures.h"
#include "service/log.h"

enum { QUESTION_BITS = 9 };
_Static_assert(
	QMGR_RESOLVE_WINDOW == 1 << QUESTION_BITS, "a serial's low bits are the question's place");

static bool send_question(struct qmgr *q, struct question *question)
{
	struct channel *channel = link_channel(&q->directory);
	struct mail *mail = question->mail;
	struct message message = { .type = MESSAGE_DIRECTORY_RESOLVE,
		.directory_resolve = { .serial = question->serial,
			.sender = mail->envelope.sender,
			.recipient = mail->envelope.recipients[question->recipient].address } };

	return channel && channel_send(channel, &message);
}

static void free_question(struct qmgr *q, struct question *question)
{
	question->mail = NULL;
	q->free_questions[q->free_count++] = (unsigned)(question - q->questions);
}

static void ask_one(struct qmgr *q, struct mail *mail, uint32_t recipient)
{
	unsigned place = q->free_questions[--q->free_count];
	struct question *question = &q->questions[place];

	/* The rest of the serial tells an old answer from a new one. */
	question->serial = ((question->serial >> QUESTION_BITS) + 1) << QUESTION_BITS | place;
	question->mail = mail;
	question->recipient = recipient;
	question->asked = loop_now(q->loop);
	mail->resolving++;
	figures_add(FIGURE_lookups, 1);
	(void)send_question(q, question); /* sent again when the link comes up */
}

/* Ask about the recipients of the first messages in line, as far as the window reaches. */
static void ask(struct deferred *deferred)
{
	struct qmgr *q = deferred->context;

	while (q->to_resolve.head && q->free_count && !q->draining) {
		struct mail *mail = q->to_resolve.head;

		while (mail->resolve_next < mail->envelope.info.recipient_count && q->free_count) {
			uint32_t recipient = mail->resolve_next++;

			if (mail->targets[recipient].state == RECIPIENT_WAITING)
				ask_one(q, mail, recipient);
		}
		if (mail->resolve_next < mail->envelope.info.recipient_count)
			return;
		mail_list_take(&q->to_resolve);
	}
}

void resolve_add(struct mail *mail)
{
	mail_list_add(&mail->qmgr->to_resolve, mail);
	loop_defer(mail->qmgr->loop, &mail->qmgr->ask);
}

void resolve_cancel(struct mail *mail)
{
	struct qmgr *q = mail->qmgr;

	if (mail->list == &q->to_resolve)
		mail_list_leave(mail);
	for (unsigned i = 0; i < QMGR_RESOLVE_WINDOW && mail->resolving; i++)
		if (q->questions[i].mail == mail) {
			free_question(q, &q->questions[i]);
			mail->resolving--;
		}
	loop_defer(q->loop, &q->ask);
}

/* --- answers --- */

/* The recipient goes to a delivery, or is deferred when there is no memory for one. */
static void route(struct mail *mail, uint32_t recipient, struct slice name, struct slice nexthop)
{
	struct transport *transport = schedule_transport(mail->qmgr, name);
	struct slice key =
		transport && transport->by_mailbox ? mail->targets[recipient].mailbox : nexthop;
	struct destination *destination = transport ? schedule_destination(transport, key) : NULL;

	if (!destination || !schedule_add(destination, mail, recipient)) {
		mail_result(mail, recipient, RECIPIENT_DEFERRED, SLICE("4.3.0"), SLICE("none"),
			SLICE("too many destinations at this time"), true);
		return;
	}
	deliver_soon(transport);
}

static void fail(struct mail *mail, uint32_t recipient, enum recipient_state state, const char *dsn,
	struct slice reason, const char *otherwise)
{
	struct slice code = slice_from(dsn), text = reason.length ? reason : slice_from(otherwise);
	char space[STATUS_CODE_SIZE];

	status_split(text, state == RECIPIENT_BOUNCED ? '5' : '4', space, &code, &text);
	mail_result(mail, recipient, state, code, SLICE("none"), text, true);
}

static void found(struct mail *mail, uint32_t recipient,
	const struct message_directory_resolve_answer *answer)
{
	struct target *target = &mail->targets[recipient];
	struct slice transport = answer->transport, nexthop = answer->nexthop;

	if (transport.length == 0) {
		transport = slice_from(config_text(mail->qmgr->config, PARAM_default_transport));
		(void)slice_split(&transport, ':', &transport);
	}
	target->address = answer->address.length ? arena_slice(&mail->arena, answer->address)
						 : mail->envelope.recipients[recipient].address;
	target->mailbox = arena_slice(&mail->arena, answer->mailbox);
	target->quota = answer->quota;
	route(mail, recipient, transport, nexthop);
}

static void answered(struct mail *mail, uint32_t recipient,
	const struct message_directory_resolve_answer *answer)
{
	switch (answer->status) {
	case DIRECTORY_FOUND:
	case DIRECTORY_NOT_OURS:
		found(mail, recipient, answer);
		break;
	case DIRECTORY_NOT_FOUND:
		fail(mail, recipient, RECIPIENT_BOUNCED, "5.1.1", answer->reason, "user unknown");
		break;
	case DIRECTORY_BAD:
		fail(mail, recipient, RECIPIENT_BOUNCED, "5.1.3", answer->reason,
			"bad address syntax");
		break;
	default:
		fail(mail, recipient, RECIPIENT_DEFERRED, "4.3.0", answer->reason,
			"address lookup failure");
		break;
	}
}

static void receive(struct channel *channel, struct message *message)
{
	struct link *link = channel->context;
	struct qmgr *q = link->context;
	const struct message_directory_resolve_answer *answer = &message->directory_resolve_answer;
	struct question *question;
	struct mail *mail;
	uint32_t recipient;

	if (message->type != MESSAGE_DIRECTORY_RESOLVE_ANSWER)
		return;
	question = &q->questions[answer->serial % QMGR_RESOLVE_WINDOW];
	if (!question->mail || question->serial != answer->serial)
		return;
	mail = question->mail;
	recipient = question->recipient;
	free_question(q, question);
	mail->resolving--;
	answered(mail, recipient, answer);
	if (q->to_resolve.head)
		loop_defer(q->loop, &q->ask);
	mail_advance(mail);
}

/* A new connection: whatever the old one did not answer is asked again. */
static void up(struct link *link)
{
	struct qmgr *q = link->context;

	for (unsigned i = 0; i < QMGR_RESOLVE_WINDOW; i++)
		if (q->questions[i].mail)
			(void)send_question(q, &q->questions[i]);
}

void resolve_expire(struct qmgr *q)
{
	int64_t now = loop_now(q->loop);

	for (unsigned i = 0; i < QMGR_RESOLVE_WINDOW; i++) {
		struct question *question = &q->questions[i];
		struct mail *mail = question->mail;

		if (!mail || now - question->asked < QMGR_RESOLVE_TIMEOUT * 1000)
			continue;
		free_question(q, question);
		mail->resolving--;
		mail->soon = true;
		fail(mail, question->recipient, RECIPIENT_DEFERRED, "4.3.0", SLICE(""),
			"address lookup timed out");
		mail_advance(mail);
	}
	if (q->to_resolve.head)
		loop_defer(q->loop, &q->ask);
}

void resolve_open(struct qmgr *q)
{
	q->ask = (struct deferred){ .run = ask, .context = q };
	for (unsigned i = 0; i < QMGR_RESOLVE_WINDOW; i++)
		q->free_questions[q->free_count++] = QMGR_RESOLVE_WINDOW - 1 - i;
	link_open(&q->directory, q->service, SERVICE_DIRECTORY, receive, up, NULL, q);
}
