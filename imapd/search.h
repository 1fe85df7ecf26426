// SPDX-License-Identifier: ISC
/*
 * SEARCH (RFC 3501 6.4.4, 4731, 7162): search_parse.c makes a tree of keys, search_run.c walks the mailbox, search_text.c looks
 * into headers and bodies.
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "imapd/session.h"
#include "mail/mime.h"

enum { SEARCH_MAX_KEYS = 20000, SEARCH_MAX_NEEDLE = 4096 };

/* A text to look for, in UTF-8. */
struct needle {
	struct slice folded; /* upper case as mime_fold makes it */
	bool ascii;
	uint16_t skip
		[256]; /* how far to go on after a mismatch, by the byte under the needle's end (Horspool) */
};

enum search_kind {
	SEARCH_ALL,
	SEARCH_AND,
	SEARCH_OR,
	SEARCH_NOT,
	SEARCH_NUMBERS,
	SEARCH_UIDS,
	SEARCH_FLAG,
	SEARCH_KEYWORD,
	SEARCH_RECENT,
	SEARCH_NEW,
	SEARCH_BEFORE,
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_SENT_BEFORE,
	SEARCH_SENT_ON,
	SEARCH_SENT_SINCE,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_MODSEQ,
	SEARCH_HEADER,
	SEARCH_BODY,
	SEARCH_TEXT
};
/* What a key needs to be answered; cheaper keys of an AND or OR are asked first. */
enum search_cost { COST_VIEW, COST_HEADERS, COST_MESSAGE };

struct search_key {
	enum search_kind kind;
	enum search_cost cost;
	struct search_key *children, *next; /* AND, OR, NOT */
	struct sequence_set set;
	uint8_t flag;
	uint64_t number; /* bytes, modseq, keyword's bits once resolved */
	int64_t day;
	struct slice name; /* of a header field or keyword */
	struct needle *needle;
};

enum search_return { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8 };
struct search_request {
	bool extended; /* RETURN was given: answer with ESEARCH */
	unsigned give; /* enum search_return */
	bool uses_modseq;
	bool bad_charset;
	struct slice charset;
	struct search_key *top;
	unsigned keys;
};

/* Everything behind SEARCH. False: parser.error, or bad_charset. */
bool search_parse(struct parser *p, struct search_request *request);

/* NULL when memory is out. */
struct needle *needle_new(struct slice charset, struct slice text, struct arena *arena);
bool needle_in(const struct needle *needle, struct slice utf8, struct buffer *scratch);
/* In any field of that name (every field when the name is empty); encoded-words are decoded. An empty needle: the field exists. */
bool needle_in_field(const struct needle *needle, struct slice headers, struct slice name,
	struct buffer *scratch);
/* In the text of the message's parts, transfer encoding undone; headers of enclosed messages included. */
bool needle_in_body(const struct needle *needle, struct slice message, struct arena *arena,
	struct buffer *scratch);

#endif
