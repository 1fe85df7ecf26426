// SPDX-License-Identifier: ISC
/* Addresses without a domain in the headers of local users' mail get one, as cron's "To: root" does. */
#ifndef CLEANUP_REWRITE_H
#define CLEANUP_REWRITE_H

#include "base/buffer.h"

/*
 * Append an address list as it stands, with "@origin" behind each address that has no domain. Comments, names, groups and
 * folding stay as they are; what does not look like an address is left alone. False when memory is out.
 */
bool rewrite_addresses(struct slice value, const char *origin, struct buffer *out);

#endif
