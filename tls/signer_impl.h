// SPDX-License-Identifier: ISC
/* Between signer.c and signer_provider.c. */
#ifndef TLS_SIGNER_IMPL_H
#define TLS_SIGNER_IMPL_H

#include <openssl/types.h>

#include "tls/signer.h"

struct signer {
	signer_ask ask;
	void *context;
	OSSL_PROVIDER *provider, *standard;
	struct signing *current, *waiting;
	uint32_t next_serial;
};

/* Inside a handshake's job: put it aside until keyd has answered. `length`: room, then what was used. */
bool signer_sign(struct signer *signer, uint32_t key, uint16_t scheme, struct slice data,
	unsigned char *signature, size_t *length);

#endif
