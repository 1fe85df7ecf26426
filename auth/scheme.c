// SPDX-License-Identifier: ISC
/* Stored credentials and their verifiers. See scheme.h. */
#include "auth/scheme.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/scheme_crypt.h"
#include "auth/scheme_digest.h"
#include "auth/scheme_saslprep.h"
#include "auth/scheme_scram.h"
#include "mail/utf8.h"

enum { SCHEME_NAME_MOST = 32 };

static enum scheme_result verify_plain(
	struct schemes *schemes, const struct verifier *verifier, struct slice password)
{
	char prepared[SCHEME_MAX_PASSWORD];
	struct slice forms[] = { verifier->value, schemes_prepared(verifier->value, prepared) };
	bool fits = false;

	for (int i = 0; i < 2; i++)
		fits |= forms[i].length == password.length &&
			scheme_equal(forms[i].data, password.data, password.length);
	explicit_bzero(prepared, sizeof(prepared));
	return fits ? SCHEME_FITS : SCHEME_WRONG;
}

static const struct scheme SCHEMES[] = {
	{ "CRYPT", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "BLF-CRYPT", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "SHA256-CRYPT", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "SHA512-CRYPT", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "MD5-CRYPT", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "MD5", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "DES-CRYPT", scheme_crypt, NULL, 0, false, ENCODING_TEXT },
	{ "ARGON2ID", scheme_argon2, NULL, 0, false, ENCODING_TEXT },
	{ "ARGON2I", scheme_argon2, NULL, 0, false, ENCODING_TEXT },
	{ "PBKDF2", scheme_pbkdf2, NULL, 0, false, ENCODING_TEXT },
	{ "SSHA", scheme_digest, "SHA1", 1, false, ENCODING_TEXT },
	{ "SSHA256", scheme_digest, "SHA256", 1, false, ENCODING_TEXT },
	{ "SSHA512", scheme_digest, "SHA512", 1, false, ENCODING_TEXT },
	{ "SHA", scheme_digest, "SHA1", 0, false, ENCODING_TEXT },
	{ "SHA1", scheme_digest, "SHA1", 0, false, ENCODING_TEXT },
	{ "SHA256", scheme_digest, "SHA256", 0, false, ENCODING_TEXT },
	{ "SHA512", scheme_digest, "SHA512", 0, false, ENCODING_TEXT },
	{ "SMD5", scheme_digest, "MD5", 1, false, ENCODING_TEXT },
	{ "LDAP-MD5", scheme_digest, "MD5", 0, false, ENCODING_TEXT },
	{ "PLAIN-MD5", scheme_digest, "MD5", 0, false, ENCODING_HEX },
	{ "SCRAM-SHA-1", scheme_scram, "SHA1", 0, false, ENCODING_TEXT },
	{ "SCRAM-SHA-256", scheme_scram, "SHA256", 0, false, ENCODING_TEXT },
	{ "PLAIN", verify_plain, NULL, 0, true, ENCODING_TEXT },
	{ "CLEARTEXT", verify_plain, NULL, 0, true, ENCODING_TEXT },
	{ "CLEAR", verify_plain, NULL, 0, true, ENCODING_TEXT },
	{ "CRAM-MD5", NULL, NULL, 0, true, ENCODING_TEXT },
	{ "DIGEST-MD5", NULL, NULL, 0, true, ENCODING_TEXT },
};
enum { SCHEME_COUNT = sizeof(SCHEMES) / sizeof(SCHEMES[0]) };

/* --- verifiers --- */

