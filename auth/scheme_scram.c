// SPDX-License-Identifier: ISC
/* Keys of SCRAM (RFC 5802 section 3, RFC 7677): kept, made, and compared with a typed password. See scheme_scram.h. */
#include "auth/scheme_scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "auth/scheme_bytes.h"
#include "base/base64.h"
#include "os/os.h"

enum { SCRAM_READ_MOST = 10000000 /* iterations of keys made elsewhere */ };

static const EVP_MD *digest_of(const char *name)
{
	if (strcmp(name, "SHA-1") == 0)
		return EVP_sha1();
	return strcmp(name, "SHA-256") == 0 ? EVP_sha256() : NULL;
}

static bool hmac(
	const EVP_MD *digest, const unsigned char *key, const char *text, unsigned char *result)
{
	return HMAC(digest, key, EVP_MD_get_size(digest), (const unsigned char *)text, strlen(text),
		       result, NULL) != NULL;
}

bool scram_derive(const char *digest_name, struct slice password, struct scram_keys *keys)
{
	const EVP_MD *digest = digest_of(digest_name);
	unsigned char salted[EVP_MAX_MD_SIZE], client_key[EVP_MAX_MD_SIZE];
	int size = digest ? EVP_MD_get_size(digest) : 0;
	bool done;

	done = digest &&
	       PKCS5_PBKDF2_HMAC(password.data ? password.data : "", (int)password.length,
		       keys->salt, (int)keys->salt_length, (int)keys->iterations, digest, size,
		       salted) &&
	       hmac(digest, salted, "Client Key", client_key) &&
	       EVP_Digest(client_key, (size_t)size, keys->stored_key, NULL, digest, NULL) &&
	       hmac(digest, salted, "Server Key", keys->server_key);
	keys->digest_length = (size_t)size;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return done;
}

bool scram_read(const char *digest_name, struct slice value, struct scram_keys *keys)
{
	ptrdiff_t size = EVP_MD_get_size(digest_of(digest_name)), salt_length;
	struct slice iterations, salt, stored_key;
	uint64_t count;

	if (!slice_split(&value, ',', &iterations) || !slice_split(&value, ',', &salt) ||
		!slice_split(&value, ',', &stored_key) ||
		!slice_to_u64(iterations, SCRAM_READ_MOST, &count) || count == 0)
		return false;
	salt_length = scheme_decode(salt, ENCODING_BASE64, keys->salt, sizeof(keys->salt));
	if (salt_length <= 0 ||
		scheme_decode(stored_key, ENCODING_BASE64, keys->stored_key,
			sizeof(keys->stored_key)) != size ||
		scheme_decode(value, ENCODING_BASE64, keys->server_key, sizeof(keys->server_key)) !=
			size)
		return false;
	keys->iterations = (unsigned)count;
	keys->salt_length = (size_t)salt_length;
	keys->digest_length = (size_t)size;
	return true;
}

enum scheme_result scheme_scram(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	const char *name = strcmp(verifier->scheme->digest, "SHA1") == 0 ? "SHA-1" : "SHA-256";
	struct scram_keys keys, computed;
	enum scheme_result result = SCHEME_ERROR;

	if (!scram_read(name, verifier->value, &keys))
		return SCHEME_SILENT;
	if (schemes->form_only)
		return SCHEME_WRONG;
	computed = keys;
	if (scram_derive(name, password, &computed))
		result = scheme_equal(keys.stored_key, computed.stored_key, keys.digest_length)
				 ? SCHEME_FITS
				 : SCHEME_WRONG;
	explicit_bzero(&computed, sizeof(computed));
	return result;
}

bool scheme_scram_new(struct schemes *schemes, struct slice password, const char *digest,
	char stored[SCHEME_MAX_STORED])
{
	struct scram_keys keys = { .iterations = schemes->settings.iterations,
		.salt_length = SCRAM_SALT };
	struct buffer text = buffer_limited(SCHEME_MAX_STORED);
	bool done;

	os_random(keys.salt, keys.salt_length);
	done = scram_derive(digest, password, &keys) &&
	       buffer_printf(&text, "%s {SCRAM-%s}%u,", stored, digest, keys.iterations) &&
	       base64_encode(slice_of(keys.salt, keys.salt_length), &text) &&
	       buffer_add_byte(&text, ',') &&
	       base64_encode(slice_of(keys.stored_key, keys.digest_length), &text) &&
	       buffer_add_byte(&text, ',') &&
	       base64_encode(slice_of(keys.server_key, keys.digest_length), &text) &&
	       slice_to_string(buffer_slice(&text), stored, SCHEME_MAX_STORED);
	buffer_free(&text);
	explicit_bzero(&keys, sizeof(keys));
	return done;
}
