// SPDX-License-Identifier: ISC
/* What text tables share: files, logical lines, entries, lists. See table_impl.h. */
#include <errno.h>

#include "os/os.h"
#include "table/table_impl.h"

bool table_read_file(const char *path, struct buffer *text)
{
	int fd = os_open(path, O_RDONLY, 0);
	ssize_t got = -1;

	if (fd < 0)
		return false;
	text->limit = TABLE_MAX_FILE;
	while (true) {
		char *room = buffer_reserve(text, 65536);

		if (!room) {
			errno = EFBIG;
			break;
		}
		got = os_read(fd, room, 65536);
		if (got <= 0)
			break;
		text->length += (size_t)got;
	}
	os_close(&fd);
	return got == 0 && !text->failed;
}

/* --- lists --- */

bool table_next_item(struct slice *rest, struct slice *item)
{
	size_t begin = 0, end;
	unsigned depth = 0;

	while (begin < rest->length && strchr(", \t\r\n", rest->data[begin]))
		begin++;
	for (end = begin; end < rest->length; end++) {
		char c = rest->data[end];

		if (c == '{')
			depth++;
		else if (c == '}' && depth > 0)
			depth--;
		else if (depth == 0 && c != '\0' && strchr(", \t\r\n", c))
			break;
	}
	*item = slice_of(rest->data + begin, end - begin);
	*rest = slice_tail(*rest, end);
	return item->length > 0;
}

struct slice table_strip_braces(struct slice text)
{
	text = slice_trim(text);
	if (text.length >= 2 && text.data[0] == '{' && text.data[text.length - 1] == '}')
		return slice_trim(slice_of(text.data + 1, text.length - 2));
	return text;
}

/* --- logical lines --- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

void table_lines_begin(struct table_lines *lines, struct slice text)
{
	*lines = (struct table_lines){
		.rest = text, .next_number = 1, .line = buffer_limited(TABLE_MAX_LINE)
	};
}

void table_lines_end(struct table_lines *lines)
{
	buffer_free(&lines->line);
}

/* Empty or a comment, after white space too. */
static bool says_nothing(struct slice line)
{
	line = slice_trim(line);
	return line.length == 0 || line.data[0] == '#';
}

bool table_lines_next(struct table_lines *lines, struct slice *line)
{
	struct slice ahead, physical;
	bool begun = false;

	buffer_clear(&lines->line);
	for (ahead = lines->rest; slice_split(&ahead, '\n', &physical); lines->rest = ahead) {
		if (!says_nothing(physical)) {
			if (begun && !is_space(physical.data[0]))
				break;
			if (!begun)
				lines->number = lines->next_number;
			begun = true;
			buffer_add(&lines->line, physical);
		}
		lines->next_number++;
	}
	if (lines->line.failed)
		lines->failed = true;
	*line = slice_trim(buffer_slice(&lines->line));
	return begun && !lines->failed;
}

/* --- entries --- */

/* Where the key ends: at white space (or `stop`) that neither quotes nor a backslash protect. */
static size_t key_end(struct slice line, char stop)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < line.length; i++) {
		char c = line.data[i];

		if (c == '\\' && i + 1 < line.length)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (stop ? c == stop : is_space(c)))
			break;
	}
	return i;
}

bool table_split_entry(struct slice line, struct slice *key, struct slice *value)
{
	size_t end = key_end(line, '\0');

	*key = slice_head(line, end);
	*value = slice_trim(slice_tail(line, end));
	return key->length > 0 && value->length > 0;
}

bool table_split_alias(struct slice line, struct slice *key, struct slice *value)
{
	size_t end = key_end(line, ':');

	*key = slice_trim(slice_head(line, end));
	*value = slice_trim(slice_tail(line, end + 1));
	return end < line.length && key->length > 0 && value->length > 0;
}

bool table_key_form(struct slice key, bool unquote, bool fold, struct buffer *out)
{
	for (size_t i = 0; i < key.length; i++) {
		char c = key.data[i];

		if (unquote && c == '"')
			continue;
		if (unquote && c == '\\' && i + 1 < key.length)
			c = key.data[++i];
		buffer_add_byte(out, fold ? ascii_lower(c) : c);
	}
	return !out->failed;
}

bool table_split_extension(
	struct slice local, const char *delimiters, struct slice *user, struct slice *extension)
{
	static const char *const WHOLE[] = { "postmaster", "mailer-daemon", "double-bounce" };

	for (size_t i = 0; i < sizeof(WHOLE) / sizeof(WHOLE[0]); i++)
		if (slice_equal_nocase(local, slice_from(WHOLE[i])))
			return false;
	/* With "-" as delimiter, list owners and request addresses stay whole. */
	if (strchr(delimiters, '-') && (slice_starts_nocase(local, SLICE("owner-")) ||
					       slice_ends_nocase(local, SLICE("-request"))))
		return false;
	for (size_t i = 1; i < local.length; i++)
		if (local.data[i] != '\0' && strchr(delimiters, local.data[i])) {
			*user = slice_head(local, i);
			*extension = slice_tail(local, i + 1);
			return true;
		}
	return false;
}
