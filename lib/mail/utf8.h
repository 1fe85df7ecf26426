// SPDX-License-Identifier: ISC
/* UTF-8 (RFC 3629), one character at a time. Overlong forms, surrogates and values over U+10FFFF are not UTF-8. */
#ifndef MAIL_UTF8_H
#define MAIL_UTF8_H

#include "base/buffer.h"

/*
 * Length in bytes of the character at the front of `s`, and the character. 0 when the slice is empty or does not begin with a
 * whole valid character.
 */
unsigned utf8_get(struct slice s, uint32_t *character);
/* Append one character; U+FFFD for what is none. */
bool utf8_add(struct buffer *out, uint32_t character);
/* The whole slice is valid; fast on ASCII. */
bool utf8_valid(struct slice s);
/* How many bytes at the front are ASCII. */
size_t utf8_ascii_prefix(struct slice s);
/* Append, with U+FFFD in the place of every byte that belongs to no valid character. */
bool utf8_add_clean(struct buffer *out, struct slice s);

#endif
