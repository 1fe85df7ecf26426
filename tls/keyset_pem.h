// SPDX-License-Identifier: ISC
/* Keys and certificates out of PEM text. For keyset.c. */
#ifndef TLS_KEYSET_PEM_H
#define TLS_KEYSET_PEM_H

#include "tls/keyset.h"

/*
 * The pairs in `pem`: each key with the certificate that belongs to it and those that follow that one. -1 with `error` when there is
 * no pair, a key without certificate or one that is not to be used (encrypted, too weak, of a kind that is not served), or a mistake.
 */
int keyset_pairs(
	struct slice pem, struct key_pair pairs[KEYSET_PAIRS_MAX], char *error, size_t size);
void key_pair_free(struct key_pair *pair);

#endif
