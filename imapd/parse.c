// SPDX-License-Identifier: ISC
/* IMAP's grammar: atoms, strings, lists, flags and dates. See parse.h. Sequence sets: parse_set.c. */
#include "imapd/parse.h"

#include "mail/date.h"
#include "mail/utf7.h"
#include "store/store.h"

/* Classes of bytes in commands. */
enum { CLASS_ATOM = 1, CLASS_ASTRING = 2, CLASS_LIST = 4, CLASS_TAG = 8 };

static unsigned class_of(char c)
{
	unsigned char u = (unsigned char)c;

	if (u <= ' ' || u >= 0x7f)
		return 0;
	switch (c) {
	case '(':
	case ')':
	case '{':
	case '"':
	case '\\':
		return 0;
	case '%':
	case '*':
		return CLASS_LIST;
	case ']':
		return CLASS_ASTRING | CLASS_LIST | CLASS_TAG;
	case '+':
		return CLASS_ATOM | CLASS_ASTRING | CLASS_LIST;
	}
	return CLASS_ATOM | CLASS_ASTRING | CLASS_LIST | CLASS_TAG;
}

bool parse_fail(struct parser *p, const char *error)
{
	if (!p->error)
		p->error = error;
	return false;
}

bool parse_byte(struct parser *p, char c)
{
	if (!parse_next_is(p, c))
		return parse_fail(p, c == ' ' ? "Missing argument" : "Unexpected character");
	p->rest = slice_tail(p->rest, 1);
	return true;
}

bool parse_space(struct parser *p)
{
	return parse_byte(p, ' ');
}

bool parse_end(struct parser *p)
{
	return p->rest.length == 0 || parse_fail(p, "Unexpected argument");
}

bool parse_deeper(struct parser *p)
{
	if (p->depth >= PARSE_MAX_DEPTH)
		return parse_fail(p, "Too deeply nested");
	p->depth++;
	return true;
}

bool parse_enter(struct parser *p)
{
	return parse_byte(p, '(') && parse_deeper(p);
}

bool parse_leave(struct parser *p)
{
	if (!parse_byte(p, ')'))
		return false;
	p->depth--;
	return true;
}

static bool take_class(struct parser *p, unsigned wanted, struct slice *text, const char *error)
{
	size_t n = 0;

	while (n < p->rest.length && (class_of(p->rest.data[n]) & wanted))
		n++;
	if (n == 0)
		return parse_fail(p, error);
	*text = slice_head(p->rest, n);
	p->rest = slice_tail(p->rest, n);
	return true;
}

bool parse_tag(struct parser *p, struct slice *tag)
{
	return take_class(p, CLASS_TAG, tag, "Invalid tag");
}

bool parse_atom(struct parser *p, struct slice *atom)
{
	return take_class(p, CLASS_ATOM, atom, "Missing or invalid atom");
}

bool parse_literal_mark(struct slice line, size_t *at, uint64_t *size, bool *synchronizing)
{
	size_t end = line.length;
	ptrdiff_t brace;
	struct slice digits;

	if (end < 3 || line.data[end - 1] != '}')
		return false;
	end--;
	*synchronizing = line.data[end - 1] != '+';
	if (!*synchronizing)
		end--;
	brace = slice_find_last(slice_head(line, end), '{');
	if (brace < 0)
		return false;
	digits = slice_tail(slice_head(line, end), (size_t)brace + 1);
	*at = (size_t)brace;
	for (size_t i = 0; i < digits.length; i++) {
		if (!ascii_digit(digits.data[i]))
			return false;
	}
	if (digits.length == 0)
		return false;
	if (!slice_to_u64(digits, INT64_MAX, size))
		*size = INT64_MAX;
	return true;
}

/* The line that `rest` begins with, for literals that stand in memory. */
static struct slice first_line(struct slice rest)
{
	ptrdiff_t end = slice_find(rest, '\n');
	struct slice line = end < 0 ? rest : slice_head(rest, (size_t)end);

