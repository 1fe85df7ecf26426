// SPDX-License-Identifier: ISC
/* First block and envelope records, to bytes and back. Pure functions; whoever reads files checks with these. See format.h. */
#include "queue/format.h"

#include <errno.h>

/* Byte offsets in the first block. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_ARRIVAL = 16,
	AT_CONTENT_OFFSET = 24,
	AT_CONTENT_SIZE = 32,
	AT_CONTENT_LINES = 40,
	AT_ENVELOPE_OFFSET = 48,
	AT_ENVELOPE_SIZE = 56,
	AT_TRAILER_OFFSET = 64,
	AT_TRAILER_SIZE = 72,
	AT_NEXT_TRY = 80,
	AT_DELAY_WARNED = 88,
	AT_ATTEMPTS = 96,
	AT_RECIPIENT_COUNT = 104,
	AT_RECIPIENTS_DONE = 112,
	AT_FLAGS = 120,
	AT_CONTENT_CRC = 128,
	AT_ENVELOPE_CRC = 136,
	AT_REPORT_OFFSET = 144,
	AT_REPORT_SIZE = 152,
	AT_REPORT_ROOM = 160,
	AT_REPORT_CRC = 168,
	AT_RESERVED = 176,
	AT_BLOCK_CRC = QUEUE_BLOCK_SIZE - 8,
};

void queue_block_encode(const struct queue_block *block, unsigned char *bytes)
{
	const struct queue_info *info = &block->info;

	memset(bytes, 0, QUEUE_BLOCK_SIZE);
	memcpy(bytes + AT_MAGIC, QUEUE_MAGIC, 8);
	store_u64(bytes + AT_VERSION, QUEUE_FORMAT_VERSION);
	store_u64(bytes + AT_ARRIVAL, (uint64_t)info->arrival);
	store_u64(bytes + AT_CONTENT_OFFSET, QUEUE_CONTENT_OFFSET);
	store_u64(bytes + AT_CONTENT_SIZE, (uint64_t)info->content_size);
	store_u64(bytes + AT_CONTENT_LINES, (uint64_t)info->content_lines);
	store_u64(bytes + AT_ENVELOPE_OFFSET, (uint64_t)info->envelope_offset);
	store_u64(bytes + AT_ENVELOPE_SIZE, (uint64_t)info->envelope_size);
	store_u64(bytes + AT_TRAILER_OFFSET, (uint64_t)info->trailer_offset);
	store_u64(bytes + AT_TRAILER_SIZE, (uint64_t)info->trailer_size);
	store_u64(bytes + AT_NEXT_TRY, (uint64_t)info->next_try);
	store_u64(bytes + AT_DELAY_WARNED, (uint64_t)info->delay_warned);
	store_u64(bytes + AT_ATTEMPTS, info->attempts);
	store_u64(bytes + AT_RECIPIENT_COUNT, info->recipient_count);
	store_u64(bytes + AT_RECIPIENTS_DONE, info->recipients_done);
	store_u64(bytes + AT_FLAGS, info->flags);
	store_u64(bytes + AT_CONTENT_CRC, block->content_crc);
	store_u64(bytes + AT_ENVELOPE_CRC, block->envelope_crc);
	store_u64(bytes + AT_REPORT_OFFSET, (uint64_t)block->report_offset);
	store_u64(bytes + AT_REPORT_SIZE, (uint64_t)block->report_size);
	store_u64(bytes + AT_REPORT_ROOM, (uint64_t)block->report_room);
	store_u64(bytes + AT_REPORT_CRC, block->report_crc);
	store_u64(bytes + AT_BLOCK_CRC, queue_crc(0, bytes, AT_BLOCK_CRC));
}

/* An unsigned 64-bit field that must not be above `most`. */
static bool field(const unsigned char *at, uint64_t most, uint64_t *value)
{
	*value = load_u64(at);
	return *value <= most;
}

static bool size_field(const unsigned char *at, int64_t most, int64_t *value)
{
	uint64_t v;

	if (!field(at, (uint64_t)most, &v))
		return false;
	*value = (int64_t)v;
	return true;
}

static bool number_field(const unsigned char *at, uint32_t most, uint32_t *value)
{
	uint64_t v;

	if (!field(at, most, &v))
		return false;
	*value = (uint32_t)v;
	return true;
}

