// SPDX-License-Identifier: ISC
/* What a client says in DIGEST-MD5, looked at before libsasl2 sees it. */
#include "auth/mech.h"

/* RFC 2831 section 7.1: token. */
static bool is_token(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static void skip_space(struct slice *rest)
{
	while (rest->length && strchr(" \t\r\n", rest->data[0]) && rest->data[0])
		*rest = slice_tail(*rest, 1);
}

static struct slice take_token(struct slice *rest)
{
	size_t length = 0;
	struct slice token;

	while (length < rest->length && is_token(rest->data[length]))
		length++;
	token = slice_head(*rest, length);
	*rest = slice_tail(*rest, length);
	return token;
}

static bool take_quoted(struct slice *rest)
{
	for (size_t i = 1; i < rest->length; i++) {
		if (rest->data[i] == '\\') {
			i++;
		} else if (rest->data[i] == '"') {
			*rest = slice_tail(*rest, i + 1);
			return true;
		}
	}
	return false;
}

/* name=value; false when it has not that form. */
static bool take_directive(struct slice *rest, struct slice *name)
{
	*name = take_token(rest);
	skip_space(rest);
	if (!name->length || !rest->length || rest->data[0] != '=')
		return false;
	*rest = slice_tail(*rest, 1);
	skip_space(rest);
	if (!(rest->length && rest->data[0] == '"' ? take_quoted(rest)
						   : take_token(rest).length > 0))
		return false;
	skip_space(rest);
	return !rest->length || rest->data[0] == ',';
}

bool mech_digest_is_sound(struct slice response)
{
	struct slice names[MECH_DIGEST_DIRECTIVES];
	size_t count = 0;

	for (;;) {
		/* Empty elements of a list are allowed (RFC 2616 section 2.1). */
		skip_space(&response);
		while (response.length && response.data[0] == ',') {
			response = slice_tail(response, 1);
			skip_space(&response);
		}
		if (!response.length)
			return count > 0;
		if (count == MECH_DIGEST_DIRECTIVES || !take_directive(&response, &names[count]))
			return false;
		for (size_t i = 0; i < count; i++)
			if (slice_equal_nocase(names[i], names[count]))
				return false;
		count++;
	}
}
