// SPDX-License-Identifier: ISC
/*
 * Lists of accounts, one a line: what `postern domain|user|alias` take from standard input and `postern import` makes of the files of
 * other mail systems.
 */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/vector.h"

enum {
	RECORDS_MAX = 2000000,
	RECORDS_MAX_LINE = 256 * 1024, /* bytes */
	RECORDS_MAX_WORDS = 10000, /* of one record */
	RECORDS_MAX_MEMORY = 1 << 30
};

enum record_kind { RECORD_WORDS = 0, RECORD_DOMAIN, RECORD_MAILBOX, RECORD_ALIAS };

struct record {
	enum record_kind kind;
	const char *file; /* NULL: standard input or the command line */
	unsigned line; /* 0: the command line */
	char **words; /* the address or domain, then the destinations or what else belongs to the action */
	unsigned word_count;
	char *hash, *password, *quota; /* or NULL */
	signed char enabled; /* -1: not said */
	bool no_password; /* none is wanted */
	bool bad; /* already told to be refused */
};

struct records {
	struct arena arena;
	struct vector list; /* struct record */
};

void records_init(struct records *records);
void records_free(struct records *records);
/* NULL: there are too many, or memory is out. */
struct record *records_add(
	struct records *records, enum record_kind kind, const char *file, unsigned line);
/* Append a word; false as above. */
MUST_CHECK bool record_add_word(struct records *records, struct record *record, struct slice word);
static inline struct record *records_at(const struct records *records, size_t i)
{
	return vector_at(&records->list, i);
}

/*
 * A line: a JSON object (as --json of the lists prints them), or words, of which `name=value` with a name of those below, and the
 * options --hash, --quota and --no-password, are not part of the record's words. Empty lines and those that begin with "#" give no
 * record: true with *record NULL. Names: hash, password, no_password (true, false), quota, enabled (true, false). In an object null
 * is as if the member were not there, figures of the lists are passed over, and names that are not known are refused. False with
 * *error, which lives as long as the records; *record is then there and marked bad, or NULL when there was no room for it.
 */
MUST_CHECK bool records_read_line(struct records *records, struct slice line, unsigned number,
	struct record **record, const char **error);

#endif
