// SPDX-License-Identifier: ISC
/* Digests of LDAP servers, and PBKDF2 (RFC 8018). */
#ifndef AUTH_SCHEME_DIGEST_H
#define AUTH_SCHEME_DIGEST_H

#include "auth/scheme_impl.h"

enum { PBKDF2_MOST_ROUNDS = 10000000 };

/* struct scheme's `verify`. */
enum scheme_result scheme_digest(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
enum scheme_result scheme_pbkdf2(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);

#endif
