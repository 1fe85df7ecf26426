// SPDX-License-Identifier: ISC
/* Base64 of RFC 4648 section 4, strict: for SASL exchanges and tickets. MIME's forgiving form is mime_decode. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buffer.h"

/* Append the encoded text, padded, on one line. Returns !out->failed. */
bool base64_encode(struct slice data, struct buffer *out);
/* Append the bytes. False, with `out` as it was, when the text is not exactly base64 with its padding. */
MUST_CHECK bool base64_decode(struct slice text, struct buffer *out);

#endif
