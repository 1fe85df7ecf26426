// SPDX-License-Identifier: ISC
/* DIGEST-MD5: directives, and what they prove. See mech_digest.h. */
#include "auth/mech_digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/buffer.h"
#include "ipc/messages.h"

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

/* As it stands between the quotes. */
static bool take_quoted(struct slice *rest, struct slice *value)
{
	for (size_t i = 1; i < rest->length; i++) {
		if (rest->data[i] == '\\') {
			i++;
		} else if (rest->data[i] == '"') {
			*value = slice_of(rest->data + 1, i - 1);
			*rest = slice_tail(*rest, i + 1);
			return true;
		}
	}
	return false;
}

/* name=value; false when it has not that form. */
static bool take_directive(struct slice *rest, struct slice *name, struct slice *value)
{
	*name = take_token(rest);
	skip_space(rest);
	if (!name->length || !rest->length || rest->data[0] != '=')
		return false;
	*rest = slice_tail(*rest, 1);
	skip_space(rest);
	if (rest->length && rest->data[0] == '"') {
		if (!take_quoted(rest, value))
			return false;
	} else {
		*value = take_token(rest);
		if (!value->length)
			return false;
	}
	skip_space(rest);
	return !rest->length || rest->data[0] == ',';
}

/* Empty elements of a list are allowed (RFC 2616 section 2.1). */
static void skip_empty(struct slice *rest)
{
	skip_space(rest);
	while (rest->length && rest->data[0] == ',') {
		*rest = slice_tail(*rest, 1);
		skip_space(rest);
	}
}

bool mech_digest_is_sound(struct slice response)
{
	struct slice names[MECH_DIGEST_DIRECTIVES], value;
	size_t count = 0;

	for (;;) {
		skip_empty(&response);
		if (!response.length)
			return count > 0;
		if (count == MECH_DIGEST_DIRECTIVES ||
			!take_directive(&response, &names[count], &value))
			return false;
		for (size_t i = 0; i < count; i++)
			if (slice_equal_nocase(names[i], names[count]))
				return false;
		count++;
	}
}

/* --- section 2.1.2.1 --- */

enum { MD5_BYTES = 16 };
enum directive { USERNAME, REALM, NONCE, CNONCE, NC, QOP, URI, RESPONSE, AUTHZID, DIRECTIVES };
static const char *const NAMES[DIRECTIVES] = { "username", "realm", "nonce", "cnonce", "nc", "qop",
	"digest-uri", "response", "authzid" };

/* Without the backslashes of quoted pairs. Returns what was added. */
static struct slice add_value(struct buffer *text, struct slice value)
{
	size_t at = text->length;

	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] == '\\' && i + 1 < value.length)
			i++;
		buffer_add_byte(text, value.data[i]);
	}
	return slice_tail(buffer_slice(text), at);
}

/* What is in ISO 8859-1, in that; anything else as it is. */
static struct slice add_latin(struct buffer *text, struct slice utf8)
{
	size_t at = text->length;

	for (size_t i = 0; i < utf8.length; i++) {
		unsigned char c = (unsigned char)utf8.data[i];

		if (c >= 0x80) {
			if ((c != 0xc2 && c != 0xc3) || ++i == utf8.length)
				return utf8;
			c = (unsigned char)((c & 3) << 6 | ((unsigned char)utf8.data[i] & 0x3f));
		}
		buffer_add_byte(text, (char)c);
	}
	return slice_tail(buffer_slice(text), at);
}

/* MD5 of the parts with a colon between them. */
static bool hash(const struct slice *parts, size_t count, unsigned char digest[MD5_BYTES])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_md5(), NULL);

	for (size_t i = 0; good && i < count; i++)
		good = (i == 0 || EVP_DigestUpdate(context, ":", 1)) &&
		       EVP_DigestUpdate(context, parts[i].data, parts[i].length);
	good = good && EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	return good;
}

static bool hash_hex(const struct slice *parts, size_t count, char text[2 * MD5_BYTES + 1])
{
	unsigned char digest[MD5_BYTES];
	bool good = hash(parts, count, digest);

	for (int i = 0; good && i < MD5_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return good;
}

static bool fits(const struct slice values[DIRECTIVES], const struct slice who[3])
{
	unsigned char key[MD5_BYTES];
	char a1[2 * MD5_BYTES + 1], a2[2 * MD5_BYTES + 1], response[2 * MD5_BYTES + 1];
	const struct slice first[] = { slice_of(key, sizeof(key)), values[NONCE], values[CNONCE],
		values[AUTHZID] };
	const struct slice second[] = { SLICE("AUTHENTICATE"), values[URI] };
	bool good = hash(who, 3, key) && hash_hex(first, values[AUTHZID].length ? 4 : 3, a1) &&
		    hash_hex(second, 2, a2) &&
		    hash_hex((const struct slice[]){ slice_of(a1, 2 * MD5_BYTES), values[NONCE],
				     values[NC], values[CNONCE], values[QOP],
				     slice_of(a2, 2 * MD5_BYTES) },
			    6, response);

	explicit_bzero(key, sizeof(key));
	return good && slice_equal(values[RESPONSE], slice_from(response));
}

bool mech_digest_fits(struct slice response, struct slice password)
{
	/* It does not grow while values are in it. */
	struct buffer text = buffer_secret(MAX_SASL), latin = buffer_secret(2 * MAX_SASL);
	struct slice values[DIRECTIVES], name, value, who[3], converted[3];
	bool good = buffer_reserve(&text, MAX_SASL) && buffer_reserve(&latin, 2 * MAX_SASL);

	for (int i = 0; i < DIRECTIVES; i++)
		values[i] = i == QOP ? SLICE("auth") : SLICE("");
	for (skip_empty(&response); good && response.length; skip_empty(&response)) {
		good = take_directive(&response, &name, &value);
		for (int i = 0; good && i < DIRECTIVES; i++)
			if (slice_equal_nocase(name, slice_from(NAMES[i])))
				values[i] = add_value(&text, value);
	}
	who[0] = values[USERNAME];
	who[1] = values[REALM];
	who[2] = password;
	for (int i = 0; i < 3; i++)
		converted[i] = add_latin(&latin, who[i]);
	good = good && !text.failed && !latin.failed &&
	       (fits(values, converted) || fits(values, who));
	buffer_free(&text);
	buffer_free(&latin);
	return good;
}
