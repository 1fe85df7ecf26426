// SPDX-License-Identifier: ISC
/* Reading JSON. See json_read.h. */
#include "cli/json_read.h"

#include "mail/utf8.h"

struct reader {
	struct slice rest;
	struct arena *arena;
	const char *error;
};

static bool fail(struct reader *reader, const char *error)
{
	if (!reader->error)
		reader->error = error;
	return false;
}

static void skip_space(struct reader *reader)
{
	while (reader->rest.length && reader->rest.data[0] != '\0' &&
		strchr(" \t\r\n", reader->rest.data[0]))
		reader->rest = slice_tail(reader->rest, 1);
}

/* Is `c` next? Then it is taken. */
static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (!reader->rest.length || reader->rest.data[0] != c)
		return false;
	reader->rest = slice_tail(reader->rest, 1);
	return true;
}

static int hex_value(char c)
{
	return ascii_digit(c)                                   ? c - '0'
	       : ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f' ? ascii_lower(c) - 'a' + 10
								: -1;
}

static bool read_hex(struct reader *reader, uint32_t *value)
{
	*value = 0;
	if (reader->rest.length < 4)
		return fail(reader, "a \\u without four digits");
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(reader->rest.data[i]);

		if (digit < 0)
			return fail(reader, "a \\u without four digits");
		*value = *value << 4 | (uint32_t)digit;
	}
	reader->rest = slice_tail(reader->rest, 4);
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Behind "\u": one character, of a pair of surrogates if need be. */
static bool read_unicode(struct reader *reader, char **out)
{
	uint32_t c, low;

	if (!read_hex(reader, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		if (!slice_starts(reader->rest, SLICE("\\u")))
			return fail(reader, "half a surrogate pair");
		reader->rest = slice_tail(reader->rest, 2);
		if (!read_hex(reader, &low))
			return false;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(reader, "half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c < 0xe000) {
		return fail(reader, "half a surrogate pair");
	}
	if (c == 0)
		return fail(reader, "a NUL");
	*out += put_utf8(*out, c);
	return true;
}

static bool read_escape(struct reader *reader, char **out)
{
	static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
	char c = reader->rest.length ? reader->rest.data[0] : '\0';
	const char *known = c ? strchr(FROM, c) : NULL;

	reader->rest = slice_tail(reader->rest, 1);
	if (c == 'u')
		return read_unicode(reader, out);
	if (!known)
		return fail(reader, "an unknown escape");
	*(*out)++ = TO[known - FROM];
	return true;
}

/* Behind the opening quote. What comes out is never longer than what goes in. */
static char *read_string(struct reader *reader)
{
	ptrdiff_t quote = slice_find(reader->rest, '"');
	char *text, *out;

	/* Escaped quotes are within what is left: room for all of it only when there is one. */
	if (quote >= 0 && slice_find(slice_head(reader->rest, (size_t)quote), '\\') >= 0)
		quote = (ptrdiff_t)reader->rest.length;
	text = out = quote < 0 ? NULL : arena_alloc(reader->arena, (size_t)quote + 1);
	if (!text) {
		fail(reader, quote < 0 ? "a string without its end" : "no memory");
		return NULL;
	}
	while (reader->rest.length) {
		char c = reader->rest.data[0];

		reader->rest = slice_tail(reader->rest, 1);
		if (c == '"') {
			if (utf8_valid(slice_of(text, (size_t)(out - text))))
				return text;
			fail(reader, "not UTF-8");
			return NULL;
		}
		if ((unsigned char)c < ' ') {
			fail(reader, "a control character in a string");
			return NULL;
		}
		if (c != '\\')
			*out++ = c;
		else if (!read_escape(reader, &out))
			return NULL;
	}
	fail(reader, "a string without its end");
	return NULL;
}

/* A string, a number or a word. */
static char *read_value(struct reader *reader)
{
	size_t length = 0;
	char *text;

	if (take(reader, '"'))
		return read_string(reader);
	while (length < reader->rest.length &&
		(ascii_alnum(reader->rest.data[length]) || reader->rest.data[length] == '-' ||
			reader->rest.data[length] == '+' || reader->rest.data[length] == '.'))
		length++;
	if (!length) {
		fail(reader, "no value, or one that has parts");
		return NULL;
	}
	text = arena_dup(reader->arena, slice_head(reader->rest, length));
	if (!text)
		fail(reader, "no memory");
	reader->rest = slice_tail(reader->rest, length);
	return text;
}

static bool read_member(struct reader *reader,
	bool (*each)(void *context, const char *name, char *value), void *context)
{
	char *name = take(reader, '"') ? read_string(reader) : NULL, *value;

	if (!name || !take(reader, ':'))
		return fail(reader, "no member of an object");
	if (!take(reader, '[')) {
		value = read_value(reader);
		return value && each(context, name, value);
	}
	if (take(reader, ']'))
		return true;
	do {
		value = read_value(reader);
		if (!value || !each(context, name, value))
			return false;
	} while (take(reader, ','));
	return take(reader, ']') || fail(reader, "an array without its end");
}

bool json_read_object(struct slice text, struct arena *arena,
	bool (*each)(void *context, const char *name, char *value), void *context,
	const char **error)
{
	struct reader reader = { .rest = text, .arena = arena };
	bool done = take(&reader, '{') || fail(&reader, "not an object");

	if (done && !take(&reader, '}')) {
		do
			done = read_member(&reader, each, context);
		while (done && take(&reader, ','));
		done = done && (take(&reader, '}') || fail(&reader, "an object without its end"));
	}
	skip_space(&reader);
	if (done && reader.rest.length)
		done = fail(&reader, "something behind the object");
	*error = reader.error ? reader.error : "";
	return done;
}
