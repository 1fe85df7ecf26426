// SPDX-License-Identifier: ISC
/*
 * bounce - writes delivery status notifications: failed, delayed, delivered. qmgr names the recipients and lends the queue file;
 * the notification goes to cleanup like any other message, and only when it is on disk there does qmgr hear that it was sent. A
 * notification that cannot be delivered itself ends here, with a log line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/vector.h"
#include "bounce/bounce_cell.h"
#include "bounce/dsn.h"
#include "config/config.h"
#include "mail/header.h"
#include "os/os.h"
#include "queue/queue.h"
#include "service/log.h"
#include "service/refuse.h"
#include "service/service.h"

enum {
	REPORT_RECIPIENTS = 50000, /* of one report */
	REPORT_MEMORY = 64 << 20, /* bytes of one report's recipients */
	REPORT_HEADERS = 128 * 1024, /* bytes of the message's header that are returned */
	REPORT_TEXT = 96 << 20,
	REPORTS_MOST = 1024, /* that qmgr waits for; it has fewer in hand */
	REPORTS_AT_CLEANUP = 32 /* messages open there; it would refuse those beyond its bound */
};

struct bounce {
	struct service *service;
	struct config *config;
	const char *host;
	int64_t size_limit;
	struct link cleanup;
	struct report *reports; /* the latest first */
	unsigned report_count, at_cleanup;
	uint32_t serial;
	bool draining;
};

struct client {
	struct bounce *bounce;
	struct channel channel;
	struct report *filling; /* between BOUNCE_BEGIN and BOUNCE_END */
};

struct report {
	struct report *next;
	struct bounce *bounce;
	struct client *client; /* NULL: it has gone */
	uint32_t serial; /* qmgr's */
	uint32_t mail_serial; /* ours, to cleanup; 0: not sent yet */
	bool told; /* whole, by qmgr: waits to be sent, or is */
	struct arena arena;
	enum bounce_kind kind;
	char queue_id[MAX_QUEUE_ID + 1];
	struct slice sender, envid;
	int64_t arrival, give_up, content_offset, content_size;
	uint32_t flags;
	int fd;
	struct vector recipients; /* of struct dsn_recipient */
	struct buffer text;
	bool is_8bit;
};

static void report_free(struct report *report)
{
	struct bounce *bounce = report->bounce;

	for (struct report **at = &bounce->reports; *at; at = &(*at)->next)
		if (*at == report) {
			*at = report->next;
			break;
		}
	bounce->report_count--;
	bounce->at_cleanup -= report->mail_serial != 0;
	os_close(&report->fd);
	vector_free(&report->recipients);
	buffer_free(&report->text);
	arena_free(&report->arena);
	free(report);
	if (bounce->draining && !bounce->reports)
		service_end(bounce->service, 0);
}

static void finish(struct report *report, bool done, struct slice queue_id)
{
	struct message message = { .type = MESSAGE_BOUNCE_RESULT,
		.bounce_result = { .serial = report->serial, .done = done, .queue_id = queue_id } };

	if (report->client)
		channel_send(&report->client->channel, &message);
	report_free(report);
}

/* --- the text --- */

/* The message, or its header when it is too large or nobody wants it; false when it cannot be read. */
static bool read_content(struct report *report, bool *headers_only, struct buffer *content)
{
	bool whole = report->kind == BOUNCE_FAILURE && !(report->flags & QUEUE_FLAG_RET_HEADERS) &&
		     report->content_size <= report->bounce->size_limit;
	int64_t most = whole || report->content_size < REPORT_HEADERS ? report->content_size
								      : REPORT_HEADERS;
	int64_t at = 0;

	*headers_only = !whole;
	while (at < most) {
		size_t chunk = most - at < MAX_CHUNK ? (size_t)(most - at) : MAX_CHUNK;
		char *room = buffer_reserve(content, chunk);
		ssize_t got =
			room ? os_pread(report->fd, room, chunk, report->content_offset + at) : -1;

		if (got <= 0)
			return false;
		content->length += (size_t)got;
		at += got;
	}
	if (!whole)
		content->length = header_length(buffer_slice(content));
	return true;
}

