// SPDX-License-Identifier: ISC
/* Slices: comparing, searching, splitting and reading numbers. See slice.h. */
#include "base/slice.h"

#include <stdlib.h>

bool slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
	return a.length == b.length && slice_starts_nocase(a, b);
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return slice_equal(slice_head(s, prefix.length), prefix);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
	if (s.length < prefix.length)
		return false;
	for (size_t i = 0; i < prefix.length; i++) {
		if (ascii_lower(s.data[i]) != ascii_lower(prefix.data[i]))
			return false;
	}
	return true;
}

bool slice_ends_nocase(struct slice s, struct slice suffix)
{
	return s.length >= suffix.length &&
	       slice_equal_nocase(slice_tail(s, s.length - suffix.length), suffix);
}

int slice_compare(struct slice a, struct slice b)
{
	size_t n = a.length < b.length ? a.length : b.length;
	int order = n ? memcmp(a.data, b.data, n) : 0;

	if (order)
		return order;
	return a.length < b.length ? -1 : a.length > b.length;
}

ptrdiff_t slice_find(struct slice s, char byte)
{
	const char *p = s.length ? memchr(s.data, byte, s.length) : NULL;

	return p ? p - s.data : -1;
}

ptrdiff_t slice_find_last(struct slice s, char byte)
{
	const char *p = s.length ? memrchr(s.data, byte, s.length) : NULL;

	return p ? p - s.data : -1;
}

ptrdiff_t slice_search(struct slice s, struct slice needle)
{
	const char *p;

	if (needle.length == 0)
		return 0;
	p = s.length ? memmem(s.data, s.length, needle.data, needle.length) : NULL;
	return p ? p - s.data : -1;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.length && is_space(s.data[0]))
		s = slice_tail(s, 1);
	while (s.length && is_space(s.data[s.length - 1]))
		s.length--;
	return s;
}

bool slice_split(struct slice *rest, char byte, struct slice *part)
{
	ptrdiff_t at;

	if (rest->length == 0)
		return false;
	at = slice_find(*rest, byte);
	if (at < 0) {
		*part = *rest;
		*rest = slice_tail(*rest, rest->length);
	} else {
		*part = slice_head(*rest, (size_t)at);
		*rest = slice_tail(*rest, (size_t)at + 1);
	}
	return true;
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

bool slice_word(struct slice *rest, const char *separators, struct slice *word)
{
	size_t start = 0, end;

	while (start < rest->length && is_one_of(rest->data[start], separators))
		start++;
	for (end = start; end < rest->length && !is_one_of(rest->data[end], separators);)
		end++;
	*word = slice_of(rest->data ? rest->data + start : NULL, end - start);
	*rest = slice_tail(*rest, end);
	return word->length > 0;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	if (s.length == 0)
		return false;
	for (size_t i = 0; i < s.length; i++) {
		uint64_t digit = (uint64_t)(unsigned char)s.data[i] - '0';

		if (!ascii_digit(s.data[i]) || n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (n > max)
		return false;
	*value = n;
	return true;
}

bool slice_to_i64(struct slice s, int64_t *value)
{
	bool negative = s.length > 0 && s.data[0] == '-';
	uint64_t n;

	if (!slice_to_u64(slice_tail(s, negative), (uint64_t)INT64_MAX, &n))
		return false;
	*value = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

bool slice_to_string(struct slice s, char *text, size_t size)
{
	if (s.length >= size || slice_find(s, '\0') >= 0)
		return false;
	if (s.length)
		memcpy(text, s.data, s.length);
	text[s.length] = '\0';
	return true;
}

char *slice_dup(struct slice s)
{
	char *text = slice_find(s, '\0') >= 0 ? NULL : malloc(s.length + 1);

	if (text) {
		if (s.length)
			memcpy(text, s.data, s.length);
		text[s.length] = '\0';
	}
	return text;
}
