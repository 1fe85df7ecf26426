// SPDX-License-Identifier: ISC
/* Completing addresses in headers. See rewrite.h. One pass over the list, one character at a time. */
#include "cleanup/rewrite.h"

/* One address of the list while it is being read. */
struct scan {
	struct slice value;
	const char *origin;
	struct buffer *out;
	size_t copied; /* bytes of the value that are in `out` */
	size_t end; /* behind the last word of the address, or 0 */
	unsigned words;
	bool gap; /* white space or a comment since the last word */
	bool at; /* "@" was there */
	bool angle; /* inside of "<>" */
	bool closed; /* behind ">" */
};

static void next_address(struct scan *s)
{
	s->end = 0;
	s->words = 0;
	s->gap = s->at = s->angle = s->closed = false;
}

/* Put the domain behind the word that ends at s->end, if that was a whole address without one. */
static void complete(struct scan *s)
{
	if (!s->end || s->at || s->words != 1)
		return;
	buffer_add(s->out, slice_of(s->value.data + s->copied, s->end - s->copied));
	buffer_printf(s->out, "@%s", s->origin);
	s->copied = s->end;
}

static void word(struct scan *s, size_t end)
{
	if (s->closed)
		return;
	if (!s->end || s->gap)
		s->words++;
	s->end = end;
	s->gap = false;
}

/* Behind the quoted string, comment or domain literal that begins at `at`; the end of the value when it never ends. */
static size_t skip(struct slice value, size_t at, char open, char close)
{
	size_t depth = 0;

	for (size_t i = at; i < value.length; i++) {
		char c = value.data[i];

		if (c == '\\')
			i++;
		else if (c == close && (open == close ? i > at : --depth == 0))
			return i + 1;
		else if (c == open)
			depth++;
	}
	return value.length;
}

static void take_special(struct scan *s, size_t i, char c)
{
	switch (c) {
	case '<':
		next_address(s);
		s->angle = true;
		break;
	case '>':
		if (s->angle)
			complete(s);
		next_address(s);
		s->closed = true;
		break;
	case ',':
	case ';':
		/* A route has commas inside of its brackets, and "@" before them. */
		if (!s->angle) {
			complete(s);
			next_address(s);
		}
		break;
	case ':':
		if (!s->angle)
			next_address(s);
		break;
	default: /* "@" */
		s->at = true;
		word(s, i + 1);
	}
}

bool rewrite_addresses(struct slice value, const char *origin, struct buffer *out)
{
	struct scan s = { .value = value, .origin = origin, .out = out };

	for (size_t i = 0; i < value.length;) {
		char c = value.data[i];

		if (c == '"' || c == '[') {
			i = skip(value, i, c, c == '"' ? '"' : ']');
			word(&s, i);
		} else if (c == '(') {
			i = skip(value, i, '(', ')');
			s.gap = true;
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			s.gap = true;
			i++;
		} else if (c && strchr("<>,;:@", c)) {
			take_special(&s, i++, c);
		} else {
			word(&s, ++i);
		}
	}
	if (!s.angle)
		complete(&s);
	return buffer_add(out, slice_tail(value, s.copied));
}
