// SPDX-License-Identifier: ISC
/* What crypt(3) knows (yescrypt, bcrypt, SHA-crypt and older ones), and Argon2 (RFC 9106). See scheme_crypt.h. */
#include "auth/scheme_crypt.h"

#include <argon2.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* How long the hash proper is, behind the last "$" of what begins so; crypt(3) knows whether the rest is a setting. */
static bool crypt_form(const char *stored)
{
	static const struct {
		const char *prefix;
		size_t length;
	} FORMS[] = {
		{ "$y$", 43 },
		{ "$gy$", 43 },
		{ "$7$", 43 },
		{ "$2b$", 53 },
		{ "$2a$", 53 },
		{ "$2y$", 53 },
		{ "$2x$", 53 },
		{ "$6$", 86 },
		{ "$5$", 43 },
		{ "$1$", 22 },
		{ "$md5", 22 },
		{ "$sha1$", 28 },
		{ "$3$", 32 },
		{ "_", 20 },
		{ "", 13 },
	};
	int salt = crypt_checksalt(stored);
	struct slice text = slice_from(stored), tail;
	size_t i = 0;

	while (!slice_starts(text, slice_from(FORMS[i].prefix)))
		i++;
	tail = slice_tail(text, (size_t)(slice_find_last(text, '$') + 1));
	if (salt == CRYPT_SALT_INVALID || salt == CRYPT_SALT_METHOD_DISABLED ||
		tail.length != FORMS[i].length)
		return false;
	for (i = 0; i < tail.length; i++)
		if (!ascii_alnum(tail.data[i]) && !strchr("./_", tail.data[i]))
			return false;
	return true;
}

enum scheme_result scheme_crypt(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	char stored[CRYPT_OUTPUT_SIZE], computed[CRYPT_OUTPUT_SIZE];
	size_t length = verifier->value.length;

	if (!slice_to_string(verifier->value, stored, sizeof(stored)))
		return SCHEME_SILENT;
	if (schemes->form_only)
		return crypt_form(stored) ? SCHEME_WRONG : SCHEME_SILENT;
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

/* Five parts, the last two in base64. */
static bool argon2_form(const char *encoded)
{
	struct slice rest = slice_tail(slice_from(encoded), 1), part;
	unsigned parts = 0;

	while (slice_split(&rest, '$', &part)) {
		if (++parts < 4)
			continue;
		for (size_t i = 0; i < part.length; i++)
			if (!ascii_alnum(part.data[i]) && part.data[i] != '+' &&
				part.data[i] != '/')
				return false;
		if (part.length < 4)
			return false;
	}
	return parts == 5;
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
	if (schemes->form_only)
		return argon2_form(stored) ? SCHEME_WRONG : SCHEME_SILENT;
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
