// SPDX-License-Identifier: ISC
/* Servers and tlsd: the request, what is known, and handshakes of event-driven fronts. See tls.h. */
#include "service/tls.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "service/log.h"

enum { HANDSHAKE_GRACE = 5000 /* ms beyond the handshake's own timeout, which tlsd keeps */ };

struct tls_link {
	struct service *service;
	const struct tls_settings *settings;
	struct link link;
	struct map handshakes; /* by serial, of struct tls_handshake */
	uint32_t next_serial;
};

void tls_settings_free(struct tls_settings *settings)
{
	buffer_free(&settings->certificates);
	buffer_free(&settings->ciphers);
}

void tls_request(const struct tls_settings *settings, const struct front_client *client,
	char *plaintext, size_t *unread, struct message *accept)
{
	if (*unread)
		explicit_bzero(plaintext, *unread);
	*unread = 0;
	*accept = (struct message){ .type = MESSAGE_TLS_ACCEPT };
	accept->tls_accept = (struct message_tls_accept){
		.service = slice_from(settings->service),
		.alpn = slice_from(settings->alpn),
		.certificates = buffer_slice(&settings->certificates),
		.protocols = slice_from(settings->protocols),
		.ciphers = buffer_slice(&settings->ciphers),
		.options = slice_from(settings->options),
		.client_certificate = (uint8_t)settings->client_certificate,
		.timeout_ms = (uint32_t)settings->timeout,
		.client_address = slice_from(client->address),
		.client_port = client->port,
		.local_address = slice_from(client->local_address),
		.local_port = client->local_port,
	};
}

bool tls_take_info(const struct message_tls_ready *ready, struct tls_info *info, char *reason,
	size_t reason_size)
{
	const struct {
		struct slice from;
		char *to;
		size_t size;
	} texts[] = {
		{ ready->protocol, info->protocol, sizeof(info->protocol) },
		{ ready->cipher, info->cipher, sizeof(info->cipher) },
		{ ready->sni, info->sni, sizeof(info->sni) },
		{ ready->alpn, info->alpn, sizeof(info->alpn) },
		{ ready->subject, info->subject, sizeof(info->subject) },
		{ ready->issuer, info->issuer, sizeof(info->issuer) },
		{ ready->fingerprint, info->fingerprint, sizeof(info->fingerprint) },
		{ ready->key_fingerprint, info->key_fingerprint, sizeof(info->key_fingerprint) },
	};
	bool good = ready->status == TLS_OK && ready->seal.length <= sizeof(info->seal);

	*info = (struct tls_info){ .bits = ready->bits,
		.algorithm_bits = ready->algorithm_bits,
		.resumed = ready->resumed,
		.trusted = ready->trusted };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		good = slice_to_string(texts[i].from, texts[i].to, texts[i].size) && good;
	if (good && ready->seal.length)
		memcpy(info->seal, ready->seal.data, ready->seal.length);
	info->seal_length = good ? ready->seal.length : 0;
	if (!good && (!slice_to_string(ready->reason, reason, reason_size) || !reason[0]))
		snprintf(reason, reason_size, "handshake failed");
	return good;
}

void tls_log_established(
	const struct tls_settings *settings, const char *client, const struct tls_info *info)
{
	const char *who = info->trusted ? "Trusted" : info->subject[0] ? "Untrusted" : "Anonymous";

	if (settings->loglevel >= 2 && info->subject[0])
		log_info("%s: subject=%s, issuer=%s, fingerprint=%s, pkey_fingerprint=%s", client,
			info->subject, info->issuer, info->fingerprint, info->key_fingerprint);
	if (settings->loglevel >= 1)
		log_info("%s TLS connection %s from %s%s%s: %s with cipher %s (%u/%u bits)", who,
			info->resumed ? "reused" : "established", client,
			info->sni[0] ? " to " : "", info->sni, info->protocol, info->cipher,
			info->bits, info->algorithm_bits);
}

/* ---- Handshakes of fronts ----------------------------------------------------------------------------------------------- */

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
