// SPDX-License-Identifier: ISC
/*
 * Writing JSON. See json.h.
 */
#include "cli/json.h"

#include "mail/utf8.h"

void json_add_text(struct buffer *out, struct slice text)
{
	buffer_add_byte(out, '"');
	while (text.length) {
		uint32_t character;
		size_t length = utf8_get(text, &character);
		char c = text.data[0];

		if (!length)
			buffer_add_text(out, "\\ufffd");
		else if (c == '"' || c == '\\')
			buffer_printf(out, "\\%c", c);
		else if ((unsigned char)c < 0x20 || c == 0x7f)
			buffer_printf(out, "\\u%04x", c);
		else
			buffer_append(out, text.data, length);
		text = slice_tail(text, length ? length : 1);
	}
	buffer_add_byte(out, '"');
}

void json_add_member(struct buffer *out, const char *before, const char *name, const char *value)
{
	buffer_printf(out, "%s\"%s\": ", before, name);
	json_add_text(out, slice_from(value));
}
