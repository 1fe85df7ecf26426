// SPDX-License-Identifier: ISC
/*
 * Line ends. Content is LF at rest and CR LF on the wire: these turn the first into the second and tell sizes without doing it. All
 * of it runs at the speed of memchr. A message in pieces is handled with a state that holds the last byte of the piece before.
 */
#ifndef MAIL_CRLF_H
#define MAIL_CRLF_H

#include "base/buffer.h"

/* What has been seen of a text that comes in pieces. Zeroed at the start. */
struct crlf_state {
	bool cr; /* the last byte was CR */
	uint64_t bytes; /* so far */
	uint64_t lines; /* LF bytes so far */
	uint64_t bare; /* LF bytes without CR before them */
};

/* Append with every LF that has no CR before it made CR LF; CR LF stays. */
bool crlf_expand(struct slice in, struct buffer *out);
/* The next piece likewise; counts it. */
bool crlf_expand_next(struct crlf_state *state, struct slice in, struct buffer *out);

/* Count the next piece. */
void crlf_count_next(struct crlf_state *state, struct slice in);
/* Bytes that the text counted so far takes with CR LF (IMAP's RFC822.SIZE). */
static inline uint64_t crlf_state_size(const struct crlf_state *state)
{
	return state->bytes + state->bare;
}

/* LF bytes. */
size_t crlf_lines(struct slice in);

#endif
