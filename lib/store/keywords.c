// SPDX-License-Identifier: ISC
/* A mailbox's keywords: names for bits, in the index and in the file that other programs read. See internal.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

void box_keywords_free(struct box *box)
{
	for (unsigned i = 0; i < STORE_KEYWORDS; i++) {
		free(box->keywords[i]);
		box->keywords[i] = NULL;
	}
	box->keyword_count = 0;
	box->forwarded = -1;
}

static bool keyword_is_good(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		if ((unsigned char)name.data[i] <= ' ' || name.data[i] == 0x7f)
			return false;
	}
	return name.length > 0 && name.length <= STORE_KEYWORD_MAX;
}

enum store_status box_keywords_load(struct box *box)
{
	sqlite3_stmt *statement;
	int result;

	if (box->keyword_count == box->row.keyword_count)
		return STORE_OK;
	box_keywords_free(box);
	statement = store_sql(box->store, SQL_KEYWORDS, "i", box->row.id);
	while ((result = store_step(box->store, statement)) > 0) {
		int bit = sqlite3_column_int(statement, 0);
		struct slice name = store_column(statement, 1);

		if (bit != (int)box->keyword_count || bit >= STORE_KEYWORDS)
			continue;
		box->keywords[bit] = slice_dup(name);
		if (!box->keywords[bit]) {
			sqlite3_reset(statement);
			return store_failed(box->store, "out of memory");
		}
		if (slice_equal_nocase(name, SLICE("$Forwarded")))
			box->forwarded = bit;
		box->keyword_count++;
	}
	return result == 0 ? STORE_OK : STORE_TEMPORARY;
}

/* The letters' meaning, for other readers and for a rebuild: one "NUMBER NAME" a line, as Dovecot has it. */
static bool keywords_write(struct box *box)
{
	struct buffer text = buffer_limited(STORE_LETTERS * (STORE_KEYWORD_MAX + 8));
	bool good = true;

	for (unsigned i = 0; i < box->keyword_count && i < STORE_LETTERS; i++)
		good = good && buffer_printf(&text, "%u %s\n", i, box->keywords[i]);
	good = good && store_replace_file(box->dir, "dovecot-keywords", buffer_slice(&text), true);
	buffer_free(&text);
	if (!good)
		(void)store_system_failed(box->store, "dovecot-keywords");
	return good;
}

static enum store_status keyword_add(struct box *box, struct slice name)
{
	unsigned bit = box->keyword_count;

	if (bit >= STORE_KEYWORDS)
		return STORE_LIMIT;
	if (!store_run(box->store, SQL_KEYWORD_INSERT, "iit", box->row.id, (int64_t)bit, name))
		return STORE_TEMPORARY;
	box->keywords[bit] = slice_dup(name);
	if (!box->keywords[bit])
		return store_failed(box->store, "out of memory");
	if (slice_equal_nocase(name, SLICE("$Forwarded")))
		box->forwarded = (int)bit;
	box->row.keyword_count = ++box->keyword_count;
	return STORE_OK;
}

/* One line of dovecot-keywords; numbers that were left out get a name, so that the letters behind them keep their meaning. */
static enum store_status keyword_import(struct box *box, struct slice line)
{
	struct slice number;
	char filler[32];
	uint64_t bit;
	enum store_status status = STORE_OK;

	if (!slice_split(&line, ' ', &number) || !slice_to_u64(number, STORE_LETTERS - 1, &bit) ||
		bit < box->keyword_count || !keyword_is_good(line))
		return STORE_OK;
	while (status == STORE_OK && box->keyword_count < bit) {
		snprintf(filler, sizeof(filler), "keyword-%u", box->keyword_count);
		status = keyword_add(box, slice_from(filler));
	}
	return status == STORE_OK ? keyword_add(box, line) : status;
}

enum store_status box_keywords_import(struct box *box)
{
	char text[STORE_LETTERS * (STORE_KEYWORD_MAX + 8)];
	ssize_t n = os_read_file(box->dir, "dovecot-keywords", text, sizeof(text));
	struct slice rest = slice_of(text, n > 0 ? (size_t)n : 0), line;
	enum store_status status = STORE_OK;

	if (n < 0 && errno != ENOENT && errno != EMSGSIZE)
		return store_system_failed(box->store, "dovecot-keywords");
	while (status == STORE_OK && slice_split(&rest, '\n', &line))
		status = keyword_import(box, line);
	return status;
}

/* `create` only inside of a transaction that saves the row. */
enum store_status box_keyword(struct box *box, struct slice name, bool create, unsigned *bit)
{
	enum store_status status;

	for (unsigned i = 0; i < box->keyword_count; i++) {
		if (slice_equal_nocase(slice_from(box->keywords[i]), name)) {
			*bit = i;
			return STORE_OK;
		}
	}
	if (!create)
		return STORE_NONE;
	if (!keyword_is_good(name))
		return STORE_LIMIT;
	/* A letter that somebody else has just taken must not get two meanings. */
	status = box_keywords_import(box);
	for (unsigned i = 0; status == STORE_OK && i < box->keyword_count; i++) {
		*bit = i;
		if (slice_equal_nocase(slice_from(box->keywords[i]), name))
			return STORE_OK;
	}
	*bit = box->keyword_count;
	if (status == STORE_OK)
		status = keyword_add(box, name);
	if (status == STORE_OK && *bit < STORE_LETTERS && !keywords_write(box))
		status = STORE_TEMPORARY;
	if (status != STORE_OK)
		box_keywords_free(box); /* loaded again when next needed */
	return status;
}
