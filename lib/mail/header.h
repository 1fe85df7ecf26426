// SPDX-License-Identifier: ISC
/*
 * Message headers (RFC 5322): one field after another, folded lines kept whole. Works on LF and CR LF text alike.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/buffer.h"

struct header_field {
	struct slice name; /* without the colon and without white space before it */
	struct slice value; /* behind the colon, with folding and without the final line end */
	struct slice whole; /* name to final line end */
};
/*
 * Take the next field off *text. False at the empty line, at the end, or at a line that is not a header ("bad" then: the body
 * begins there). The empty line itself is left in *text.
 */
bool header_next(struct slice *text, struct header_field *field, bool *bad);
/*
 * For mail that is already in a mailbox: lines that are no headers are passed over, so that the headers end at the empty line
 * and nowhere else. False at the empty line, which is left in *text, or at the end.
 */
bool header_next_lax(struct slice *text, struct header_field *field);
/* Length of the header block with its empty line, in that sense: where mime_parse finds it. The whole length without one. */
size_t header_length_lax(struct slice message);
/* Length of the header block with its empty line; the whole length when there is no body. */
size_t header_length(struct slice message);
/* First field of that name (case ignored); looks no further than header_next would. */
bool header_find(struct slice headers, const char *name, struct header_field *field);
/* Append the value unfolded: line ends removed, leading and trailing white space too. */
bool header_unfold(struct slice value, struct buffer *out);
/* Append unfolded, with encoded-words (RFC 2047) decoded to UTF-8; bytes that are not valid come out as U+FFFD. */
bool header_decode(struct slice value, struct buffer *out);
/*
 * Incremental reading while a message streams by: feed chunks of LF text; `field` is called for each whole field and `end` once
 * at the empty line (or the first line that is not a header). Fields over `limit` bytes are cut there.
 */
struct header_stream {
	struct buffer line;
	size_t limit;
	bool done;
	bool failed; /* memory ran out: a field was lost or cut short */
	size_t excess; /* when done: bytes of earlier chunks that are the body's after all (a line that is no header, in pieces) */
	int state;
	void (*field)(void *context, struct slice whole);
	void *context;
};
/* Returns how many bytes of the chunk belong to the headers (with the empty line); done is set when they have ended. */
size_t header_stream_feed(struct header_stream *stream, struct slice chunk);
/* The message ended in the headers: give out the last one. */
void header_stream_end(struct header_stream *stream);
void header_stream_free(struct header_stream *stream);

#endif
