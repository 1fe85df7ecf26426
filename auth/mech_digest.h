// SPDX-License-Identifier: ISC
/* What a client says in DIGEST-MD5 (RFC 2831), looked at before libsasl2 sees it. */
#ifndef AUTH_MECH_DIGEST_H
#define AUTH_MECH_DIGEST_H

#include "base/slice.h"

enum { MECH_DIGEST_DIRECTIVES = 32 };
/*
 * Is it a list of directives of which none stands twice (RFC 2831 section 2.1.2, which has such answers refused)? libsasl2 takes them and
 * loses the memory of the first: without this a client could have authd grow.
 */
bool mech_digest_is_sound(struct slice response);
/*
 * Is it made of the password in these bytes? Only to choose between two forms of it: whether the response is good says libsasl2. UTF-8 is
 * tried as it is and, where that can be, in ISO 8859-1 (section 2.1.2.1).
 */
bool mech_digest_fits(struct slice response, struct slice password);

#endif