static bool compose(struct report *report)
{
	struct buffer content = buffer_limited(REPORT_TEXT);
	struct bounce *bounce = report->bounce;
	char unique[24];
	uint64_t random;
	struct dsn dsn = { .kind = report->kind,
		.host = bounce->host,
		.queue_id = report->queue_id,
		.unique = unique,
		.sender = report->sender,
		.envid = report->envid,
		.arrival = report->arrival,
		.give_up = report->give_up,
		.now = os_now(),
		.recipients = report->recipients.items,
		.count = (unsigned)report->recipients.count };
	bool ok;

	os_random(&random, sizeof(random));
	snprintf(unique, sizeof(unique), "%016llx", (unsigned long long)random);
	ok = read_content(report, &dsn.headers_only, &content);
	dsn.content = buffer_slice(&content);
	report->text = buffer_limited(REPORT_TEXT);
	ok = ok && dsn_write(&dsn, &report->text);
	report->is_8bit = dsn_is_8bit(buffer_slice(&report->text));
	buffer_free(&content);
	os_close(&report->fd);
	return ok;
}

/* --- to cleanup --- */

static bool send_begin(struct channel *channel, const struct report *report)
{
	struct message begin = { .type = MESSAGE_CLEANUP_BEGIN,
		.cleanup_begin = { .serial = report->mail_serial,
			.flags = CLEANUP_BOUNCE | (report->is_8bit ? CLEANUP_8BIT : 0) |
				 (report->flags & QUEUE_FLAG_SMTPUTF8 ? CLEANUP_SMTPUTF8 : 0),
			.size_hint = (int64_t)report->text.length } };
	struct message recipient = { .type = MESSAGE_CLEANUP_RECIPIENT,
		.cleanup_recipient = { .serial = report->mail_serial, .address = report->sender } };

	return channel_send(channel, &begin) && channel_send(channel, &recipient);
}

static bool send_report(struct report *report)
{
	struct channel *channel = link_channel(&report->bounce->cleanup);
	struct slice rest = buffer_slice(&report->text);
	struct message end = { .type = MESSAGE_CLEANUP_END };
	bool ok;

	if (++report->bounce->serial == 0)
		report->bounce->serial = 1;
	report->mail_serial = report->bounce->serial;
	report->bounce->at_cleanup++;
	ok = send_begin(channel, report);
	while (ok && rest.length) {
		struct message content = { .type = MESSAGE_CLEANUP_CONTENT,
			.cleanup_content = { .serial = report->mail_serial,
				.chunk = slice_head(rest, MAX_CHUNK) } };

		ok = channel_send(channel, &content);
		rest = slice_tail(rest, MAX_CHUNK);
	}
	end.cleanup_end.serial = report->mail_serial;
	end.cleanup_end.fail = !ok;
	return channel_send(channel, &end) && ok;
}

static struct report *longest_waiting(const struct bounce *bounce)
{
	struct report *longest = NULL;

	for (struct report *report = bounce->reports; report; report = report->next)
		if (report->told && !report->mail_serial)
			longest = report;
	return longest;
}

/* Each is composed only when it can be sent: many texts of large messages would be much memory. */
static void send_waiting(struct bounce *bounce)
{
	struct report *report;

	while (link_channel(&bounce->cleanup) && bounce->at_cleanup < REPORTS_AT_CLEANUP &&
		(report = longest_waiting(bounce))) {
		bool made = compose(report);

		if (!made)
			log_warning("%s: no notification can be made for now", report->queue_id);
		if (!made || !send_report(report))
			finish(report, false, SLICE(""));
	}
}

static void cleanup_said(struct channel *channel, struct message *message)
{
	static const char *const NAMES[] = { [BOUNCE_FAILURE] = "sender non-delivery notification",
		[BOUNCE_DELAY] = "sender delay notification",
		[BOUNCE_SUCCESS] = "sender delivery status notification" };
	struct link *link = channel->context;
	struct bounce *bounce = link->context;
	const struct message_cleanup_result *result = &message->cleanup_result;
	struct report *report = bounce->reports;
	bool done;

	if (message->type != MESSAGE_CLEANUP_RESULT)
		return;
	while (report && (report->mail_serial != result->serial || !report->mail_serial))
		report = report->next;
	if (!report)
		return;
	done = result->code / 100 == 2;
	if (done)
		log_info("%s: %s: %.*s", report->queue_id, NAMES[report->kind],
			SLICE_ARG(result->queue_id));
	else
		log_warning("%s: the notification was not taken: %u %.*s", report->queue_id,
			result->code, SLICE_ARG(result->reason));
	finish(report, done, result->queue_id);
	send_waiting(bounce);
}

static void cleanup_up(struct link *link)
{
	send_waiting(link->context);
}

/* Whether those under way were written nobody knows: qmgr tries again. */
static void cleanup_down(struct link *link)
{
	struct bounce *bounce = link->context;

	for (struct report *report = bounce->reports, *next; report; report = next) {
		next = report->next;
		if (report->mail_serial)
			finish(report, false, SLICE(""));
	}
}

/* --- from qmgr --- */

