// SPDX-License-Identifier: ISC
/*
 * Transports and their agents: a few standing connections to each service that delivers, one process at the other end of
 * each. An agent that dies takes no mail with it: what it had not answered is tried again.
 */
#include <errno.h>
#include <stdlib.h>

#include "mail/status.h"
#include "os/os.h"
#include "qmgr/qmgr.h"
#include "service/log.h"

enum { PUMP_TURN = 256 /* deliveries decided without an agent in one turn */ };

static void pump(struct deferred *deferred);
static void want_agent(struct transport *transport);

static void pump_again(struct timer *timer)
{
	deliver_soon(timer->context);
}

void deliver_soon(struct transport *transport)
{
	transport->pump.run = pump;
	transport->pump.context = transport;
	loop_defer(transport->qmgr->loop, &transport->pump);
}

static void pump_later(struct transport *transport, int64_t delay)
{
	if (transport->pump_more.place)
		return;
	transport->pump_more = (struct timer){ .fire = pump_again, .context = transport };
	loop_timer_start(transport->qmgr->loop, &transport->pump_more, delay);
}

/* --- deliveries that end here --- */

/* The delivery is over for its message and its destination. */
static void finish(struct delivery *delivery, enum schedule_outcome outcome, struct slice dsn,
	struct slice reason)
{
	struct mail *mail = delivery->mail;
	struct transport *transport = delivery->destination->transport;

	schedule_over(delivery, outcome, dsn, reason, loop_now(mail->qmgr->loop));
	mail->deliveries--;
	mail_advance(mail);
	deliver_soon(transport);
}

/* All recipients that have no result yet get this one, decided and logged here. */
static void settle(struct delivery *delivery, enum recipient_state state, struct slice dsn,
	struct slice reason)
{
	struct mail *mail = delivery->mail;

	for (uint32_t i = 0; i < delivery->count; i++) {
		struct target *target = &mail->targets[delivery->recipients[i]];

		if (!mail->vanished &&
			(target->state == RECIPIENT_WAITING || target->state == RECIPIENT_FLYING))
			mail_result(mail, delivery->recipients[i], state, dsn, SLICE("none"),
				reason, true);
	}
	finish(delivery, SCHEDULE_NEUTRAL, dsn, reason);
}

static void settle_suspended(struct delivery *delivery)
{
	struct destination *destination = delivery->destination;
	struct slice dsn = slice_from(destination->dsn);
	struct buffer reason = buffer_limited(MAX_REASON);
	struct buffer code = buffer_limited(16);

	buffer_printf(&reason, "delivery temporarily suspended: %.*s", 900,
		destination->reason ? destination->reason : "too many failures");
	buffer_add(&code, dsn.length ? dsn : SLICE("4.3.0"));
	settle(delivery, RECIPIENT_DEFERRED, buffer_slice(&code), buffer_slice(&reason));
	buffer_free(&code);
	buffer_free(&reason);
}

/* Transports that need no agent. */
static void settle_built_in(struct transport *transport, struct delivery *delivery)
{
	struct slice text = slice_from(delivery->destination->key);
	char space[STATUS_CODE_SIZE];
	struct buffer reason = buffer_limited(MAX_REASON);
	static const struct {
		enum recipient_state state;
		const char *dsn, *reason;
	} OUTCOME[] = {
		[TRANSPORT_UNAVAILABLE] = { RECIPIENT_DEFERRED, "4.3.0",
			"mail transport unavailable" },
		[TRANSPORT_ERROR] = { RECIPIENT_BOUNCED, "5.0.0", NULL },
		[TRANSPORT_RETRY] = { RECIPIENT_DEFERRED, "4.0.0", NULL },
		[TRANSPORT_DISCARD] = { RECIPIENT_SENT, "2.0.0", NULL },
	};
	struct slice dsn = slice_from(OUTCOME[transport->kind].dsn);

	if (OUTCOME[transport->kind].reason || text.length == 0)
		text = slice_from(OUTCOME[transport->kind].reason ? OUTCOME[transport->kind].reason
								  : transport->name);
	status_split(text, transport->kind == TRANSPORT_ERROR ? '5' : 0, space, &dsn,
		&text); /* error:5.7.1 text */
	buffer_add(&reason, slice_head(text, MAX_REASON));
	settle(delivery, OUTCOME[transport->kind].state, arena_slice(&delivery->mail->arena, dsn),
		buffer_slice(&reason));
	buffer_free(&reason);
}