/* "SSHA256.HEX" in its parts; NULL when there is no such scheme. */
static const struct scheme *scheme_of(struct slice name, enum scheme_encoding *encoding)
{
	static const struct {
		const char *suffix;
		enum scheme_encoding encoding;
	} SUFFIXES[] = { { ".HEX", ENCODING_HEX }, { ".B64", ENCODING_BASE64 },
		{ ".BASE64", ENCODING_BASE64 } };

	*encoding = ENCODING_TEXT;
	for (size_t i = 0; i < sizeof(SUFFIXES) / sizeof(SUFFIXES[0]); i++) {
		struct slice suffix = slice_from(SUFFIXES[i].suffix);

		if (!slice_ends_nocase(name, suffix))
			continue;
		*encoding = SUFFIXES[i].encoding;
		name = slice_head(name, name.length - suffix.length);
		break;
	}
	for (int i = 0; i < SCHEME_COUNT; i++)
		if (slice_equal_nocase(name, slice_from(SCHEMES[i].name))) {
			if (*encoding == ENCODING_TEXT)
				*encoding = SCHEMES[i].encoding;
			return &SCHEMES[i];
		}
	return NULL;
}

/*
 * Take the next verifier off the front. False at the end. One of an unknown scheme has none (`scheme` NULL). Plain text goes to the
 * end: a space may be in it.
 */
static bool next_verifier(struct slice *rest, struct verifier *verifier)
{
	ptrdiff_t close;

	while (rest->length && rest->data[0] == ' ')
		*rest = slice_tail(*rest, 1);
	if (!rest->length)
		return false;
	*verifier = (struct verifier){ .scheme = &SCHEMES[0] };
	if (rest->data[0] == '{' && (close = slice_find(*rest, '}')) > 0) {
		struct slice name = slice_of(rest->data + 1, (size_t)close - 1);

		verifier->scheme = name.length > SCHEME_NAME_MOST
					   ? NULL
					   : scheme_of(name, &verifier->encoding);
		*rest = slice_tail(*rest, (size_t)close + 1);
	}
	if (verifier->scheme && verifier->scheme->verify == verify_plain) {
		verifier->value = *rest;
		*rest = slice_tail(*rest, rest->length);
	} else if (!slice_split(rest, ' ', &verifier->value)) {
		verifier->value = slice_of("", 0);
	}
	return true;
}

static bool counts(const struct schemes *schemes, const struct verifier *verifier)
{
	return verifier->scheme && (!verifier->scheme->plain || schemes->settings.plain);
}

bool schemes_value(struct slice stored, const char *name, struct slice *value)
{
	struct verifier verifier;

	while (next_verifier(&stored, &verifier))
		if (verifier.scheme && strcmp(verifier.scheme->name, name) == 0) {
			*value = verifier.value;
			return true;
		}
	return false;
}

bool schemes_plain(const struct schemes *schemes, struct slice stored, struct slice *password)
{
	return schemes->settings.plain && (schemes_value(stored, "PLAIN", password) ||
						  schemes_value(stored, "CLEARTEXT", password) ||
						  schemes_value(stored, "CLEAR", password));
}

/* --- keys for mechanisms --- */

/* Where some have keys that are made of plain text when they are asked for, those who have others, or none, must not be answered sooner. */
static void waste_derivation(struct schemes *schemes, const char *digest)
{
	struct scram_keys keys = { .iterations = schemes->settings.iterations,
		.salt_length = SCRAM_SALT };

	if (!schemes->settings.plain)
		return;
	schemes->hashes++;
	(void)!scram_derive(digest, SLICE("no password"), &keys);
}

bool schemes_scram(
	struct schemes *schemes, struct slice stored, const char *digest, struct scram_keys *keys)
{
	char name[32], prepared[SCHEME_MAX_PASSWORD];
	struct slice value;
	bool done;

	snprintf(name, sizeof(name), "SCRAM-%s", digest);
	if (schemes_value(stored, name, &value)) {
		waste_derivation(schemes, digest);
		return scram_read(digest, value, keys);
	}
	if (!schemes_plain(schemes, stored, &value) || value.length == 0) {
		waste_derivation(schemes, digest);
		return false;
	}
	keys->iterations = schemes->settings.iterations;
	schemes->hashes++;
	done = scram_derive(digest, schemes_prepared(value, prepared), keys);
	explicit_bzero(prepared, sizeof(prepared));
	return done;
}

