// SPDX-License-Identifier: ISC
/* The decoder of messages between processes: whatever decodes must encode to the same packet again. */
#include <stdlib.h>

#include "ipc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer packet = { 0 }, again = { 0 };
	uint16_t head[2] = { 0, message_build() };
	struct message message = { 0 };

	if (size < 1)
		return 0;
	head[0] = (uint16_t)(data[0] % (MESSAGE_TYPES + 1));
	buffer_append(&packet, head, sizeof(head));
	buffer_append(&packet, data + 1, size - 1);
	if (message_decode(buffer_slice(&packet), &message)) {
		if (!message_encode(&message, &again) ||
			!slice_equal(buffer_slice(&packet), buffer_slice(&again)))
			abort();
	}
	buffer_free(&packet);
	buffer_free(&again);
	return 0;
}
