// SPDX-License-Identifier: ISC
/*
 * Whether an address list is one by the grammar. address_list.c makes the best of anything, and so does every program in a way of
 * its own: where it matters that all of them read the same addresses, only what the grammar knows may stand. One pass.
 */
#include "mail/address.h"

struct reader {
	const char *p, *end;
};

/* Words and dots in a row, which are a display name or a local part or a domain. */
struct words {
	unsigned count; /* words */
	bool dotted; /* a dot between each two of them and no other: no phrase only */
	bool quoted; /* a quoted string is among them */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What may stand in quoted strings and comments, by itself or behind a backslash. Line ends are not: the text is unfolded. */
static bool is_text(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool is_atom(char c)
{
	return is_text(c) && !strchr(" \t()<>[]:;@\\,.\"", c);
}

/* 0 at the end; a NUL is never good, wherever it stands. */
static char peek(const struct reader *r)
{
	return r->p < r->end ? *r->p : 0;
}

/* The next character of a quoted string or a comment; `*escaped` when it is there for itself only. */
static bool take_text(struct reader *r, char *c, bool *escaped)
{
	*escaped = peek(r) == '\\';
	r->p += *escaped;
	*c = peek(r);
	if (r->p == r->end || !is_text(*c))
		return false;
	r->p++;
	return true;
}

static bool take_comment(struct reader *r)
{
	size_t depth = 0;
	bool escaped;
	char c;

	do {
		if (!take_text(r, &c, &escaped))
			return false;
		if (!escaped && c == '(')
			depth++;
		else if (!escaped && c == ')')
			depth--;
	} while (depth);
	return true;
}

static bool skip_blank(struct reader *r)
{
	for (;;) {
		if (is_blank(peek(r)))
			r->p++;
		else if (peek(r) != '(')
			return true;
		else if (!take_comment(r))
			return false;
	}
}

static bool take_quoted(struct reader *r)
{
	bool escaped;
	char c;

	r->p++;
	do {
		if (!take_text(r, &c, &escaped))
			return false;
	} while (escaped || c != '"');
	return true;
}

static bool take_words(struct reader *r, struct words *words)
{
	bool behind_word = false;

	*words = (struct words){ .dotted = true };
	for (;;) {
		if (!skip_blank(r))
			return false;
		if (peek(r) == '.') {
			if (words->count == 0)
				return false;
			words->dotted &= behind_word;
			behind_word = false;
			r->p++;
			continue;
		}
		if (peek(r) != '"' && !is_atom(peek(r)))
			break;
		words->dotted &= !behind_word;
		behind_word = true;
		words->count++;
		if (peek(r) == '"') {
			words->quoted = true;
			if (!take_quoted(r))
				return false;
			continue;
		}
		while (is_atom(peek(r)))
			r->p++;
	}
	words->dotted &= behind_word;
	return true;
}

/* With what addresses of hosts are written with (RFC 5321 4.1.3); RFC 5322 knows more, but "," and ">" look like its end. */
static bool take_literal(struct reader *r)
{
	r->p++;
	while (is_atom(peek(r)) || peek(r) == '.' || peek(r) == ':')
		r->p++;
	if (peek(r) != ']')
		return false;
	r->p++;
	return skip_blank(r);
}

/* Behind a local part; it may be all there is. */
static bool take_domain(struct reader *r)
{
	struct words words;

	if (peek(r) != '@')
		return true;
	r->p++;
	if (!skip_blank(r))
		return false;
	if (peek(r) == '[')
		return take_literal(r);
	return take_words(r, &words) && words.dotted && !words.quoted;
}

static bool take_angle(struct reader *r)
{
	struct words words;

	r->p++;
	if (!take_words(r, &words) || !words.dotted || !take_domain(r) || peek(r) != '>')
		return false;
	r->p++;
	return skip_blank(r);
}

/* A mailbox, or nothing, up to what ends it; and the name of the group that it is the first of. */
static bool take_entry(struct reader *r, bool *in_group)
{
	struct words words;

	if (!take_words(r, &words))
		return false;
	if (peek(r) == '<')
		return take_angle(r);
	if (peek(r) == ':' && words.count && !*in_group) {
		*in_group = true;
		r->p++;
		return take_entry(r, in_group);
	}
	if (words.count == 0)
		return true;
	return words.dotted && take_domain(r);
}

bool address_list_valid(struct slice value)
{
	struct reader r = { .p = value.data, .end = value.data + value.length };
	bool in_group = false;

	if (value.length == 0)
		return true;
	for (;;) {
		if (!take_entry(&r, &in_group))
			return false;
		if (peek(&r) == ';' && in_group) {
			in_group = false;
			r.p++;
			if (!skip_blank(&r))
				return false;
		}
		if (r.p == r.end)
			return !in_group;
		if (*r.p++ != ',')
			return false;
	}
}
