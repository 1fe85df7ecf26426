// SPDX-License-Identifier: ISC
/* Extensions of addresses. See extension.h. */
#include "directory/extension.h"

/* Whole names that look as if they had an extension: list owners with "-" as delimiter, and addresses that must always work. */
static bool never_split(struct slice local, const char *delimiters)
{
	static const char *const WHOLE[] = { "postmaster", "mailer-daemon", "double-bounce" };

	for (size_t i = 0; i < sizeof(WHOLE) / sizeof(WHOLE[0]); i++)
		if (slice_equal(local, slice_from(WHOLE[i])))
			return true;
	return strchr(delimiters, '-') && (slice_starts(local, SLICE("owner-")) ||
						  slice_ends_nocase(local, SLICE("-request")));
}

size_t extension_delimiter(struct slice local, const char *delimiters)
{
	size_t at = 1;

	if (local.length == 0 || never_split(local, delimiters))
		return local.length;
	while (at < local.length && (!local.data[at] || !strchr(delimiters, local.data[at])))
		at++;
	return at;
}
