// SPDX-License-Identifier: ISC
/*
 * SSL_CTX for each different way to accept TLS: what TLS_ACCEPT says of protocols, ciphers and so on. A bounded number is kept; the
 * one that was used least lately makes room.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "tls/certificates.h"
#include "tls/tickets.h"

enum { CONTEXTS_MOST = 64 };

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
	int alpn_index; /* of the SSL_CTX's extra data: its struct alpn */
};

/* Once. */
void contexts_open(struct contexts *contexts);
/* The context's own reference stays; SSL_new takes another. NULL with `reason` when the settings are wrong. */
SSL_CTX *contexts_get(struct contexts *contexts, const struct message_tls_accept *accept,
	const struct certificate_set *set, char *reason, size_t size);

/* As smtpd_tls_protocols: ">=TLSv1.2", "!SSLv3, TLSv1.3", "<=TLSv1.2". TLS 1.2 is the least in any case. False: malformed, or nothing is left. */
MUST_CHECK bool context_protocols(struct slice text, int *least, int *most);
/* As tls_ssl_options: names and hexadecimal masks. False: unknown. */
MUST_CHECK bool context_options(struct slice text, uint64_t *options);

#endif
