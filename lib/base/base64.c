// SPDX-License-Identifier: ISC
/* Base64. See base64.h. */
#include "base/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(struct slice data, struct buffer *out)
{
	for (size_t i = 0; i < data.length; i += 3) {
		size_t left = data.length - i;
		unsigned a = (unsigned char)data.data[i];
		unsigned b = left > 1 ? (unsigned char)data.data[i + 1] : 0;
		unsigned c = left > 2 ? (unsigned char)data.data[i + 2] : 0;
		char four[4] = { ALPHABET[a >> 2], ALPHABET[(a & 3) << 4 | b >> 4],
			left > 1 ? ALPHABET[(b & 15) << 2 | c >> 6] : '=',
			left > 2 ? ALPHABET[c & 63] : '=' };

		buffer_append(out, four, sizeof(four));
	}
	return !out->failed;
}

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_digit(c))
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four characters to `count` bytes; bits that no byte uses must be zero, so that one value has one text. */
static bool decode_four(const char *four, unsigned count, struct buffer *out)
{
	unsigned long bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		int digit = i <= count ? digit_of(four[i]) : 0;

		if (digit < 0 || (i > count && four[i] != '='))
			return false;
		bits = bits << 6 | (unsigned)digit;
	}
	if (bits & ((1ul << (8 * (3 - count))) - 1))
		return false;
	for (unsigned i = 0; i < count; i++)
		buffer_add_byte(out, (char)(bits >> (16 - 8 * i) & 255));
	return !out->failed;
}

bool base64_decode(struct slice text, struct buffer *out)
{
	size_t before = out->length;

	if (text.length % 4)
		return false;
	for (size_t i = 0; i < text.length; i += 4) {
		const char *four = text.data + i;
		bool last = i + 4 == text.length;
		unsigned count = !last || four[3] != '=' ? 3 : four[2] != '=' ? 2 : 1;

		if (!decode_four(four, count, out)) {
			buffer_cut(out, before);
			return false;
		}
	}
	return true;
}
