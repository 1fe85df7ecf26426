// SPDX-License-Identifier: ISC
/* Keys of SCRAM (RFC 5802 section 3, RFC 7677). A digest is "SHA-1" or "SHA-256". */
#ifndef AUTH_SCHEME_SCRAM_H
#define AUTH_SCHEME_SCRAM_H

#include "auth/scheme_impl.h"

/* Salt and iterations are in `keys`; false for an unknown digest. */
MUST_CHECK bool scram_derive(const char *digest, struct slice password, struct scram_keys *keys);
/* "4096,salt,StoredKey,ServerKey"; false when it has not that form. */
MUST_CHECK bool scram_read(const char *digest, struct slice value, struct scram_keys *keys);

/* struct scheme's `verify`. */
enum scheme_result scheme_scram(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
/* "{SCRAM-SHA-256}..." of a new password is appended to `stored`. */
bool scheme_scram_new(struct schemes *schemes, struct slice password, const char *digest,
	char stored[SCHEME_MAX_STORED]);

#endif
