// SPDX-License-Identifier: ISC
/*
 * SASLprep (RFC 4013): the one form of a password or login name, however it was typed. What is newer than Unicode 3.2 is taken as it
 * is (a "query"), in what is stored, too: otherwise nobody could have an emoji in his password.
 */
#ifndef AUTH_SCHEME_SASLPREP_H
#define AUTH_SCHEME_SASLPREP_H

#include "base/slice.h"

/*
 * The prepared form of `text` as a C string of at most `size` bytes. False with `fault` telling what is wrong with it: not UTF-8, a
 * prohibited character, both directions, nothing left, too long.
 */
MUST_CHECK bool saslprep(struct slice text, char *prepared, size_t size, const char **fault);

#endif
