// SPDX-License-Identifier: ISC
/*
 * JSON (RFC 8259) read by libjansson, with the bounds that hold here: tokens and answers about them, key files, lists of accounts. Used
 * by auth/ and cli/. What was read lies in the library's memory, which is wiped when it is given back: passwords may be in it.
 */
#ifndef OS_JSON_TEXT_H
#define OS_JSON_TEXT_H

#include <jansson.h>

#include "base/slice.h"

enum { JSON_TEXT_MOST = 256 * 1024 /* bytes */, JSON_TEXT_DEPTH = 16 };

/*
 * An object or array, to be given back with json_decref. `flags` are the library's, on top of: no name twice in an object. NULL with
 * `error` filled, which holds nothing of the text but its structure: malformed, too large, too deep, U+0000 in a string, or memory is out.
 */
MUST_CHECK json_t *json_text_read(struct slice text, size_t flags, char *error, size_t error_size);
/* The text of that member, borrowed; empty when it is no string, not there, or `object` is no object. */
struct slice json_text_member(const json_t *object, const char *name);
/* Is `value` a string of just that text? */
bool json_text_is(const json_t *value, const char *text);

#endif
