// SPDX-License-Identifier: ISC
/*
 * Session tickets without state: their keys come from the seal_key of master's life and the time, so every tlsd of it, also of another
 * generation, opens every other's tickets. A key is used for one period, and opens for two more.
 */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include <openssl/ssl.h>

#include "service/tls_seal.h"

struct ticket_keys {
	unsigned char seal_key[TLS_SEAL_KEY];
	int64_t period; /* seconds */
};

/* `keys` must outlive the context. Tickets live `lifetime` seconds. */
void tickets_use(SSL_CTX *context, struct ticket_keys *keys, int64_t lifetime);

#endif
