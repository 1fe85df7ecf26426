// SPDX-License-Identifier: ISC
/*
 * virtual - delivers into the Maildirs of mailbox users, one delivery after another. "sent" means: the message and its name are
 * on disk. The content is copied by the kernel from the queue file; the mailbox's index is left to whoever opens the mailbox.
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
};

struct recipient {
	uint32_t index;
	struct slice address, original;
	const char *mailbox; /* NULL: not one */
	int64_t quota;
};

/* One connection from qmgr, and the delivery it is telling about. */
struct client {
	struct virtual *virtual;
	struct channel channel;
	struct client *next;
	/* the delivery */
	struct arena arena;
	bool open;
	uint32_t serial, expected;
	int fd;
	struct slice sender;
	char queue_id[MAX_QUEUE_ID + 1];
	struct delivery_source source;
	int64_t arrival, active, begun;
	struct recipient *recipients;
	uint32_t count;
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

static void answer(struct client *client, const struct recipient *recipient,
	const struct outcome *outcome, int64_t began)
{
	int64_t now = os_now();
	struct message message = { .type = MESSAGE_DELIVER_RESULT,
		.deliver_result = { .serial = client->serial,
			.index = recipient->index,
			.status = (uint8_t)outcome->status,
			.dsn = slice_from(outcome->dsn),
			.relay = SLICE("virtual"),
			.reason = slice_head(slice_from(outcome->reason), MAX_REASON),
			.transfer_us = (uint32_t)(now - began) } };

	channel_send(&client->channel, &message);
	channel_push(&client->channel);
	queue_report_log(&(struct queue_report){ .queue_id = client->queue_id,
		.address = recipient->address,
		.original = recipient->original,
		.relay = SLICE("virtual"),
		.arrival = client->arrival,
		.active = client->active,
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

static struct outcome deliver(struct client *client, const struct recipient *recipient)
{
	struct virtual *virtual = client->virtual;
	struct buffer prefix = buffer_limited(8 * MAX_ADDRESS);
	char error[512] = "", text[600];
	enum store_status status;

	if (!recipient->mailbox)
		return outcome_of(STORE_BAD_NAME, "");
	if (!delivery_prefix(client->sender, recipient->original, recipient->address, &prefix)) {
		buffer_free(&prefix);
		return (struct outcome){ DELIVER_DEFERRED, "4.3.0", "out of memory" };
	}
	client->source.prefix = buffer_slice(&prefix);
	status = store_deliver(virtual->mail_dir, recipient->mailbox, &client->source,
		recipient->quota, error, sizeof(error));
	buffer_free(&prefix);
	if (status == STORE_OK)
		tell_watchers(virtual, recipient->mailbox);
	else
		snprintf(text, sizeof(text), "maildir delivery failed: %s",
			error[0] ? error : "try later");
	if (status != STORE_OK && status != STORE_OVER_QUOTA)
		log_warning("%s: %s", client->queue_id, error);
	return outcome_of(
		status, arena_dup(&client->arena, slice_from(status == STORE_OK ? "" : text)));
}

static void deliver_one(struct client *client, const struct recipient *recipient)
{
	int64_t began = os_now();
	struct outcome outcome;
	char loop[MAX_ADDRESS + 64];

	if (delivery_loops(
		    client->fd, client->source.offset, client->source.size, recipient->address)) {
		snprintf(loop, sizeof(loop), "mail forwarding loop for %.*s",
			SLICE_ARG(recipient->address));
		outcome = (struct outcome){ DELIVER_BOUNCED, "5.4.6", loop };
	} else {
		outcome = deliver(client, recipient);
	}
	if (!outcome.reason)
		outcome.reason = "maildir delivery failed";
	answer(client, recipient, &outcome, began);
}

static void end_delivery(struct client *client)
{
	os_close(&client->fd);
	arena_reset(&client->arena);
	client->open = false;
	client->count = 0;
}

static void deliver_all(struct client *client)
{
	for (uint32_t i = 0; i < client->count; i++)
		deliver_one(client, &client->recipients[i]);
	end_delivery(client);
}

/* --- what qmgr says --- */

static bool begin(struct client *client, struct message *message)
{
	const struct message_deliver_message *begin = &message->deliver_message;

	if (client->open || begin->recipients == 0 || begin->recipients > DELIVERY_RECIPIENTS ||
		begin->content_size < 0 || begin->content_offset < 0 ||
		!slice_to_string(begin->queue_id, client->queue_id, sizeof(client->queue_id)))
		return false;
	client->fd = message_take_fd(message, 0);
	client->recipients =
		arena_array(&client->arena, begin->recipients, sizeof(*client->recipients));
	client->sender = arena_slice(&client->arena, begin->sender);
	if (client->fd < 0 || !client->recipients || !client->sender.data)
		return false;
	client->open = true;
	client->serial = begin->serial;
	client->expected = begin->recipients;
	client->arrival = begin->arrival;
	client->active = begin->active;
	client->source = (struct delivery_source){ .fd = client->fd,
		.offset = begin->content_offset,
		.size = begin->content_size,
		.lines = begin->content_lines,
		.arrival = begin->arrival / 1000000 };
	return true;
}

static bool add_recipient(struct client *client, const struct message_deliver_recipient *entry)
{
	struct recipient *recipient = &client->recipients[client->count];

	if (!client->open || entry->serial != client->serial)
		return false;
	*recipient = (struct recipient){ .index = entry->index,
		.address = arena_slice(&client->arena, entry->address),
		.original = arena_slice(&client->arena, entry->original),
		.quota = entry->quota };
	if (delivery_mailbox_valid(entry->mailbox))
		recipient->mailbox = arena_dup(&client->arena, entry->mailbox);
	else
		log_warning("%s: <%.*s> has no proper mailbox path: \"%.*s\"", client->queue_id,
			SLICE_ARG(entry->address), SLICE_ARG(entry->mailbox));
	if (++client->count == client->expected)
		deliver_all(client);
	return true;
}

static void client_free(struct client *client)
{
	struct virtual *virtual = client->virtual;

	end_delivery(client);
	arena_free(&client->arena);
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
	if (understood)
		return;
	log_warning("qmgr said what is out of place; its connection is ended");
	channel_close(channel);
	client_free(client);
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
	client->fd = -1;
	arena_init(&client->arena, DELIVERY_MEMORY);
	virtual->clients++;
	if (!channel_open(&client->channel, service_loop(service), fd, receive, closed, client))
		client_free(client);
}

/* A delivery in hand is finished before this runs; what qmgr sent behind it is given to another agent. */
static void drain(struct service *service, void *context, bool fast)
{
	struct virtual *virtual = context;

	virtual->draining = true;
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
	link_open(&virtual.notices, virtual.service, SERVICE_IMAPD_SESSION, no_answers, NULL, NULL,
		&virtual);
	return service_run(virtual.service, &HOOKS, &virtual);
}
