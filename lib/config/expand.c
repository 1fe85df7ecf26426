// SPDX-License-Identifier: ISC
/*
 * `$name` and its relatives, as postconf(5) has them: $name ${name} $(name) ${name?text} ${name:text} ${name?{a}:{b}}
 * ${{a}=={b}?{x}:{y}} with == != < <= > >=, and $$ for a dollar. White space around groups does not count.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/internal.h"
#include "os/os.h"

/* Steps bound the time, where names that expand to nothing are nested so that the output's bound does not. */
enum {
	EXPAND_STEPS = 20000,
	EXPAND_DEPTH = 64,
	FIRST_LINE_MAX = 255 /* of a file that names a domain */
};

/* The names being expanded, innermost first. */
struct frame {
	struct slice name;
	const struct frame *up;
};
struct expansion {
	const struct config_source *source;
	unsigned steps;
	char *error;
	size_t error_size;
};

static bool expand_text(struct expansion *e, struct slice text, struct buffer *out,
	const struct frame *up, int depth);

static bool fail(struct expansion *e, const char *text, struct slice where)
{
	snprintf(e->error, e->error_size, "%s: \"%.*s\"", text, SLICE_ARG(slice_head(where, 100)));
	return false;
}

static bool is_name_byte(char c)
{
	return ascii_alnum(c) || c == '_';
}

static size_t name_length(struct slice s, const char *more)
{
	size_t length = 0;

	while (length < s.length && s.data[length] &&
		(is_name_byte(s.data[length]) || strchr(more, s.data[length])))
		length++;
	return length;
}

/* The index of the bracket that closes the one at 0; 0 when there is none. */
static size_t closing(struct slice s)
{
	char open = s.data[0], close = open == '(' ? ')' : '}';
	int depth = 0;

	for (size_t i = 0; i < s.length; i++) {
		if (s.data[i] == open)
			depth++;
		else if (s.data[i] == close && --depth == 0)
			return i;
	}
	return 0;
}

static struct slice skip_space(struct slice s)
{
	while (s.length &&
		(s.data[0] == ' ' || s.data[0] == '\t' || s.data[0] == '\r' || s.data[0] == '\n'))
		s = slice_tail(s, 1);
	return s;
}

bool take_group(struct slice *rest, struct slice *inside)
{
	size_t end = rest->length && rest->data[0] == '{' ? closing(*rest) : 0;

	if (!end)
		return false;
	*inside = slice_trim(slice_tail(slice_head(*rest, end), 1));
	*rest = slice_tail(*rest, end + 1);
	return true;
}

/* mydomain's default: myhostname without its first label. */
static bool expand_mydomain(
	struct expansion *e, struct buffer *out, const struct frame *up, int depth)
{
	struct buffer host = buffer_limited(CONFIG_VALUE_MAX);
	bool good = expand_text(e, SLICE("$myhostname"), &host, up, depth);
	ptrdiff_t dot = good ? slice_find(buffer_slice(&host), '.') : -1;

	if (good)
		good = buffer_add(out, dot < 0 ? SLICE("localdomain")
					       : slice_tail(buffer_slice(&host), (size_t)dot + 1));
	buffer_free(&host);
	return good;
}

/* The first line of a file, trimmed; NULL or what is wrong. Only a regular file: master shall wait for nobody. */
static const char *first_line(const char *path, struct buffer *out)
{
	char data[FIRST_LINE_MAX + 1];
	struct stat info;
	struct slice line;
	ssize_t n = -1;
	int fd = os_open(path, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0 || !os_fstat(fd, &info)) {
		os_close(&fd);
		return "cannot read the file";
	}
	if (S_ISREG(info.st_mode))
		n = os_read(fd, data, sizeof(data));
	os_close(&fd);
	if (n < 0)
		return "cannot read the file";
	line = slice_of(data, (size_t)n);
	if (slice_find(line, '\n') >= 0)
		line = slice_head(line, (size_t)slice_find(line, '\n'));
	if (line.length > FIRST_LINE_MAX || slice_find(line, '\0') >= 0)
		return "no name in the first line of the file";
	line = slice_trim(line);
	return line.length && buffer_add(out, line) ? NULL
						    : "no name in the first line of the file";
}

/* myorigin = /etc/mailname: the name of a file that holds the value, Debian's habit. */
static bool expand_myorigin(struct expansion *e, const char *text, struct buffer *out,
	const struct frame *up, int depth)
{
	struct buffer value = buffer_limited(CONFIG_VALUE_MAX);
	bool good = expand_text(e, slice_from(text), &value, up, depth);
	struct slice trimmed = slice_trim(buffer_slice(&value));
	char path[PATH_MAX];
	const char *fault;

	if (good && trimmed.length && trimmed.data[0] == '/') {
		fault = slice_to_string(trimmed, path, sizeof(path)) ? first_line(path, out)
								     : "no file name";
		good = !fault || fail(e, fault, trimmed);
	} else if (good) {
		good = buffer_add(out, buffer_slice(&value));
	}
	buffer_free(&value);
	return good;
}

