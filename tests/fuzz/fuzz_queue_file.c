// SPDX-License-Identifier: ISC
/*
 * Any bytes as a queue file: read, marked, updated and read again. With the first byte odd the checksums are put right first,
 * so that what stands behind them is reached too.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"
#include "queue/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(unsigned char *bytes, size_t size)
{
	uint64_t offset, length;

	if (size < QUEUE_BLOCK_SIZE)
		return;
	offset = load_u64(bytes + 48);
	length = load_u64(bytes + 56);
	if (offset <= size && length <= size - offset)
		store_u64(bytes + 136, queue_envelope_crc(bytes + offset, (size_t)length));
	offset = load_u64(bytes + 144);
	length = load_u64(bytes + 152);
	if (offset <= size && length <= size - offset)
		store_u64(bytes + 168, queue_crc(0, bytes + offset, (size_t)length));
	store_u64(bytes + 504, queue_crc(0, bytes, 504));
}

static void use(int fd)
{
	struct queue_envelope envelope;
	struct arena arena;

	arena_init(&arena, 16 << 20);
	if (queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope)) {
		volatile size_t sum = envelope.sender.length + envelope.login.length;

		for (uint32_t i = 0; i < envelope.info.recipient_count; i++)
			sum += envelope.recipients[i].address.length +
			       envelope.recipients[i].reason.length;
		if (envelope.info.recipient_count && !queue_mark_done(fd, &envelope, 0))
			abort();
		if (!queue_update(fd, &envelope) ||
			!queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope))
			abort();
	}
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *bytes;
	int fd;

	if (size < 1 || size > 1 << 20)
		return 0;
	bytes = malloc(size);
	fd = memfd_create("queue", MFD_CLOEXEC);
	if (!bytes || fd < 0)
		abort();
	memcpy(bytes, data + 1, size - 1);
	if (data[0] & 1)
		mend(bytes, size - 1);
	if (!os_pwrite_all(fd, bytes, size - 1, 0))
		abort();
	use(fd);
	os_close(&fd);
	free(bytes);
	return 0;
}