static bool begin(struct client *client, struct message *message)
{
	const struct message_bounce_begin *begin = &message->bounce_begin;
	struct report *report;

	if (client->filling || begin->kind < BOUNCE_FAILURE || begin->kind > BOUNCE_SUCCESS ||
		begin->content_offset < 0 || begin->content_size < 0)
		return false;
	report = client->bounce->report_count < REPORTS_MOST ? calloc(1, sizeof(*report)) : NULL;
	if (!report)
		return false;
	report->bounce = client->bounce;
	report->bounce->report_count++;
	report->client = client;
	report->serial = begin->serial;
	report->kind = begin->kind;
	report->arrival = begin->arrival;
	report->give_up = begin->give_up;
	report->content_offset = begin->content_offset;
	report->content_size = begin->content_size;
	report->flags = begin->flags;
	arena_init(&report->arena, REPORT_MEMORY);
	report->recipients = vector_of(sizeof(struct dsn_recipient), REPORT_RECIPIENTS);
	report->sender = arena_slice(&report->arena, begin->sender);
	report->envid = arena_slice(&report->arena, begin->envid);
	report->fd = message_take_fd(message, 0);
	report->next = client->bounce->reports;
	client->bounce->reports = report;
	client->filling = report;
	return report->fd >= 0 &&
	       slice_to_string(begin->queue_id, report->queue_id, sizeof(report->queue_id));
}

static bool add_recipient(struct client *client, const struct message_bounce_recipient *entry)
{
	struct report *report = client->filling;
	struct dsn_recipient *recipient;

	if (!report || entry->serial != report->serial)
		return false;
	recipient = vector_add(&report->recipients);
	if (!recipient)
		return true; /* the report is long enough */
	*recipient = (struct dsn_recipient){ .address = arena_slice(&report->arena, entry->address),
		.original = arena_slice(&report->arena, entry->original),
		.orcpt = arena_slice(&report->arena, entry->orcpt),
		.dsn = arena_slice(&report->arena, entry->dsn),
		.relay = arena_slice(&report->arena, entry->relay),
		.reason = arena_slice(&report->arena, entry->reason) };
	return true;
}

static bool end(struct client *client, uint32_t serial)
{
	struct report *report = client->filling;

	if (!report || serial != report->serial)
		return false;
	client->filling = NULL;
	if (report->sender.length == 0) {
		log_info("%s: undeliverable notification dropped: nobody is left to be told",
			report->queue_id);
		finish(report, true, SLICE(""));
		return true;
	}
	report->told = true;
	send_waiting(client->bounce);
	return true;
}

static void client_free(struct client *client)
{
	/* What cleanup does not have yet the next qmgr asks for again. */
	for (struct report *report = client->bounce->reports, *next; report; report = next) {
		next = report->next;
		if (report->client != client)
			continue;
		report->client = NULL;
		if (!report->mail_serial)
			report_free(report);
	}
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

	if (message->type == MESSAGE_BOUNCE_BEGIN)
		understood = begin(client, message);
	else if (message->type == MESSAGE_BOUNCE_RECIPIENT)
		understood = add_recipient(client, &message->bounce_recipient);
	else if (message->type == MESSAGE_BOUNCE_END)
		understood = end(client, message->bounce_end.serial);
	if (!understood)
		service_refuse(channel, "qmgr", message);
}

static void peer(struct service *service, void *context, int fd, const struct peer *from)
{
	struct bounce *bounce = context;
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		os_close(&fd);
		return;
	}
	client->bounce = bounce;
	if (!channel_open(&client->channel, service_loop(service), fd, receive, closed, client))
		free(client);
}

static void drain(struct service *service, void *context, bool fast)
{
	struct bounce *bounce = context;

	bounce->draining = true;
	if (fast || !bounce->reports)
		service_end(service, 0);
}

int main(int argc, char **argv)
{
	static const struct service_hooks HOOKS = { .peer = peer, .drain = drain };
	static struct bounce bounce;

	bounce.service = service_start("bounce", argc, argv);
	bounce.config = config_open(service_snapshot(bounce.service));
	if (!bounce.config) {
		log_error("the configuration snapshot is not one of this build");
		return 78;
	}
	bounce.host = config_text(bounce.config, PARAM_myhostname);
	bounce.size_limit = config_int(bounce.config, PARAM_bounce_size_limit);
	service_enter(bounce.service, &CELL_BOUNCE);
	link_open(&bounce.cleanup, bounce.service, SERVICE_CLEANUP, cleanup_said, cleanup_up,
		cleanup_down, &bounce);
	return service_run(bounce.service, &HOOKS, &bounce);
}
