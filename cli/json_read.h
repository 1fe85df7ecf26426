// SPDX-License-Identifier: ISC
/*
 * Reading JSON (RFC 8259) as far as lists of records need it: one object of strings, numbers, true, false, null, and arrays of
 * strings.
 */
#ifndef CLI_JSON_READ_H
#define CLI_JSON_READ_H

#include "base/arena.h"

/*
 * Call `each` for every member of the object, the elements of an array one after the other under the array's name; numbers and words as
 * they are written. Names and values are allocated from `arena`, C strings: U+0000 is refused. Stops when `each` returns
 * false. False with `error` pointing to a text.
 */
MUST_CHECK bool json_read_object(struct slice text, struct arena *arena,
	bool (*each)(void *context, const char *name, char *value), void *context,
	const char **error);

#endif
