// SPDX-License-Identifier: ISC
/* Handshakes before the greeting. See wrapped.h. */
#include "smtpd/wrapped.h"

#include <stdlib.h>
#include <unistd.h>

#include "config/tls_settings.h"
#include "service/log.h"

enum { DRAIN_TIME = 10000 /* ms for handshakes that are under way at a reload */ };

struct wrapped {
	struct tls_settings settings;
	struct tls_link *tlsd;
	struct pool *pool;
	struct front *front;
	struct loop *loop;
	struct shaking *clients;
	struct timer limit;
	void (*drained)(void *context);
	void *context;
};

/* A client in his handshake; tlsd has his socket. */
struct shaking {
	struct shaking *next, **at;
	struct wrapped *wrapped;
	struct tls_handshake handshake;
	struct front_client client;
};

static void maybe_drained(struct wrapped *wrapped)
{
	void (*drained)(void *context) = wrapped->drained;

	if (!drained || wrapped->clients)
		return;
	wrapped->drained = NULL;
	loop_timer_stop(&wrapped->limit);
	drained(wrapped->context);
}

static void forget(struct shaking *client)
{
	*client->at = client->next;
	if (client->next)
		client->next->at = client->at;
	free(client);
}

/* As a session would tell of it. */
static void fail(struct shaking *client, const char *reason)
{
	const char *address = client->client.address, *name = front_client_name(address);

	log_info("SSL_accept error from %s[%s]: %s", name, address, reason);
	log_info("lost connection after CONNECT from %s[%s]", name, address);
	log_info("disconnect from %s[%s] commands=0/0", name, address);
	front_release(client->wrapped->front, address);
	forget(client);
}

static void done(
	struct tls_handshake *handshake, int fd, const struct tls_info *info, const char *reason)
{
	struct shaking *client = handshake->context;
	struct wrapped *wrapped = client->wrapped;

	if (fd < 0) {
		fail(client, reason);
	} else {
		pool_serve(wrapped->pool, fd, &client->client, info);
		forget(client);
	}
	maybe_drained(wrapped);
}

bool wrapped_open(struct wrapped **wrapped, struct service *service, const struct config *config,
	struct pool *pool)
{
	struct tls_settings settings;
	struct wrapped *made;

	*wrapped = NULL;
	if (!tls_settings_load(&settings, config, TLS_SMTPD))
		return false;
	if (!settings.wrapper) {
		tls_settings_free(&settings);
		return true;
	}
	made = calloc(1, sizeof(*made));
	if (!made)
		return false;
	*made = (struct wrapped){
		.settings = settings, .pool = pool, .loop = service_loop(service)
	};
	made->tlsd = tls_open(service, &made->settings);
	*wrapped = made;
	return made->tlsd != NULL;
}

void wrapped_set_front(struct wrapped *wrapped, struct front *front)
{
	wrapped->front = front;
}

void wrapped_serve(struct wrapped *wrapped, int fd, const struct front_client *client)
{
	struct shaking *shaking = calloc(1, sizeof(*shaking));
	size_t unread = 0;

	log_info("connect from %s[%s]", front_client_name(client->address), client->address);
	if (!shaking) {
		close(fd);
		front_release(wrapped->front, client->address);
		return;
	}
	*shaking = (struct shaking){ .wrapped = wrapped,
		.client = *client,
		.handshake = { .done = done, .context = shaking },
		.next = wrapped->clients,
		.at = &wrapped->clients };
	if (shaking->next)
		shaking->next->at = &shaking->next;
	wrapped->clients = shaking;
	if (wrapped->settings.loglevel >= 2)
		log_info("setting up TLS connection from %s[%s]",
			front_client_name(client->address), client->address);
	if (!tls_start(wrapped->tlsd, &shaking->handshake, fd, client, NULL, &unread))
		fail(shaking, "TLS is not available");
	close(fd);
}

static void give_up(struct timer *timer)
{
	struct wrapped *wrapped = timer->context;

	while (wrapped->clients) {
		tls_cancel(&wrapped->clients->handshake);
		fail(wrapped->clients, "service shutting down");
	}
	maybe_drained(wrapped);
}

void wrapped_drain(
	struct wrapped *wrapped, bool fast, void (*drained)(void *context), void *context)
{
	wrapped->drained = drained;
	wrapped->context = context;
	wrapped->limit = (struct timer){ .fire = give_up, .context = wrapped };
	if (fast || !loop_timer_start(wrapped->loop, &wrapped->limit, DRAIN_TIME))
		give_up(&wrapped->limit);
	maybe_drained(wrapped);
}
