// SPDX-License-Identifier: ISC
/*
 * Writing JSON. See json.h.
 */
#include "cli/json.h"

/* Length of the UTF-8 character at the front (RFC 3629 4), 0 when it is none. */
static size_t utf8_length(struct slice s)
{
	unsigned char lead = (unsigned char)s.data[0], second;
	size_t length = lead < 0x80   ? 1
			: lead < 0xc2 ? 0
			: lead < 0xe0 ? 2
			: lead < 0xf0 ? 3
			: lead < 0xf5 ? 4
				      : 0;

	if (!length || length > s.length)
		return 0;
	second = length > 1 ? (unsigned char)s.data[1] : 0;
	if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
		(lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
		return 0;
	for (size_t i = 1; i < length; i++)
		if (((unsigned char)s.data[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

void json_string(struct buffer *out, struct slice text)
{
	buffer_add_byte(out, '"');
	while (text.length) {
		size_t length = utf8_length(text);
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

void json_member(struct buffer *out, const char *before, const char *name, const char *value)
{
	buffer_printf(out, "%s\"%s\": ", before, name);
	json_string(out, slice_from(value));
}
