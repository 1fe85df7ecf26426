// SPDX-License-Identifier: ISC
/* UTF-8. See utf8.h. */
#include "mail/utf8.h"

unsigned utf8_get(struct slice s, uint32_t *character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s.data;
	unsigned length;
	uint32_t c;

	if (s.length == 0)
		return 0;
	c = p[0];
	if (c < 0x80) {
		*character = c;
		return 1;
	}
	length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || length > s.length)
		return 0;
	c &= 0xffu >> (length + 1);
	for (unsigned i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*character = c;
	return length;
}

bool utf8_add(struct buffer *out, uint32_t c)
{
	char *to = buffer_reserve(out, 4);
	unsigned n = 0;

	if (!to)
		return false;
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	if (c < 0x80) {
		to[n++] = (char)c;
	} else if (c < 0x800) {
		to[n++] = (char)(0xc0 | c >> 6);
		to[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		to[n++] = (char)(0xe0 | c >> 12);
		to[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		to[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		to[n++] = (char)(0xf0 | c >> 18);
		to[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		to[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		to[n++] = (char)(0x80 | (c & 0x3f));
	}
	out->length += n;
	return true;
}

size_t utf8_ascii_prefix(struct slice s)
{
	size_t i = 0;
	uint64_t word;

	for (; i + 8 <= s.length; i += 8) {
		memcpy(&word, s.data + i, 8);
		if (word & 0x8080808080808080u)
			break;
	}
	while (i < s.length && (unsigned char)s.data[i] < 0x80)
		i++;
	return i;
}

bool utf8_valid(struct slice s)
{
	uint32_t c;
	unsigned n;

	for (;;) {
		s = slice_tail(s, utf8_ascii_prefix(s));
		if (s.length == 0)
			return true;
		n = utf8_get(s, &c);
		if (n == 0)
			return false;
		s = slice_tail(s, n);
	}
}

bool utf8_add_clean(struct buffer *out, struct slice s)
{
	uint32_t c;
	unsigned n;

	while (s.length) {
		size_t good = utf8_ascii_prefix(s);

		while ((n = utf8_get(slice_tail(s, good), &c)) > 0)
			good += n;
		if (!buffer_add(out, slice_head(s, good)))
			return false;
		s = slice_tail(s, good);
		if (s.length) {
			if (!utf8_add(out, 0xfffd))
				return false;
			s = slice_tail(s, 1);
		}
	}
	return !out->failed;
}