/* --- results --- */

static enum recipient_state state_of(uint8_t status)
{
	return status == DELIVER_SENT      ? RECIPIENT_SENT
	       : status == DELIVER_BOUNCED ? RECIPIENT_BOUNCED
					   : RECIPIENT_DEFERRED;
}

static struct delivery *find_flying(struct agent *agent, uint32_t serial, unsigned *place)
{
	for (unsigned i = 0; i < agent->count; i++)
		if (agent->flying[i]->serial == serial) {
			*place = i;
			return agent->flying[i];
		}
	return NULL;
}

static bool has_recipient(const struct delivery *delivery, uint32_t index)
{
	for (uint32_t i = 0; i < delivery->count; i++)
		if (delivery->recipients[i] == index)
			return true;
	return false;
}

static void take_off(struct agent *agent, unsigned place)
{
	struct qmgr *q = agent->transport->qmgr;
	struct delivery *delivery = agent->flying[place];

	agent->flying[place] = agent->flying[--agent->count];
	agent->idle_since = loop_now(q->loop);
	delivery->mail->flying--;
	q->flying--;
}

static void receive(struct channel *channel, struct message *message)
{
	struct agent *agent = channel->context;
	const struct message_deliver_result *result = &message->deliver_result;
	enum recipient_state state;
	struct delivery *delivery;
	unsigned place;

	if (message->type != MESSAGE_DELIVER_RESULT)
		return;
	delivery = find_flying(agent, result->serial, &place);
	if (!delivery || !has_recipient(delivery, result->index) ||
		delivery->mail->targets[result->index].state != RECIPIENT_FLYING) {
		log_warning("%s: an answer to no question, ignored", agent->transport->name);
		return;
	}
	state = state_of(result->status);
	mail_result(delivery->mail, result->index, state, result->dsn, result->relay,
		result->reason, false);
	if (++delivery->answered < delivery->count)
		return;
	take_off(agent, place);
	finish(delivery, state == RECIPIENT_DEFERRED ? SCHEDULE_FAILED : SCHEDULE_WORKED,
		result->dsn, result->reason);
}

/* Those of a delivery that are answered need not be tried again. */
static void forget_answered(struct delivery *delivery)
{
	struct target *targets = delivery->mail->targets;
	uint32_t left = 0;

	for (uint32_t i = 0; i < delivery->count; i++) {
		uint32_t recipient = delivery->recipients[i];

		if (targets[recipient].state != RECIPIENT_FLYING)
			continue;
		targets[recipient].state = RECIPIENT_WAITING;
		delivery->recipients[left++] = recipient;
	}
	delivery->count = left;
	delivery->answered = 0;
}

static void remove_agent(struct agent *agent)
{
	struct transport *transport = agent->transport;

	for (unsigned i = 0; i < transport->agent_count; i++)
		if (transport->agents[i] == agent) {
			transport->agents[i] = transport->agents[--transport->agent_count];
			break;
		}
	free(agent);
}

static void agent_died(struct channel *channel, const char *why)
{
	struct agent *agent = channel->context;
	struct transport *transport = agent->transport;

	if (agent->count)
		log_warning("%s: the delivery agent went away with %u deliveries: %s",
			transport->name, agent->count, why ? why : "closed");
	while (agent->count) {
		struct delivery *delivery = agent->flying[0];

		take_off(agent, 0);
		forget_answered(delivery);
		if (++delivery->crashes < QMGR_CRASHES) {
			schedule_again(delivery);
			continue;
		}
		delivery->mail->soon = true;
		settle(delivery, RECIPIENT_DEFERRED, SLICE("4.3.0"),
			SLICE("the delivery agent ended unexpectedly"));
	}
	remove_agent(agent);
	if (!transport->qmgr->draining)
		deliver_soon(transport);
}

