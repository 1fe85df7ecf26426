// SPDX-License-Identifier: ISC
/*
 * Reading messages. Small things a client asks for again and again (header block, envelope, structure) are rendered once and
 * kept in the database. A read plan says that a range will be read in order: then rows come in chunks by one SELECT, and what had
 * to be made is written back in one transaction.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail/crlf.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "store/internal.h"

enum {
	PLAN_COLUMNS = 3,
	PLAN_CHUNK_BYTES = 4 << 20,
	KEEP_BUFFER = 8 << 20, /* a larger one is given back after use */
	HEAD_READ = 16384, /* first piece of a large message */
	STRUCTURE_ARENA = 32 << 20,
};
#define READ_LIMIT ((size_t)1 << 30) /* bytes of one message in memory */

struct chunk_row {
	uint32_t uid;
	struct {
		size_t offset, length;
		bool there;
	} column[PLAN_COLUMNS];
};
/* Rows of one of the tables for UIDs from..to; a UID in between that is missing has no row. */
struct chunk {
	enum statement statement;
	unsigned columns;
	bool valid;
	uint32_t from, to;
	size_t next; /* where the next look-up will likely hit */
	struct vector rows; /* of struct chunk_row */
	struct buffer data;
};
struct fill {
	uint32_t uid;
	bool header;
	struct {
		size_t offset, length;
		bool there;
	} column[PLAN_COLUMNS];
};
struct read_plan {
	bool active;
	uint32_t last; /* UID */
	struct chunk names, structures, headers;
	struct buffer raw, text;
	struct slice message; /* of text_uid, in raw or text */
	uint32_t text_uid; /* 0: none */
	struct buffer head;
	uint32_t head_uid;
	struct buffer rendered[PLAN_COLUMNS];
	bool is_rendered[PLAN_COLUMNS];
	uint32_t rendered_uid;
	struct arena arena;
	struct vector fills; /* of struct fill */
	struct buffer fill_data;
};

static struct read_plan *plan_of(struct mailbox *mailbox)
{
	struct read_plan *plan = mailbox->plan;

	if (plan)
		return plan;
	plan = calloc(1, sizeof(*plan));
	if (!plan) {
		(void)store_failed(mailbox->store, "out of memory");
		return NULL;
	}
	plan->names = (struct chunk){ .statement = SQL_MESSAGE_NAMES, .columns = 1 };
	plan->structures = (struct chunk){ .statement = SQL_STRUCTURES, .columns = 3 };
	plan->headers = (struct chunk){ .statement = SQL_HEADERS, .columns = 1 };
	plan->names.rows = plan->structures.rows = plan->headers.rows =
		vector_of(sizeof(struct chunk_row), STORE_PLAN_ROWS);
	plan->raw.limit = plan->text.limit = READ_LIMIT;
	plan->fills = vector_of(sizeof(struct fill), STORE_FILL_ROWS);
	arena_init(&plan->arena, STRUCTURE_ARENA);
	mailbox->plan = plan;
	return plan;
}

static void chunk_free(struct chunk *chunk)
{
	vector_free(&chunk->rows);
	buffer_free(&chunk->data);
}

void read_plan_free(struct read_plan **plan)
{
	struct read_plan *p = *plan;

	if (!p)
		return;
	chunk_free(&p->names);
	chunk_free(&p->structures);
	chunk_free(&p->headers);
	buffer_free(&p->raw);
	buffer_free(&p->text);
	buffer_free(&p->head);
	for (unsigned i = 0; i < PLAN_COLUMNS; i++)
		buffer_free(&p->rendered[i]);
	arena_free(&p->arena);
	vector_free(&p->fills);
	buffer_free(&p->fill_data);
	free(p);
	*plan = NULL;
}

void read_plan_stale(struct mailbox *mailbox)
{
	if (mailbox->plan)
		mailbox->plan->names.valid = false;
}

/* --- rows in chunks --- */

static bool chunk_take(struct chunk *chunk, sqlite3_stmt *s)
{
	struct chunk_row *row = vector_add(&chunk->rows);

	if (!row)
		return false;
	row->uid = (uint32_t)sqlite3_column_int64(s, 0);
	for (unsigned i = 0; i < chunk->columns; i++) {
		struct slice value = store_column(s, (int)i + 1);

		row->column[i].offset = chunk->data.length;
		row->column[i].length = value.length;
		row->column[i].there = sqlite3_column_type(s, (int)i + 1) != SQLITE_NULL;
		if (!buffer_add(&chunk->data, value))
			return false;
	}
	return true;
}

