// SPDX-License-Identifier: ISC
/* Reading JSON. See mech_json.h. */
#include "auth/mech_json.h"

#include "base/buffer.h"
#include "mail/utf8.h"

struct reader {
	struct slice rest;
	struct arena *arena;
	unsigned values;
};

static struct json *read_value(struct reader *reader, unsigned depth);

static void skip_space(struct reader *reader)
{
	while (reader->rest.length && strchr(" \t\r\n", reader->rest.data[0]) &&
		reader->rest.data[0])
		reader->rest = slice_tail(reader->rest, 1);
}

/* The next byte behind white space, if it is this one, is taken. */
static bool take(struct reader *reader, char byte)
{
	skip_space(reader);
	if (!reader->rest.length || reader->rest.data[0] != byte)
		return false;
	reader->rest = slice_tail(reader->rest, 1);
	return true;
}

static bool take_word(struct reader *reader, struct slice word)
{
	if (!slice_starts(reader->rest, word))
		return false;
	reader->rest = slice_tail(reader->rest, word.length);
	return true;
}

static bool hex4(struct slice text, uint32_t *value)
{
	*value = 0;
	for (size_t i = 0; i < 4; i++) {
		char c = i < text.length ? ascii_lower(text.data[i]) : '\0';
		int digit = ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return false;
		*value = *value << 4 | (uint32_t)digit;
	}
	return true;
}

/* "\u" and four digits, twice for what is beyond the basic plane. */
static bool read_unicode(struct slice *rest, struct buffer *out)
{
	uint32_t character, low;

	if (!hex4(*rest, &character))
		return false;
	*rest = slice_tail(*rest, 4);
	if (character >= 0xd800 && character < 0xdc00) {
		if (!slice_starts(*rest, SLICE("\\u")) || !hex4(slice_tail(*rest, 2), &low) ||
			low < 0xdc00 || low > 0xdfff)
			return false;
		character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
		*rest = slice_tail(*rest, 6);
	}
	return (character < 0xdc00 || character > 0xdfff) && utf8_add(out, character);
}

static bool read_escape(struct slice *rest, struct buffer *out)
{
	static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
	char c = rest->length ? rest->data[0] : '\0';
	const char *at = c ? strchr(FROM, c) : NULL;

	*rest = slice_tail(*rest, 1);
	if (c == 'u')
		return read_unicode(rest, out);
	return at && buffer_add_byte(out, TO[at - FROM]);
}

static bool read_string(struct reader *reader, struct slice *text)
{
	struct slice rest = reader->rest;
	struct buffer out = { 0 };
	bool good = false;

	while (rest.length) {
		char c = rest.data[0];

		rest = slice_tail(rest, 1);
		if (c == '"') {
			*text = arena_slice(reader->arena, buffer_slice(&out));
			good = text->data != NULL && utf8_valid(*text);
			break;
		}
		if ((unsigned char)c < ' ' ||
			!(c == '\\' ? read_escape(&rest, &out) : buffer_add_byte(&out, c)))
			break;
	}
	reader->rest = rest;
	buffer_free(&out);
	return good;
}

static bool read_number(struct reader *reader, int64_t *number)
{
	struct slice whole = reader->rest;
	size_t length = 0;

	while (length < whole.length &&
		(ascii_digit(whole.data[length]) || (length == 0 && whole.data[0] == '-')))
		length++;
	if (length == 0 || !ascii_digit(whole.data[length - 1]))
		return false;
	if (!slice_to_i64(slice_head(whole, length), number))
		*number = 0;
	while (length < whole.length &&
		(ascii_digit(whole.data[length]) || strchr(".eE+-", whole.data[length])) &&
		whole.data[length])
		length++;
	reader->rest = slice_tail(whole, length);
	return true;
}

static bool has_name(const struct json *object, struct slice name)
{
	for (const struct json *member = object->first; member; member = member->next)
		if (slice_equal(member->name, name))
			return true;
	return false;
}

/* Members up to the closing bracket; those of an object have names. */
static bool read_members(struct reader *reader, struct json *parent, char close, unsigned depth)
{
	struct json **end = &parent->first, *member;
	struct slice name = slice_of("", 0);

	if (take(reader, close))
		return true;
	do {
		if (parent->type == JSON_OBJECT &&
			(!take(reader, '"') || !read_string(reader, &name) ||
				has_name(parent, name) || !take(reader, ':')))
			return false;
		member = read_value(reader, depth + 1);
		if (!member)
			return false;
		member->name = name;
		*end = member;
		end = &member->next;
	} while (take(reader, ','));
	return take(reader, close);
}

static bool read_literal(struct reader *reader, struct json *value)
{
	if (take_word(reader, SLICE("null")))
		return true;
	value->type = JSON_BOOL;
	value->truth = take_word(reader, SLICE("true"));
	if (value->truth || take_word(reader, SLICE("false")))
		return true;
	value->type = JSON_NUMBER;
	return read_number(reader, &value->number);
}

static struct json *read_value(struct reader *reader, unsigned depth)
{
	struct json *value = NULL;
	bool good;

	if (depth < JSON_DEPTH && ++reader->values <= JSON_VALUES)
		value = arena_alloc(reader->arena, sizeof(*value));
	if (!value)
		return NULL;
	if (take(reader, '{')) {
		value->type = JSON_OBJECT;
		good = read_members(reader, value, '}', depth);
	} else if (take(reader, '[')) {
		value->type = JSON_ARRAY;
		good = read_members(reader, value, ']', depth);
	} else if (take(reader, '"')) {
		value->type = JSON_STRING;
		good = read_string(reader, &value->text);
	} else {
		good = read_literal(reader, value);
	}
	return good ? value : NULL;
}

const struct json *json_parse(struct slice text, struct arena *arena)
{
	struct reader reader = { .rest = text, .arena = arena };
	struct json *value = read_value(&reader, 0);

	skip_space(&reader);
	return reader.rest.length ? NULL : value;
}

const struct json *json_member(const struct json *object, const char *name)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *member = object->first; member; member = member->next)
		if (slice_equal(member->name, slice_from(name)))
			return member;
	return NULL;
}

struct slice json_text(const struct json *object, const char *name)
{
	const struct json *member = json_member(object, name);

	return member && member->type == JSON_STRING ? member->text : slice_of("", 0);
}
