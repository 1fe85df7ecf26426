// SPDX-License-Identifier: ISC
/*
 * Configuration files as logical lines.
 */
#include <errno.h>
#include <stdlib.h>

#include "config/internal.h"
#include "os/os.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The physical line at the front of `rest`, without LF; `length` with it. */
static struct slice peek_line(struct slice rest, size_t *length)
{
	ptrdiff_t end = slice_find(rest, '\n');

	*length = end < 0 ? rest.length : (size_t)end + 1;
	return slice_head(rest, end < 0 ? rest.length : (size_t)end);
}

static void skip_line(struct line_reader *reader, size_t length)
{
	reader->rest = slice_tail(reader->rest, length);
	reader->line++;
}

enum line_kind line_next(struct line_reader *reader, struct buffer *text, unsigned *line)
{
	bool stray = false;
	size_t length;

	buffer_clear(text);
	text->limit = CONFIG_VALUE_MAX;
	*line = 0;
	while (reader->rest.length) {
		struct slice physical = peek_line(reader->rest, &length);
		struct slice trimmed = slice_trim(physical);
		bool continues = physical.length && is_blank(physical.data[0]);

		if (trimmed.length == 0 || trimmed.data[0] == '#') {
			skip_line(reader, length);
			continue;
		}
		if (*line && !continues)
			break;
		if (!*line) {
			*line = reader->line;
			stray = continues;
		} else {
			buffer_add_byte(text, ' ');
		}
		buffer_add(text, trimmed);
		skip_line(reader, length);
	}
	if (!*line)
		return LINE_END;
	if (!buffer_text(text))
		return LINE_TOO_LONG;
	return stray ? LINE_STRAY : LINE_TEXT;
}

bool read_config_file(const char *path, struct buffer *text, struct config_report *report)
{
	char *room = buffer_reserve(text, CONFIG_FILE_MAX);
	ssize_t length = room ? os_read_file(AT_FDCWD, path, room, CONFIG_FILE_MAX) : -1;

	if (length < 0) {
		config_fault_add(report, false, path, 0, NULL, "cannot be read: %s",
			!room               ? "out of memory"
			: errno == EMSGSIZE ? "too large"
					    : strerror(errno));
		return false;
	}
	text->length = (size_t)length;
	if (slice_find(buffer_slice(text), '\0') >= 0) {
		config_fault_add(report, false, path, 0, NULL, "holds a NUL byte");
		return false;
	}
	return true;
}
