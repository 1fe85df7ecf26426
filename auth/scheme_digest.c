// SPDX-License-Identifier: ISC
/* Digests of LDAP servers, salted or not, and Dovecot's form of PBKDF2 (RFC 8018). See scheme_digest.h. */
#include "auth/scheme_digest.h"

#include <openssl/evp.h>
#include <string.h>

/* Digest and salt behind it, in base64 unless the scheme's name says otherwise. */
enum scheme_result scheme_digest(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	const EVP_MD *digest = EVP_get_digestbyname(verifier->scheme->digest);
	unsigned char stored[SCHEME_MAX_DIGEST + SCHEME_MAX_SALT], computed[EVP_MAX_MD_SIZE];
	size_t size = digest ? (size_t)EVP_MD_get_size(digest) : 0;
	ptrdiff_t length =
		scheme_decode(verifier->value, verifier->encoding, stored, sizeof(stored));
	EVP_MD_CTX *context;
	bool done;

	if (!digest || length < 0 || (size_t)length < size ||
		((size_t)length > size) != (verifier->scheme->salted != 0))
		return SCHEME_SILENT;
	context = EVP_MD_CTX_new();
	done = context && EVP_DigestInit_ex(context, digest, NULL) &&
	       EVP_DigestUpdate(context, password.data, password.length) &&
	       EVP_DigestUpdate(context, stored + size, (size_t)length - size) &&
	       EVP_DigestFinal_ex(context, computed, NULL);
	EVP_MD_CTX_free(context);
	if (!done)
		return SCHEME_ERROR;
	return scheme_equal(stored, computed, size) ? SCHEME_FITS : SCHEME_WRONG;
}

/* "$1$salt$rounds$hex": the salt is taken as it is written. */
enum scheme_result scheme_pbkdf2(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	struct slice rest = verifier->value, salt, rounds, hex;
	unsigned char stored[20], computed[20];
	uint64_t count;

	if (!slice_starts(rest, SLICE("$1$")))
		return SCHEME_SILENT;
	rest = slice_tail(rest, 3);
	if (!slice_split(&rest, '$', &salt) || !slice_split(&rest, '$', &rounds) ||
		!slice_split(&rest, '$', &hex) || rest.length || salt.length > SCHEME_MAX_SALT ||
		!slice_to_u64(rounds, PBKDF2_MOST_ROUNDS, &count) || count == 0 ||
		scheme_decode(hex, ENCODING_HEX, stored, sizeof(stored)) != sizeof(stored))
		return SCHEME_SILENT;
	if (schemes->form_only)
		return SCHEME_WRONG;
	if (!PKCS5_PBKDF2_HMAC(password.data ? password.data : "", (int)password.length,
		    (const unsigned char *)salt.data, (int)salt.length, (int)count, EVP_sha1(),
		    sizeof(computed), computed))
		return SCHEME_ERROR;
	return scheme_equal(stored, computed, sizeof(stored)) ? SCHEME_FITS : SCHEME_WRONG;
}
