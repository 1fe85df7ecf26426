// SPDX-License-Identifier: ISC
/*
 * Memory that is wiped before it is given back: for libraries that let their caller choose its functions, and that hold passwords. What
 * is ours lies in secret buffers and arenas.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>

/* As free, of memory that malloc gave out. */
void secret_free(void *memory);
/* As realloc of such memory: where the C library's would leave a copy behind when the block moves, this wipes it. */
void *secret_realloc(void *memory, size_t size);

#endif
