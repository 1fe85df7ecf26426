// SPDX-License-Identifier: ISC
/* Line ends. See crlf.h. */
#include "mail/crlf.h"

/* A block small enough that one byte can count it, and of fixed size so that the compiler makes vector code of the loop. */
enum { BLOCK = 128, EXPAND_PIECE = 64 * 1024 };

static size_t count_byte(const char *p, size_t length, char wanted)
{
	size_t total = 0, i = 0;

	for (; length - i >= BLOCK; i += BLOCK) {
		uint8_t n = 0;

		for (size_t j = 0; j < BLOCK; j++)
			n = (uint8_t)(n + (p[i + j] == wanted));
		total += n;
	}
	for (; i < length; i++)
		total += p[i] == wanted;
	return total;
}

/* LF bytes with no CR before them; `p[-1]` is not looked at: the caller says whether it was CR. */
static size_t count_bare(const char *p, size_t length, bool cr)
{
	size_t total = 0, i = 1;

	if (length == 0)
		return 0;
	total = p[0] == '\n' && !cr;
	for (; i + BLOCK <= length; i += BLOCK) {
		uint8_t n = 0;

		for (size_t j = 0; j < BLOCK; j++)
			n = (uint8_t)(n + ((p[i + j] == '\n') & (p[i + j - 1] != '\r')));
		total += n;
	}
	for (; i < length; i++)
		total += p[i] == '\n' && p[i - 1] != '\r';
	return total;
}

size_t crlf_lines(struct slice in)
{
	return count_byte(in.data, in.length, '\n');
}

void crlf_count_next(struct crlf_state *state, struct slice in)
{
	if (in.length == 0)
		return;
	state->bytes += in.length;
	state->lines += crlf_lines(in);
	state->bare += count_bare(in.data, in.length, state->cr);
	state->cr = in.data[in.length - 1] == '\r';
}

/* Write `in` expanded to `to`, which has room for it. */
static char *expand(char *to, const char *p, const char *end, bool cr)
{
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t length = (size_t)((lf ? lf : end) - p);

		memcpy(to, p, length);
		to += length;
		if (!lf)
			break;
		if (length ? lf[-1] != '\r' : !cr)
			*to++ = '\r';
		*to++ = '\n';
		p = lf + 1;
		cr = false;
	}
	return to;
}

bool crlf_expand_next(struct crlf_state *state, struct slice in, struct buffer *out)
{
	/* In pieces that stay in the processor's cache between counting and copying. */
	while (in.length) {
		struct slice piece = slice_head(in, EXPAND_PIECE);
		uint64_t bare = state->bare;
		bool cr = state->cr;
		size_t size;
		char *to;

		crlf_count_next(state, piece);
		size = piece.length + (size_t)(state->bare - bare);
		to = buffer_reserve(out, size);
		if (!to)
			return false;
		expand(to, piece.data, piece.data + piece.length, cr);
		out->length += size;
		in = slice_tail(in, piece.length);
	}
	return !out->failed;
}

bool crlf_expand(struct slice in, struct buffer *out)
{
	struct crlf_state state = { 0 };

	return crlf_expand_next(&state, in, out);
}
