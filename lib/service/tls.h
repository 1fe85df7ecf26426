// SPDX-License-Identifier: ISC
/*
 * TLS as servers see it: they send the client's socket to tlsd and go on with the plaintext side that tlsd gives back. No
 * server speaks TLS itself, holds a key, or can make up what is known about a connection.
 *
 * Fronts (IMAP, POP3, SMTP in wrapper mode) use tls_start with a callback; SMTP sessions, which serve one client in blocking style,
 * after STARTTLS use tls_request and tls_take_info around a question of their own. Settings come from tls_settings_load (config/tls_settings.h).
 */
#ifndef SERVICE_TLS_H
#define SERVICE_TLS_H

#include "base/buffer.h"
#include "service/front.h"

enum tls_level {
	TLS_LEVEL_NONE, /* no TLS */
	TLS_LEVEL_MAY, /* STARTTLS is offered */
	TLS_LEVEL_ENCRYPT /* and nothing of worth is done without */
};

/* What an entry of master.cf wants. Strings live as long as the configuration they were read from, buffers are ended by NUL. */
struct tls_settings {
	enum tls_level level;
	bool wrapper; /* the handshake comes first, before the greeting */
	const char *service; /* "smtp", "imap", "pop3" */
	const char *alpn, *protocols, *options;
	struct buffer certificates; /* the set, config/tls_set.h */
	struct buffer ciphers;
	enum tls_client_certificate client_certificate;
	int64_t timeout; /* ms for the handshake */
	unsigned loglevel;
};
void tls_settings_free(struct tls_settings *settings);
/* Never without a certificate. */
static inline bool tls_offered(const struct tls_settings *settings)
{
	return settings->level != TLS_LEVEL_NONE && settings->certificates.length;
}

/* What a server knows of a connection after the handshake (TLS_READY). */
struct tls_info {
	char protocol[17], cipher[65], sni[257], alpn[65];
	char subject[MAX_CERTIFICATE_NAME + 1],
		issuer[MAX_CERTIFICATE_NAME + 1]; /* empty: the client has no certificate */
	char fingerprint[201], key_fingerprint[201];
	unsigned bits, algorithm_bits;
	bool resumed, trusted;
	size_t seal_length;
	char seal[MAX_TLS_SEAL]; /* for authd */
};

/*
 * The TLS_ACCEPT for that client, without serial and descriptor; its texts are those of `settings` and `client`. This is the one place where a connection turns from plaintext
 * to TLS: what was read of the client so far and not used is wiped, and `*unread` becomes 0 (CVE-2011-0411 and its like: what
 * was sent in clear must never count as sent under TLS).
 */
void tls_request(const struct tls_settings *settings, const struct front_client *client,
	char *plaintext, size_t *unread, struct message *accept);
/* Facts out of TLS_READY. False when the handshake failed; `reason` says why, in one line. */
MUST_CHECK bool tls_take_info(const struct message_tls_ready *ready, struct tls_info *info,
	char *reason, size_t reason_size);

/* The same as a message again, for another process; its texts are those of `info`. */
void tls_pass_info(const struct tls_info *info, struct message *ready);

/*
 * May a password cross the client's line before there is TLS? `disabled` and `networks` are disable_plaintext_auth and
 * plaintext_auth_networks. Never where TLS must be.
 */
bool tls_plaintext_allowed(const struct tls_settings *settings, bool disabled, const char *networks,
	const struct front_client *client);
/* "Anonymous TLS connection established from NAME: TLSv1.3 with cipher ... (256/256 bits)", as loglevel says. */
void tls_log_established(
	const struct tls_settings *settings, const char *client, const struct tls_info *info);

/* --- for fronts --- */

struct tls_link;
/* One handshake; embedded in the front's own struct. Zeroed before first use. */
struct tls_handshake {
	uint32_t serial; /* 0: none is under way */
	struct timer timer;
	struct tls_link *link;
	/* `fd` is the plaintext side, non-blocking, the callee's; -1 when the handshake failed (`info` NULL, `reason` why). */
	void (*done)(struct tls_handshake *handshake, int fd, const struct tls_info *info,
		const char *reason);
	void *context;
};
/* NULL when memory is out. `settings` must outlive it. */
struct tls_link *tls_open(struct service *service, const struct tls_settings *settings);
/*
 * Send the client's socket to tlsd; `fd` stays the caller's, who closes it without a word. `done` runs later, once, unless
 * tls_cancel comes first. False: tlsd cannot be asked now, nothing was begun.
 */
MUST_CHECK bool tls_start(struct tls_link *link, struct tls_handshake *handshake, int fd,
	const struct front_client *client, char *plaintext, size_t *unread);
/* Safe when none is under way. */
void tls_cancel(struct tls_handshake *handshake);

#endif
