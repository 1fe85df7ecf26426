// SPDX-License-Identifier: ISC
/*
 * virtual - delivers into the Maildirs of mailbox users: what qmgr told in one turn is delivered together. "sent" means: the
 * message and its name are on disk. The content is copied by the kernel from the queue file; the mailbox's index is left to
 * whoever opens the mailbox.
 */
#include <errno.h>
#include <stdlib.h>

#include "config/config.h"
#include "config/place.h"
#include "local/delivery.h"
#include "local/virtual_cell.h"
#include "os/os.h"
#include "queue/report.h"
#include "service/figures.h"
#include "service/log.h"
#include "service/refuse.h"
#include "service/service.h"
#include "store/store.h"

enum {
	DELIVERY_RECIPIENTS = 10000, /* of one delivery */
	DELIVERY_MEMORY = 64 << 20
};

struct virtual
{
	struct service *service;
	struct config *config;
	struct link notices;
	int mail_dir;
	unsigned clients;
	bool draining;
	struct delivery *ready, **ready_end; /* told whole, in order */
	struct delivery *working; /* those in hand, linked likewise */
	struct deferred work;
};

struct recipient {
	uint32_t index;
	struct slice address, original;
	const char *mailbox; /* NULL: not one */
	int64_t quota;
};

/* One message for some recipients, as qmgr told it. */
struct delivery {
	struct delivery *next;
	struct client *client; /* NULL: qmgr's connection is gone, nobody hears how it went */
	struct arena arena;
	uint32_t serial, expected;
	int fd;
	struct slice sender;
	char queue_id[MAX_QUEUE_ID + 1];
	struct delivery_source source;
	int64_t arrival, active;
	struct recipient *recipients;
	uint32_t count;
};

/* One connection from qmgr, and the delivery it is telling about. */
struct client {
	struct virtual *virtual;
	struct channel channel;
	struct delivery *open; /* or NULL */
};

/* One recipient's part of what is delivered together. */
struct part {
	struct delivery *delivery;
	const struct recipient *recipient;
	struct delivery_source source;
	struct buffer prefix;
};
struct batch {
	struct virtual *virtual;
	int64_t began;
	struct part parts[STORE_DELIVERIES];
	unsigned count;
};

/* --- outcomes --- */

struct outcome {
	enum deliver_status status;
	const char *dsn;
	const char *reason;
};

static const char *status_name(enum deliver_status status)
{
	return status == DELIVER_SENT ? "sent" : status == DELIVER_BOUNCED ? "bounced" : "deferred";
}

static void tell_qmgr(const struct delivery *delivery, const struct message *message)
{
	if (delivery->client)
		channel_send(&delivery->client->channel, message);
}

static void push(const struct delivery *delivery)
{
	if (delivery->client)
		channel_push(&delivery->client->channel);
}

static void answer(const struct delivery *delivery, const struct recipient *recipient,
	const struct outcome *outcome, int64_t began)
{
	int64_t now = os_now();
	struct message message = { .type = MESSAGE_DELIVER_RESULT,
		.deliver_result = { .serial = delivery->serial,
			.index = recipient->index,
			.status = (uint8_t)outcome->status,
			.dsn = slice_from(outcome->dsn),
			.relay = SLICE("virtual"),
			.reason = slice_head(slice_from(outcome->reason), MAX_REASON),
			.transfer_us = (uint32_t)(now - began) } };

	tell_qmgr(delivery, &message);
	queue_report_log(&(struct queue_report){ .queue_id = delivery->queue_id,
		.address = recipient->address,
		.original = recipient->original,
		.relay = SLICE("virtual"),
		.arrival = delivery->arrival,
		.active = delivery->active,
		.begun = began,
		.transfer = now - began,
		.now = now,
		.dsn = slice_from(outcome->dsn),
		.status = status_name(outcome->status),
		.reason = slice_from(outcome->reason) });
}

/* What the store said, as a delivery's outcome; `text` has the store's own words when it failed. */
static struct outcome outcome_of(enum store_status status, const char *text)
{
	switch (status) {
	case STORE_OK:
		return (struct outcome){ DELIVER_SENT, "2.0.0", "delivered to maildir" };
	case STORE_OVER_QUOTA:
		return (struct outcome){ DELIVER_BOUNCED, "5.2.2",
			"maildir delivery failed: the mailbox is over its quota" };
	case STORE_BAD_NAME:
		return (struct outcome){ DELIVER_DEFERRED, "4.3.5",
			"mail system configuration error" };
	default:
		return (struct outcome){ DELIVER_DEFERRED, "4.2.0", text };
	}
}

/* --- delivering --- */

static void tell_watchers(struct virtual *virtual, const char *mailbox)
{
	struct channel *channel = link_channel(&virtual->notices);
	struct message message = { .type = MESSAGE_NOTICE,
		.notice = { .account = slice_from(mailbox), .mailbox = SLICE("INBOX") } };

	if (channel)
		channel_send(channel, &message);
}

