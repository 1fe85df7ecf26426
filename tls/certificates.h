// SPDX-License-Identifier: ISC
/*
 * tlsd's side of the sets of certificates: the chains that keyd sends, by server name, with keys that keyd signs for; and what clients'
 * certificates are checked with.
 */
#ifndef TLS_CERTIFICATES_H
#define TLS_CERTIFICATES_H

#include <openssl/ssl.h>

#include "base/map.h"
#include "base/vector.h"
#include "config/config.h"
#include "service/service.h"
#include "tls/signer.h"

enum { SERVER_NAME_CHAINS = 4 };

/* What is shown to clients that ask for one name (or none). */
struct server_name {
	struct {
		X509 *leaf;
		STACK_OF(X509) * rest;
		EVP_PKEY *key;
	} chains[SERVER_NAME_CHAINS];
	unsigned count;
};

struct certificate_set {
	struct buffer text;
	struct map names; /* "" and lower case -> struct server_name * */
	struct map coming; /* those that keyd is just telling */
	bool known; /* keyd has told all of it */
	X509_STORE *trust; /* of CAfile and CApath; NULL: none */
	STACK_OF(X509_NAME) * authorities;
	unsigned char trust_digest[32]; /* of all that is in `trust`; zeros: none */
	const EVP_MD *digest; /* of fingerprints */
};

struct certificates {
	struct link keyd;
	struct signer *signer;
	struct vector sets; /* of struct certificate_set * */
	void (*ready)(void *context); /* some set is known now */
	void *context;
};

/* Before the cell: the sets of the configuration, what clients are checked with is read. False: told in the log. */
MUST_CHECK bool certificates_open(struct certificates *certificates, const struct config *config);
/* In the cell: asks keyd. */
void certificates_start(struct certificates *certificates, struct service *service);
/* NULL: the configuration has no such set. */
struct certificate_set *certificates_find(
	const struct certificates *certificates, struct slice text);
/*
 * What that set shows to a client that asked for `sni` (NULL: no name): the name, "*.parent", then ".parent" for each parent, then what
 * is for all. NULL when there is nothing.
 */
const struct server_name *certificates_choose(const struct certificate_set *set, const char *sni);

#endif
