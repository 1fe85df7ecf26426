// SPDX-License-Identifier: ISC
/*
 * authd's heap: what is freed is wiped. What is ours does so by itself (base/buffer.h), but libidn has passwords beyond ASCII in three
 * forms in memory of its own, takes no functions for it, and gives it back as it is. Defined in the program these are everybody's, the
 * libraries' too.
 *
 * Large blocks are tables of hashes (Argon2), which hold no password, and would cost time.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { WIPED_MOST = 256 * 1024 };

/* An address sanitizer has a heap of its own. */
#ifndef __SANITIZE_ADDRESS__

void __libc_free(void *memory);

void free(void *memory)
{
	int error = errno;
	size_t size = memory ? malloc_usable_size(memory) : 0;

	if (size && size <= WIPED_MOST)
		explicit_bzero(memory, size);
	__libc_free(memory);
	errno = error;
}

void *realloc(void *memory, size_t size)
{
	return secret_realloc(memory, size);
}

#endif
