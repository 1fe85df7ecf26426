// SPDX-License-Identifier: ISC
/*
 * Any bytes as a maildrop file: whatever is submitted out of it must be what cleanup may be sent, in an order that cleanup
 * takes, with no CR in it. Packets' build numbers are put right, so that what stands behind them is reached.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "cleanup/maildrop.h"
#include "cleanup/submission.h"
#include "os/os.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
	int state; /* 0 nothing, 1 begun, 2 content, 3 ended */
};

static bool take(void *context, const struct message *message)
{
	struct sink *sink = context;
	struct buffer packet = { 0 };
	struct message decoded;

	if (!message_encode(message, &packet) || !message_decode(buffer_slice(&packet), &decoded))
		abort();
	buffer_free(&packet);
	if (message->type == MESSAGE_CLEANUP_BEGIN ? sink->state != 0
						   : sink->state == 0 || sink->state == 3)
		abort();
	if (message->type == MESSAGE_CLEANUP_RECIPIENT && sink->state != 1)
		abort();
	if (message->type == MESSAGE_CLEANUP_CONTENT &&
		slice_find(message->cleanup_content.chunk, '\r') >= 0)
		abort();
	sink->state = message->type == MESSAGE_CLEANUP_END       ? 3
		      : message->type == MESSAGE_CLEANUP_CONTENT ? 2
								 : 1;
	return true;
}

/* Every packet gets this build's number, as far as the lengths make sense. */
static void mend(unsigned char *bytes, size_t size)
{
	for (size_t at = 0; size - at >= 8;) {
		size_t length = (size_t)bytes[at] | (size_t)bytes[at + 1] << 8 |
				(size_t)bytes[at + 2] << 16;

		bytes[at + 6] = (unsigned char)message_build();
		bytes[at + 7] = (unsigned char)(message_build() >> 8);
		if (length > size - at - 4)
			return;
		at += 4 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct submission_rules rules = { .origin = "origin.test",
		.domain = "domain.test",
		.append_origin = true,
		.append_domain = true };
	struct sink sink = { 0 };
	struct submission s = { .rules = &rules, .serial = 1, .send = take, .context = &sink };
	struct maildrop_reader reader;
	struct message message;
	unsigned char *bytes = malloc(size + 1);
	int fd = memfd_create("maildrop", MFD_CLOEXEC);

	if (!bytes || fd < 0)
		abort();
	memcpy(bytes, data, size);
	mend(bytes, size);
	if (!os_pwrite_all(fd, bytes, size, 0))
		abort();
	maildrop_open(&reader, fd);
	while (maildrop_next(&reader, &message) == MAILDROP_MESSAGE &&
		submission_take(&s, &message) == SUBMISSION_MORE)
		;
	submission_cancel(&s);
	if (sink.state != 0 && sink.state != 3)
		abort();
	maildrop_close(&reader);
	free(bytes);
	return 0;
}
