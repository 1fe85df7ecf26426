// SPDX-License-Identifier: ISC
/*
 * Private keys that are not here: an OpenSSL provider whose keys have a public part and a number, and whose signatures come from keyd.
 *
 * A handshake runs as an ASYNC job; where it wants a signature it is put aside, and whoever runs it is told to go on when the answer
 * is there. Used by tlsd only.
 */
#ifndef TLS_SIGNER_H
#define TLS_SIGNER_H

#include <openssl/evp.h>

#include "ipc/message.h"

struct signer;
/* Asks keyd for a signature; false when it cannot be asked. */
typedef bool (*signer_ask)(void *context, const struct message *question);

/* Registers the provider; before the cell is entered. NULL when OpenSSL refuses. */
struct signer *signer_new(signer_ask ask, void *context);
void signer_free(struct signer **signer);

/* A key that signs as `number`, of the kind of `public_key` (RSA, EC, ED25519); NULL: it cannot be made. */
EVP_PKEY *signer_key(struct signer *signer, EVP_PKEY *public_key, uint32_t number);

/*
 * A place for one handshake's signature. `resume` runs (in the loop, never inside the handshake) when the handshake is to be called
 * again.
 */
struct signing {
	struct signer *signer;
	void (*resume)(struct signing *signing);
	void *context;
	uint32_t serial; /* 0: nothing is asked */
	bool done, good;
	unsigned char signature[MAX_SIGNATURE];
	size_t length;
	struct signing *next;
};
/* The signatures asked for from here on are this handshake's; NULL afterwards. */
void signer_enter(struct signer *signer, struct signing *signing);
/* KEY_SIGNED came. */
void signer_answer(struct signer *signer, const struct message_key_signed *answer);
/* keyd is gone: no answer comes to what was asked. */
void signer_fail_all(struct signer *signer);
/* This one will not be answered (its handshake is given up): the handshake must be called once more, and ends with an error. */
void signer_cancel(struct signing *signing);

#endif
