// SPDX-License-Identifier: ISC
/*
 * Reading queue files, and the two changes made to a file after its commit: marks in place, and updates of the first block
 * with a report of reasons behind it. A file is checked whole before anything of it is believed. See queue.h.
 */
#include "queue/format.h"

#include <errno.h>

#include "os/os.h"

enum { READ_STEP = 64 << 10 };

/* Exactly `length` bytes; a file that ends before is a bad one. */
static bool read_exact(int fd, void *data, size_t length, int64_t offset)
{
	size_t have = 0;

	while (have < length) {
		ssize_t n =
			os_pread(fd, (char *)data + have, length - have, offset + (int64_t)have);

		if (n < 0)
			return false;
		if (n == 0) {
			errno = EBADMSG;
			return false;
		}
		have += (size_t)n;
	}
	return true;
}

static bool read_block(int fd, struct queue_block *block)
{
	unsigned char bytes[QUEUE_BLOCK_SIZE];

	if (!read_exact(fd, bytes, sizeof(bytes), 0))
		return false;
	if (queue_block_decode(bytes, block))
		return true;
	errno = EBADMSG;
	return false;
}

static bool check_content(int fd, const struct queue_block *block)
{
	char bytes[READ_STEP];
	int64_t left = block->info.content_size, at = QUEUE_CONTENT_OFFSET;
	uint32_t crc = 0;

	while (left) {
		size_t step = left < READ_STEP ? (size_t)left : READ_STEP;

		if (!read_exact(fd, bytes, step, at))
			return false;
		crc = queue_crc(crc, bytes, step);
		at += (int64_t)step;
		left -= (int64_t)step;
	}
	if (crc == block->content_crc)
		return true;
	errno = EBADMSG;
	return false;
}

/* Reasons of recipients: index, dsn, text. Nothing depends on them, so a report that was torn is as good as none. */
static void take_report(const unsigned char *p, size_t length, struct queue_envelope *e)
{
	while (length >= 8) {
		uint32_t index = load_u32(p), dsn = load_u16(p + 4), text = load_u16(p + 6);

		p += 8;
		length -= 8;
		if (dsn > length || text > length - dsn || index >= e->info.recipient_count ||
			memchr(p, 0, dsn + text))
			return;
		e->recipients[index].dsn = slice_of(p, dsn);
		e->recipients[index].reason = slice_of(p + dsn, text);
		p += dsn + text;
		length -= dsn + text;
	}
}

static bool read_report(int fd, const struct queue_block *block, int64_t file_size,
	struct arena *arena, struct queue_envelope *e)
{
	unsigned char *bytes;

	if (!block->report_size || block->report_offset > file_size - block->report_size)
		return true;
	bytes = arena_alloc(arena, (size_t)block->report_size);
	if (!bytes) {
		errno = ENOMEM;
		return false;
	}
	if (!read_exact(fd, bytes, (size_t)block->report_size, block->report_offset))
		return errno == EBADMSG;
	if (queue_crc(0, bytes, (size_t)block->report_size) == block->report_crc)
		take_report(bytes, (size_t)block->report_size, e);
	return true;
}

static bool wants_content(enum queue_check check, const struct queue_info *info)
{
	return check == QUEUE_CHECK_ALL || (check == QUEUE_CHECK_NEW && info->attempts == 0);
}

bool queue_read(
	int fd, enum queue_check check, struct arena *arena, struct queue_envelope *envelope)
{
	struct queue_block block;
	struct stat status;
	unsigned char *bytes;
	size_t size;

	memset(envelope, 0, sizeof(*envelope));
	if (!os_fstat(fd, &status))
		return false;
	if (!S_ISREG(status.st_mode)) {
		errno = EBADMSG;
		return false;
	}
	if (!read_block(fd, &block))
		return false;
	if (block.info.envelope_offset > status.st_size - block.info.envelope_size ||
		block.info.trailer_offset > status.st_size - block.info.trailer_size) {
		errno = EBADMSG;
		return false;
	}
	envelope->info = block.info;
	size = (size_t)block.info.envelope_size;
	bytes = arena_alloc(arena, size ? size : 1);
	if (!bytes) {
		errno = ENOMEM;
		return false;
	}
	if (!read_exact(fd, bytes, size, block.info.envelope_offset))
		return false;
	if (queue_envelope_crc(bytes, size) != block.envelope_crc) {
		errno = EBADMSG;
		return false;
	}
	return queue_envelope_decode(bytes, size, block.info.envelope_offset, arena, envelope) &&
	       (!wants_content(check, &block.info) || check_content(fd, &block)) &&
	       read_report(fd, &block, status.st_size, arena, envelope);
}

bool queue_mark_done(int fd, struct queue_envelope *envelope, uint32_t recipient)
{
	static const unsigned char done = QUEUE_MARK_DONE;
	struct queue_recipient *r;

	if (recipient >= envelope->info.recipient_count) {
		errno = EINVAL;
		return false;
	}
	r = &envelope->recipients[recipient];
	if (r->done)
		return true;
	if (!os_pwrite_all(fd, &done, 1, r->offset + 5))
		return false;
	r->done = true;
	envelope->info.recipients_done++;
	return true;
}

static bool build_report(const struct queue_envelope *e, struct buffer *out)
{
	for (uint32_t i = 0; i < e->info.recipient_count; i++) {
		const struct queue_recipient *r = &e->recipients[i];
		struct slice dsn = slice_head(r->dsn, QUEUE_MAX_FIELD);
		struct slice reason = slice_head(r->reason, QUEUE_MAX_FIELD);
		unsigned char head[8];

		if (r->done || (!dsn.length && !reason.length))
			continue;
		store_u32(head, i);
		store_u16(head + 4, (uint32_t)dsn.length);
		store_u16(head + 6, (uint32_t)reason.length);
		buffer_append(out, head, sizeof(head));
		buffer_add(out, dsn);
		buffer_add(out, reason);
	}
	errno = ENOMEM;
	return !out->failed;
}

/* Put the report over the last one if it fits there, else behind the end of the file with some room to grow. */
static bool write_report(int fd, struct queue_block *block, const struct buffer *report)
{
	struct stat status;

	if ((int64_t)report->length > block->report_room) {
		if (!os_fstat(fd, &status))
			return false;
		block->report_offset = status.st_size;
		block->report_room = (int64_t)report->length + (int64_t)report->length / 2;
	}
	block->report_size = (int64_t)report->length;
	block->report_crc = queue_crc(0, report->data, report->length);
	return os_pwrite_all(fd, report->data, report->length, block->report_offset);
}

bool queue_update(int fd, struct queue_envelope *envelope)
{
	struct buffer report = buffer_limited(QUEUE_MAX_SECTION / 2);
	unsigned char bytes[QUEUE_BLOCK_SIZE];
	struct queue_block block;
	bool ok;

	if (!read_block(fd, &block))
		return false;
	block.info.next_try = envelope->info.next_try;
	block.info.delay_warned = envelope->info.delay_warned;
	block.info.attempts = envelope->info.attempts;
	block.info.flags = envelope->info.flags;
	block.info.recipients_done = envelope->info.recipients_done;
	ok = build_report(envelope, &report) &&
	     (!report.length || write_report(fd, &block, &report));
	if (ok && !report.length)
		block.report_size = 0;
	buffer_free(&report);
	if (!ok)
		return false;
	queue_block_encode(&block, bytes);
	return os_pwrite_all(fd, bytes, sizeof(bytes), 0);
}