static bool chunk_load(struct mailbox *mailbox, struct chunk *chunk, uint32_t uid, uint32_t last)
{
	sqlite3_stmt *s =
		store_sql(mailbox->store, chunk->statement, "iii", box_id(&mailbox->box, uid),
			box_id(&mailbox->box, last), (int64_t)(last > uid ? STORE_PLAN_ROWS : 1));
	int result;

	chunk->valid = false;
	chunk->next = 0;
	chunk->data.limit = READ_LIMIT;
	vector_clear(&chunk->rows);
	buffer_clear(&chunk->data);
	while ((result = store_step(mailbox->store, s)) > 0) {
		if (!chunk_take(chunk, s)) {
			sqlite3_reset(s);
			(void)store_failed(mailbox->store, "out of memory");
			return false;
		}
		if (chunk->data.length > PLAN_CHUNK_BYTES || chunk->rows.count >= STORE_PLAN_ROWS)
			break;
	}
	if (result > 0) {
		const struct chunk_row *end = vector_at(&chunk->rows, chunk->rows.count - 1);

		last = end->uid;
		sqlite3_reset(s);
	}
	chunk->from = uid;
	chunk->to = last;
	chunk->valid = result >= 0;
	return chunk->valid;
}

/* The row of a UID; *row NULL when there is none. False on failure. */
static bool chunk_find(
	struct mailbox *mailbox, struct chunk *chunk, uint32_t uid, const struct chunk_row **row)
{
	const struct read_plan *plan = mailbox->plan;
	uint32_t last = plan->active && plan->last > uid ? plan->last : uid;
	size_t low = 0, high;

