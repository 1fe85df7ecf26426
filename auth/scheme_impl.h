// SPDX-License-Identifier: ISC
/* Inside of scheme.h: one verifier, and what the files of the schemes share. */
#ifndef AUTH_SCHEME_IMPL_H
#define AUTH_SCHEME_IMPL_H

#include <crypt.h>

#include "auth/scheme.h"
#include "auth/scheme_bytes.h"

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
	enum scheme_encoding
		encoding; /* of a digest, where the stored name says none; ENCODING_TEXT: base64 */
};

#endif