/* --- the whole --- */

struct schemes *schemes_new(const struct scheme_settings *settings)
{
	struct schemes *schemes = calloc(1, sizeof(*schemes));

	if (!schemes || !(schemes->crypt = calloc(1, sizeof(*schemes->crypt)))) {
		free(schemes);
		return NULL;
	}
	schemes_set(schemes, settings);
	return schemes;
}

void schemes_set(struct schemes *schemes, const struct scheme_settings *settings)
{
	struct scram_keys keys = { .iterations = 1 };

	schemes->settings = *settings;
	schemes->dummy[0] = '\0';
	if (schemes->settings.iterations == 0)
		schemes->settings.iterations = SCRAM_ITERATIONS;
	/* libcrypto reads its files and looks for its algorithms at the first use. */
	(void)!scram_derive("SHA-1", SLICE("x"), &keys);
	(void)!scram_derive("SHA-256", SLICE("x"), &keys);
}

void schemes_free(struct schemes **schemes)
{
	if (!*schemes)
		return;
	explicit_bzero((*schemes)->crypt, sizeof(*(*schemes)->crypt));
	free((*schemes)->crypt);
	free(*schemes);
	*schemes = NULL;
}

uint64_t schemes_hashes(const struct schemes *schemes)
{
	return schemes->hashes;
}

struct slice schemes_prepared(struct slice password, char prepared[SCHEME_MAX_PASSWORD])
{
	const char *fault;

	/* Nothing of ASCII changes. */
	prepared[0] = '\0';
	if (utf8_ascii_prefix(password) == password.length ||
		!saslprep(password, prepared, SCHEME_MAX_PASSWORD, &fault))
		return password;
	return slice_from(prepared);
}

bool schemes_two_forms(struct slice password)
{
	char prepared[SCHEME_MAX_PASSWORD];
	bool two = !slice_equal(schemes_prepared(password, prepared), password);

	explicit_bzero(prepared, sizeof(prepared));
	return two;
}

const char *schemes_fault(struct slice password)
{
	char prepared[SCHEME_MAX_PASSWORD];
	const char *fault;

	if (password.length == 0 || password.length >= SCHEME_MAX_PASSWORD)
		return "it has no bytes, or too many";
	if (!saslprep(password, prepared, sizeof(prepared), &fault))
		return fault;
	explicit_bzero(prepared, sizeof(prepared));
	return NULL;
}

bool schemes_fitted_raw(const struct schemes *schemes)
{
	return schemes->fitted_raw;
}

static bool waste_once(struct schemes *schemes, struct slice password)
{
	char hash[CRYPT_OUTPUT_SIZE];

	if (!schemes->dummy[0] && !scheme_crypt_new(schemes, SLICE("no password"),
					  schemes->settings.cost, schemes->dummy))
		return false;
	schemes->hashes++;
	if (password.length >= SCHEME_MAX_PASSWORD || slice_find(password, '\0') >= 0)
		password = slice_of("", 0);
	return scheme_crypt_hash(schemes, password, schemes->dummy, hash);
}

/* A wrong password of a scheme that is quick to tell would say who has one: the time of a hash as it is made today passes, too. */
static bool is_quick(const struct verifier *verifier)
{
	static const char *const SLOW[] = { "$y$", "$gy$", "$7$", "$2" };

	if (verifier->scheme->verify == scheme_argon2)
		return false;
	if (verifier->scheme->verify == scheme_crypt)
		for (size_t i = 0; i < sizeof(SLOW) / sizeof(SLOW[0]); i++)
			if (slice_starts(verifier->value, slice_from(SLOW[i])))
				return false;
	return true;
}

static enum scheme_result verify_form(
	struct schemes *schemes, struct slice stored, struct slice password)
{
	enum scheme_result result = SCHEME_SILENT;
	struct verifier verifier;

