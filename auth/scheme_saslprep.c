// SPDX-License-Identifier: ISC
/* SASLprep by libidn. See scheme_saslprep.h. */
#include "auth/scheme_saslprep.h"

#include <stringprep.h>

#include "mail/utf8.h"

static const char PROHIBITED[] =
	"a control character, or another that is not allowed (RFC 4013 section 2.3)";

static const char *fault_of(int result)
{
	switch (result) {
	case STRINGPREP_CONTAINS_PROHIBITED:
		return PROHIBITED;
	case STRINGPREP_BIDI_BOTH_L_AND_RAL:
	case STRINGPREP_BIDI_LEADTRAIL_NOT_RAL:
	case STRINGPREP_BIDI_CONTAINS_PROHIBITED:
		return "letters of both directions, or not at both ends (RFC 3454 section 6)";
	case STRINGPREP_TOO_SMALL_BUFFER:
		return "too long";
	default:
		return "it cannot be prepared (RFC 4013), or memory is out";
	}
}

/* Most are ASCII, where nothing changes. */
static const char *fault_in_ascii(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return PROHIBITED;
	return NULL;
}

bool saslprep(struct slice text, char *prepared, size_t size, const char **fault)
{
	int result;

	*fault = NULL;
	if (slice_find(text, '\0') >= 0)
		*fault = PROHIBITED;
	else if (!slice_to_string(text, prepared, size))
		*fault = "too long";
	else if (utf8_ascii_prefix(text) == text.length)
		*fault = fault_in_ascii(text);
	else if (!utf8_valid(text))
		*fault = "not UTF-8";
	else if ((result = stringprep(prepared, size, 0, stringprep_saslprep)) != STRINGPREP_OK)
		*fault = fault_of(result);
	if (!*fault && !prepared[0])
		*fault = "nothing is left of it";
	if (*fault)
		explicit_bzero(prepared, size);
	return !*fault;
}