static bool expand_name(struct expansion *e, struct slice name, struct buffer *out,
	const struct frame *up, int depth)
{
	struct frame frame = { name, up };
	const char *text;
	char key[128];

	for (const struct frame *f = up; f; f = f->up)
		if (slice_equal(f->name, name))
			return fail(e, "refers to itself", name);
	if (!slice_to_string(name, key, sizeof(key)))
		return fail(e, "not a parameter name", name);
	text = source_text(e->source, key);
	if (strcmp(key, "mydomain") == 0 && (!text || !*text))
		return expand_mydomain(e, out, &frame, depth + 1);
	if (strcmp(key, "myorigin") == 0 && text)
		return expand_myorigin(e, text, out, &frame, depth + 1);
	return !text || expand_text(e, slice_from(text), out, &frame, depth + 1);
}

/* `rest` is "?..." or ":...": the branch that `yes` chooses. */
static bool expand_choice(struct expansion *e, struct slice rest, bool yes, struct buffer *out,
	const struct frame *up, int depth)
{
	struct slice whole = rest, first, second = slice_of("", 0);
	char op = rest.data[0];

	rest = slice_tail(rest, 1);
	if (skip_space(rest).length && skip_space(rest).data[0] == '{') {
		rest = skip_space(rest);
		if (!take_group(&rest, &first))
			return fail(e, "no \"}\"", whole);
		rest = skip_space(rest);
		if (op == '?' && rest.length && rest.data[0] == ':') {
			rest = skip_space(slice_tail(rest, 1));
			if (!rest.length || rest.data[0] != '{' || !take_group(&rest, &second)) {
				second = rest;
				rest = slice_of("", 0);
			}
		}
		if (skip_space(rest).length)
			return fail(e, "text behind \"}\"", rest);
	} else {
		first = rest;
	}
	if (op == ':')
		yes = !yes;
	return expand_text(e, yes ? first : second, out, up, depth + 1);
}

struct operator
{
	const char *text;
	bool less, equal, greater;
};
/* Longer ones first. */
static const struct operator OPERATORS[] = {
	{ "==", false, true, false },
	{ "!=", true, false, true },
	{ "<=", true, true, false },
	{ ">=", false, true, true },
	{ "<", true, false, false },
	{ ">", false, false, true },
};

static const struct operator* take_operator(struct slice *rest)
{
	for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(OPERATORS[0]); i++) {
		struct slice text = slice_from(OPERATORS[i].text);

		if (slice_starts(*rest, text)) {
			*rest = slice_tail(*rest, text.length);
			return &OPERATORS[i];
		}
	}
	return NULL;
}

/* Numbers as numbers, anything else as text. */
static int compare(struct slice a, struct slice b)
{
	uint64_t x, y;

	if (slice_to_u64(a, UINT64_MAX, &x) && slice_to_u64(b, UINT64_MAX, &y))
		return x < y ? -1 : x > y;
	return slice_compare(a, b);
}

static bool expand_comparison(struct expansion *e, struct slice left, struct slice right,
	const struct operator* op, bool *result, const struct frame *up, int depth)
{
	struct buffer a = buffer_limited(CONFIG_VALUE_MAX), b = buffer_limited(CONFIG_VALUE_MAX);
	bool good =
		expand_text(e, left, &a, up, depth + 1) && expand_text(e, right, &b, up, depth + 1);

	if (good) {
		int order = compare(buffer_slice(&a), buffer_slice(&b));

		*result = order < 0 ? op->less : order > 0 ? op->greater : op->equal;
	}
	buffer_free(&a);
	buffer_free(&b);
	return good;
}

/* ${{a}==b...}: `body` begins with a group. */
static bool expand_condition(struct expansion *e, struct slice body, struct buffer *out,
	const struct frame *up, int depth)
{
	struct slice rest = body, left, right;
	const struct operator* op;
	bool yes;

	if (!take_group(&rest, &left))
		return fail(e, "no \"}\"", body);
	rest = skip_space(rest);
	op = take_operator(&rest);
	rest = skip_space(rest);
	if (!op || !take_group(&rest, &right))
		return fail(e, "not {a} == {b} (or != < <= > >=)", body);
	if (!expand_comparison(e, left, right, op, &yes, up, depth))
		return false;
	rest = skip_space(rest);
	if (!rest.length)
		return yes ? buffer_add_text(out, "true") : true;
	if (rest.data[0] != '?' && rest.data[0] != ':')
		return fail(e, "neither ? nor : behind the comparison", body);
	return expand_choice(e, rest, yes, out, up, depth);
}

