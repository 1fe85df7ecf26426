// SPDX-License-Identifier: ISC
/*
 * Destinations: who is served next, how much at a time, and when again. No input or output here: time and chance are
 * given, so that tests can.
 */
#include <stdlib.h>

#include "os/os.h"
#include "qmgr/qmgr.h"

enum {
	DESTINATIONS = 200000, /* of one transport, in memory */
	FAILURE_MEMORY_FACTOR =
		2 /* failures of a quiet destination are forgotten after so many longest back-offs */
};

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* Up to 10 % more or less, so that what failed together does not come back together. */
static int64_t jitter(int64_t value, uint32_t random)
{
	return value + value / 10 * ((int64_t)(random % 2001) - 1000) / 1000;
}

int64_t schedule_backoff(
	const struct qmgr_settings *settings, int64_t now, int64_t arrival, uint32_t random)
{
	int64_t age = now > arrival ? now - arrival : 0;

	return now +
	       jitter(clamp(age, settings->minimal_backoff, settings->maximal_backoff), random);
}

/* --- transports --- */

static const struct {
	struct slice name;
	enum transport_kind kind;
} BUILT_IN[] = {
	{ { "error", 5 }, TRANSPORT_ERROR },
	{ { "retry", 5 }, TRANSPORT_RETRY },
	{ { "discard", 7 }, TRANSPORT_DISCARD },
};

static void find_kind(struct transport *transport, struct slice name, uint64_t peers)
{
	transport->kind = TRANSPORT_UNAVAILABLE;
	transport->service = service_id_of(name);
	for (size_t i = 0; i < sizeof(BUILT_IN) / sizeof(*BUILT_IN); i++)
		if (slice_equal(name, BUILT_IN[i].name)) {
			transport->kind = BUILT_IN[i].kind;
			return;
		}
	if (transport->service < SERVICE_COUNT && (peers >> transport->service & 1))
		transport->kind = TRANSPORT_AGENT;
	transport->by_mailbox = transport->service == SERVICE_VIRTUAL;
}

/* "<transport>_destination_<what>", else the default's value. */
static uint32_t limit_of(
	const struct config *config, const char *name, const char *what, enum parameter fallback)
{
	struct buffer parameter = buffer_limited(256);
	const char *value = NULL;
	uint64_t number;

	if (!config)
		return UINT32_MAX;
	if (buffer_printf(&parameter, "%s_destination_%s", name, what))
		value = config_lookup(config, buffer_text(&parameter));
	buffer_free(&parameter);
	if (value && slice_to_u64(slice_from(value), UINT32_MAX, &number))
		return number ? (uint32_t)number : UINT32_MAX;
	return (uint32_t)config_int(config, fallback);
}

struct transport *schedule_transport(struct qmgr *q, struct slice name)
{
	struct transport *transport = map_get(&q->transports, name);

	if (transport)
		return transport;
	transport = calloc(1, sizeof(*transport));
	if (!transport)
		return NULL;
	transport->qmgr = q;
	transport->name = slice_dup(name);
	if (!transport->name || !map_put(&q->transports, name, transport)) {
		free(transport->name);
		free(transport);
		return NULL;
	}
	transport->destinations.limit = DESTINATIONS;
	find_kind(transport, name, q->agents_allowed);
	transport->concurrency_limit = limit_of(q->config, transport->name, "concurrency_limit",
		PARAM_default_destination_concurrency_limit);
	transport->delivery_recipients = limit_of(q->config, transport->name, "recipient_limit",
		PARAM_default_destination_recipient_limit);
	return transport;
}

/* --- destinations --- */

struct destination *schedule_destination(struct transport *transport, struct slice key)
{
	struct destination *destination = map_get(&transport->destinations, key);

	if (destination)
		return destination;
	destination = calloc(1, sizeof(*destination));
	if (!destination)
		return NULL;
	*destination = (struct destination){
		.transport = transport, .key = slice_dup(key), .limit = transport->concurrency_limit
	};
	if (!destination->key || !map_put(&transport->destinations, key, destination)) {
		free(destination->key);
		free(destination);
		return NULL;
	}
	return destination;
}

static void free_destination(struct destination *destination)
{
	free(destination->key);
	free(destination->reason);
	free(destination->dsn);
	free(destination);
}

static bool idle(const struct destination *destination)
{
	return !destination->waiting && !destination->flying;
}

/* Onto the list of those that may send, if it may. */
static void offer(struct destination *destination)
{
	struct transport *transport = destination->transport;

	if (destination->ready || !destination->head || destination->flying >= destination->limit)
		return;
	destination->ready = true;
	destination->ready_next = NULL;
	if (transport->ready_tail)
		transport->ready_tail->ready_next = destination;
	else
		transport->ready_head = destination;
	transport->ready_tail = destination;
}

