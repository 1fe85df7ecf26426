// SPDX-License-Identifier: ISC
/* Growing bytes with a limit. See buffer.h. */
#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

/* realloc would leave a copy behind. */
static char *grow_secret(struct buffer *b, size_t capacity)
{
	char *data = malloc(capacity);

	if (data && b->data) {
		memcpy(data, b->data, b->length);
		explicit_bzero(b->data, b->capacity);
		free(b->data);
	}
	return data;
}

char *buffer_reserve(struct buffer *b, size_t more)
{
	size_t limit = b->limit ? b->limit : BUFFER_DEFAULT_LIMIT;
	size_t wanted, capacity;
	char *data;

	if (b->failed || more > limit || b->length > limit - more) {
		b->failed = true;
		return NULL;
	}
	wanted = b->length + more;
	if (wanted <= b->capacity && b->data)
		return b->data + b->length;
	capacity = b->capacity < 128 ? 256 : b->capacity * 2;
	if (capacity < wanted)
		capacity = wanted;
	data = b->secret ? grow_secret(b, capacity) : realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	b->capacity = capacity;
	return data + b->length;
}

bool buffer_append(struct buffer *b, const void *data, size_t length)
{
	char *to;

	if (length == 0)
		return !b->failed;
	to = buffer_reserve(b, length);
	if (!to)
		return false;
	memcpy(to, data, length);
	b->length += length;
	return true;
}

bool buffer_add(struct buffer *b, struct slice s)
{
	return buffer_append(b, s.data, s.length);
}

bool buffer_add_text(struct buffer *b, const char *text)
{
	return buffer_append(b, text, strlen(text));
}

bool buffer_add_byte(struct buffer *b, char c)
{
	return buffer_append(b, &c, 1);
}

bool buffer_add_u64(struct buffer *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return buffer_append(b, digits + at, sizeof(digits) - at);
}

bool buffer_vprintf(struct buffer *b, const char *format, va_list args)
{
	va_list again;
	int length;
	char *to;

	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	to = length < 0 ? NULL : buffer_reserve(b, (size_t)length + 1);
	if (!to) {
		b->failed = true;
		return false;
	}
	vsnprintf(to, (size_t)length + 1, format, args);
	b->length += (size_t)length;
	return true;
}

bool buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	bool ok;

	va_start(args, format);
	ok = buffer_vprintf(b, format, args);
	va_end(args);
	return ok;
}

void buffer_consume(struct buffer *b, size_t length)
{
	if (length > b->length)
		length = b->length;
	if (length && length < b->length)
		memmove(b->data, b->data + length, b->length - length);
	buffer_cut(b, b->length - length);
}

void buffer_cut(struct buffer *b, size_t length)
{
	if (length >= b->length)
		return;
	if (b->secret)
		explicit_bzero(b->data + length, b->length - length);
	b->length = length;
}

void buffer_clear(struct buffer *b)
{
	buffer_cut(b, 0);
	b->failed = false;
}

void buffer_free(struct buffer *b)
{
	/* All of it: what was put behind the end, as buffer_text's NUL, counts too. */
	if (b->secret && b->data)
		explicit_bzero(b->data, b->capacity);
	free(b->data);
	*b = (struct buffer){ .limit = b->limit, .secret = b->secret };
}

const char *buffer_text(struct buffer *b)
{
	char *end = buffer_reserve(b, 1);

	if (!end)
		return NULL;
	*end = '\0';
	return b->data;
}