/* What stands in ${...}. */
static bool expand_braced(struct expansion *e, struct slice body, struct buffer *out,
	const struct frame *up, int depth)
{
	struct buffer value = buffer_limited(CONFIG_VALUE_MAX);
	struct slice rest, name;
	bool good;

	body = skip_space(body);
	if (body.length && body.data[0] == '{')
		return expand_condition(e, body, out, up, depth);
	name = slice_head(body, name_length(body, "-."));
	rest = skip_space(slice_tail(body, name.length));
	if (!name.length || (rest.length && rest.data[0] != '?' && rest.data[0] != ':'))
		return fail(e, "not a parameter name", body);
	if (!rest.length)
		return expand_name(e, name, out, up, depth);
	good = expand_name(e, name, &value, up, depth) &&
	       expand_choice(e, rest, slice_trim(buffer_slice(&value)).length > 0, out, up, depth);
	buffer_free(&value);
	return good;
}

/* `text` begins behind a "$". The length of what was expanded, 0 on failure. */
static size_t expand_dollar(struct expansion *e, struct slice text, struct buffer *out,
	const struct frame *up, int depth)
{
	size_t length;

	if (text.length && text.data[0] == '$')
		return buffer_add_byte(out, '$') ? 1 : 0;
	if (text.length && (text.data[0] == '{' || text.data[0] == '(')) {
		length = closing(text);
		if (!length) {
			fail(e, "a bracket is not closed", text);
			return 0;
		}
		return expand_braced(e, slice_tail(slice_head(text, length), 1), out, up, depth)
			       ? length + 1
			       : 0;
	}
	length = name_length(text, "");
	if (!length) {
		fail(e, "no name behind \"$\" (write $$ for a dollar)", text);
		return 0;
	}
	return expand_name(e, slice_head(text, length), out, up, depth) ? length : 0;
}

static bool expand_text(struct expansion *e, struct slice text, struct buffer *out,
	const struct frame *up, int depth)
{
	size_t used;
	ptrdiff_t dollar;

	if (depth > EXPAND_DEPTH)
		return fail(e, "nested too deeply", text);
	while (text.length) {
		if (++e->steps > EXPAND_STEPS)
			return fail(e, "takes too long to expand", text);
		dollar = slice_find(text, '$');
		if (dollar < 0)
			dollar = (ptrdiff_t)text.length;
		buffer_add(out, slice_head(text, (size_t)dollar));
		text = slice_tail(text, (size_t)dollar);
		if (text.length) {
			used = expand_dollar(e, slice_tail(text, 1), out, up, depth);
			if (!used)
				return out->failed && !e->error[0] ? fail(e, "too long", text)
								   : false;
			text = slice_tail(text, used + 1);
		}
		if (out->failed)
			return fail(e, "too long", text);
	}
	return true;
}

bool config_expand(const struct config_source *source, const char *text, struct buffer *out,
	char *error, size_t error_size)
{
	struct expansion e = { source, 0, error, error_size };

	error[0] = 0;
	return expand_text(&e, slice_from(text), out, NULL, 0);
}

bool config_value(const struct config_source *source, const char *name, struct buffer *out,
	char *error, size_t error_size)
{
	struct expansion e = { source, 0, error, error_size };
	struct buffer value = buffer_limited(CONFIG_VALUE_MAX);
	const char *text = source_text(source, name);
	enum parameter p = parameter_of(name);
	bool good;

	error[0] = 0;
	if (!text)
		return false;
	if (p < PARAM_COUNT && parameter_is_raw(p))
		good = buffer_add_text(&value, text);
	else
		good = expand_name(&e, slice_from(name), &value, NULL, 0);
	if (good && !buffer_add(out, slice_trim(buffer_slice(&value))))
		good = fail(&e, "too long", slice_from(name));
	buffer_free(&value);
	return good;
}

void expand_references(
	const char *text, void (*each)(void *context, struct slice name, bool plain), void *context)
{
	struct slice rest = slice_from(text);
	ptrdiff_t dollar;

	while ((dollar = slice_find(rest, '$')) >= 0) {
		bool braced;
		struct slice name, behind;

		rest = slice_tail(rest, (size_t)dollar + 1);
		if (rest.length && rest.data[0] == '$') {
			rest = slice_tail(rest, 1);
			continue;
		}
		braced = rest.length && (rest.data[0] == '{' || rest.data[0] == '(');
		if (braced)
			rest = skip_space(slice_tail(rest, 1));
		name = slice_head(rest, name_length(rest, braced ? "-." : ""));
		behind = skip_space(slice_tail(rest, name.length));
		if (name.length)
			each(context, name,
				!braced || !behind.length || !strchr("?:", behind.data[0]));
	}
}
