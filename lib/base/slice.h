// SPDX-License-Identifier: ISC
/*
 * A slice is a pointer and a length into bytes that somebody else owns. Wire data stays a slice until it is validated;
 * a slice may hold NUL and is not terminated. Used by everything.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

struct slice {
	const char *data;
	size_t length;
};

/* A slice of a string literal, usable in initializers. */
#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
/* For printf: "%.*s", SLICE_ARG(s). */
#define SLICE_ARG(s) (int)(s).length, ((s).data ? (s).data : "")

static inline struct slice slice_of(const void *data, size_t length)
{
	return (struct slice){ data, length };
}

/* Of a C string; NULL gives the empty slice. */
static inline struct slice slice_from(const char *text)
{
	return (struct slice){ text ? text : "", text ? strlen(text) : 0 };
}

/* The part from `from` to the end; empty when `from` lies behind it. */
static inline struct slice slice_tail(struct slice s, size_t from)
{
	if (from > s.length)
		from = s.length;
	return (struct slice){ s.data ? s.data + from : s.data, s.length - from };
}

/* The first `length` bytes, or all when there are fewer. */
static inline struct slice slice_head(struct slice s, size_t length)
{
	return (struct slice){ s.data, length < s.length ? length : s.length };
}

bool slice_equal(struct slice a, struct slice b);
/* ASCII case is ignored, no locale. */
bool slice_equal_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends_nocase(struct slice s, struct slice suffix);
/* Byte order, as memcmp and then by length. */
int slice_compare(struct slice a, struct slice b);

/* Index of the first (last) `byte`, or -1. */
ptrdiff_t slice_find(struct slice s, char byte);
ptrdiff_t slice_find_last(struct slice s, char byte);
/* Index of the first occurrence, or -1. An empty needle is found at 0. */
ptrdiff_t slice_search(struct slice s, struct slice needle);

/* Without white space (SP HT CR LF) at both ends. */
struct slice slice_trim(struct slice s);
/* Take the part before `byte` off the front of *rest (and the byte); false when *rest was empty. The last part needs no `byte`. */
bool slice_split(struct slice *rest, char byte, struct slice *part);
/* Take the next word separated by any of `separators` (a C string); empty words are skipped; false at the end. */
bool slice_word(struct slice *rest, const char *separators, struct slice *word);

/* Decimal digits only, no sign, the whole slice. False when empty, not digits, or above `max`. */
MUST_CHECK bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value);
/* Optional "-", then as above. */
MUST_CHECK bool slice_to_i64(struct slice s, int64_t *value);
/* Copy into a C string of `size` bytes. False when it does not fit or holds NUL. */
MUST_CHECK bool slice_to_string(struct slice s, char *text, size_t size);
/* A malloc'ed C string; NULL when out of memory or the slice holds NUL. */
char *slice_dup(struct slice s);

static inline char ascii_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}
static inline char ascii_upper(char c)
{
	return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}
static inline bool ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_alnum(char c)
{
	return ascii_alpha(c) || ascii_digit(c);
}

#endif
