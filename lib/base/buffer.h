// SPDX-License-Identifier: ISC
/*
 * A growing run of bytes with a limit. Appending past the limit, or out of memory, sets `failed` and changes nothing; it
 * stays set until buffer_clear, so a writer appends freely and checks once.
 *
 * What is in a secret buffer (a password on its way) is wiped where it is dropped: by consume, clear, free, and when it has to grow.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>

#include "base/slice.h"

struct buffer {
	char *data;
	size_t length;
	size_t capacity;
	size_t limit; /* bytes; 0 means BUFFER_DEFAULT_LIMIT */
	bool failed;
	bool secret; /* may be set while it is empty */
};

#define BUFFER_DEFAULT_LIMIT ((size_t)64 << 20)

/* A zeroed struct buffer is an empty buffer with the default limit, too. */
static inline struct buffer buffer_limited(size_t limit)
{
	return (struct buffer){ .limit = limit };
}

static inline struct buffer buffer_secret(size_t limit)
{
	return (struct buffer){ .limit = limit, .secret = true };
}

/* Room for `more` bytes behind the end. The pointer is valid until the next change; NULL when it cannot be had. */
char *buffer_reserve(struct buffer *b, size_t more);
/* Each returns !failed. */
bool buffer_append(struct buffer *b, const void *data, size_t length);
bool buffer_add(struct buffer *b, struct slice s);
bool buffer_add_text(struct buffer *b, const char *text);
bool buffer_add_byte(struct buffer *b, char c);
bool buffer_add_u64(struct buffer *b, uint64_t value);
bool buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
bool buffer_vprintf(struct buffer *b, const char *format, va_list args);
/* Drop `length` bytes at the front, or all but the first `length`. */
void buffer_consume(struct buffer *b, size_t length);
void buffer_cut(struct buffer *b, size_t length);
/* Empty, keep the memory, forget a failure. */
void buffer_clear(struct buffer *b);
void buffer_free(struct buffer *b);
/* NUL behind the end (not counted), and the data as a C string; NULL when failed. */
const char *buffer_text(struct buffer *b);

static inline struct slice buffer_slice(const struct buffer *b)
{
	return slice_of(b->data, b->length);
}

#endif
