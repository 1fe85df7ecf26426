// SPDX-License-Identifier: ISC
/* Between the files that make lib/mail's MIME: reading of the Content-* fields. Nobody else includes this. */
#ifndef MAIL_MIME_INTERNAL_H
#define MAIL_MIME_INTERNAL_H

#include "mail/mime.h"

/*
 * Take one header field, `whole` from its name to its end, into `part` if it is one of MIME's and the first of its name. False
 * when memory is out.
 */
MUST_CHECK bool mime_take_field(struct mime_part *part, struct slice whole, struct arena *arena);

static inline bool mime_is_type(const struct mime_part *part, const char *type)
{
	return slice_equal_nocase(part->type, slice_from(type));
}

#endif
