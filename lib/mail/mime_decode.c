// SPDX-License-Identifier: ISC
/* Content transfer encodings (RFC 2045 6), undone in a forgiving way. */
#include "mail/mime.h"

/* Decoding goes by pieces, so that a limit of the output cuts it there instead of losing all of it. */
enum { PIECE = 24 * 1024 };

/* Value of each base64 digit; 64 for "=", 65 for what is no part of base64. */
#define X 65
/* clang-format off */
static const unsigned char BASE64[256] = {
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, 62, X, X, X, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, 64, X, X,
	X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, X,
	X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
};
/* clang-format on */
#undef X

struct base64 {
	uint32_t bits;
	unsigned digits; /* in `bits` */
};

/* One byte that is no plain digit in its place: padding ends a group, so that encoded texts may follow one another. */
static char *base64_slow(struct base64 *state, unsigned char c, char *to)
{
	unsigned value = BASE64[c];

	if (value < 64) {
		state->bits = state->bits << 6 | value;
		if (++state->digits < 4)
			return to;
	} else if (value > 64) {
		return to;
	}
	if (state->digits >= 2) {
		uint32_t group = state->bits << 6 * (4 - state->digits);

		for (unsigned i = 0; i + 1 < state->digits; i++)
			*to++ = (char)(group >> (16 - 8 * i));
	}
	*state = (struct base64){ 0 };
	return to;
}

/* `to` has room for 3 bytes for every 4 of `in`, and 3 more. */
static char *base64_piece(struct base64 *state, struct slice in, char *to)
{
	const unsigned char *p = (const unsigned char *)in.data, *end = p + in.length;

	while (p < end) {
		if (state->digits == 0) {
			for (; end - p >= 4; p += 4) {
				uint32_t a = BASE64[p[0]], b = BASE64[p[1]], c = BASE64[p[2]],
					 d = BASE64[p[3]], group;

				if ((a | b | c | d) & 64)
					break;
				group = a << 18 | b << 12 | c << 6 | d;
				*to++ = (char)(group >> 16);
				*to++ = (char)(group >> 8);
				*to++ = (char)group;
			}
		}
		if (p < end)
			to = base64_slow(state, *p++, to);
	}
	return to;
}

static bool decode_base64(struct slice body, struct buffer *out)
{
	struct base64 state = { 0 };
	char *to;

	while (body.length) {
		struct slice piece = slice_head(body, PIECE);

		to = buffer_reserve(out, piece.length / 4 * 3 + 6);
		if (!to)
			return false;
		out->length = (size_t)(base64_piece(&state, piece, to) - out->data);
		body = slice_tail(body, piece.length);
	}
	if (state.digits == 0)
		return !out->failed;
	to = buffer_reserve(out, 3);
	if (to)
		out->length = (size_t)(base64_slow(&state, '=', to) - out->data);
	return to != NULL;
}

/* ---- Quoted-printable ----------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A line without its line end; false when the line goes on behind a soft break. */
static bool decode_line(struct slice line, struct buffer *out)
{
	/* White space before the line end was put there on the way (RFC 2045 6.7 rule 3). */
	while (line.length &&
		(line.data[line.length - 1] == ' ' || line.data[line.length - 1] == '\t'))
		line.length--;
	while (line.length) {
		ptrdiff_t at = slice_find(line, '=');
		int high, low;

		buffer_append(out, line.data, at < 0 ? line.length : (size_t)at);
		if (at < 0)
			return true;
		line = slice_tail(line, (size_t)at + 1);
		if (line.length == 0)
			return false;
		high = hex_value(line.data[0]);
		low = line.length > 1 ? hex_value(line.data[1]) : -1;
		if (high < 0 || low < 0) {
			buffer_add_byte(out, '=');
			continue;
		}
		buffer_add_byte(out, (char)(high << 4 | low));
		line = slice_tail(line, 2);
	}
	return true;
}

static bool decode_quoted_printable(struct slice body, struct buffer *out)
{
	while (body.length && !out->failed) {
		ptrdiff_t lf = slice_find(body, '\n');
		size_t length = lf < 0 ? body.length : (size_t)lf;
		bool cr = lf > 0 && body.data[lf - 1] == '\r';

		if (decode_line(slice_head(body, length - cr), out) && lf >= 0)
			buffer_append(out, "\r\n" + !cr, 1u + cr);
		body = slice_tail(body, lf < 0 ? length : length + 1);
	}
	return !out->failed;
}

bool mime_decode(struct slice encoding, struct slice body, struct buffer *out)
{
	if (slice_equal_nocase(encoding, SLICE("base64")))
		return decode_base64(body, out);
	if (slice_equal_nocase(encoding, SLICE("quoted-printable")))
		return decode_quoted_printable(body, out);
	return buffer_add(out, body);
}
