// SPDX-License-Identifier: ISC
/* Introductions asked of master, and standing connections that mend themselves. See service.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/internal.h"
#include "service/log.h"

enum { LINK_RETRY_FIRST = 50, LINK_RETRY_MOST = 5000 /* ms */ };

static struct connect_request *request_new(
	struct service *service, service_connected connected, void *context)
{
	struct connect_request *request = vector_add(&service->requests);

	if (!service->control_open)
		service_open_control(service);
	if (!request) {
		connected(service, context, -1, "too many introductions asked for");
		return NULL;
	}
	*request = (struct connect_request){ ++service->next_serial, connected, context };
	return request;
}

void service_connect(
	struct service *service, enum service_id to, service_connected connected, void *context)
{
	struct message message = { .type = MESSAGE_MASTER_CONNECT };
	struct connect_request *request = request_new(service, connected, context);

	if (!request)
		return;
	message.master_connect.serial = request->serial;
	message.master_connect.service = (uint8_t)to;
	channel_send(&service->control, &message);
}

void service_connect_outside(
	struct service *service, enum cell_outside what, service_connected connected, void *context)
{
	struct message message = { .type = MESSAGE_MASTER_OUTSIDE };
	struct connect_request *request = request_new(service, connected, context);

	if (!request)
		return;
	message.master_outside.serial = request->serial;
	message.master_outside.what = (uint8_t)what;
	channel_send(&service->control, &message);
}

static void forget_request(struct service *service, const void *context)
{
	for (size_t i = 0; i < service->requests.count; i++) {
		struct connect_request *request = vector_at(&service->requests, i);

		if (request->context == context) {
			vector_swap_out(&service->requests, i);
			return;
		}
	}
}

struct link_waiting {
	struct link_waiting *next;
	struct buffer packet;
	unsigned fd_count;
	int fds[MESSAGE_FDS];
};

static void link_ask(struct link *link);

static void waiting_free(struct link_waiting *waiting)
{
	for (unsigned i = 0; i < waiting->fd_count; i++)
		close(waiting->fds[i]);
	buffer_free(&waiting->packet);
	free(waiting);
}

static struct link_waiting *waiting_take(struct link *link)
{
	struct link_waiting *waiting = link->waiting_head;

	if (!waiting)
		return NULL;
	link->waiting_head = waiting->next;
	if (!link->waiting_head)
		link->waiting_tail = NULL;
	link->waiting--;
	return waiting;
}

static struct link_waiting *waiting_new(const struct message *message)
{
	struct link_waiting *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	waiting->packet.secret = message_is_secret(message->type);
	if (!message_encode(message, &waiting->packet)) {
		waiting_free(waiting);
		return NULL;
	}
	for (; waiting->fd_count < message->fd_count; waiting->fd_count++) {
		int copy = fcntl(message->fds[waiting->fd_count], F_DUPFD_CLOEXEC, 3);

		if (copy < 0) {
			waiting_free(waiting);
			return NULL;
		}
		waiting->fds[waiting->fd_count] = copy;
	}
	return waiting;
}

bool link_send(struct link *link, const struct message *message)
{
	struct link_waiting *waiting;

	if (channel_is_open(&link->channel))
		return channel_send(&link->channel, message);
	if (link->closed || link->waiting >= LINK_WAITING_MOST)
		return false;
	waiting = waiting_new(message);
	if (!waiting)
		return false;
	if (link->waiting_tail)
		link->waiting_tail->next = waiting;
	else
		link->waiting_head = waiting;
	link->waiting_tail = waiting;
	link->waiting++;
	return true;
}

/* The connection is there: what waited for it goes out. */
static void link_flush(struct link *link)
{
	struct link_waiting *waiting;

	while (channel_is_open(&link->channel) && (waiting = waiting_take(link))) {
		struct message message;

		if (message_decode(buffer_slice(&waiting->packet), &message)) {
			message.fd_count = waiting->fd_count;
			memcpy(message.fds, waiting->fds, sizeof(waiting->fds));
			channel_send(&link->channel, &message);
		}
		waiting_free(waiting);
	}
}

static void link_retry(struct timer *timer)
{
	link_ask(timer->context);
}

static void link_again(struct link *link)
{
	int64_t wait = (int64_t)LINK_RETRY_FIRST << (link->failures < 10 ? link->failures : 10);

	link->failures++;
	link->retry = (struct timer){ .fire = link_retry, .context = link };
	loop_timer_start(
		link->service->loop, &link->retry, wait < LINK_RETRY_MOST ? wait : LINK_RETRY_MOST);
}

static void link_closed(struct channel *channel, const char *why)
{
	struct link *link = channel->context;

	log_debug("connection to %s ended: %s", service_id_name(link->to), why);
	if (link->down)
		link->down(link);
	if (!link->closed && !link->connecting && !link->retry.place &&
		!channel_is_open(&link->channel))
		link_again(link);
}

static void link_connected(struct service *service, void *context, int fd, const char *reason)
{
	struct link *link = context;

	link->connecting = false;
	if (fd < 0) {
		log_debug("no connection to %s: %s", service_id_name(link->to), reason);
		link_again(link);
		return;
	}
	if (!channel_open(&link->channel, service->loop, fd, link->receive, link_closed, link)) {
		link_again(link);
		return;
	}
	link->failures = 0;
	if (link->up)
		link->up(link);
	link_flush(link);
}

static void link_ask(struct link *link)
{
	if (link->closed || link->connecting)
		return;
	link->connecting = true;
	service_connect(link->service, link->to, link_connected, link);
}

void link_open(struct link *link, struct service *service, enum service_id to,
	channel_receive receive, void (*up)(struct link *), void (*down)(struct link *),
	void *context)
{
	*link = (struct link){ .service = service,
		.to = to,
		.receive = receive,
		.up = up,
		.down = down,
		.context = context };
	link->channel.watch.fd = -1;
	link_ask(link);
}

struct channel *link_channel(struct link *link)
{
	return channel_is_open(&link->channel) ? &link->channel : NULL;
}

void link_close(struct link *link)
{
	struct link_waiting *waiting;

	link->closed = true;
	while ((waiting = waiting_take(link)))
		waiting_free(waiting);
	loop_timer_stop(&link->retry);
	if (link->connecting)
		forget_request(link->service, link);
	channel_close(&link->channel);
}
