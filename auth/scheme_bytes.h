// SPDX-License-Identifier: ISC
/* Bytes that verifiers are made of: read, and compared. */
#ifndef AUTH_SCHEME_BYTES_H
#define AUTH_SCHEME_BYTES_H

#include "base/slice.h"

enum scheme_encoding { ENCODING_TEXT, ENCODING_BASE64, ENCODING_HEX };

/* Bytes of hexadecimal text; -1 when it is none or does not fit. */
ptrdiff_t scheme_hex(struct slice text, unsigned char *bytes, size_t most);
/* Bytes of base64 or hexadecimal text; -1 when it is neither or does not fit. */
ptrdiff_t scheme_decode(
	struct slice text, enum scheme_encoding encoding, unsigned char *bytes, size_t most);
/* No early end at the first difference. */
bool scheme_equal(const void *a, const void *b, size_t length);

#endif
