// SPDX-License-Identifier: ISC
/* Growing arrays. See vector.h. */
#include "base/vector.h"

#include <stdlib.h>

void *vector_add(struct vector *v)
{
	void *item;

	if (v->limit && v->count >= v->limit)
		return NULL;
	if (v->count == v->capacity) {
		size_t capacity = v->capacity ? v->capacity * 2 : 8;
		void *items = reallocarray(v->items, capacity, v->size);

		if (!items)
			return NULL;
		v->items = items;
		v->capacity = capacity;
	}
	item = vector_at(v, v->count++);
	return memset(item, 0, v->size);
}

void vector_swap_out(struct vector *v, size_t i)
{
	v->count--;
	if (i != v->count)
		memcpy(vector_at(v, i), vector_at(v, v->count), v->size);
}

void vector_clear(struct vector *v)
{
	v->count = 0;
}

void vector_free(struct vector *v)
{
	free(v->items);
	*v = vector_of(v->size, v->limit);
}
