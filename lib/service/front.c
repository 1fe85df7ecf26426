// SPDX-License-Identifier: ISC
/* Accepting and limiting clients, for every protocol front. See front.h; the counting is in clients.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/acceptor.h"
#include "service/clients.h"
#include "service/figures.h"
#include "service/log.h"

enum { FRONT_EXPIRE = 60 * 1000 /* ms between looks for addresses to forget */ };

struct front_listener {
	struct acceptor acceptor;
	struct front *front;
	bool local;
};

struct front {
	struct service *service;
	struct loop *loop;
	struct clients clients;
	void (*accepted)(void *context, int fd, const struct front_client *client,
		enum front_refusal refusal);
	void *context;
	struct timer expire;
	unsigned listener_count;
	struct front_listener listeners[];
};

/* A client of "::ffff:192.0.2.1" is 192.0.2.1: every list and every log line knows it by that name. */
static void write_address(
	const struct sockaddr_storage *from, char *address, size_t size, uint16_t *port)
{
	const struct sockaddr_in *in = (const void *)from;
	const struct sockaddr_in6 *in6 = (const void *)from;
	const char *done = NULL;

	*port = 0;
	if (from->ss_family == AF_INET) {
		done = inet_ntop(AF_INET, &in->sin_addr, address, (socklen_t)size);
		*port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			done = inet_ntop(
				AF_INET, in6->sin6_addr.s6_addr + 12, address, (socklen_t)size);
		else
			done = inet_ntop(AF_INET6, &in6->sin6_addr, address, (socklen_t)size);
		*port = ntohs(in6->sin6_port);
	}
	if (!done)
		address[0] = '\0';
}

/* False when the client is gone already. */
static bool describe(
	int fd, bool local, const struct sockaddr_storage *from, struct front_client *client)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);

	*client = (struct front_client){ .local = local };
	if (local) {
		struct ucred who;
		socklen_t size = sizeof(who);

		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
			return false;
		client->uid = who.uid;
		memcpy(client->address, "127.0.0.1", sizeof("127.0.0.1"));
		memcpy(client->local_address, "127.0.0.1", sizeof("127.0.0.1"));
		return true;
	}
	write_address(from, client->address, sizeof(client->address), &client->port);
	if (getsockname(fd, (struct sockaddr *)&own, &length) == 0)
		write_address(&own, client->local_address, sizeof(client->local_address),
			&client->local_port);
	return client->address[0] != '\0';
}

static void front_expire(struct timer *timer)
{
	struct front *front = timer->context;

	clients_expire(&front->clients, loop_now(front->loop));
	loop_timer_start(front->loop, &front->expire, FRONT_EXPIRE);
}

static void take(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from)
{
	struct front_listener *listener = acceptor->context;
	struct front *front = listener->front;
	struct front_client client;
	enum front_refusal refusal;

	if (!describe(fd, listener->local, from, &client)) {
		close(fd);
		return;
	}
	refusal = clients_enter(&front->clients, client.address, loop_now(front->loop));
	figures_add(refusal == FRONT_ACCEPTED ? FIGURE_connections : FIGURE_connections_refused, 1);
	front->accepted(front->context, fd, &client, refusal);
}

static void listen_on(struct front *front, unsigned i)
{
	struct front_listener *listener = &front->listeners[i];
	const char *name = "";
	int fd = service_listener(front->service, i, &name), on = 1;

	listener->front = front;
	listener->local = strncmp(name, "unix:", 5) == 0;
	/* Clients inherit it from the listener: one call here instead of one for each of them. */
	if (!listener->local && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		log_debug("TCP_NODELAY: %s", strerror(errno));
	if (!service_accept(front->service, i, &listener->acceptor, take, listener))
		log_error("cannot watch a listener: %s", strerror(errno));
}

struct front *front_open(struct service *service, const struct front_limits *limits,
	void (*accepted)(void *context, int fd, const struct front_client *client,
		enum front_refusal refusal),
	void *context)
{
	unsigned count = service_listener_count(service);
	struct front *front = calloc(1, sizeof(*front) + count * sizeof(front->listeners[0]));

	if (!front)
		return NULL;
	front->service = service;
	front->loop = service_loop(service);
	front->accepted = accepted;
	front->context = context;
	front->expire = (struct timer){ .fire = front_expire, .context = front };
	front->listener_count = count;
	if (!clients_open(&front->clients, limits)) {
		front_free(&front);
		return NULL;
	}
	for (unsigned i = 0; i < count; i++)
		listen_on(front, i);
	loop_timer_start(front->loop, &front->expire, FRONT_EXPIRE);
	return front;
}

void front_release(struct front *front, const char *address)
{
	clients_leave(&front->clients, address, loop_now(front->loop));
}

bool front_rate(struct front *front, const char *address, unsigned what, unsigned limit)
{
	return clients_rate(&front->clients, address, what, limit, loop_now(front->loop));
}

const char *front_client_name(const char *address)
{
	return network_match("127.0.0.0/8 [::1]", address) ? "localhost" : "unknown";
}

void front_trust(struct front *front, const char *address, bool more)
{
	clients_trust(&front->clients, address, more);
}

void front_network(const struct front *front, const char *address, char network[NETWORK_TEXT])
{
	clients_network(&front->clients, address, network);
}

unsigned front_crowd(const struct front *front, const char *network)
{
	return clients_crowd(&front->clients, network);
}

void front_stop(struct front *front)
{
	for (unsigned i = 0; i < front->listener_count; i++)
		acceptor_stop(&front->listeners[i].acceptor);
	loop_timer_stop(&front->expire);
}

void front_free(struct front **front)
{
	if (!*front)
		return;
	front_stop(*front);
	clients_free(&(*front)->clients);
	free(*front);
	*front = NULL;
}
