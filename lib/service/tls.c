// SPDX-License-Identifier: ISC
/* What servers say to tlsd and hear from it. See tls.h; the handshakes of fronts are in tls_handshakes.c. */
#include "service/tls.h"

#include <stdio.h>

#include "service/log.h"

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

void tls_pass_info(const struct tls_info *info, struct message *ready)
{
	*ready = (struct message){ .type = MESSAGE_TLS_READY };
	ready->tls_ready = (struct message_tls_ready){ .status = TLS_OK,
		.reason = SLICE(""),
		.protocol = slice_from(info->protocol),
		.cipher = slice_from(info->cipher),
		.bits = (uint16_t)info->bits,
		.algorithm_bits = (uint16_t)info->algorithm_bits,
		.resumed = info->resumed,
		.sni = slice_from(info->sni),
		.alpn = slice_from(info->alpn),
		.subject = slice_from(info->subject),
		.issuer = slice_from(info->issuer),
		.fingerprint = slice_from(info->fingerprint),
		.key_fingerprint = slice_from(info->key_fingerprint),
		.trusted = info->trusted,
		.seal = slice_of(info->seal, info->seal_length) };
}

bool tls_plaintext_allowed(const struct tls_settings *settings, bool disabled, const char *networks,
	const struct front_client *client)
{
	if (client->local)
		return true;
	return settings->level != TLS_LEVEL_ENCRYPT &&
	       (!disabled || network_match(networks, client->address));
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
