// SPDX-License-Identifier: ISC
/* What a TLS handshake has a server or a client sign. See to_sign.h. */
#include "tls/to_sign.h"

static const struct to_sign_scheme SCHEMES[] = {
	{ 0x0804, KEY_RSA, "SHA256", true, false },
	{ 0x0805, KEY_RSA, "SHA384", true, false },
	{ 0x0806, KEY_RSA, "SHA512", true, false },
	{ 0x0401, KEY_RSA, "SHA256", false, true },
	{ 0x0501, KEY_RSA, "SHA384", false, true },
	{ 0x0601, KEY_RSA, "SHA512", false, true },
	{ 0x0403, KEY_EC, "SHA256", false, false },
	{ 0x0503, KEY_EC, "SHA384", false, false },
	{ 0x0603, KEY_EC, "SHA512", false, true },
	{ 0x0807, KEY_ED25519, NULL, false, false },
};
enum { SCHEME_COUNT = sizeof(SCHEMES) / sizeof(SCHEMES[0]) };

const struct to_sign_scheme *to_sign_scheme(uint16_t number)
{
	for (int i = 0; i < SCHEME_COUNT; i++)
		if (SCHEMES[i].number == number)
			return &SCHEMES[i];
	return NULL;
}

/* OpenSSL writes "SHA256" and "SHA2-256" for the same. */
static bool same_digest(const char *a, const char *b)
{
	if (!a || !a[0] || !b)
		return (!a || !a[0]) && !b;
	if (strncmp(a, "SHA2-", 5) == 0)
		return strncmp(b, "SHA", 3) == 0 && strcmp(a + 5, b + 3) == 0;
	return strcmp(a, b) == 0;
}

uint16_t to_sign_number(enum key_kind kind, const char *digest, bool pss)
{
	for (int i = 0; i < SCHEME_COUNT; i++)
		if (SCHEMES[i].kind == kind && SCHEMES[i].pss == pss &&
			same_digest(digest, SCHEMES[i].digest))
			return SCHEMES[i].number;
	return 0;
}

/* 64 spaces, the context string and its NUL, a SHA-256 or SHA-384 of all that was said. */
static bool is_verify(struct slice data, const char *context)
{
	enum { SPACES = 64 };
	size_t head = SPACES + strlen(context) + 1;

	if (data.length != head + 32 && data.length != head + 48)
		return false;
	for (int i = 0; i < SPACES; i++)
		if (data.data[i] != ' ')
			return false;
	return memcmp(data.data + SPACES, context, head - SPACES) == 0;
}

static bool is_key_exchange(struct slice data)
{
	/* NamedCurve and the bytes of its points. */
	static const struct {
		uint16_t group;
		uint8_t size;
	} GROUPS[] = { { 23, 65 }, { 24, 97 }, { 25, 133 }, { 29, 32 }, { 30, 56 } };
	enum { RANDOMS = 64, HEAD = RANDOMS + 4, NAMED_CURVE = 3 };
	const unsigned char *bytes = (const unsigned char *)data.data;

	if (data.length <= HEAD || bytes[RANDOMS] != NAMED_CURVE)
		return false;
	for (size_t i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++)
		if (bytes[RANDOMS + 1] == GROUPS[i].group >> 8 &&
			bytes[RANDOMS + 2] == (GROUPS[i].group & 0xff))
			return bytes[RANDOMS + 3] == GROUPS[i].size &&
			       data.length == (size_t)HEAD + GROUPS[i].size;
	return false;
}

bool to_sign_is_handshake(struct slice data, const struct to_sign_scheme *scheme, bool client)
{
	if (client)
		return is_verify(data, "TLS 1.3, client CertificateVerify") && !scheme->old_only;
	return (is_verify(data, "TLS 1.3, server CertificateVerify") && !scheme->old_only) ||
	       is_key_exchange(data);
}
