// SPDX-License-Identifier: ISC
/*
 * showq - lists the queue for mailq and opens queue files for postcat. It reads one file at a time and keeps nothing, however
 * many there are; a client that reads slowly is sent to slowly.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"
#include "config/place.h"
#include "os/os.h"
#include "qmgr/showq_cell.h"
#include "queue/queue.h"
#include "queue/scan.h"
#include "service/log.h"
#include "service/service.h"

enum {
	TURN_FILES = 64, /* files in one turn */
	OUT_ENOUGH = 512 * 1024, /* bytes queued to a client before it has to catch up */
	CATCH_UP = 2, /* ms until we look whether it has */
	CLIENTS = 64,
	ENVELOPE_LIMIT = 256 << 20
};

struct showq {
	struct service *service;
	struct config *config;
	struct queue queue;
	unsigned client_count;
};

struct client {
	struct showq *showq;
	struct channel channel;
	bool privileged, listing;
	char only[QUEUE_ID_SIZE]; /* list this message alone, or "" */
	unsigned folder; /* place in ORDER */
	struct queue_scan *scan;
	uint32_t count;
	struct timer more;
};

/* As Postfix lists them. */
static const enum queue_name ORDER[] = { QUEUE_ACTIVE, QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD };
enum { ORDER_COUNT = sizeof(ORDER) / sizeof(*ORDER) };

static void send_end(struct client *client)
{
	struct message message = { .type = MESSAGE_QUEUE_END,
		.queue_end = { .count = client->count, .reason = SLICE("") } };

	channel_send(&client->channel, &message);
}

static void send_message(struct client *client, enum queue_name folder, const char *id,
	const struct queue_envelope *envelope)
{
	struct message message = { .type = MESSAGE_QUEUE_MESSAGE,
		.queue_message = { .queue_name = slice_from(queue_folder_name(folder)),
			.queue_id = slice_from(id),
			.arrival = envelope->info.arrival,
			.size = envelope->info.content_size,
			.forced_expire = !!(envelope->info.flags & QUEUE_FLAG_EXPIRED),
			.sender = envelope->sender,
			.next_try = envelope->info.next_try,
			.attempts = envelope->info.attempts } };

	if (!channel_send(&client->channel, &message))
		return;
	client->count++;
	for (uint32_t i = 0; i < envelope->info.recipient_count; i++) {
		const struct queue_recipient *recipient = &envelope->recipients[i];
		struct message entry = { .type = MESSAGE_QUEUE_RECIPIENT,
			.queue_recipient = { .address = recipient->address,
				.original = recipient->original,
				.reason = slice_head(recipient->reason, MAX_REASON) } };

		if (!recipient->done)
			channel_send(&client->channel, &entry);
	}
}

/* A file that goes away or does not check out is left out: qmgr is the one to deal with it. */
static bool list_file(struct client *client, enum queue_name folder, const char *id)
{
	struct queue_envelope envelope;
	struct arena arena;
	int fd = queue_open_file(&client->showq->queue, folder, id, O_RDONLY);
	bool ok;

	if (fd < 0)
		return false;
	arena_init(&arena, ENVELOPE_LIMIT);
	ok = queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope);
	os_close(&fd);
	if (ok)
		send_message(client, folder, id, &envelope);
	arena_free(&arena);
	return ok;
}

static bool next_file(struct client *client, char id[QUEUE_ID_SIZE])
{
	for (; client->folder < ORDER_COUNT; client->folder++) {
		if (!client->scan)
			client->scan =
				queue_scan_open(&client->showq->queue, ORDER[client->folder]);
		if (queue_scan_next(client->scan, id))
			return true;
		queue_scan_close(&client->scan);
	}
	return false;
}