/* Sections come in order and do not overlap; an absent one is 0 0. */
static bool sections_in_order(const struct queue_block *block)
{
	const struct queue_info *info = &block->info;
	int64_t end = QUEUE_CONTENT_OFFSET + info->content_size;

	if (info->envelope_offset < end)
		return false;
	end = info->envelope_offset + info->envelope_size;
	if (info->trailer_size && info->trailer_offset < end)
		return false;
	if (info->trailer_size)
		end = info->trailer_offset + info->trailer_size;
	return !block->report_room
		       ? !block->report_size
		       : block->report_offset >= end && block->report_size <= block->report_room;
}

bool queue_block_decode(const unsigned char *bytes, struct queue_block *block)
{
	struct queue_info *info = &block->info;
	int64_t content_offset;

	memset(block, 0, sizeof(*block));
	if (memcmp(bytes + AT_MAGIC, QUEUE_MAGIC, 8) != 0 ||
		load_u64(bytes + AT_VERSION) != QUEUE_FORMAT_VERSION ||
		load_u64(bytes + AT_BLOCK_CRC) != queue_crc(0, bytes, AT_BLOCK_CRC))
		return false;
	return size_field(bytes + AT_ARRIVAL, INT64_MAX, &info->arrival) &&
	       size_field(bytes + AT_CONTENT_OFFSET, QUEUE_CONTENT_OFFSET, &content_offset) &&
	       content_offset == QUEUE_CONTENT_OFFSET &&
	       size_field(bytes + AT_CONTENT_SIZE, QUEUE_MAX_FILE, &info->content_size) &&
	       size_field(bytes + AT_CONTENT_LINES, info->content_size, &info->content_lines) &&
	       size_field(bytes + AT_ENVELOPE_OFFSET, QUEUE_MAX_FILE, &info->envelope_offset) &&
	       size_field(bytes + AT_ENVELOPE_SIZE, QUEUE_MAX_SECTION, &info->envelope_size) &&
	       size_field(bytes + AT_TRAILER_OFFSET, QUEUE_MAX_FILE, &info->trailer_offset) &&
	       size_field(bytes + AT_TRAILER_SIZE, QUEUE_MAX_FILE, &info->trailer_size) &&
	       size_field(bytes + AT_NEXT_TRY, INT64_MAX, &info->next_try) &&
	       size_field(bytes + AT_DELAY_WARNED, INT64_MAX, &info->delay_warned) &&
	       number_field(bytes + AT_ATTEMPTS, UINT32_MAX, &info->attempts) &&
	       number_field(
		       bytes + AT_RECIPIENT_COUNT, QUEUE_MAX_RECIPIENTS, &info->recipient_count) &&
	       number_field(
		       bytes + AT_RECIPIENTS_DONE, info->recipient_count, &info->recipients_done) &&
	       number_field(bytes + AT_FLAGS, UINT32_MAX, &info->flags) &&
	       number_field(bytes + AT_CONTENT_CRC, UINT32_MAX, &block->content_crc) &&
	       number_field(bytes + AT_ENVELOPE_CRC, UINT32_MAX, &block->envelope_crc) &&
	       size_field(bytes + AT_REPORT_OFFSET, QUEUE_MAX_FILE, &block->report_offset) &&
	       size_field(bytes + AT_REPORT_SIZE, QUEUE_MAX_SECTION, &block->report_size) &&
	       size_field(bytes + AT_REPORT_ROOM, QUEUE_MAX_SECTION, &block->report_room) &&
	       number_field(bytes + AT_REPORT_CRC, UINT32_MAX, &block->report_crc) &&
	       sections_in_order(block);
}

static bool add_field(struct buffer *out, struct slice text)
{
	unsigned char length[2];

	if (text.length > QUEUE_MAX_FIELD || slice_find(text, '\0') >= 0) {
		errno = EINVAL;
		return false;
	}
	store_u16(length, (uint32_t)text.length);
	return buffer_append(out, length, sizeof(length)) && buffer_add(out, text);
}

/* One record: its head, then `count` texts. */
static bool add_record(struct buffer *out, unsigned char type, unsigned char mark,
	unsigned char notify, const struct slice *fields, unsigned count)
{
	size_t start = out->length;
	unsigned char head[QUEUE_RECORD_HEAD] = { 0 };

	head[4] = type;
	head[5] = mark;
	head[6] = notify;
	if (!buffer_append(out, head, sizeof(head)))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (!add_field(out, fields[i]))
			return false;
	}
	store_u32((unsigned char *)out->data + start,
		(uint32_t)(out->length - start - QUEUE_RECORD_HEAD));
	return true;
}

