// SPDX-License-Identifier: ISC
/* Arenas. See arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BLOCK = 4096 - 64 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena, size_t limit)
{
	*arena = (struct arena){ .limit = limit };
}

static struct arena_block *block_for(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;
	size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

	if (block && block->size - block->used >= size)
		return block;
	block = malloc(sizeof(*block) + room);
	if (!block)
		return NULL;
	*block = (struct arena_block){ .next = arena->blocks, .size = room };
	arena->blocks = block;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t align = alignof(max_align_t);
	struct arena_block *block;
	void *memory;

	if (size > arena->limit || arena->used > arena->limit - size)
		return NULL;
	size = (size + align - 1) / align * align;
	block = block_for(arena, size);
	if (!block)
		return NULL;
	memory = block->data + block->used;
	block->used += size;
	arena->used += size;
	return memset(memory, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_alloc(arena, bytes);
}

char *arena_dup(struct arena *arena, struct slice s)
{
	char *copy = arena_alloc(arena, s.length + 1);

	if (copy && s.length)
		memcpy(copy, s.data, s.length);
	return copy;
}

struct slice arena_slice(struct arena *arena, struct slice s)
{
	const char *copy = arena_dup(arena, s);

	return slice_of(copy, copy ? s.length : 0);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	int length;
	char *text;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
	if (text) {
		va_start(args, format);
		vsnprintf(text, (size_t)length + 1, format, args);
		va_end(args);
	}
	return text;
}

void arena_reset(struct arena *arena)
{
	struct arena_block *block = arena->blocks, *next;

	if (!block)
		return;
	for (struct arena_block *b = block; arena->secret && b; b = b->next)
		explicit_bzero(b->data, b->used);
	for (struct arena_block *b = block->next; b; b = next) {
		next = b->next;
		free(b);
	}
	block->next = NULL;
	block->used = 0;
	arena->used = 0;
	if (block->size > ARENA_BLOCK) {
		free(block);
		arena->blocks = NULL;
	}
}

void arena_free(struct arena *arena)
{
	arena_reset(arena);
	free(arena->blocks);
	arena->blocks = NULL;
}
