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

/* tls-server-end-point (RFC 5929 4.1) of the certificate shown goes into the session's ticket: a resumed handshake shows none. */
void facts_keep_end_point(SSL_CTX *context);

#endif
