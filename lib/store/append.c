// SPDX-License-Identifier: ISC
/*
 * APPEND and COPY. An appended message is written to tmp/ while it comes in; the commit gives out UIDs, moves all files into
 * cur/ with their UIDs in the names, syncs the folder, and writes the rows. Because the name holds UID and flags, a crash that
 * takes the row with it loses nothing: the rows need no sync of their own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

enum { APPEND_MESSAGES_MAX = 10000, APPEND_KEYWORDS_MAX = 64, APPEND_CHUNK = 65536 };

struct append_message {
	char base[160]; /* its file in tmp/ */
	char name[STORE_FILE_NAME]; /* in cur/, once it is there */
	bool moved;
	uint8_t flags;
	char **keywords;
	unsigned keyword_count;
	uint64_t keyword_bits;
	int64_t date, size, bare_lines; /* LFs that will be CR LF when read */
	uint32_t uid;
};
struct store_append {
	struct store *store;
	struct box box;
	int tmp, fd; /* tmp/; the message being written */
	struct vector messages; /* of struct append_message */
	struct buffer pending; /* not yet written */
	char last; /* byte put out last */
	bool held_cr; /* a CR at the end of a chunk, whose LF may follow */
	enum store_status status; /* first failure */
};

enum store_status store_append_begin(
	struct store *store, struct slice name, struct store_append **result)
{
	struct store_append *append = calloc(1, sizeof(*append));
	enum store_status status;

	*result = NULL;
	if (!append)
		return store_failed(store, "out of memory");
	append->store = store;
	append->fd = -1;
	append->status = STORE_OK;
	append->messages = vector_of(sizeof(struct append_message), APPEND_MESSAGES_MAX);
	append->pending = buffer_limited(2 * APPEND_CHUNK);
	status = box_open(store, name, &append->box);
	if (status != STORE_OK) {
		free(append);
		return status;
	}
	append->tmp = os_openat(append->box.dir, "tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (append->tmp < 0) {
		status = store_system_failed(store, "tmp");
		store_append_abort(&append);
		return status;
	}
	*result = append;
	return STORE_OK;
}

static struct append_message *last_message(const struct store_append *append)
{
	return append->messages.count ? vector_at(&append->messages, append->messages.count - 1)
				      : NULL;
}

static enum store_status flush_pending(struct store_append *append)
{
	struct append_message *message = last_message(append);

	if (append->pending.length == 0)
		return STORE_OK;
	if (!os_write_all(append->fd, append->pending.data, append->pending.length))
		return store_system_failed(append->store, message->base);
	message->size += (int64_t)append->pending.length;
	if (message->size > STORE_MAX_MESSAGE / 2)
		return STORE_LIMIT;
	buffer_clear(&append->pending);
	return STORE_OK;
}

static bool put_byte(struct store_append *append, char c)
{
	if (c == '\n' && append->last != '\r')
		last_message(append)->bare_lines++;
	append->last = c;
	return buffer_add_byte(&append->pending, c);
}

static bool put_run(struct store_append *append, struct slice run)
{
	if (run.length)
		append->last = run.data[run.length - 1];
	return buffer_add(&append->pending, run);
}

/* The message is whole: date, fsync. */
static enum store_status finish_message(struct store_append *append)
{
	struct append_message *message = last_message(append);
	enum store_status status;

	if (append->fd < 0)
		return STORE_OK;
	if (append->held_cr && !put_byte(append, '\r'))
		return store_failed(append->store, "out of memory");
	append->held_cr = false;
	status = flush_pending(append);
	if (status != STORE_OK)
		return status;
	if (!os_set_mtime(append->fd, message->date) || !os_fsync(append->fd))
		return store_system_failed(append->store, message->base);
	os_close(&append->fd);
	return STORE_OK;
}

static enum store_status keep_keywords(
	struct append_message *message, const struct slice *keywords, unsigned count)
{
	if (count > APPEND_KEYWORDS_MAX)
		return STORE_LIMIT;
	message->keywords = count ? calloc(count, sizeof(char *)) : NULL;
	if (count && !message->keywords)
		return STORE_TEMPORARY;
	for (; message->keyword_count < count; message->keyword_count++) {
		char *copy = slice_dup(keywords[message->keyword_count]);

		if (!copy)
			return STORE_TEMPORARY;
		message->keywords[message->keyword_count] = copy;
	}
	return STORE_OK;
}