	if (password.length >= SCHEME_MAX_PASSWORD || slice_find(password, '\0') >= 0)
		password = slice_of("", 0);
	/* An empty password fits nothing, whatever is stored; the time of a hash passes. */
	while (result == SCHEME_SILENT && next_verifier(&stored, &verifier))
		if (counts(schemes, &verifier) && verifier.scheme->verify)
			result = verifier.scheme->verify(schemes, &verifier, password);
	if (result == SCHEME_SILENT || schemes->form_only)
		return result;
	if (result == SCHEME_FITS && password.length == 0)
		result = SCHEME_WRONG;
	if (result != SCHEME_WRONG || !is_quick(&verifier) || !waste_once(schemes, password))
		schemes->hashes++;
	return result;
}

enum scheme_result schemes_verify(
	struct schemes *schemes, struct slice stored, struct slice password)
{
	char prepared[SCHEME_MAX_PASSWORD];
	struct slice form = schemes_prepared(password, prepared);
	enum scheme_result result = verify_form(schemes, stored, form);

	schemes->fitted_raw = false;
	if (result == SCHEME_WRONG && !slice_equal(form, password)) {
		result = verify_form(schemes, stored, password);
		schemes->fitted_raw = result == SCHEME_FITS;
	}
	explicit_bzero(prepared, sizeof(prepared));
	return result;
}

bool schemes_waste(struct schemes *schemes, struct slice password)
{
	return waste_once(schemes, password) &&
	       (!schemes_two_forms(password) || waste_once(schemes, password));
}

bool schemes_make(struct schemes *schemes, struct slice password, char stored[SCHEME_MAX_STORED])
{
	char hash[CRYPT_OUTPUT_SIZE], prepared[SCHEME_MAX_PASSWORD];
	struct slice form;
	bool made;

	if (schemes_fault(password))
		return false;
	form = schemes_prepared(password, prepared);
	made = scheme_crypt_new(schemes, form, schemes->settings.cost, hash) &&
	       slice_to_string(slice_from(hash), stored, SCHEME_MAX_STORED) &&
	       scheme_scram_new(schemes, form, "SHA-256", stored) &&
	       scheme_scram_new(schemes, form, "SHA-1", stored);
	explicit_bzero(prepared, sizeof(prepared));
	return made;
}

bool schemes_hash(
	struct schemes *schemes, struct slice password, int cost, char stored[SCHEME_MAX_STORED])
{
	char hash[CRYPT_OUTPUT_SIZE];

	return scheme_crypt_new(schemes, password, cost, hash) &&
	       slice_to_string(slice_from(hash), stored, SCHEME_MAX_STORED);
}

bool schemes_current(struct slice stored)
{
	struct slice value;

	return slice_starts(stored, SLICE("$y$")) &&
	       schemes_value(stored, "SCRAM-SHA-256", &value) &&
	       schemes_value(stored, "SCRAM-SHA-1", &value);
}

bool schemes_known(struct schemes *schemes, struct slice stored, char *error, size_t error_size)
{
	struct verifier verifier;
	unsigned count = 0;
	bool silent;

	while (next_verifier(&stored, &verifier)) {
		count++;
		if (!verifier.scheme) {
			snprintf(error, error_size, "no such password scheme");
			return false;
		}
		if (!counts(schemes, &verifier)) {
			snprintf(error, error_size,
				"passwords stored as {%s} do not count (auth_allow_plain_scheme)",
				verifier.scheme->name);
			return false;
		}
		schemes->form_only = true;
		silent = verifier.scheme->verify &&
			 verifier.scheme->verify(schemes, &verifier, SLICE("x")) == SCHEME_SILENT;
		schemes->form_only = false;
		if (silent) {
			snprintf(error, error_size, "not a hash of the scheme {%s}",
				verifier.scheme->name);
			return false;
		}
	}
	if (count == 0)
		snprintf(error, error_size, "no hash");
	return count > 0;
}
