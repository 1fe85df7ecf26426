// SPDX-License-Identifier: ISC
/* Where the extension of a local part begins: user+extension. */
#ifndef DIRECTORY_EXTENSION_H
#define DIRECTORY_EXTENSION_H

#include "base/slice.h"

/* The place of the first of the `delimiters` (recipient_delimiter) in a local part in lower case; its length when it has no extension. */
size_t extension_delimiter(struct slice local, const char *delimiters);

#endif