/* The first of that list goes to its end, or off it. */
static void take_turn(struct destination *destination)
{
	struct transport *transport = destination->transport;

	transport->ready_head = destination->ready_next;
	if (!transport->ready_head)
		transport->ready_tail = NULL;
	destination->ready = false;
	offer(destination);
}

/* --- deliveries --- */

static struct delivery *new_delivery(struct destination *destination, struct mail *mail)
{
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	uint32_t most = destination->transport->by_mailbox
				? 1
				: destination->transport->delivery_recipients;

	if (!delivery)
		return NULL;
	delivery->mail = mail;
	delivery->destination = destination;
	delivery->capacity = most < mail->left ? most : mail->left;
	if (delivery->capacity == 0)
		delivery->capacity = 1;
	delivery->recipients =
		arena_array(&mail->arena, delivery->capacity, sizeof(*delivery->recipients));
	if (!delivery->recipients) {
		free(delivery);
		return NULL;
	}
	if (destination->tail)
		destination->tail->next = delivery;
	else
		destination->head = delivery;
	destination->tail = delivery;
	destination->waiting++;
	mail->deliveries++;
	return delivery;
}

bool schedule_add(struct destination *destination, struct mail *mail, uint32_t recipient)
{
	struct delivery *delivery = destination->tail;

	if (!delivery || delivery->mail != mail || delivery->count >= delivery->capacity) {
		delivery = new_delivery(destination, mail);
		if (!delivery)
			return false;
	}
	delivery->recipients[delivery->count++] = recipient;
	offer(destination);
	return true;
}

struct destination *schedule_ready(const struct transport *transport)
{
	return transport->ready_head;
}

struct delivery *schedule_next(struct transport *transport)
{
	struct destination *destination = transport->ready_head;
	struct delivery *delivery;

	if (!destination)
		return NULL;
	delivery = destination->head;
	destination->head = delivery->next;
	if (!destination->head)
		destination->tail = NULL;
	delivery->next = NULL;
	destination->waiting--;
	destination->flying++;
	take_turn(destination);
	return delivery;
}

static void count_failure(
	struct destination *destination, struct slice dsn, struct slice reason, int64_t now)
{
	const struct qmgr_settings *settings = &destination->transport->qmgr->settings;
	uint32_t random;

	destination->last_failure = now;
	if (++destination->failures < QMGR_FAILURES || destination->suspended > now)
		return;
	os_random(&random, sizeof(random));
	destination->suspension = clamp(destination->suspension * 2,
		settings->minimal_backoff / 1000, settings->maximal_backoff / 1000);
	destination->suspended = now + jitter(destination->suspension, random);
	free(destination->reason);
	free(destination->dsn);
	destination->reason = slice_dup(reason);
	destination->dsn = slice_dup(dsn);
}

void schedule_over(struct delivery *delivery, enum schedule_outcome outcome, struct slice dsn,
	struct slice reason, int64_t now)
{
	struct destination *destination = delivery->destination;

	destination->flying--;
	if (outcome == SCHEDULE_FAILED) {
		count_failure(destination, dsn, reason, now);
	} else if (outcome == SCHEDULE_WORKED) {
		destination->failures = 0;
		destination->suspended = destination->suspension = 0;
	}
	free(delivery);
	offer(destination);
	if (idle(destination) && !destination->failures) {
		map_remove(&destination->transport->destinations, slice_from(destination->key));
		free_destination(destination);
	}
}

void schedule_again(struct delivery *delivery)
{
	struct destination *destination = delivery->destination;

	destination->flying--;
	destination->waiting++;
	delivery->next = destination->head;
	destination->head = delivery;
	if (!destination->tail)
		destination->tail = delivery;
	offer(destination);
}

/* --- suspensions --- */

struct resume {
	struct qmgr *qmgr;
	struct transport *transport;
	int64_t now;
	bool all;
};

static bool resume_one(void *context, struct slice key, void *value)
{
	struct resume *resume = context;
	struct destination *destination = value;
	int64_t memory = resume->qmgr->settings.maximal_backoff / 1000 * FAILURE_MEMORY_FACTOR;

	if (resume->all || resume->now - destination->last_failure > memory) {
		destination->failures = 0;
		destination->suspension = 0;
	}
	if (resume->all || destination->suspended <= resume->now)
		destination->suspended = 0;
	if (idle(destination) && !destination->failures) {
		map_remove(&resume->transport->destinations, key);
		free_destination(destination);
	}
	return true;
}

static bool resume_transport(void *context, struct slice key, void *value)
{
	struct resume *resume = context;

	resume->transport = value;
	map_each(&resume->transport->destinations, resume_one, resume);
	return true;
}

void schedule_resume(struct qmgr *q, int64_t now, bool all)
{
	map_each(&q->transports, resume_transport,
		&(struct resume){ .qmgr = q, .now = now, .all = all });
}
