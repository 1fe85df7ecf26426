// SPDX-License-Identifier: ISC
/*
 * Lists of domains as mydestination and relay_domains hold them: names, "!name" (not that one), tables that have the domain as
 * a key, "/file" with more of the same. The first item that matches decides.
 */
#ifndef DIRECTORY_NAMES_H
#define DIRECTORY_NAMES_H

#include "table/table.h"

enum {
	NAMES_MAX = 100000, /* items of a list */
	NAMES_MAX_FILES = 10
};

struct names;
/* `parents`: example.com matches sub.example.com, too (else ".example.com" does). NULL with `error` filled. */
struct names *names_open(
	const char *list, const char *folder, bool parents, char *error, size_t error_size);
void names_close(struct names **names);
/* `domain` in lower case and A-labels; the list may have U-labels. TABLE_ERROR when a table could not be asked before something matched. */
MUST_CHECK enum table_status names_match(struct names *names, struct slice domain);
bool names_changed(const struct names *names);

#endif