/* --- agents --- */

static void connected(struct service *service, void *context, int fd, const char *reason)
{
	struct transport *transport = context;
	struct qmgr *q = transport->qmgr;
	struct agent *agent;

	transport->connecting = false;
	if (fd < 0) {
		log_debug("%s: no further agent: %s", transport->name, reason);
		transport->refused_until =
			loop_now(q->loop) +
			(transport->agent_count ? QMGR_REFUSED_WAIT : QMGR_REFUSED_FIRST);
		if (!transport->agent_count)
			pump_later(transport, QMGR_REFUSED_FIRST + 1);
		return;
	}
	agent = calloc(1, sizeof(*agent));
	if (!agent || transport->agent_count >= QMGR_AGENTS || q->draining) {
		free(agent);
		os_close(&fd);
		return;
	}
	agent->transport = transport;
	agent->idle_since = loop_now(q->loop);
	if (!channel_open(&agent->channel, q->loop, fd, receive, agent_died, agent)) {
		free(agent);
		return;
	}
	transport->agents[transport->agent_count++] = agent;
	transport->without_agent = 0;
	deliver_soon(transport);
}

static void want_agent(struct transport *transport)
{
	struct qmgr *q = transport->qmgr;

	if (transport->connecting || q->draining || transport->agent_count >= QMGR_AGENTS ||
		loop_now(q->loop) < transport->refused_until)
		return;
	transport->connecting = true;
	service_connect(q->service, transport->service, connected, transport);
}

/* An agent died with it before: it may be the cause, and must not take others with it again. */
static bool is_suspect(const struct delivery *delivery)
{
	return delivery->crashes > 0;
}

static bool has_room(const struct agent *agent, bool alone)
{
	return alone ? agent->count == 0
		     : agent->count < QMGR_AGENT_DEPTH &&
			       (agent->count == 0 || !is_suspect(agent->flying[0]));
}

/* The least busy agent with room; one more is asked for when all are busy. `alone`: one with nothing else in hand. */
static struct agent *choose(struct transport *transport, bool alone)
{
	struct agent *best = NULL;

	for (unsigned i = 0; i < transport->agent_count; i++) {
		struct agent *agent = transport->agents[i];

		if (has_room(agent, alone) && (!best || agent->count < best->count))
			best = agent;
	}
	if (!best || best->count >= QMGR_AGENT_BUSY)
		want_agent(transport);
	if (!transport->agent_count && !transport->without_agent)
		transport->without_agent = loop_now(transport->qmgr->loop);
	return best;
}

static bool send_recipients(struct agent *agent, const struct delivery *delivery)
{
	struct mail *mail = delivery->mail;

	for (uint32_t i = 0; i < delivery->count; i++) {
		uint32_t recipient = delivery->recipients[i];
		struct target *target = &mail->targets[recipient];
		struct message message = { .type = MESSAGE_DELIVER_RECIPIENT,
			.deliver_recipient = { .serial = delivery->serial,
				.index = recipient,
				.address = target->address,
				.original = mail->envelope.recipients[recipient].original,
				.mailbox = target->mailbox,
				.quota = target->quota } };

		if (!channel_send(&agent->channel, &message))
			return false;
		target->state = RECIPIENT_FLYING;
	}
	return true;
}

static bool send_delivery(struct agent *agent, struct delivery *delivery, int fd)
{
	struct mail *mail = delivery->mail;
	const struct queue_info *info = &mail->envelope.info;
	struct message message = { .type = MESSAGE_DELIVER_MESSAGE,
		.fd_count = 1,
		.fds = { fd },
		.deliver_message = { .serial = delivery->serial,
			.queue_id = slice_from(mail->id),
			.sender = mail->envelope.sender,
			.arrival = info->arrival,
			.active = mail->active,
			.content_offset = QUEUE_CONTENT_OFFSET,
			.content_size = info->content_size,
			.content_lines = info->content_lines,
			.flags = info->flags,
			.nexthop = slice_from(delivery->destination->key),
			.recipients = delivery->count } };

	return channel_send(&agent->channel, &message) && send_recipients(agent, delivery);
}

