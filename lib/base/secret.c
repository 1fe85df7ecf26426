// SPDX-License-Identifier: ISC
/* Memory that is wiped before it is given back. See secret.h. */
#include "base/secret.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void secret_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

void *secret_realloc(void *memory, size_t size)
{
	size_t old = memory ? malloc_usable_size(memory) : 0;
	void *other;

	if (memory && size <= old && size >= old / 2)
		return memory;
	other = malloc(size);
	if (!other)
		return NULL;
	if (memory)
		memcpy(other, memory, old < size ? old : size);
	secret_free(memory);
	return other;
}