/* Once for each mailbox of the batch. */
static void tell_all_watchers(
	struct virtual *virtual, const struct store_delivery *deliveries, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		bool told = deliveries[i].status != STORE_OK;

		for (unsigned k = 0; k < i && !told; k++)
			told = deliveries[k].status == STORE_OK &&
			       strcmp(deliveries[k].folder, deliveries[i].folder) == 0;
		if (!told)
			tell_watchers(virtual, deliveries[i].folder);
	}
}

/* Others wait for these: they go before the next batch is delivered. */
static void push_answers(const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++)
		push(batch->parts[i].delivery);
}

static void conclude(const struct part *part, const struct store_delivery *done, int64_t began)
{
	char text[sizeof(done->error) + 40];
	struct outcome outcome;

	snprintf(text, sizeof(text), "maildir delivery failed: %s",
		done->error[0] ? done->error : "try later");
	outcome = outcome_of(done->status, text);
	if (done->status != STORE_OK && done->status != STORE_OVER_QUOTA)
		log_warning("%s: %s", part->delivery->queue_id, done->error);
	answer(part->delivery, part->recipient, &outcome, began);
}

static void deliver(struct batch *batch)
{
	struct store_delivery deliveries[STORE_DELIVERIES];

	for (unsigned i = 0; i < batch->count; i++)
		deliveries[i] =
			(struct store_delivery){ .folder = batch->parts[i].recipient->mailbox,
				.source = &batch->parts[i].source,
				.quota = batch->parts[i].recipient->quota };
	store_deliver(batch->virtual->mail_dir, deliveries, batch->count);
	for (unsigned i = 0; i < batch->count; i++) {
		conclude(&batch->parts[i], &deliveries[i], batch->began);
		buffer_free(&batch->parts[i].prefix);
	}
	tell_all_watchers(batch->virtual, deliveries, batch->count);
	push_answers(batch);
	batch->count = 0;
}

static void refuse(const struct batch *batch, const struct delivery *delivery,
	const struct recipient *recipient, struct outcome outcome)
{
	answer(delivery, recipient, &outcome, batch->began);
}

static void add_part(
	struct batch *batch, struct delivery *delivery, const struct recipient *recipient)
{
	struct part *part = &batch->parts[batch->count];
	char loop[MAX_ADDRESS + 64];

	if (batch->count == 0)
		batch->began = os_now();
	if (!recipient->mailbox) {
		refuse(batch, delivery, recipient, outcome_of(STORE_BAD_NAME, ""));
		return;
	}
	if (delivery_loops(delivery->fd, delivery->source.offset, delivery->source.size,
		    recipient->address)) {
		snprintf(loop, sizeof(loop), "mail forwarding loop for %.*s",
			SLICE_ARG(recipient->address));
		refuse(batch, delivery, recipient,
			(struct outcome){ DELIVER_BOUNCED, "5.4.6", loop });
		return;
	}
	*part = (struct part){ .delivery = delivery,
		.recipient = recipient,
		.source = delivery->source,
		.prefix = buffer_limited(8 * MAX_ADDRESS) };
	if (!delivery_prefix(
		    delivery->sender, recipient->original, recipient->address, &part->prefix)) {
		buffer_free(&part->prefix);
		refuse(batch, delivery, recipient,
			(struct outcome){ DELIVER_DEFERRED, "4.3.0", "out of memory" });
		return;
	}
	part->source.prefix = buffer_slice(&part->prefix);
	if (++batch->count == STORE_DELIVERIES)
		deliver(batch);
}

static void delivery_free(struct delivery *delivery)
{
	if (!delivery)
		return;
	os_close(&delivery->fd);
	arena_free(&delivery->arena);
	free(delivery);
}

static void free_list(struct delivery **list)
{
	while (*list) {
		struct delivery *delivery = *list;

		*list = delivery->next;
		delivery_free(delivery);
	}
}

/* All that was told whole, together. */
static void work(struct deferred *deferred)
{
	struct virtual *virtual = deferred->context;
	struct batch batch = { .virtual = virtual };

	virtual->working = virtual->ready;
	virtual->ready = NULL;
	virtual->ready_end = &virtual->ready;
	for (struct delivery *d = virtual->working; d; d = d->next)
		for (uint32_t i = 0; i < d->count; i++)
			add_part(&batch, d, &d->recipients[i]);
	if (batch.count)
		deliver(&batch);
	for (struct delivery *d = virtual->working; d; d = d->next)
		push(d); /* what was refused */
	free_list(&virtual->working);
}

/* --- what qmgr says --- */

static bool read_begin(struct delivery *delivery, struct message *message)
{
	const struct message_deliver_message *begin = &message->deliver_message;

	if (begin->recipients == 0 || begin->recipients > DELIVERY_RECIPIENTS ||
		begin->content_size < 0 || begin->content_offset < 0 ||
		!slice_to_string(begin->queue_id, delivery->queue_id, sizeof(delivery->queue_id)))
		return false;
	delivery->fd = message_take_fd(message, 0);
	delivery->recipients =
		arena_array(&delivery->arena, begin->recipients, sizeof(*delivery->recipients));
	delivery->sender = arena_slice(&delivery->arena, begin->sender);
	if (delivery->fd < 0 || !delivery->recipients || !delivery->sender.data)
		return false;
	delivery->serial = begin->serial;
	delivery->expected = begin->recipients;
	delivery->arrival = begin->arrival;
	delivery->active = begin->active;
	delivery->source = (struct delivery_source){ .fd = delivery->fd,
		.offset = begin->content_offset,
		.size = begin->content_size,
		.lines = begin->content_lines,
		.arrival = begin->arrival / 1000000 };
	return true;
}

