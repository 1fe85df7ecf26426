// SPDX-License-Identifier: ISC
/* FETCH's items as parsed (RFC 3501 6.4.5): fetch_parse.c makes them, fetch.c answers them, fetch_section.c finds the text. */
#ifndef IMAPD_FETCH_H
#define IMAPD_FETCH_H

#include "imapd/session.h"
#include "mail/mime.h"

enum { FETCH_MAX_ITEMS = 256, FETCH_MAX_FIELDS = 200 };

enum fetch_kind {
	FETCH_UID,
	FETCH_FLAGS,
	FETCH_DATE,
	FETCH_SIZE,
	FETCH_MODSEQ,
	FETCH_ENVELOPE,
	FETCH_BODY,
	FETCH_BODYSTRUCTURE,
	FETCH_SECTION
};
enum section_text {
	SECTION_ALL,
	SECTION_HEADER,
	SECTION_FIELDS,
	SECTION_FIELDS_NOT,
	SECTION_TEXT,
	SECTION_MIME
};

struct fetch_section {
	enum section_text text;
	uint32_t numbers[PARSE_MAX_SECTION_PARTS];
	unsigned number_count;
	struct slice *fields; /* of FIELDS and FIELDS_NOT */
	unsigned field_count;
	bool partial;
	uint64_t offset, length;
	bool peek;
	struct slice label; /* "BODY[1.TEXT]<0>" of the response */
};
struct fetch_item {
	enum fetch_kind kind;
	struct fetch_section section;
};
struct fetch_request {
	struct sequence_set set;
	struct fetch_item *items;
	unsigned count;
	bool changed_since_given;
	uint64_t changed_since;
};

/* Everything behind FETCH. The parser has the error when it is false. */
bool fetch_parse(struct parser *p, struct fetch_request *request);
/* Needs no more than the message's header block. */
bool section_is_header(const struct fetch_section *section);
/*
 * The section's text, partial cut applied; data NULL when the message has no such part. `message` is the whole message with its
 * parsed structure (NULL unless numbers are used), or only the header block when section_is_header. A selection of fields is
 * made in `scratch`, and stays there until the next one.
 */
bool section_find(const struct fetch_section *section, struct slice message, struct mime_part *top,
	struct buffer *scratch, struct slice *text);

#endif
