// SPDX-License-Identifier: ISC
/* Handshakes of event-driven fronts: each is a question to tlsd, with a number and a deadline. See tls.h. */
#include <stdlib.h>

#include "base/map.h"
#include "service/log.h"
#include "service/tls.h"

enum { HANDSHAKE_GRACE = 5000 /* ms beyond the handshake's own timeout, which tlsd keeps */ };

struct tls_link {
	struct service *service;
	const struct tls_settings *settings;
	struct link link;
	struct map handshakes; /* by serial, of struct tls_handshake */
	uint32_t next_serial;
};

static struct slice serial_key(const uint32_t *serial)
{
	return slice_of(serial, sizeof(*serial));
}

static void forget(struct tls_handshake *handshake)
{
	map_remove(&handshake->link->handshakes, serial_key(&handshake->serial));
	loop_timer_stop(&handshake->timer);
	handshake->serial = 0;
}

static void failed(struct tls_handshake *handshake, const char *reason)
{
	forget(handshake);
	handshake->done(handshake, -1, NULL, reason);
}

static void tell_cancel(struct tls_handshake *handshake)
{
	struct message message = { .type = MESSAGE_TLS_CANCEL };
	struct channel *channel = link_channel(&handshake->link->link);

	message.tls_cancel.serial = handshake->serial;
	if (channel)
		channel_send(channel, &message);
}

static void timed_out(struct timer *timer)
{
	struct tls_handshake *handshake = timer->context;

	tell_cancel(handshake);
	failed(handshake, "timeout");
}

static void tls_received(struct channel *channel, struct message *message)
{
	struct tls_link *tls = ((struct link *)channel->context)->context;
	struct message_tls_ready *ready = &message->tls_ready;
	struct tls_handshake *handshake;
	struct tls_info info;
	char reason[256] = "";
	int fd;

	if (message->type != MESSAGE_TLS_READY) {
		log_warning("tlsd sent %s", message_name(message->type));
		return;
	}
	/* One that was given up has no entry: its descriptor is closed with the message. */
	handshake = map_get(&tls->handshakes, serial_key(&ready->serial));
	if (!handshake)
		return;
	if (!tls_take_info(ready, &info, reason, sizeof(reason))) {
		failed(handshake, reason);
		return;
	}
	fd = message_take_fd(message, 0);
	if (fd < 0) {
		failed(handshake, "tlsd sent no connection");
		return;
	}
	forget(handshake);
	handshake->done(handshake, fd, &info, "");
}

static bool first(void *context, struct slice key, void *value)
{
	*(struct tls_handshake **)context = value;
	return false;
}

/* One at a time, because `done` may free others. */
static void tls_down(struct link *link)
{
	struct tls_link *tls = link->context;
	struct tls_handshake *handshake = NULL;

	while (tls->handshakes.count) {
		map_each(&tls->handshakes, first, &handshake);
		failed(handshake, "TLS service went away");
	}
}

struct tls_link *tls_open(struct service *service, const struct tls_settings *settings)
{
	struct tls_link *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->service = service;
	tls->settings = settings;
	link_open(&tls->link, service, SERVICE_TLSD, tls_received, NULL, tls_down, tls);
	return tls;
}

static bool enlist(struct tls_link *tls, struct tls_handshake *handshake)
{
	/* Zero means "none", and a number still in use would mix two clients up. */
	do
		handshake->serial = ++tls->next_serial;
	while (handshake->serial == 0 || map_get(&tls->handshakes, serial_key(&handshake->serial)));
	handshake->link = tls;
	handshake->timer = (struct timer){ .fire = timed_out, .context = handshake };
	if (!map_put(&tls->handshakes, serial_key(&handshake->serial), handshake)) {
		handshake->serial = 0;
		return false;
	}
	if (loop_timer_start(service_loop(tls->service), &handshake->timer,
		    tls->settings->timeout + HANDSHAKE_GRACE))
		return true;
	forget(handshake);
	return false;
}

bool tls_start(struct tls_link *tls, struct tls_handshake *handshake, int fd,
	const struct front_client *client, char *plaintext, size_t *unread)
{
	struct message message;

	tls_request(tls->settings, client, plaintext, unread, &message);
	message.fd_count = 1;
	message.fds[0] = fd;
	if (!enlist(tls, handshake))
		return false;
	message.tls_accept.serial = handshake->serial;
	/* Just after a start or a reload tlsd may not have been introduced yet: the request waits for it. */
	if (link_send(&tls->link, &message))
		return true;
	forget(handshake);
	return false;
}

void tls_cancel(struct tls_handshake *handshake)
{
	if (!handshake->serial)
		return;
	tell_cancel(handshake);
	forget(handshake);
}
