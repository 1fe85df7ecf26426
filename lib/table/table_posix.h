// SPDX-License-Identifier: ISC
/*
 * POSIX extended regular expressions (with the customary \< \> \w \W \s \S \b \B and back references) in the syntax of PCRE2.
 */
#ifndef TABLE_TABLE_POSIX_H
#define TABLE_TABLE_POSIX_H

#include "base/buffer.h"

/* Append the translation; NULL, or what is wrong with the pattern. */
MUST_CHECK const char *table_posix_translate(struct slice pattern, struct buffer *out);

#endif
