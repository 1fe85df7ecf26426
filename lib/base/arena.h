// SPDX-License-Identifier: ISC
/*
 * An arena gives out memory that is freed all at once: one for a connection, one for a command. It has a limit, so that a
 * peer cannot make it grow for ever. Not for threads.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes given out since the last reset */
	size_t limit; /* bytes; set by arena_init */
	bool secret; /* what was given out is wiped by reset and free; set behind arena_init */
};

void arena_init(struct arena *arena, size_t limit);
/* Zeroed, aligned for any type. NULL when the limit is reached or memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
/* count * size with overflow check. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* A copy with a NUL behind it (the slice may hold NUL itself). NULL as above. */
char *arena_dup(struct arena *arena, struct slice s);
/* A copy as a slice; data is NULL when it failed. */
struct slice arena_slice(struct arena *arena, struct slice s);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/* Free everything but one block, to be used again. */
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