	*row = NULL;
	if (!chunk->valid || uid < chunk->from || uid > chunk->to) {
		if (!chunk_load(mailbox, chunk, uid, last))
			return false;
	}
	high = chunk->rows.count;
	if (chunk->next < high &&
		((const struct chunk_row *)vector_at(&chunk->rows, chunk->next))->uid == uid)
		low = chunk->next;
	while (low < high) {
		size_t middle = low == chunk->next ? low : low + (high - low) / 2;
		const struct chunk_row *at = vector_at(&chunk->rows, middle);

		if (at->uid == uid) {
			chunk->next = middle + 1;
			*row = at;
			return true;
		}
		if (at->uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return true;
}

static struct slice chunk_value(const struct chunk *chunk, const struct chunk_row *row, unsigned i)
{
	const char *data = chunk->data.data ? chunk->data.data : "";

	return slice_of(data + row->column[i].offset, row->column[i].length);
}

enum store_status mailbox_file(struct mailbox *mailbox, uint32_t uid, char *name)
{
	struct read_plan *plan = plan_of(mailbox);
	const struct chunk_row *row;

	if (!plan || !chunk_find(mailbox, &plan->names, uid, &row))
		return STORE_TEMPORARY;
	/* A single look-up is not kept: who knows when the next comes. */
	if (!plan->active)
		plan->names.valid = false;
	if (!row || !slice_to_string(chunk_value(&plan->names, row, 0), name, STORE_FILE_NAME))
		return STORE_NONE;
	return STORE_OK;
}

/* --- files --- */

/* Another program may have renamed it since: look once at the folder as it is. */
static enum store_status open_message(struct mailbox *mailbox, uint32_t uid, int *fd, char *name)
{
	enum store_status status;

	for (unsigned try = 0; try < 2; try++) {
		status = mailbox_file(mailbox, uid, name);
		if (status != STORE_OK)
			return status;
		*fd = os_openat(mailbox->box.cur, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
		if (*fd >= 0)
			return STORE_OK;
		if (errno != ENOENT)
			return store_system_failed(mailbox->store, name);
		read_plan_stale(mailbox);
		status = try ? STORE_OK : box_refresh(&mailbox->box, true);
		if (status != STORE_OK)
			return status;
	}
	return STORE_NONE;
}

/* Up to `most` bytes; *whole tells whether that was all. */
static enum store_status read_raw(struct mailbox *mailbox, uint32_t uid, size_t most,
	struct buffer *raw, struct file_name *parsed, bool *whole)
{
	char name[STORE_FILE_NAME];
	int fd = -1;
	size_t want;
	ssize_t n = 0;
	enum store_status status = open_message(mailbox, uid, &fd, name);

	if (status != STORE_OK)
		return status;
	*parsed = store_file_parse(slice_from(name));
	/* The name tells the size; one byte more tells the end without another call. */
	want = parsed->size >= 0 ? (size_t)parsed->size + 1 : 65536;
	if (want > most)
		want = most;
	if (raw->capacity > KEEP_BUFFER && want < KEEP_BUFFER)
		buffer_free(raw);
	buffer_clear(raw);
	*whole = false;
	while (!*whole && raw->length < most) {
		char *at = buffer_reserve(raw, want);

		n = at ? os_read(fd, at, want) : -1;
		if (n < 0)
			break;
		raw->length += (size_t)n;
		*whole = (size_t)n < want;
		want = want < 65536 ? 65536 : want;
		if (want > most - raw->length)
			want = most - raw->length;
	}
	if (n < 0)
		status = store_system_failed(mailbox->store, name);
	os_close(&fd);
	parsed->base = parsed->extra = parsed->letters = slice_of(NULL, 0);
	return status;
}

/* What was told about the size was wrong: somebody changed the file, or gave it a wrong name. */
static void correct_size(struct mailbox *mailbox, uint32_t index, size_t size)
{
	struct message_entry *entry = &mailbox->entries[index];
	struct current now;

	if (size > UINT32_MAX || store_begin(mailbox->store, false) != STORE_OK)
		return;
	if (box_load(&mailbox->box) == STORE_OK &&
		box_current(&mailbox->box, entry->uid, &now) == STORE_OK &&
		store_run(mailbox->store, SQL_MESSAGE_SIZE, "ii", box_id(&mailbox->box, entry->uid),
			(int64_t)size)) {
		mailbox->box.row.size += (int64_t)size - now.size;
		if (box_commit(&mailbox->box) == STORE_OK)
			entry->size = (uint32_t)size;
	} else {
		store_rollback(mailbox->store);
	}
}

static bool valid_index(const struct mailbox *mailbox, uint32_t index)
{
	return index < mailbox->count;
}

enum store_status mailbox_read(struct mailbox *mailbox, uint32_t index, struct slice *message)
{
	struct read_plan *plan = plan_of(mailbox);
	struct file_name parsed;
	enum store_status status;
	uint32_t uid;
	bool whole;

	*message = slice_of("", 0);
	if (!plan || !valid_index(mailbox, index))
		return plan ? STORE_NONE : STORE_TEMPORARY;
	uid = mailbox->entries[index].uid;
	if (plan->text_uid == uid) {
		*message = plan->message;
		return STORE_OK;
	}
	plan->text_uid = 0;
	status = read_raw(mailbox, uid, READ_LIMIT, &plan->raw, &parsed, &whole);
	if (status != STORE_OK)
		return status;
	plan->message = buffer_slice(&plan->raw);
	if (parsed.size != (int64_t)plan->raw.length || parsed.virtual_size != parsed.size) {
		if (plan->text.capacity > KEEP_BUFFER && plan->raw.length < KEEP_BUFFER)
			buffer_free(&plan->text);
		buffer_clear(&plan->text);
		if (!crlf_expand(plan->message, &plan->text))
			return store_failed(mailbox->store, "message too large for memory");
		plan->message = buffer_slice(&plan->text);
	}
	if (plan->message.length != mailbox->entries[index].size)
		correct_size(mailbox, index, plan->message.length);
	plan->text_uid = uid;
	*message = plan->message;
	return STORE_OK;
}

/* --- what is written back --- */

static void flush_fills(struct mailbox *mailbox)
{
	struct read_plan *plan = mailbox->plan;
	struct slice v[PLAN_COLUMNS];
	const char *data;
	bool good = true;

	if (!plan || plan->fills.count == 0)
		return;
	/* All values may be empty: that is a buffer without memory, and still values. */
	data = plan->fill_data.data ? plan->fill_data.data : "";
	/* Only a cache: when it cannot be written the next reader makes it again. */
	if (store_begin(mailbox->store, false) == STORE_OK) {
		for (size_t i = 0; i < plan->fills.count && good; i++) {
			const struct fill *f = vector_at(&plan->fills, i);

			for (unsigned k = 0; k < PLAN_COLUMNS; k++)
				v[k] = slice_of(
					f->column[k].there ? data + f->column[k].offset : NULL,
					f->column[k].length);
			good = f->header ? store_run(mailbox->store, SQL_HEADER_PUT, "ib",
						   box_id(&mailbox->box, f->uid), v[0])
					 : store_run(mailbox->store, SQL_STRUCTURE_PUT, "ibbb",
						   box_id(&mailbox->box, f->uid), v[0], v[1], v[2]);
		}
		if (good)
			good = store_commit(mailbox->store) == STORE_OK;
		else
			store_rollback(mailbox->store);
	}
	vector_clear(&plan->fills);
	buffer_clear(&plan->fill_data);
	if (!plan->active)
		plan->structures.valid = plan->headers.valid = false;
}

static void add_fill(struct mailbox *mailbox, uint32_t uid, bool header, const struct slice *values)
{
	struct read_plan *plan = mailbox->plan;
	struct fill *fill = vector_add(&plan->fills);

	if (!fill)
		return;
	*fill = (struct fill){ .uid = uid, .header = header };
	for (unsigned k = 0; k < PLAN_COLUMNS; k++) {
		if (!values[k].data)
			continue;
		fill->column[k].offset = plan->fill_data.length;
		fill->column[k].length = values[k].length;
		fill->column[k].there = buffer_add(&plan->fill_data, values[k]);
	}
	if (!plan->active || plan->fills.count >= STORE_FILL_ROWS ||
		plan->fill_data.length >= STORE_FILL_BYTES || plan->fill_data.failed)
		flush_fills(mailbox);
}

/* --- headers --- */

/* The header block of a large message, without reading all of it where that can be had. */
static enum store_status read_head(struct mailbox *mailbox, uint32_t index, struct slice *headers)
{
	struct read_plan *plan = mailbox->plan;
	uint32_t uid = mailbox->entries[index].uid;
	struct file_name parsed;
	enum store_status status;
	bool whole;

	if (plan->head_uid != uid) {
		plan->head_uid = plan->text_uid = 0;
		status = read_raw(mailbox, uid, HEAD_READ, &plan->raw, &parsed, &whole);
		if (status != STORE_OK)
			return status;
		buffer_clear(&plan->head);
		if (!crlf_expand(buffer_slice(&plan->raw), &plan->head))
			return store_failed(mailbox->store, "out of memory");
		plan->head_uid = uid;
	}
	*headers = buffer_slice(&plan->head);
	headers->length = header_length_lax(*headers);
	if (headers->length < plan->head.length)
		return STORE_OK;
	status = mailbox_read(mailbox, index, headers);
	if (status == STORE_OK)
		headers->length = header_length_lax(*headers);
	return status;
}

static enum store_status fresh_headers(
	struct mailbox *mailbox, uint32_t index, struct slice *headers)
{
	enum store_status status;

	if (mailbox->entries[index].size > STORE_WHOLE_READ &&
		mailbox->plan->text_uid != mailbox->entries[index].uid)
		return read_head(mailbox, index, headers);
	status = mailbox_read(mailbox, index, headers);
	if (status == STORE_OK)
		headers->length = header_length_lax(*headers);
	return status;
}

enum store_status mailbox_read_headers(
	struct mailbox *mailbox, uint32_t index, struct slice *headers)
{
	struct read_plan *plan = plan_of(mailbox);
	struct slice values[PLAN_COLUMNS] = { 0 };
	const struct chunk_row *row;
	enum store_status status;
	uint32_t uid;

	*headers = slice_of("", 0);
	if (!plan || !valid_index(mailbox, index))
		return plan ? STORE_NONE : STORE_TEMPORARY;
	uid = mailbox->entries[index].uid;
	if (plan->text_uid == uid) {
		*headers = slice_head(plan->message, header_length_lax(plan->message));
		return STORE_OK;
	}
	if (!chunk_find(mailbox, &plan->headers, uid, &row))
		return STORE_TEMPORARY;
	if (row && row->column[0].there) {
		*headers = chunk_value(&plan->headers, row, 0);
		return STORE_OK;
	}
	status = fresh_headers(mailbox, index, headers);
	if (status == STORE_OK && headers->length <= STORE_HEADER_CACHE) {
		values[0] = *headers;
		add_fill(mailbox, uid, true, values);
	}
	return status;
}

/* --- envelope and structure --- */

static bool render_envelope(struct read_plan *plan, struct slice headers)
{
	buffer_clear(&plan->rendered[STORE_ENVELOPE]);
	plan->is_rendered[STORE_ENVELOPE] =
		mime_write_envelope(headers, &plan->arena, &plan->rendered[STORE_ENVELOPE]);
	arena_reset(&plan->arena);
	return plan->is_rendered[STORE_ENVELOPE];
}

static bool render_structures(struct read_plan *plan, struct slice message)
{
	struct mime_part *top = mime_parse(message, &plan->arena);
	bool good = top != NULL;

	for (unsigned part = STORE_BODY; good && part <= STORE_BODYSTRUCTURE; part++) {
		buffer_clear(&plan->rendered[part]);
		good = mime_write_structure(
			top, message, part == STORE_BODYSTRUCTURE, &plan->rendered[part]);
		plan->is_rendered[part] = good;
	}
	arena_reset(&plan->arena);
	return good;
}

static enum store_status render(struct mailbox *mailbox, uint32_t index, enum store_part part)
{
	struct read_plan *plan = mailbox->plan;
	struct slice message;
	enum store_status status;
	bool good;

	memset(plan->is_rendered, 0, sizeof(plan->is_rendered));
	plan->rendered_uid = mailbox->entries[index].uid;
	if (part == STORE_ENVELOPE && mailbox->entries[index].size > STORE_WHOLE_READ) {
		status = mailbox_read_headers(mailbox, index, &message);
		good = status == STORE_OK && render_envelope(plan, message);
	} else {
		status = mailbox_read(mailbox, index, &message);
		good = status == STORE_OK && render_structures(plan, message) &&
		       render_envelope(plan, slice_head(message, header_length_lax(message)));
	}
	if (status == STORE_OK && !good)
		status = store_failed(mailbox->store, "structure too large for memory");
	return status;
}

static void keep_rendered(struct mailbox *mailbox)
{
	struct read_plan *plan = mailbox->plan;
	struct slice values[PLAN_COLUMNS] = { 0 };

	for (unsigned i = 0; i < PLAN_COLUMNS; i++) {
		if (plan->is_rendered[i] && plan->rendered[i].length <= STORE_STRUCTURE_CACHE)
			values[i] = buffer_slice(&plan->rendered[i]);
	}
	add_fill(mailbox, plan->rendered_uid, false, values);
}

enum store_status mailbox_read_cached(
	struct mailbox *mailbox, uint32_t index, enum store_part part, struct slice *text)
{
	struct read_plan *plan = plan_of(mailbox);
	const struct chunk_row *row;
	enum store_status status;
	uint32_t uid;

	*text = slice_of("", 0);
	if (!plan || !valid_index(mailbox, index))
		return plan ? STORE_NONE : STORE_TEMPORARY;
	uid = mailbox->entries[index].uid;
	if (plan->rendered_uid != uid || !plan->is_rendered[part]) {
		if (!chunk_find(mailbox, &plan->structures, uid, &row))
			return STORE_TEMPORARY;
		if (row && row->column[part].there) {
			*text = chunk_value(&plan->structures, row, part);
			return STORE_OK;
		}
		status = render(mailbox, index, part);
		if (status != STORE_OK) {
			plan->rendered_uid = 0;
			return status;
		}
		keep_rendered(mailbox);
	}
	*text = buffer_slice(&plan->rendered[part]);
	return STORE_OK;
}

/* --- the plan --- */

void mailbox_plan_read(struct mailbox *mailbox, uint32_t first, uint32_t last)
{
	struct read_plan *plan = plan_of(mailbox);

	mailbox_plan_end(mailbox);
	if (!plan || mailbox->count == 0 || first >= mailbox->count)
		return;
	plan->active = true;
	plan->last = mailbox->entries[last < mailbox->count ? last : mailbox->count - 1].uid;
	plan->names.valid = plan->structures.valid = plan->headers.valid = false;
}

void mailbox_plan_end(struct mailbox *mailbox)
{
	struct read_plan *plan = mailbox->plan;

	if (!plan)
		return;
	flush_fills(mailbox);
	plan->active = false;
	plan->names.valid = plan->structures.valid = plan->headers.valid = false;
}
