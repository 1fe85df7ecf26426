// SPDX-License-Identifier: ISC
/* What agents that put mail into mailboxes share. See delivery.h. */
#include "local/delivery.h"

#include <stdlib.h>

#include "os/os.h"

enum { FIRST_LOOK = 8 * 1024 /* bytes; nearly every header ends in them */ };

static bool part_valid(struct slice part)
{
	if (part.length == 0 || part.length > 255 || part.data[0] == '.')
		return false;
	for (size_t i = 0; i < part.length; i++)
		if ((unsigned char)part.data[i] < ' ' || part.data[i] == 127)
			return false;
	return true;
}

bool delivery_mailbox_valid(struct slice path)
{
	struct slice rest = path, part;
	unsigned parts = 0;

	if (path.length == 0 || path.length > DELIVERY_PATH || path.data[path.length - 1] == '/')
		return false;
	while (slice_split(&rest, '/', &part))
		if (!part_valid(part) || ++parts > DELIVERY_PATH_PARTS)
			return false;
	return true;
}

/* An address in a header line must not begin another one. */
static void add_line(struct buffer *out, const char *name, struct slice before, struct slice text,
	struct slice after)
{
	buffer_add_text(out, name);
	buffer_add(out, before);
	for (size_t i = 0; i < text.length; i++)
		buffer_add_byte(out, (unsigned char)text.data[i] < ' ' || text.data[i] == 127
					     ? '?'
					     : text.data[i]);
	buffer_add(out, after);
	buffer_add_byte(out, '\n');
}

bool delivery_prefix(
	struct slice sender, struct slice original, struct slice recipient, struct buffer *out)
{
	add_line(out, "Return-Path: ", SLICE("<"), sender, SLICE(">"));
	if (original.length && !slice_equal(original, recipient))
		add_line(out, "X-Original-To: ", SLICE(""), original, SLICE(""));
	add_line(out, "Delivered-To: ", SLICE(""), recipient, SLICE(""));
	return !out->failed;
}

bool delivery_header_loops(struct slice header, struct slice recipient, bool *more)
{
	static const struct slice NAME = { "Delivered-To:", 13 };
	struct slice line;
	bool whole = header.length && header.data[header.length - 1] == '\n';

	*more = false;
	while (slice_split(&header, '\n', &line)) {
		if (line.length == 0 || slice_equal(line, SLICE("\r")))
			return false;
		if (header.length == 0 && !whole)
			break; /* cut in the middle of a line */
		if (slice_starts_nocase(line, NAME) &&
			slice_equal_nocase(slice_trim(slice_tail(line, NAME.length)), recipient))
			return true;
	}
	*more = true;
	return false;
}

static bool look(int fd, int64_t offset, size_t length, struct slice recipient, bool *more)
{
	char *header = malloc(length + 1);
	ssize_t got = header ? os_pread(fd, header, length, offset) : -1;
	bool loops =
		got > 0 && delivery_header_loops(slice_of(header, (size_t)got), recipient, more);

	free(header);
	return loops;
}

bool delivery_loops(int fd, int64_t offset, int64_t size, struct slice recipient)
{
	size_t first = size < FIRST_LOOK ? (size_t)size : FIRST_LOOK;
	size_t whole = size < DELIVERY_HEADERS ? (size_t)size : DELIVERY_HEADERS;
	bool more = false;

	if (look(fd, offset, first, recipient, &more))
		return true;
	return more && whole > first && look(fd, offset, whole, recipient, &more);
}
