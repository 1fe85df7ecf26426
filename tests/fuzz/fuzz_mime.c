// SPDX-License-Identifier: ISC
/* MIME: every part lies inside of its parent, and what IMAP is told is well formed. */
#include <stdlib.h>

#include "mail/header.h"
#include "mail/mime.h"
#include "mail/utf8.h"

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Behind the literal whose "{" is at s[0]. */
static struct slice skip_literal(struct slice s)
{
	size_t length = 0, i = 1;

	while (i < s.length && ascii_digit(s.data[i]))
		length = length * 10 + (size_t)(s.data[i++] - '0');
	require(slice_starts(slice_tail(s, i), SLICE("}\r\n")) && s.length - i - 3 >= length);
	return slice_tail(s, i + 3 + length);
}

static struct slice skip_quoted(struct slice s)
{
	for (size_t i = 1; i < s.length; i++) {
		unsigned char c = (unsigned char)s.data[i];

		require(c < 128 && c != '\r' && c != '\n' && c != '\0');
		if (c == '"')
			return slice_tail(s, i + 1);
		i += c == '\\';
	}
	abort();
}

/* One parenthesised list from the first byte to the last, made of strings, numbers and NIL. */
static void require_balanced(struct slice s)
{
	size_t depth = 0;

	require(s.length && s.data[0] == '(');
	while (s.length) {
		char c = s.data[0];

		if (c == '"') {
			s = skip_quoted(s);
			continue;
		}
		if (c == '{') {
			s = skip_literal(s);
			continue;
		}
		require(c == '(' || c == ')' || c == ' ' || ascii_digit(c) || memchr("NIL", c, 3));
		depth += c == '(';
		require(depth > 0);
		depth -= c == ')';
		s = slice_tail(s, 1);
		require(depth > 0 || s.length == 0);
	}
	require(depth == 0);
}

static void check_part(const struct mime_part *part, struct slice message, unsigned depth)
{
	struct slice body = slice_head(slice_tail(message, part->body_offset), part->body_length);
	size_t at = part->body_offset;
	struct buffer decoded = { 0 }, utf8 = { 0 };

	require(depth <= MIME_MAX_DEPTH);
	require(part->header_offset + part->header_length == part->body_offset);
	require(part->body_offset + part->body_length <= message.length);
	require(part->body_lines <= part->body_length);
	for (const struct mime_part *c = part->children; c; c = c->next) {
		require(c->parent == part && c->header_offset >= at);
		at = c->body_offset + c->body_length;
		require(at <= part->body_offset + part->body_length);
		check_part(c, message, depth + 1);
	}
	if (!part->children) {
		require(mime_decode(part->encoding, body, &decoded));
		require(mime_to_utf8(
			mime_parameter(part, "charset"), buffer_slice(&decoded), &utf8));
		require(utf8_valid(buffer_slice(&utf8)));
		buffer_clear(&decoded);
		require(mime_fold(buffer_slice(&utf8), &decoded));
		require(utf8_valid(buffer_slice(&decoded)));
	}
	buffer_free(&decoded);
	buffer_free(&utf8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_of(data, size);
	struct buffer out = { 0 };
	struct mime_part *top;
	struct arena arena;

	arena_init(&arena, 64 << 20);
	top = mime_parse(message, &arena);
	require(top && top->header_offset == 0 && top->body_offset + top->body_length == size);
	require(top->header_length == header_length_lax(message));
	check_part(top, message, 0);
	for (int extended = 0; extended < 2; extended++) {
		require(mime_write_structure(top, message, extended, &out));
		require_balanced(buffer_slice(&out));
		buffer_clear(&out);
	}
	require(mime_write_envelope(slice_head(message, top->header_length), &arena, &out));
	require_balanced(buffer_slice(&out));
	buffer_free(&out);
	arena_free(&arena);
	return 0;
}
