// SPDX-License-Identifier: ISC
/* Modified UTF-7. See utf7.h. */
#include "mail/utf7.h"

#include "mail/utf8.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_plain(uint32_t c)
{
	return c >= ' ' && c < 127;
}

static int digit_of(char c)
{
	const char *at = c ? strchr(ALPHABET, c) : NULL;

	return at ? (int)(at - ALPHABET) : -1;
}

/* One UTF-16 unit more; `*high` holds the first half of a pair. */
static bool add_unit(uint32_t unit, uint32_t *high, struct buffer *utf8)
{
	bool is_low = unit >= 0xdc00 && unit < 0xe000;

	if ((*high != 0) != is_low || unit == 0 || is_plain(unit))
		return false;
	if (is_low) {
		unit = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
		*high = 0;
	} else if (unit >= 0xd800 && unit < 0xdc00) {
		*high = unit;
		return true;
	}
	return utf8_add(utf8, unit);
}

/* The base64 behind "&", up to its "-", which must be there. Bits left over must be zero, and less than a digit. */
static bool decode_shift(struct slice *name, struct buffer *utf8)
{
	uint32_t bits = 0, high = 0;
	unsigned count = 0;

	for (size_t i = 0; i < name->length; i++) {
		int digit;

		if (name->data[i] == '-') {
			*name = slice_tail(*name, i + 1);
			return i > 0 && count < 6 && bits == 0 && high == 0;
		}
		digit = digit_of(name->data[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 16) {
			count -= 16;
			if (!add_unit(bits >> count, &high, utf8))
				return false;
			bits &= (1u << count) - 1;
		}
	}
	return false;
}

static bool decode(struct slice name, struct buffer *utf8)
{
	bool shifted = false; /* the text so far ends with a shift */

	while (name.length) {
		char c = name.data[0];

		if (!is_plain((unsigned char)c))
			return false;
		name = slice_tail(name, 1);
		if (c != '&') {
			shifted = false;
			buffer_add_byte(utf8, c);
		} else if (name.length && name.data[0] == '-') {
			name = slice_tail(name, 1);
			shifted = false;
			buffer_add_byte(utf8, '&');
		} else if (shifted || !decode_shift(&name, utf8)) {
			return false;
		} else {
			shifted = true;
		}
	}
	return !utf8->failed;
}

bool utf7_decode(struct slice name, struct buffer *utf8)
{
	size_t start = utf8->length;

	if (decode(name, utf8))
		return true;
	utf8->length = start;
	return false;
}

/* ---- Encoding ------------------------------------------------------------------------------------------------------- */

struct encoder {
	struct buffer *out;
	uint32_t bits;
	unsigned count;
	bool shifted;
};

static void put_unit(struct encoder *e, uint32_t unit)
{
	e->bits = e->bits << 16 | unit;
	e->count += 16;
	while (e->count >= 6) {
		e->count -= 6;
		buffer_add_byte(e->out, ALPHABET[e->bits >> e->count & 63]);
	}
	e->bits &= (1u << e->count) - 1;
}

static void shift(struct encoder *e, bool on)
{
	if (e->shifted == on)
		return;
	if (!on && e->count)
		buffer_add_byte(e->out, ALPHABET[e->bits << (6 - e->count) & 63]);
	buffer_add_byte(e->out, on ? '&' : '-');
	e->shifted = on;
	e->bits = e->count = 0;
}

static bool encode(struct slice utf8, struct buffer *name)
{
	struct encoder e = { .out = name };
	uint32_t c;
	unsigned n;

	while (utf8.length) {
		n = utf8_get(utf8, &c);
		if (n == 0 || c == 0)
			return false;
		utf8 = slice_tail(utf8, n);
		shift(&e, !is_plain(c));
		if (is_plain(c)) {
			buffer_add_text(name, c == '&' ? "&-" : (const char[]){ (char)c, 0 });
		} else if (c < 0x10000) {
			put_unit(&e, c);
		} else {
			put_unit(&e, 0xd800 + ((c - 0x10000) >> 10));
			put_unit(&e, 0xdc00 + ((c - 0x10000) & 0x3ff));
		}
	}
	shift(&e, false);
	return !name->failed;
}

bool utf7_encode(struct slice utf8, struct buffer *name)
{
	size_t start = name->length;

	if (encode(utf8, name))
		return true;
	name->length = start;
	return false;
}