	if (end > 0 && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

bool parse_literal_size(struct parser *p, uint64_t *size, bool *synchronizing)
{
	struct slice line = first_line(p->rest);
	size_t at;

	if (!parse_literal_mark(line, &at, size, synchronizing) || at != 0)
		return parse_fail(p, "Invalid literal");
	return true;
}

static bool literal_in_memory(struct parser *p, uint64_t size, struct slice *data)
{
	ptrdiff_t end = slice_find(p->rest, '\n');

	if (end < 0 || p->rest.length - (size_t)end - 1 < size)
		return parse_fail(p, "Literal is not complete");
	p->rest = slice_tail(p->rest, (size_t)end + 1);
	*data = slice_head(p->rest, size);
	p->rest = slice_tail(p->rest, size);
	return true;
}

static bool parse_literal(struct parser *p, struct slice *data)
{
	uint64_t size;
	bool synchronizing;

	if (!parse_literal_size(p, &size, &synchronizing))
		return false;
	if (!(p->literal ? p->literal(p, size, synchronizing, data)
			 : literal_in_memory(p, size, data)))
		return parse_fail(p, "Literal is not complete");
	if (slice_find(*data, '\0') >= 0)
		return parse_fail(p, "NUL in a literal");
	return true;
}

static bool parse_quoted(struct parser *p, struct slice *text)
{
	size_t n = 1, escapes = 0, length;
	char *copy;

	while (n < p->rest.length && p->rest.data[n] != '"') {
		char c = p->rest.data[n++];

		if (c == '\0' || c == '\r' || c == '\n')
			return parse_fail(p, "Invalid character in a quoted string");
		if (c != '\\')
			continue;
		if (n >= p->rest.length || (p->rest.data[n] != '"' && p->rest.data[n] != '\\'))
			return parse_fail(p, "Invalid escape in a quoted string");
		escapes++;
		n++;
	}
	if (n >= p->rest.length)
		return parse_fail(p, "Missing '\"'");
	*text = slice_of(p->rest.data + 1, n - 1);
	p->rest = slice_tail(p->rest, n + 1);
	if (escapes == 0)
		return true;
	copy = arena_alloc(p->arena, text->length + 1);
	if (!copy)
		return parse_fail(p, "Command is too large");
	length = 0;
	for (size_t i = 0; i < text->length; i++) {
		if (text->data[i] == '\\')
			i++;
		copy[length++] = text->data[i];
	}
	*text = slice_of(copy, length);
	return true;
}

bool parse_string(struct parser *p, struct slice *text)
{
	if (parse_next_is(p, '"'))
		return parse_quoted(p, text);
	if (parse_next_is(p, '{'))
		return parse_literal(p, text);
	return parse_fail(p, "Missing string");
}

static bool string_or_class(struct parser *p, unsigned wanted, struct slice *text)
{
	if (parse_next_is(p, '"') || parse_next_is(p, '{'))
		return parse_string(p, text);
	return take_class(p, wanted, text, "Missing or invalid argument");
}

bool parse_astring(struct parser *p, struct slice *text)
{
	return string_or_class(p, CLASS_ASTRING, text);
}

bool parse_list_mailbox(struct parser *p, struct slice *text)
{
	return string_or_class(p, CLASS_LIST, text);
}

bool parse_nstring(struct parser *p, struct slice *text)
{
	struct slice atom;

	if (parse_next_is(p, '"') || parse_next_is(p, '{'))
		return parse_string(p, text);
	*text = (struct slice){ 0 };
	if (!parse_atom(p, &atom))
		return false;
	return slice_equal_nocase(atom, SLICE("NIL")) || parse_fail(p, "Missing string");
}

bool mailbox_name_from_wire(struct slice wire, struct arena *arena, struct slice *name)
{
	struct buffer utf8 = buffer_limited(4096);
	struct slice copy;
	bool ok = utf7_decode(wire, &utf8);

	copy = ok ? arena_slice(arena, buffer_slice(&utf8)) : (struct slice){ 0 };
	buffer_free(&utf8);
	if (!copy.data)
		return false;
	if (slice_starts_nocase(copy, SLICE("INBOX")) && (copy.length == 5 || copy.data[5] == '/'))
		memcpy((char *)copy.data, "INBOX", 5);
	*name = copy;
	return true;
}

bool parse_mailbox(struct parser *p, struct slice *name)
{
	struct slice wire;

	if (!parse_astring(p, &wire))
		return false;
	if (!mailbox_name_from_wire(wire, p->arena, name))
		return parse_fail(p, "Mailbox name is not valid modified UTF-7");
	if (name->length > 1 && name->data[name->length - 1] == '/')
		name->length--;
	return true;
}

bool parse_number(struct parser *p, uint64_t max, uint64_t *number)
{
	size_t n = 0;

	while (n < p->rest.length && ascii_digit(p->rest.data[n]))
		n++;
	if (!slice_to_u64(slice_head(p->rest, n), max, number))
		return parse_fail(p, n ? "Number is too large" : "Missing number");
	p->rest = slice_tail(p->rest, n);
	return true;
}

static bool system_flag(struct slice name, uint8_t *flag)
{
	static const struct {
		struct slice name;
		uint8_t flag;
	} FLAGS[] = { { { "Seen", 4 }, FLAG_SEEN }, { { "Answered", 8 }, FLAG_ANSWERED },
		{ { "Flagged", 7 }, FLAG_FLAGGED }, { { "Deleted", 7 }, FLAG_DELETED },
		{ { "Draft", 5 }, FLAG_DRAFT } };

	for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++) {
		if (slice_equal_nocase(name, FLAGS[i].name)) {
			*flag = FLAGS[i].flag;
			return true;
		}
	}
	return false;
}

static bool parse_flag(struct parser *p, struct flag_list *list)
{
	struct slice name;
	uint8_t flag;

	if (parse_next_is(p, '\\')) {
		p->rest = slice_tail(p->rest, 1);
		if (!parse_atom(p, &name))
			return false;
		if (!system_flag(name, &flag))
			return parse_fail(p, "Invalid system flag");
		list->flags |= flag;
		return true;
	}
	if (!parse_atom(p, &name))
		return false;
	for (unsigned i = 0; i < list->count; i++) {
		if (slice_equal_nocase(list->keywords[i], name))
			return true;
	}
	if (list->count == PARSE_MAX_KEYWORDS)
		return parse_fail(p, "Too many keywords");
	list->keywords[list->count++] = name;
	return true;
}

bool parse_flags(struct parser *p, bool bare, struct flag_list *list)
{
	*list = (struct flag_list){ 0 };
	if (bare && !parse_next_is(p, '(')) {
		do {
			if (!parse_flag(p, list))
				return false;
		} while (parse_next_is(p, ' ') && parse_space(p));
		return true;
	}
	if (!parse_enter(p))
		return false;
	while (!parse_next_is(p, ')')) {
		if (!parse_flag(p, list) || (!parse_next_is(p, ')') && !parse_space(p)))
			return false;
	}
	return parse_leave(p);
}

bool parse_date_time(struct parser *p, int64_t *seconds)
{
	struct slice text;
	int zone;

	if (!parse_next_is(p, '"') || !parse_quoted(p, &text))
		return parse_fail(p, "Missing date-time");
	return date_parse_imap(text, seconds, &zone) || parse_fail(p, "Invalid date-time");
}

bool parse_date(struct parser *p, int64_t *day)
{
	struct slice text;

	if (!parse_astring(p, &text))
		return false;
	return date_parse_imap_day(text, day) || parse_fail(p, "Invalid date");
}

bool parse_id(struct parser *p)
{
	enum { ID_MAX_FIELDS = 30 };
	struct slice name, value;
	unsigned fields = 0;

	if (!parse_space(p))
		return false;
	if (!parse_next_is(p, '('))
		return parse_nstring(p, &value) && parse_end(p);
	if (!parse_enter(p))
		return false;
	while (!parse_next_is(p, ')')) {
		if ((fields && !parse_space(p)) || !parse_string(p, &name) || !parse_space(p) ||
			!parse_nstring(p, &value))
			return false;
		if (++fields > ID_MAX_FIELDS)
			return parse_fail(p, "Too many fields");
	}
	return parse_leave(p) && parse_end(p);
}