static enum store_status begin_message(struct store_append *append, uint8_t flags,
	const struct slice *keywords, unsigned keyword_count, int64_t internal_date)
{
	struct store *store = append->store;
	struct append_message *message;
	enum store_status status = finish_message(append);

	if (status != STORE_OK)
		return status;
	message = vector_add(&append->messages);
	if (!message)
		return STORE_LIMIT;
	message->flags = flags & FLAG_SYSTEM;
	message->date = internal_date;
	append->last = '\0';
	store_file_base(
		message->base, sizeof(message->base), store->host, store->unique, store->serial++);
	append->fd = os_openat(
		append->tmp, message->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (append->fd < 0)
		return store_system_failed(store, message->base);
	return keep_keywords(message, keywords, keyword_count);
}

enum store_status store_append_message(struct store_append *append, uint8_t flags,
	const struct slice *keywords, unsigned keyword_count, int64_t internal_date,
	uint64_t size_hint)
{
	int64_t more = size_hint < (uint64_t)STORE_MAX_MESSAGE ? (int64_t)size_hint : 0;

	if (append->status == STORE_OK)
		append->status = quota_check(append->store->root, append->store->quota, more);
	if (append->status == STORE_OK)
		append->status =
			begin_message(append, flags, keywords, keyword_count, internal_date);
	return append->status;
}

/* CR LF becomes LF; every other CR and LF stays what it is. */
static bool put_data(struct store_append *append, struct slice data)
{
	ptrdiff_t at;

	if (append->held_cr && data.length) {
		append->held_cr = false;
		if (data.data[0] != '\n' && !put_byte(append, '\r'))
			return false;
	}
	while ((at = slice_find(data, '\n')) >= 0) {
		struct slice line = slice_head(data, (size_t)at);

		data = slice_tail(data, (size_t)at + 1);
		if (line.length && line.data[line.length - 1] == '\r')
			line.length--;
		if (!put_run(append, line) || !put_byte(append, '\n'))
			return false;
	}
	if (data.length && data.data[data.length - 1] == '\r') {
		append->held_cr = true;
		data.length--;
	}
	return put_run(append, data);
}

enum store_status store_append_data(struct store_append *append, struct slice data)
{
	while (append->status == STORE_OK && data.length) {
		struct slice piece = slice_head(data, APPEND_CHUNK);

		data = slice_tail(data, piece.length);
		if (append->fd < 0)
			append->status = store_failed(append->store, "no message was begun");
		else if (!put_data(append, piece))
			append->status = store_failed(append->store, "out of memory");
		else if (append->pending.length >= APPEND_CHUNK / 2)
			append->status = flush_pending(append);
	}
	return append->status;
}

/* --- commit --- */

static bool add_uid(struct vector *uids, uint32_t uid)
{
	uint32_t *slot = uids ? vector_add(uids) : NULL;

	if (slot)
		*slot = uid;
	return slot || !uids;
}

static enum store_status keyword_bits(struct store_append *append, struct append_message *message)
{
	enum store_status status = STORE_OK;

	message->keyword_bits = 0;
	for (unsigned i = 0; i < message->keyword_count && status == STORE_OK; i++) {
		unsigned bit;

		status = box_keyword(&append->box, slice_from(message->keywords[i]), true, &bit);
		if (status == STORE_OK)
			message->keyword_bits |= 1ull << bit;
	}
	return status;
}

/* Into cur/ under the final name. */
static enum store_status place(struct store_append *append, struct append_message *message)
{
	struct box *box = &append->box;
	enum store_status status = keyword_bits(append, message);
	char letters[40];

	if (status != STORE_OK)
		return status;
	message->uid = box_next_uid(box);
	if (!message->uid)
		return STORE_TEMPORARY;
	store_letters_write(message->flags, message->keyword_bits, box->forwarded, letters);
	if (!store_file_format(message->name, slice_from(message->base), slice_of(NULL, 0),
		    message->size, message->size + message->bare_lines, message->uid, letters))
		return store_failed(append->store, "%s: name too long", message->base);
	if (!os_renameat(append->tmp, message->base, box->cur, message->name))
		return store_system_failed(append->store, message->base);
	message->moved = true;
	return box_insert(box, message->uid, message->flags, message->keyword_bits,
		message->size + message->bare_lines, message->date, slice_from(message->name));
}

static enum store_status place_all(struct store_append *append)
{
	struct box *box = &append->box;
	enum store_status status = STORE_OK;

	box->row.highest_modseq++;
	for (size_t i = 0; i < append->messages.count && status == STORE_OK; i++)
		status = place(append, vector_at(&append->messages, i));
	if (status == STORE_OK && !os_fsync(box->cur))
		status = store_system_failed(append->store, "cur");
	if (status == STORE_OK)
		box_touch(box);
	return status;
}

static void free_append(struct store_append *append, bool remove)
{
	for (size_t i = 0; i < append->messages.count; i++) {
		struct append_message *message = vector_at(&append->messages, i);

		if (remove && message->moved)
			(void)!os_unlinkat(append->box.cur, message->name, 0);
		else if (remove)
			(void)!os_unlinkat(append->tmp, message->base, 0);
		for (unsigned k = 0; k < message->keyword_count; k++)
			free(message->keywords[k]);
		free(message->keywords);
	}
	os_close(&append->fd);
	os_close(&append->tmp);
	vector_free(&append->messages);
	buffer_free(&append->pending);
	box_close(&append->box);
	free(append);
}

enum store_status store_append_commit(
	struct store_append **handle, uint32_t *uid_validity, struct vector *uids)
{
	struct store_append *append = *handle;
	struct store *store = append->store;
	enum store_status status = append->status;
	int64_t size = 0;

	*handle = NULL;
	if (status == STORE_OK)
		status = finish_message(append);
	for (size_t i = 0; i < append->messages.count; i++)
		size += ((struct append_message *)vector_at(&append->messages, i))->size;
	if (status == STORE_OK)
		status = quota_check(store->root, store->quota, size);
	if (status == STORE_OK)
		status = box_begin(&append->box, false);
	if (status == STORE_OK) {
		status = place_all(append);
		if (status == STORE_OK)
			status = box_commit(&append->box);
		else
			store_rollback(store);
	}
	for (size_t i = 0; i < append->messages.count && status == STORE_OK; i++) {
		struct append_message *message = vector_at(&append->messages, i);

		/* Out of memory for the answer, but the messages are there. */
		(void)add_uid(uids, message->uid);
	}
	if (status == STORE_OK) {
		*uid_validity = append->box.row.uid_validity;
		quota_add(store->root, store->quota, size, (int64_t)append->messages.count);
	}
	free_append(append, status != STORE_OK);
	return status;
}

void store_append_abort(struct store_append **append)
{
	if (*append)
		free_append(*append, true);
	*append = NULL;
}