static void list_some(struct timer *timer)
{
	struct client *client = timer->context;
	char id[QUEUE_ID_SIZE];

	if (client->channel.out_bytes > OUT_ENOUGH) {
		loop_timer_start(service_loop(client->showq->service), timer, CATCH_UP);
		return;
	}
	for (unsigned i = 0; i < TURN_FILES; i++) {
		if (!next_file(client, id)) {
			client->listing = false;
			send_end(client);
			return;
		}
		list_file(client, ORDER[client->folder], id);
	}
	loop_timer_start(service_loop(client->showq->service), timer, 0);
}

static void list(struct client *client, struct slice only)
{
	client->count = 0;
	if (only.length) {
		char id[QUEUE_ID_SIZE];

		for (unsigned i = 0;
			queue_id_valid(only) && slice_to_string(only, id, sizeof(id)) &&
			i < ORDER_COUNT && !list_file(client, ORDER[i], id);
			i++)
			;
		send_end(client);
		return;
	}
	client->listing = true;
	client->folder = 0;
	client->more = (struct timer){ .fire = list_some, .context = client };
	loop_timer_start(service_loop(client->showq->service), &client->more, 0);
}

/* --- postcat --- */

static void answer_file(struct client *client, int fd, const char *folder, const char *reason)
{
	struct message message = { .type = MESSAGE_QUEUE_FILE,
		.fd_count = fd >= 0,
		.fds = { fd },
		.queue_file = { .queue_name = slice_from(folder), .reason = slice_from(reason) } };

	channel_send(&client->channel, &message);
}

static void open_file(struct client *client, struct slice wanted)
{
	char id[QUEUE_ID_SIZE];

	if (!client->privileged) {
		answer_file(
			client, -1, "", "only root and the mail system's user may read messages");
		return;
	}
	if (!queue_id_valid(wanted) || !slice_to_string(wanted, id, sizeof(id))) {
		answer_file(client, -1, "", "that is no queue id");
		return;
	}
	for (enum queue_name folder = 0; folder < QUEUE_NAMES; folder++) {
		int fd = queue_open_file(&client->showq->queue, folder, id, O_RDONLY);

		if (fd < 0)
			continue;
		answer_file(client, fd, queue_folder_name(folder), "");
		os_close(&fd);
		return;
	}
	answer_file(client, -1, "", "no such message");
}

/* --- clients --- */

static void receive(struct channel *channel, struct message *message)
{
	struct client *client = channel->context;

	if (message->type == MESSAGE_QUEUE_LIST && !client->listing)
		list(client, message->queue_list.id);
	else if (message->type == MESSAGE_QUEUE_OPEN)
		open_file(client, message->queue_open.id);
}

static void free_client(struct client *client)
{
	loop_timer_stop(&client->more);
	queue_scan_close(&client->scan);
	client->showq->client_count--;
	free(client);
}

static void closed(struct channel *channel, const char *why)
{
	free_client(channel->context);
}

static void accepted(struct service *service, void *context, int fd, const struct peer *peer)
{
	struct showq *showq = context;
	struct client *client = showq->client_count < CLIENTS ? calloc(1, sizeof(*client)) : NULL;

	if (!client) {
		os_close(&fd);
		return;
	}
	client->showq = showq;
	client->privileged = peer->uid == 0 || peer->uid == getuid();
	showq->client_count++;
	if (!channel_open(&client->channel, service_loop(service), fd, receive, closed, client))
		free_client(client);
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = { .client = accepted };
	static struct showq showq;
	char error[512];

	showq.service = service_start("showq", argc, argv);
	showq.config = config_open(service_snapshot(showq.service));
	if (!showq.config) {
		log_error("the configuration snapshot is not one of this build");
		return 78;
	}
	config_place(showq.service, showq.config);
	if (!queue_open(&showq.queue, service_path(showq.service, CELL_QUEUE), false, error,
		    sizeof(error))) {
		log_error("%s", error);
		return 78;
	}
	service_enter(showq.service, &CELL_SHOWQ);
	return service_run(showq.service, &HOOKS, &showq);
}
