// SPDX-License-Identifier: ISC
/*
 * MIME structure (RFC 2045, 2046, 2183, 2231, 3501 7.4.2). A message with CR LF line ends, whole in memory, becomes a tree of
 * parts that point into it. Bounded: depth, number of parts, parameters. Time is linear in the message; LF line ends are
 * understood, too. Headers are read as header_next_lax does: only the empty line, or a boundary, ends them.
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/arena.h"
#include "base/buffer.h"

enum { MIME_MAX_DEPTH = 64, MIME_MAX_PARTS = 10000, MIME_MAX_PARAMETERS = 64 };

struct mime_parameter {
	struct slice name; /* as written */
	struct slice value; /* unquoted */
};
struct mime_part {
	struct mime_part *parent, *children, *next;
	unsigned number; /* from 1 among its siblings */
	size_t header_offset, header_length; /* in the message; with the empty line */
	size_t body_offset, body_length; /* without the boundary's CR LF */
	uint32_t body_lines;
	struct slice type,
		subtype; /* "text" "plain" by default ("message" "rfc822" in a digest); as written */
	bool type_given; /* there was a Content-Type that can be understood */
	struct mime_parameter *parameters;
	unsigned parameter_count;
	struct slice id, description, md5, language,
		location; /* data NULL when absent; as written, with folding */
	struct slice encoding; /* "7bit" by default */
	struct slice disposition; /* data NULL when absent */
	struct mime_parameter *disposition_parameters;
	unsigned disposition_parameter_count;
	bool is_multipart; /* has a boundary; may have no children */
	bool is_message; /* message/rfc822: its one child is the enclosed message's top part */
};

/* NULL when memory is out. A structure past the bounds is kept as the leaf it was reached at. */
struct mime_part *mime_parse(struct slice message, struct arena *arena);
/* Section numbers of RFC 3501 6.4.5: "1.2.3". NULL when there is no such part. */
struct mime_part *mime_find(struct mime_part *top, const uint32_t *numbers, unsigned count);
/* Content-Type's parameter by name, case ignored; data NULL when absent. */
struct slice mime_parameter(const struct mime_part *part, const char *name);
/* The parenthesised forms of FETCH (RFC 3501 7.4.2): BODY without, BODYSTRUCTURE with extension data. */
bool mime_write_structure(
	const struct mime_part *part, struct slice message, bool extended, struct buffer *out);
/*
 * ENVELOPE of a header block. `arena` is used for the addresses and not reset. Memory that runs out ends an address list early;
 * the text stays well formed as long as `out` takes it.
 */
bool mime_write_envelope(struct slice headers, struct arena *arena, struct buffer *out);
/* An IMAP nstring: quoted if it can be, literal else, NIL when data is NULL. NUL, which neither may hold, becomes U+FFFD. */
bool mime_write_nstring(struct slice s, struct buffer *out);
/* Likewise, of a header's value: unfolded, without white space at its ends. */
bool mime_write_value(struct slice value, struct buffer *out);
/*
 * Undo base64 / quoted-printable / nothing; forgiving: what cannot belong to the encoding is passed over. False only when out of
 * memory or limit; what fitted has been appended.
 */
bool mime_decode(struct slice encoding, struct slice body, struct buffer *out);
/* Charset to UTF-8 (iconv); unknown charsets and bad bytes give U+FFFD, never an error. */
bool mime_to_utf8(struct slice charset, struct slice text, struct buffer *out);
/* Bytes below 128 stand for themselves and for nothing else in that charset, as far as it is known. */
bool mime_charset_keeps_ascii(struct slice charset);
/*
 * Case-folded form for searching (i;unicode-casemap's purpose, RFC 5051): UTF-8 to upper case by simple mapping, from a table of
 * its own. Bytes that are not UTF-8 become U+FFFD.
 */
bool mime_fold(struct slice utf8, struct buffer *out);
/*
 * Call before a process gives up its files: iconv opens what it has for East Asian charsets, and is asked for nothing more
 * afterwards. The others are tables in the program.
 */
void mime_preload_charsets(void);

#endif
