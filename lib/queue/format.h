// SPDX-License-Identifier: ISC
/*
 * The queue file's bytes, for the files of this folder and its tests only. docs/queue-format.md tells the same in words.
 */
#ifndef QUEUE_FORMAT_H
#define QUEUE_FORMAT_H

#include "queue/queue.h"

#define QUEUE_MAGIC "POSTERNQ"

enum {
	QUEUE_FORMAT_VERSION = 1,
	QUEUE_BLOCK_SIZE = QUEUE_CONTENT_OFFSET, /* one sector: written whole or not at all */
	QUEUE_RECORD_HEAD = 8,
	QUEUE_MAX_FIELD = 4096, /* bytes of one text in a record */
	QUEUE_MAX_RECIPIENTS = 1 << 20,
	QUEUE_MAX_SECTION = 256 << 20, /* bytes of the envelope, or of the report */
	QUEUE_MARK_TODO = 0,
	QUEUE_MARK_DONE = 'D',
	QUEUE_RECORD_MESSAGE = 'M',
	QUEUE_RECORD_RECIPIENT = 'R',
};
#define QUEUE_MAX_FILE ((int64_t)1 << 50)

/* The first block, decoded. What struct queue_info shows, and what only this folder needs. */
struct queue_block {
	struct queue_info info;
	uint32_t content_crc, envelope_crc;
	int64_t report_offset, report_size, report_room;
	uint32_t report_crc;
};

/* The lock that a file's writer holds; false when another has it. Gone with the descriptor. */
MUST_CHECK bool queue_lock(int fd);
/* CRC-32C of `data`, going on from `crc` (0 at the start). */
uint32_t queue_crc(uint32_t crc, const void *data, size_t length);
/* The same on any processor. */
uint32_t queue_crc_tables(uint32_t crc, const void *data, size_t length);
/* Fills QUEUE_BLOCK_SIZE bytes. */
void queue_block_encode(const struct queue_block *block, unsigned char *bytes);
/* False when the magic, the version, the checksum or any bound is wrong. */
MUST_CHECK bool queue_block_decode(const unsigned char *bytes, struct queue_block *block);
/* Append the envelope's records. False when a field is too long or holds NUL, or memory is out. */
MUST_CHECK bool queue_envelope_encode(const struct queue_envelope *envelope, struct buffer *out);
/* The checksum of envelope records, the recipients' marks counted as not done. `bytes` must have decoded. */
uint32_t queue_envelope_crc(const unsigned char *bytes, size_t length);
/* Fields point into `bytes`, which stand at `offset` of the file. False with EBADMSG or ENOMEM. */
MUST_CHECK bool queue_envelope_decode(const unsigned char *bytes, size_t length, int64_t offset,
	struct arena *arena, struct queue_envelope *envelope);

static inline uint32_t load_u16(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t load_u32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t load_u64(const unsigned char *p)
{
	return load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}
static inline void store_u16(unsigned char *p, uint32_t value)
{
	p[0] = (unsigned char)value;
	p[1] = (unsigned char)(value >> 8);
}
static inline void store_u32(unsigned char *p, uint32_t value)
{
	store_u16(p, value);
	store_u16(p + 2, value >> 16);
}
static inline void store_u64(unsigned char *p, uint64_t value)
{
	store_u32(p, (uint32_t)value);
	store_u32(p + 4, (uint32_t)(value >> 32));
}

#endif
