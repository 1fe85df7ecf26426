// SPDX-License-Identifier: ISC
/* Inside of scheme.h: one verifier, and what the files of the schemes share. */
#ifndef AUTH_SCHEME_IMPL_H
#define AUTH_SCHEME_IMPL_H

#include <crypt.h>

#include "auth/scheme.h"

enum scheme_encoding { ENCODING_TEXT, ENCODING_BASE64, ENCODING_HEX };

enum {
	ARGON2_MOST_MEMORY = 256 << 10, /* KiB, for one password */
	ARGON2_MOST_TIME = 64,
	ARGON2_MOST_LANES = 16,
	PBKDF2_MOST_ROUNDS = 10000000
};

struct schemes {
	struct scheme_settings settings;
	struct crypt_data *crypt; /* 32 KB: not for a thread's stack */
	char dummy[CRYPT_OUTPUT_SIZE];
	uint64_t hashes;
	bool fitted_raw;
	bool form_only; /* verifiers tell only whether a value has their form: SCHEME_WRONG, and nothing is computed */
};

struct scheme;
struct verifier {
	const struct scheme *scheme;
	enum scheme_encoding encoding;
	struct slice value;
};

struct scheme {
	const char *name;
	/* SCHEME_SILENT: a value that has not the form. NULL: cannot tell of a typed password. */
	enum scheme_result (*verify)(
		struct schemes *schemes, const struct verifier *verifier, struct slice password);
	const char *digest; /* libcrypto's name */
	unsigned salted;
	bool plain; /* good for logging in as it stands */
};

enum scheme_result scheme_crypt(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
enum scheme_result scheme_argon2(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
enum scheme_result scheme_digest(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
enum scheme_result scheme_pbkdf2(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);
enum scheme_result scheme_scram(
	struct schemes *schemes, const struct verifier *verifier, struct slice password);

/* crypt(3) with that setting; false when it refuses. */
bool scheme_crypt_hash(struct schemes *schemes, struct slice password, const char *setting,
	char hash[CRYPT_OUTPUT_SIZE]);
/* yescrypt of a new password. */
bool scheme_crypt_new(
	struct schemes *schemes, struct slice password, int cost, char hash[CRYPT_OUTPUT_SIZE]);
/* "{SCRAM-SHA-256}..." of a new password is appended to `stored`. */
bool scheme_scram_new(struct schemes *schemes, struct slice password, const char *digest,
	char stored[SCHEME_MAX_STORED]);
/* Bytes of base64 or hexadecimal text; -1 when it is neither or does not fit. */
ptrdiff_t scheme_decode(
	struct slice text, enum scheme_encoding encoding, unsigned char *bytes, size_t most);
/* No early end at the first difference. */
bool scheme_equal(const void *a, const void *b, size_t length);

#endif
