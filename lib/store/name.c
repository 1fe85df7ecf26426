// SPDX-License-Identifier: ISC
/*
 * Mailbox names: what they may be, and how they stand on disk. Maildir++ joins levels with '.', puts one before the first, and
 * writes other characters than ASCII in modified UTF-7, as Courier and Dovecot do. A '.' inside a level becomes "&AC4-",
 * which is what modified UTF-7 would make of it if it had to.
 */
#include <stdio.h>

#include "mail/utf7.h"
#include "mail/utf8.h"
#include "store/internal.h"

#define DOT_CODE "&AC4-"

static bool level_is_good(struct slice level)
{
	if (level.length == 0 || slice_equal(level, SLICE(".")) || slice_equal(level, SLICE("..")))
		return false;
	for (size_t i = 0; i < level.length; i++) {
		unsigned char c = (unsigned char)level.data[i];

		if (c < 0x20 || c == 0x7f)
			return false;
	}
	return level.data[0] != ' ' && level.data[level.length - 1] != ' ';
}

enum store_status store_name_check(struct slice name, char *canonical, size_t size)
{
	struct slice rest = name, level;
	char folder[STORE_NAME_MAX + 1];
	unsigned depth = 0;

	if (name.length == 0 || name.data[name.length - 1] == '/' || !utf8_valid(name))
		return STORE_BAD_NAME;
	while (slice_split(&rest, '/', &level)) {
		if (++depth > STORE_DEPTH_MAX || !level_is_good(level))
			return STORE_BAD_NAME;
	}
	if (!slice_to_string(name, canonical, size))
		return STORE_BAD_NAME;
	if (slice_starts_nocase(name, SLICE("INBOX")) && (name.length == 5 || name.data[5] == '/'))
		memcpy(canonical, "INBOX", 5);
	return store_name_to_folder(canonical, folder, sizeof(folder)) ? STORE_OK : STORE_BAD_NAME;
}

static bool level_to_folder(struct slice level, struct buffer *out)
{
	struct slice piece;
	ptrdiff_t dot;

	while ((dot = slice_find(level, '.')) >= 0) {
		piece = slice_head(level, (size_t)dot);
		if (!utf7_encode(piece, out) || !buffer_add_text(out, DOT_CODE))
			return false;
		level = slice_tail(level, (size_t)dot + 1);
	}
	return utf7_encode(level, out);
}

bool store_name_to_folder(const char *name, char *folder, size_t size)
{
	struct buffer out = buffer_limited(size);
	struct slice rest = slice_from(name), level;
	bool good = true;

	if (strcmp(name, "INBOX") == 0) {
		snprintf(folder, size, ".");
		return true;
	}
	while (good && slice_split(&rest, '/', &level))
		good = buffer_add_byte(&out, '.') && level_to_folder(level, &out);
	good = good && slice_to_string(buffer_slice(&out), folder, size);
	buffer_free(&out);
	return good;
}

bool store_mailbox_folder(struct slice name, char *folder, size_t size)
{
	char canonical[STORE_NAME_MAX + 1];

	return store_name_check(name, canonical, sizeof(canonical)) == STORE_OK &&
	       store_name_to_folder(canonical, folder, size);
}

static bool level_from_folder(struct slice level, struct buffer *out)
{
	ptrdiff_t dot;

	while ((dot = slice_search(level, SLICE(DOT_CODE))) >= 0) {
		if (!utf7_decode(slice_head(level, (size_t)dot), out) || !buffer_add_byte(out, '.'))
			return false;
		level = slice_tail(level, (size_t)dot + sizeof(DOT_CODE) - 1);
	}
	return utf7_decode(level, out);
}

bool store_name_from_folder(const char *folder, char *name, size_t size)
{
	struct buffer out = buffer_limited(size * 2);
	struct slice rest = slice_from(folder), level;
	char again[STORE_NAME_MAX + 1], canonical[STORE_NAME_MAX + 1];
	bool good = folder[0] == '.' && folder[1] != '\0' && folder[1] != '.';

	rest = slice_tail(rest, 1);
	while (good && slice_split(&rest, '.', &level)) {
		if (out.length)
			good = buffer_add_byte(&out, '/');
		good = good && level_from_folder(level, &out);
	}
	/* A folder whose name we would write differently could not be found again by its name. */
	good = good && slice_to_string(buffer_slice(&out), name, size) &&
	       store_name_check(slice_from(name), canonical, sizeof(canonical)) == STORE_OK &&
	       strcmp(name, canonical) == 0 && strcmp(name, "INBOX") != 0 &&
	       store_name_to_folder(name, again, sizeof(again)) && strcmp(again, folder) == 0;
	buffer_free(&out);
	return good;
}
