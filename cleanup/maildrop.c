// SPDX-License-Identifier: ISC
/* Reading maildrop files. See maildrop.h. */
#include "cleanup/maildrop.h"

#include "os/os.h"

enum { LENGTH_SIZE = 4 };

void maildrop_open(struct maildrop_reader *reader, int fd)
{
	*reader = (struct maildrop_reader){ .fd = fd,
		.bytes = buffer_limited(2 * (MESSAGE_MAX + LENGTH_SIZE)) };
}

/* False when the file cannot be read. */
static bool read_more(struct maildrop_reader *reader)
{
	char *room;
	ssize_t got;

	buffer_consume(&reader->bytes, reader->used);
	reader->used = 0;
	room = buffer_reserve(&reader->bytes, MESSAGE_MAX + LENGTH_SIZE);
	if (!room)
		return false;
	got = os_read(reader->fd, room, MESSAGE_MAX + LENGTH_SIZE);
	if (got < 0)
		return false;
	reader->bytes.length += (size_t)got;
	reader->at_end = got == 0;
	return true;
}

static uint32_t packet_length(const char *at)
{
	const unsigned char *p = (const unsigned char *)at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_submission(const struct message *message)
{
	switch (message->type) {
	case MESSAGE_SUBMIT_BEGIN:
	case MESSAGE_SUBMIT_RECIPIENT:
	case MESSAGE_SUBMIT_CONTENT:
	case MESSAGE_SUBMIT_END:
		return true;
	default:
		return false;
	}
}

enum maildrop_status maildrop_next(struct maildrop_reader *reader, struct message *message)
{
	for (;;) {
		size_t have = reader->bytes.length - reader->used;
		const char *at = have ? reader->bytes.data + reader->used : "";
		uint32_t length = have >= LENGTH_SIZE ? packet_length(at) : 0;

		if (length > MESSAGE_MAX)
			return MAILDROP_BAD;
		if (have >= LENGTH_SIZE && have - LENGTH_SIZE >= length) {
			*message = (struct message){ 0 };
			reader->used += LENGTH_SIZE + length;
			return message_decode(slice_of(at + LENGTH_SIZE, length), message) &&
					       is_submission(message)
				       ? MAILDROP_MESSAGE
				       : MAILDROP_BAD;
		}
		if (reader->at_end)
			return have ? MAILDROP_BAD : MAILDROP_END;
		if (!read_more(reader))
			return MAILDROP_FAILED;
	}
}

void maildrop_close(struct maildrop_reader *reader)
{
	if (reader->fd >= 0)
		os_close(&reader->fd);
	buffer_free(&reader->bytes);
}

bool maildrop_name_unfinished(struct slice name)
{
	return slice_ends_nocase(name, SLICE(".tmp"));
}

bool maildrop_name_good(struct slice name)
{
	if (name.length == 0 || name.length > MAILDROP_NAME || name.data[0] == '.')
		return false;
	for (size_t i = 0; i < name.length; i++) {
		if (!ascii_alnum(name.data[i]) && !strchr("-_.", name.data[i]))
			return false;
	}
	return !maildrop_name_unfinished(name) && !slice_ends_nocase(name, SLICE(".bad"));
}
