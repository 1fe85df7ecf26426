// SPDX-License-Identifier: ISC
/* What crypt(3) knows (yescrypt, bcrypt, SHA-crypt and older ones), and Argon2 (RFC 9106). See scheme.h. */
#include <argon2.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/scheme_impl.h"
#include "os/os.h"

enum { SALT_BYTES = 32 };

/* crypt(3) takes a C string: a password with NUL, or a longer one, fits nothing. */
bool scheme_crypt_hash(struct schemes *schemes, struct slice password, const char *setting,
	char hash[CRYPT_OUTPUT_SIZE])
{
	char text[SCHEME_MAX_PASSWORD];
	const char *result = NULL;

	if (slice_to_string(password, text, sizeof(text)))
		result = crypt_rn(text, setting, schemes->crypt, (int)sizeof(*schemes->crypt));
	if (result &&
		(result[0] == '*' || !slice_to_string(slice_from(result), hash, CRYPT_OUTPUT_SIZE)))
		result = NULL;
	explicit_bzero(text, sizeof(text));
	return result != NULL;
}

bool scheme_crypt_new(
	struct schemes *schemes, struct slice password, int cost, char hash[CRYPT_OUTPUT_SIZE])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], random[SALT_BYTES];

	os_random(random, sizeof(random));
	return cost >= 1 && cost <= 11 &&
	       crypt_gensalt_rn("$y$", (unsigned long)cost, random, sizeof(random), setting,
		       sizeof(setting)) &&
	       scheme_crypt_hash(schemes, password, setting, hash);
}

enum scheme_result scheme_crypt(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	char stored[CRYPT_OUTPUT_SIZE], computed[CRYPT_OUTPUT_SIZE];
	size_t length = verifier->value.length;

	if (!slice_to_string(verifier->value, stored, sizeof(stored)))
		return SCHEME_SILENT;
	errno = 0;
	if (!scheme_crypt_hash(schemes, password, stored, computed))
		return errno == ENOMEM ? SCHEME_ERROR : SCHEME_SILENT;
	/* A setting without its hash gives one of another length: nothing to compare with. */
	if (strlen(computed) != length)
		return SCHEME_SILENT;
	return scheme_equal(stored, computed, length) ? SCHEME_FITS : SCHEME_WRONG;
}

/* "$argon2id$v=19$m=65536,t=3,p=1$salt$hash": what it may cost is bounded before it is computed. */
static bool argon2_bounded(const char *encoded)
{
	const char *at = strstr(encoded, "$m=");
	unsigned memory = 0, passes = 0, lanes = 0;

	return at && sscanf(at, "$m=%9u,t=%9u,p=%9u$", &memory, &passes, &lanes) == 3 &&
	       memory <= ARGON2_MOST_MEMORY && passes <= ARGON2_MOST_TIME &&
	       lanes <= ARGON2_MOST_LANES;
}

enum scheme_result scheme_argon2(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	char stored[SCHEME_MAX_STORED];
	argon2_type type;

	if (!slice_to_string(verifier->value, stored, sizeof(stored)) || !argon2_bounded(stored))
		return SCHEME_SILENT;
	if (strncmp(stored, "$argon2id$", 10) == 0)
		type = Argon2_id;
	else if (strncmp(stored, "$argon2i$", 9) == 0)
		type = Argon2_i;
	else
		return SCHEME_SILENT;
	switch (argon2_verify(stored, password.data ? password.data : "", password.length, type)) {
	case ARGON2_OK:
		return SCHEME_FITS;
	case ARGON2_VERIFY_MISMATCH:
		return SCHEME_WRONG;
	case ARGON2_MEMORY_ALLOCATION_ERROR:
	case ARGON2_THREAD_FAIL:
		return SCHEME_ERROR;
	default:
		return SCHEME_SILENT;
	}
}
