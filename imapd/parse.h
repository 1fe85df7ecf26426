// SPDX-License-Identifier: ISC
/*
 * The grammar of IMAP commands (RFC 3501 section 9): atoms, strings, lists, flags, sequence sets, dates. Used by the front on a
 * command that is complete in memory, and by the session on a command whose literals are still to come from the client.
 *
 * Each parse_* function takes its piece off the front of parser.rest and returns true, or leaves a text for "BAD" in
 * parser.error and returns false; then the command is over. Slices point into the command or its arena.
 */
#ifndef IMAPD_PARSE_H
#define IMAPD_PARSE_H

#include "base/arena.h"

enum {
	PARSE_MAX_DEPTH = 500, /* of parentheses and search keys */
	PARSE_MAX_KEYWORDS = 62, /* in one flag list */
	PARSE_MAX_SECTION_PARTS = 64 /* numbers in "1.2.3" */
};

struct parser {
	struct slice rest;
	struct arena *arena;
	unsigned depth;
	const char *error;
	/*
	 * Brings a literal of `size` bytes and moves parser.rest to what follows it; false with error set. NULL: the literal's
	 * bytes stand in `rest`, behind the line end.
	 */
	bool (*literal)(
		struct parser *parser, uint64_t size, bool synchronizing, struct slice *data);
	void *context;
};

/* "*" in a set; resolved against the mailbox later. */
enum { SET_STAR = 0 };
struct set_range {
	uint32_t low, high;
};
struct sequence_set {
	struct set_range *ranges;
	unsigned count;
};
struct flag_list {
	uint8_t flags; /* enum message_flag */
	unsigned count; /* of keywords */
	struct slice keywords[PARSE_MAX_KEYWORDS];
};

/* Sets the error (the first one stays) and returns false. */
bool parse_fail(struct parser *p, const char *error);
bool parse_space(struct parser *p);
/* Nothing more may follow. */
bool parse_end(struct parser *p);
/* The arguments of ID (RFC 2971 3.3: thirty fields at most), to the end of the command; nothing of them is kept. */
bool parse_id(struct parser *p);
/* Whether the next byte is `c`; nothing is taken, nothing fails. */
static inline bool parse_next_is(const struct parser *p, char c)
{
	return p->rest.length && p->rest.data[0] == c;
}
/* Take `c`, or fail. */
bool parse_byte(struct parser *p, char c);
/* An opening parenthesis, counted against the depth; parse_leave takes the closing one. */
bool parse_enter(struct parser *p);
bool parse_leave(struct parser *p);
/* One more level of recursion without a parenthesis (NOT, OR), and back. */
bool parse_deeper(struct parser *p);

bool parse_tag(struct parser *p, struct slice *tag);
bool parse_atom(struct parser *p, struct slice *atom);
bool parse_astring(struct parser *p, struct slice *text);
bool parse_string(struct parser *p, struct slice *text);
/* data is NULL for NIL. */
bool parse_nstring(struct parser *p, struct slice *text);
/* A mailbox with wildcards: list-char or string. */
bool parse_list_mailbox(struct parser *p, struct slice *text);
/* A mailbox name as UTF-8, INBOX in capitals, without the separator at its end. */
bool parse_mailbox(struct parser *p, struct slice *name);
bool parse_number(struct parser *p, uint64_t max, uint64_t *number);
/* "(\Seen $Label)" or, where `bare`, the same without parentheses up to the end. \Recent and unknown \flags are refused. */
bool parse_flags(struct parser *p, bool bare, struct flag_list *list);
bool parse_set(struct parser *p, struct sequence_set *set);
/* Quoted date-time of APPEND: seconds since 1970. */
bool parse_date_time(struct parser *p, int64_t *seconds);
/* Date of SEARCH: days since 1970. */
bool parse_date(struct parser *p, int64_t *day);
/* "{123}" or "{123+}" at the end of a line; false when there is none. `at` is where it begins. Sizes past 2^63 give INT64_MAX. */
bool parse_literal_mark(struct slice line, size_t *at, uint64_t *size, bool *synchronizing);
/* As it stands at the start of parser.rest; fails when it is none or has something behind it. */
bool parse_literal_size(struct parser *p, uint64_t *size, bool *synchronizing);

/* Wire name (modified UTF-7) to UTF-8 with INBOX in capitals. False when it is not modified UTF-7. */
bool mailbox_name_from_wire(struct slice wire, struct arena *arena, struct slice *name);

/* Sorted, merged, "*" as `max`. False when memory is out. */
bool set_resolve(const struct sequence_set *set, uint32_t max, struct arena *arena,
	struct sequence_set *resolved);
/* Resolved sets only. */
bool set_holds(const struct sequence_set *resolved, uint32_t number);

#endif
