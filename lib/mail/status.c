// SPDX-License-Identifier: ISC
/* Enhanced status codes. See status.h. */
#include "mail/status.h"

/* Length of a code at the start of `text` (RFC 3463 2: class "." subject "." detail, of 1 and 1*3 digits); 0: none. */
static size_t code_length(struct slice text)
{
	size_t at = 1;

	if (text.length < 5 || (text.data[0] != '2' && text.data[0] != '4' && text.data[0] != '5'))
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		if (at >= text.length || text.data[at++] != '.')
			return 0;
		while (at < text.length && ascii_digit(text.data[at]) && digits < 3)
			at++, digits++;
		if (digits == 0)
			return 0;
	}
	return at;
}

void status_split(struct slice text, char class, char space[STATUS_CODE_SIZE], struct slice *code,
	struct slice *rest)
{
	size_t length = code_length(text);

	*rest = text;
	if (length == 0 || (length < text.length && text.data[length] != ' '))
		return;
	*code = slice_head(text, length);
	*rest = slice_trim(slice_tail(text, length));
	if (class && code->data[0] != class) {
		memcpy(space, code->data, length);
		space[0] = class;
		*code = slice_of(space, length);
	}
}