static bool begin(struct client *client, struct message *message)
{
	struct delivery *delivery = client->open ? NULL : calloc(1, sizeof(*delivery));

	if (!delivery)
		return false;
	delivery->client = client;
	delivery->fd = -1;
	arena_init(&delivery->arena, DELIVERY_MEMORY);
	client->open = delivery;
	return read_begin(delivery, message);
}

static void ready(struct virtual *virtual, struct delivery *delivery)
{
	delivery->client->open = NULL;
	*virtual->ready_end = delivery;
	virtual->ready_end = &delivery->next;
	loop_defer(service_loop(virtual->service), &virtual->work);
}

static bool add_recipient(struct client *client, const struct message_deliver_recipient *entry)
{
	struct delivery *delivery = client->open;
	struct recipient *recipient;

	if (!delivery || entry->serial != delivery->serial)
		return false;
	recipient = &delivery->recipients[delivery->count];
	*recipient = (struct recipient){ .index = entry->index,
		.address = arena_slice(&delivery->arena, entry->address),
		.original = arena_slice(&delivery->arena, entry->original),
		.quota = entry->quota };
	if (delivery_mailbox_valid(entry->mailbox))
		recipient->mailbox = arena_dup(&delivery->arena, entry->mailbox);
	else
		log_warning("%s: <%.*s> has no proper mailbox path: \"%.*s\"", delivery->queue_id,
			SLICE_ARG(entry->address), SLICE_ARG(entry->mailbox));
	if (++delivery->count == delivery->expected)
		ready(client->virtual, delivery);
	return true;
}

/* What qmgr told before it went is forgotten: it gives it to another agent. What is in hand is finished. */
static void forget_client(struct virtual *virtual, const struct client *client)
{
	struct delivery **at = &virtual->ready;

	while (*at) {
		struct delivery *delivery = *at;

		if (delivery->client != client) {
			at = &delivery->next;
			continue;
		}
		*at = delivery->next;
		delivery_free(delivery);
	}
	virtual->ready_end = at;
	for (struct delivery *d = virtual->working; d; d = d->next)
		if (d->client == client)
			d->client = NULL;
}

static void client_free(struct client *client)
{
	struct virtual *virtual = client->virtual;

	forget_client(virtual, client);
	delivery_free(client->open);
	virtual->clients--;
	/* qmgr let go of this agent; the next delivery beyond the others' capacity gets a fresh process. */
	if (virtual->clients == 0)
		service_end(virtual->service, 0);
	free(client);
}

static void closed(struct channel *channel, const char *why)
{
	client_free(channel->context);
}

static void receive(struct channel *channel, struct message *message)
{
	struct client *client = channel->context;
	bool understood = false;

	if (message->type == MESSAGE_DELIVER_MESSAGE)
		understood = begin(client, message);
	else if (message->type == MESSAGE_DELIVER_RECIPIENT)
		understood = add_recipient(client, &message->deliver_recipient);
	if (!understood)
		service_refuse(channel, "qmgr", message);
}

static void peer(struct service *service, void *context, int fd, const struct peer *from)
{
	struct virtual *virtual = context;
	struct client *client = virtual->draining ? NULL : calloc(1, sizeof(*client));

	if (!client) {
		os_close(&fd);
		return;
	}
	client->virtual = virtual;
	virtual->clients++;
	if (!channel_open(&client->channel, service_loop(service), fd, receive, closed, client))
		client_free(client);
}

/* What was told is delivered; what qmgr sent behind it is given to another agent. */
static void drain(struct service *service, void *context, bool fast)
{
	struct virtual *virtual = context;

	virtual->draining = true;
	work(&virtual->work);
	service_end(service, 0);
}

static void no_answers(struct channel *channel, struct message *message)
{
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = { .peer = peer, .drain = drain };
	static struct virtual virtual;
	const char *folder;

	virtual.service = service_start("virtual", argc, argv);
	virtual.config = config_open(service_snapshot(virtual.service));
	if (!virtual.config) {
		log_error("the configuration snapshot is not one of this build");
		return 78;
	}
	config_place(virtual.service, virtual.config);
	folder = service_path(virtual.service, CELL_MAIL);
	virtual.mail_dir = os_open(folder, O_RDONLY | O_DIRECTORY, 0);
	if (virtual.mail_dir < 0) {
		log_error("%s: %s", folder, strerror(errno));
		return 78;
	}
	service_enter(virtual.service, &CELL_VIRTUAL);
	virtual.ready_end = &virtual.ready;
	virtual.work = (struct deferred){ .run = work, .context = &virtual };
	link_open(&virtual.notices, virtual.service, SERVICE_IMAPD_SESSION, no_answers, NULL, NULL,
		&virtual);
	return service_run(virtual.service, &HOOKS, &virtual);
}
