// SPDX-License-Identifier: ISC
/* What crypt(3) knows, and Argon2 (RFC 9106). */
#ifndef AUTH_SCHEME_CRYPT_H
#define AUTH_SCHEME_CRYPT_H

#include "auth/scheme_impl.h"

enum {
	ARGON2_MOST_MEMORY = 256 << 10, /* KiB, for one password */
	ARGON2_MOST_TIME = 64,
	ARGON2_MOST_LANES = 16
};

/* struct scheme's `verify`. */
enum scheme_result scheme_crypt(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
enum scheme_result scheme_argon2(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);

/* crypt(3) with that setting; false when it refuses. */
bool scheme_crypt_hash(struct schemes *schemes, struct slice password, const char *setting,
	char hash[CRYPT_OUTPUT_SIZE]);
/* yescrypt of a new password. */
bool scheme_crypt_new(
	struct schemes *schemes, struct slice password, int cost, char hash[CRYPT_OUTPUT_SIZE]);

#endif