bool queue_envelope_encode(const struct queue_envelope *e, struct buffer *out)
{
	struct slice fields[] = { e->sender, e->envid, e->client_name, e->client_address, e->helo,
		e->protocol, e->login };

	if (e->info.recipient_count > QUEUE_MAX_RECIPIENTS) {
		errno = EINVAL;
		return false;
	}
	errno = ENOMEM;
	if (!add_record(
		    out, QUEUE_RECORD_MESSAGE, 0, 0, fields, sizeof(fields) / sizeof(fields[0])))
		return false;
	for (uint32_t i = 0; i < e->info.recipient_count; i++) {
		const struct queue_recipient *r = &e->recipients[i];
		struct slice texts[] = { r->address, r->original, r->orcpt };

		if (!add_record(out, QUEUE_RECORD_RECIPIENT,
			    r->done ? QUEUE_MARK_DONE : QUEUE_MARK_TODO, r->notify, texts, 3))
			return false;
	}
	return true;
}

uint32_t queue_envelope_crc(const unsigned char *bytes, size_t length)
{
	static const unsigned char todo = QUEUE_MARK_TODO;
	uint32_t crc = 0;
	size_t from = 0, at = 0;

	while (length - at >= QUEUE_RECORD_HEAD) {
		crc = queue_crc(crc, bytes + from, at + 5 - from);
		crc = queue_crc(crc, &todo, 1);
		from = at + 6;
		at += QUEUE_RECORD_HEAD;
		if (load_u32(bytes + from - 6) > length - at)
			break;
		at += load_u32(bytes + from - 6);
	}
	return queue_crc(crc, bytes + from, length - from);
}

/* Exactly `count` texts in `length` bytes. */
static bool take_fields(
	const unsigned char *p, size_t length, struct slice **fields, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t size;

		if (length < 2)
			return false;
		size = load_u16(p);
		if (size > QUEUE_MAX_FIELD || size > length - 2)
			return false;
		*fields[i] = slice_of(p + 2, size);
		if (slice_find(*fields[i], '\0') >= 0)
			return false;
		p += 2 + size;
		length -= 2 + size;
	}
	return length == 0;
}

static bool take_message(const unsigned char *body, uint32_t size, struct queue_envelope *e)
{
	struct slice *fields[] = { &e->sender, &e->envid, &e->client_name, &e->client_address,
		&e->helo, &e->protocol, &e->login };

	return take_fields(body, size, fields, sizeof(fields) / sizeof(fields[0]));
}

static bool take_recipient(const unsigned char *head, uint32_t size, struct queue_recipient *r)
{
	struct slice *fields[] = { &r->address, &r->original, &r->orcpt };

	if (head[5] != QUEUE_MARK_TODO && head[5] != QUEUE_MARK_DONE)
		return false;
	r->done = head[5] == QUEUE_MARK_DONE;
	r->notify = head[6];
	return take_fields(head + QUEUE_RECORD_HEAD, size, fields, 3);
}

bool queue_envelope_decode(const unsigned char *bytes, size_t length, int64_t offset,
	struct arena *arena, struct queue_envelope *e)
{
	uint32_t count = e->info.recipient_count, seen = 0, done = 0;
	bool message = false;

	/* A recipient takes more than its head, so a wrong count cannot ask for more memory than the file has bytes. */
	if (count > length / QUEUE_RECORD_HEAD)
		goto bad;
	e->recipients = arena_array(arena, count ? count : 1, sizeof(*e->recipients));
	if (!e->recipients) {
		errno = ENOMEM;
		return false;
	}
	for (size_t at = 0; at < length;) {
		const unsigned char *head = bytes + at;
		uint32_t size;

		if (length - at < QUEUE_RECORD_HEAD)
			goto bad;
		size = load_u32(head);
		if (size > length - at - QUEUE_RECORD_HEAD || head[7] != 0)
			goto bad;
		if (head[4] == QUEUE_RECORD_MESSAGE && head[5] == 0 && !message) {
			message = take_message(head + QUEUE_RECORD_HEAD, size, e);
			if (!message)
				goto bad;
		} else if (head[4] == QUEUE_RECORD_RECIPIENT && seen < count) {
			struct queue_recipient *r = &e->recipients[seen++];

			if (!take_recipient(head, size, r))
				goto bad;
			r->offset = offset + (int64_t)at;
			done += r->done;
		} else {
			goto bad;
		}
		at += QUEUE_RECORD_HEAD + size;
	}
	if (!message || seen != count)
		goto bad;
	/* The marks are the truth; the block's number is only as new as its last update. */
	e->info.recipients_done = done;
	return true;
bad:
	errno = EBADMSG;
	return false;
}
