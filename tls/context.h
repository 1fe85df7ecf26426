// SPDX-License-Identifier: ISC
/*
 * SSL_CTX for each different way to accept or open TLS: what TLS_ACCEPT and TLS_CONNECT say of protocols, ciphers and so on. A bounded
 * number is kept; the one that was used least lately makes room.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "tls/certificates.h"
#include "tls/tickets.h"

enum { CONTEXTS_MOST = 64 };

/* What a TLS_ACCEPT or a TLS_CONNECT asks for, as one; the slices are the message's. */
struct tls_wanted {
	bool opens; /* a TLS_CONNECT: our side is the client */
	uint32_t serial, timeout_ms;
	struct slice service, alpn, certificates, protocols, ciphers, options;
	struct slice address; /* the peer's */
	uint16_t port;
	unsigned client_certificate; /* enum tls_client_certificate */
	unsigned check; /* enum tls_check */
	struct slice host, names, fingerprints;
};
struct tls_wanted wanted_by_server(const struct message_tls_accept *accept);
struct tls_wanted wanted_by_client(const struct message_tls_connect *connect);

struct tls_context {
	SSL_CTX *ssl;
	struct buffer key; /* what it was made from */
	uint64_t used;
};
enum { ALPN_MOST = 66 };
/* In TLS's form: a byte of length before each name. */
struct alpn {
	unsigned length;
	unsigned char list[ALPN_MOST];
};

struct contexts {
	struct tls_context *slots[CONTEXTS_MOST];
	uint64_t uses;
	struct ticket_keys tickets;
	int64_t ticket_lifetime; /* seconds */
	/* cert_cb of SSL_CTX_set_cert_cb(3), for all of them. */
	int (*choose)(SSL *ssl, void *unused);
	/* SSL_CTX_sess_set_new_cb(3), for those that open TLS. */
	int (*new_session)(SSL *ssl, SSL_SESSION *session);
	int alpn_index; /* of the SSL_CTX's extra data: its struct alpn */
};

/* Once. */
void contexts_open(struct contexts *contexts);
/* `set` may be NULL for a client. The context stays ours; SSL_new takes a reference. NULL with `reason` when the settings are wrong. */
const struct tls_context *contexts_get(struct contexts *contexts, const struct tls_wanted *wanted,
	const struct certificate_set *set, char *reason, size_t size);

/* As smtpd_tls_protocols: ">=TLSv1.2", "!SSLv3, TLSv1.3", "<=TLSv1.2". TLS 1.2 is the least in any case. False: malformed, or nothing is left. */
MUST_CHECK bool context_protocols(struct slice text, int *least, int *most);
/* As tls_ssl_options: names and hexadecimal masks. False: unknown. */
MUST_CHECK bool context_options(struct slice text, uint64_t *options);

/* For "tlsd --check COMMAND": see config/self_check.h. The exit status. */
int context_check(const char *command);

#endif
