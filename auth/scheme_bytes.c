// SPDX-License-Identifier: ISC
/* Bytes of verifiers. See scheme_bytes.h. */
#include "auth/scheme_bytes.h"

#include "base/base64.h"

bool scheme_equal(const void *a, const void *b, size_t length)
{
	const unsigned char *x = a, *y = b;
	unsigned char difference = 0;

	for (size_t i = 0; i < length; i++)
		difference |= x[i] ^ y[i];
	return difference == 0;
}

static int nibble(char c)
{
	c = ascii_lower(c);
	if (ascii_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ptrdiff_t scheme_hex(struct slice text, unsigned char *bytes, size_t most)
{
	if (text.length % 2 || text.length / 2 > most)
		return -1;
	for (size_t i = 0; i < text.length / 2; i++) {
		int high = nibble(text.data[2 * i]), low = nibble(text.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return (ptrdiff_t)(text.length / 2);
}

ptrdiff_t scheme_decode(
	struct slice text, enum scheme_encoding encoding, unsigned char *bytes, size_t most)
{
	struct buffer out = buffer_limited(most);
	ptrdiff_t length = -1;

	if (encoding == ENCODING_HEX)
		return scheme_hex(text, bytes, most);
	if (base64_decode(text, &out) && out.length <= most) {
		length = (ptrdiff_t)out.length;
		if (length)
			memcpy(bytes, out.data, out.length);
	}
	buffer_free(&out);
	return length;
}
