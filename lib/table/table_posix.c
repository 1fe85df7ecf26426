// SPDX-License-Identifier: ISC
/* From POSIX to PCRE2 patterns. See table_posix.h. */
#include "table/table_posix.h"

/* A bracket expression from `at` (on the "[") on; the index behind it, or 0 when it does not end. In POSIX a backslash in it is
 * itself, a "]" at the front is itself, and "[:class:]" is as in PCRE2. */
static size_t bracket(struct slice pattern, size_t at, struct buffer *out)
{
	size_t i = at + 1, first;

	buffer_add_byte(out, '[');
	if (i < pattern.length && pattern.data[i] == '^')
		buffer_add_byte(out, pattern.data[i++]);
	for (first = i; i < pattern.length; i++) {
		char c = pattern.data[i];

		if (c == ']' && i > first) {
			buffer_add_byte(out, ']');
			return i + 1;
		}
		if (c == '[' && i + 1 < pattern.length && strchr(":.=", pattern.data[i + 1])) {
			const char close[] = { pattern.data[i + 1], ']', '\0' };
			ptrdiff_t end = slice_search(slice_tail(pattern, i + 2), slice_from(close));

			if (end < 0)
				return 0;
			buffer_add(out, slice_of(pattern.data + i, (size_t)end + 4));
			i += (size_t)end + 3;
			continue;
		}
		if (c == '\\' || c == ']' || c == '[')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, c);
	}
	return 0;
}

/* What stands behind a backslash. */
static void escaped(char c, struct buffer *out)
{
	if (c == '<')
		buffer_add_text(out, "\\b(?=\\w)");
	else if (c == '>')
		buffer_add_text(out, "\\b(?<=\\w)");
	else if (c == '`')
		buffer_add_text(out, "\\A");
	else if (c == '\'')
		buffer_add_text(out, "\\z");
	else {
		/* A letter that means nothing in POSIX is itself; PCRE2 would give it a meaning. */
		if (!ascii_alnum(c) || ascii_digit(c) || strchr("wWsSbB", c))
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, c);
	}
}

/* An interval "{n,m}" at `at`: the index behind it; 0 when it is none, then the brace is itself. */
static size_t interval(struct slice pattern, size_t at)
{
	size_t i = at + 1;

	while (i < pattern.length && (ascii_digit(pattern.data[i]) || pattern.data[i] == ','))
		i++;
	return i > at + 1 && i < pattern.length && pattern.data[i] == '}' &&
			       ascii_digit(pattern.data[at + 1])
		       ? i + 1
		       : 0;
}

/*
 * All repetitions in a row from `at` on; the index behind them. A second repetition repeats the first in POSIX, but makes it
 * lazy or possessive in PCRE2: "a*?" is "a*", "a+*" is "a*", "a??" is "a?".
 */
static size_t repetitions(struct slice pattern, size_t at, struct buffer *out, const char **error)
{
	bool none = false, many = false;
	size_t i = at, after = 0;

	if (pattern.data[at] == '{') {
		after = interval(pattern, at);
		buffer_add(out, slice_of(pattern.data + at, after - at));
		if (after < pattern.length && pattern.data[after] &&
			strchr("*+?", pattern.data[after]))
			*error = "a repetition of an interval";
		return after;
	}
	for (; i < pattern.length && pattern.data[i] && strchr("*+?", pattern.data[i]); i++) {
		none = none || pattern.data[i] != '+';
		many = many || pattern.data[i] != '?';
	}
	if (i < pattern.length && pattern.data[i] == '{' && interval(pattern, i))
		*error = "an interval of a repetition";
	buffer_add_byte(out, none && many ? '*' : many ? '+' : '?');
	return i;
}

const char *table_posix_translate(struct slice pattern, struct buffer *out)
{
	const char *error = NULL;
	bool nothing = true; /* stands before `i` that could be repeated */

	for (size_t i = 0; i < pattern.length && !error;) {
		char c = pattern.data[i];
		bool begins = c == '(' || c == '|';

		if (c == '[') {
			i = bracket(pattern, i, out);
			if (i == 0)
				return "a bracket expression does not end";
		} else if (c == '\\') {
			if (i + 1 == pattern.length)
				return "a backslash at the end";
			escaped(pattern.data[i + 1], out);
			i += 2;
		} else if (c == '*' || c == '+' || c == '?' || (c == '{' && interval(pattern, i))) {
			if (nothing)
				return "nothing to repeat";
			i = repetitions(pattern, i, out, &error);
		} else {
			if (c == '{')
				buffer_add_byte(out, '\\');
			buffer_add_byte(out, c);
			i++;
		}
		nothing = begins;
	}
	return error ? error : out->failed ? "pattern too long" : NULL;
}
