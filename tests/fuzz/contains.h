// SPDX-License-Identifier: ISC
/* The slow and simple search, for comparisons. */
#ifndef TESTS_FUZZ_CONTAINS_H
#define TESTS_FUZZ_CONTAINS_H

#include "base/slice.h"

/* ASCII case ignored. */
static inline bool contains_nocase(struct slice s, struct slice needle)
{
	for (size_t i = 0; i + needle.length <= s.length; i++)
		if (slice_starts_nocase(slice_tail(s, i), needle))
			return true;
	return false;
}

#endif
