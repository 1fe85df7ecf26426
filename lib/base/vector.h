// SPDX-License-Identifier: ISC
/*
 * A growing array of equal elements with a limit. Elements move when it grows: keep indexes, not pointers.
 */
#ifndef BASE_VECTOR_H
#define BASE_VECTOR_H

#include "base/slice.h"

struct vector {
	void *items;
	size_t count;
	size_t capacity;
	size_t size; /* of one element, bytes */
	size_t limit; /* elements; 0 means no limit but memory */
};

static inline struct vector vector_of(size_t size, size_t limit)
{
	return (struct vector){ .size = size, .limit = limit };
}

/* A zeroed element at the end; NULL when the limit is reached or memory is out. */
void *vector_add(struct vector *v);
/* Element i; the caller keeps i < count. */
static inline void *vector_at(const struct vector *v, size_t i)
{
	return (char *)v->items + i * v->size;
}
/* Take element i out; the last one takes its place. */
void vector_swap_out(struct vector *v, size_t i);
/* Empty, memory kept. */
void vector_clear(struct vector *v);
void vector_free(struct vector *v);

#endif
