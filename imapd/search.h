// SPDX-License-Identifier: ISC
/*
 * SEARCH (RFC 3501 6.4.4, 4731, 7162): search_parse.c makes a tree of keys, search_run.c walks the mailbox.
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "imapd/session.h"
#include "mail/search.h"

enum { SEARCH_MAX_KEYS = 20000, SEARCH_MAX_NEEDLE = 4096 };

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
	struct mail_needle *needle;
	struct search_key *next_needle; /* all keys with one, for search_free */
};

enum search_return { RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8 };
struct search_request {
	bool extended; /* RETURN was given: answer with ESEARCH */
	unsigned give; /* enum search_return */
	bool uses_modseq;
	bool bad_charset;
	struct slice charset;
	struct search_key *top;
	struct search_key *needles;
	unsigned keys;
};

/* Everything behind SEARCH. False: parser.error, or bad_charset. */
bool search_parse(struct parser *p, struct search_request *request);

/* The needles; the rest is the arena's. In any case after search_parse. */
void search_free(struct search_request *request);

#endif