static void launch(struct agent *agent, struct delivery *delivery)
{
	struct mail *mail = delivery->mail;
	struct qmgr *q = mail->qmgr;
	int fd = mail_fd(mail);

	if (fd < 0 && errno == ENOENT) {
		mail_lost(mail);
		finish(delivery, SCHEDULE_NEUTRAL, SLICE(""), SLICE(""));
		return;
	}
	delivery->serial = ++agent->transport->serial;
	if (fd < 0 || !send_delivery(agent, delivery, fd)) {
		log_warning("%s: cannot be given to %s", mail->id, agent->transport->name);
		settle(delivery, RECIPIENT_DEFERRED, SLICE("4.3.0"),
			SLICE("queue file or agent unavailable"));
		channel_close(&agent->channel);
		agent_died(&agent->channel, "could not be written to");
		return;
	}
	agent->flying[agent->count++] = delivery;
	mail->flying++;
	q->flying++;
}

static void pump(struct deferred *deferred)
{
	struct transport *transport = deferred->context;
	struct qmgr *q = transport->qmgr;
	struct destination *destination;

	if (q->draining)
		return;
	for (unsigned decided = 0; (destination = schedule_ready(transport));) {
		struct mail *mail = destination->head->mail;
		struct agent *agent;

		if (decided++ >= PUMP_TURN) {
			transport->pump_more =
				(struct timer){ .fire = pump_again, .context = transport };
			loop_timer_start(q->loop, &transport->pump_more, 0);
			return;
		}
		if (mail->vanished || mail->hold) {
			finish(schedule_next(transport), SCHEDULE_NEUTRAL, SLICE(""), SLICE(""));
		} else if (destination->suspended > loop_now(q->loop)) {
			settle_suspended(schedule_next(transport));
		} else if (transport->kind != TRANSPORT_AGENT) {
			settle_built_in(transport, schedule_next(transport));
		} else {
			agent = choose(transport, is_suspect(destination->head));
			if (!agent)
				return;
			launch(agent, schedule_next(transport));
		}
	}
}

/* --- once a second --- */

static void give_up_waiting(struct transport *transport)
{
	log_warning("transport %s is not there: its mail is deferred", transport->name);
	transport->without_agent = loop_now(transport->qmgr->loop);
	for (unsigned i = 0; i < PUMP_TURN && schedule_ready(transport); i++) {
		struct delivery *delivery = schedule_next(transport);

		delivery->mail->soon = true;
		settle(delivery, RECIPIENT_DEFERRED, SLICE("4.3.0"),
			SLICE("mail transport unavailable"));
	}
	if (schedule_ready(transport))
		transport->without_agent -= (QMGR_AGENT_WAIT - 1) * 1000;
}

static bool look_after(void *context, struct slice name, void *value)
{
	struct transport *transport = value;
	struct qmgr *q = transport->qmgr;
	int64_t now = loop_now(q->loop);

	if (transport->kind != TRANSPORT_AGENT)
		return true;
	if (!transport->ready_head)
		transport->without_agent = 0;
	if (transport->without_agent && now - transport->without_agent > QMGR_AGENT_WAIT * 1000)
		give_up_waiting(transport);
	else if (transport->ready_head)
		deliver_soon(transport);
	/* One agent stays; the others go when they have had nothing to do for long. */
	for (unsigned i = 0; i < transport->agent_count && transport->agent_count > 1; i++) {
		struct agent *agent = transport->agents[i];

		if (agent->count == 0 && now - agent->idle_since > q->settings.max_idle) {
			channel_close(&agent->channel);
			remove_agent(agent);
			break;
		}
	}
	return true;
}

void deliver_housekeeping(struct qmgr *q)
{
	map_each(&q->transports, look_after, NULL);
}
