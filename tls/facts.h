// SPDX-License-Identifier: ISC
/* What tlsd tells of a connection: TLS_READY's fields, and the sealed form with the channel bindings. */
#ifndef TLS_FACTS_H
#define TLS_FACTS_H

#include <openssl/ssl.h>

#include "ipc/message.h"
#include "service/tls_seal.h"

/* Where the texts of a TLS_READY are while it is sent. */
struct facts_space {
	char sni[256], alpn[64];
	char subject[MAX_CERTIFICATE_NAME], issuer[MAX_CERTIFICATE_NAME];
	char fingerprint[200], key_fingerprint[200];
	struct buffer seal;
};
struct facts_of {
	struct slice service, client_address;
	uint16_t client_port;
	const EVP_MD *digest; /* of fingerprints */
	const unsigned char *
		seal_key; /* TLS_SEAL_KEY bytes; NULL: nothing is sealed, authd has no part in it */
};
/* Fills all but serial, status and reason. False when it cannot be sealed. Free space->seal afterwards. */
MUST_CHECK bool facts_fill(SSL *ssl, const struct facts_of *of, struct facts_space *space,
	struct message_tls_ready *ready);

/*
 * What a resumed handshake does not show goes into the session's ticket: tls-server-end-point (RFC 5929 4.1) of our certificate, and until
 * when a session with a client's certificate may be resumed. That is the context's timeout, counted from the full handshake whatever
 * tickets came after it, and not beyond the end of any certificate that was looked at.
 */
void facts_keep_in_tickets(SSL_CTX *context);

#endif
