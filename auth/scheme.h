// SPDX-License-Identifier: ISC
/*
 * What is stored of a password, and whether a typed one fits it.
 *
 * A stored credential is one or several verifiers with a space between them: "{SCHEME}value", or what crypt(3) knows without a
 * prefix. The first that can tell decides about a typed password; the others are keys for mechanisms that never see one
 * (RFC 5802). Names and forms are those of Dovecot's password schemes, so that its files and tables can be read:
 *
 *	CRYPT BLF-CRYPT SHA256-CRYPT SHA512-CRYPT MD5-CRYPT MD5 DES-CRYPT   crypt(3)
 *	ARGON2ID ARGON2I   RFC 9106, encoded      PBKDF2   $1$salt$rounds$hex, HMAC-SHA-1
 *	SSHA SSHA256 SSHA512 SMD5   salted        SHA SHA1 SHA256 SHA512 LDAP-MD5 PLAIN-MD5   not salted
 *	SCRAM-SHA-1 SCRAM-SHA-256   iterations,salt,StoredKey,ServerKey
 *	PLAIN CLEARTEXT CLEAR CRAM-MD5 DIGEST-MD5   only with `plain`: who reads them can log in with them
 *
 * Digests may say their encoding: {SSHA256.HEX}, {SSHA256.B64}. What is quickly computed is replaced at the next good login
 * (auth_password_upgrade).
 */
#ifndef AUTH_SCHEME_H
#define AUTH_SCHEME_H

#include "base/slice.h"

enum {
	SCHEME_MAX_STORED = 1024, /* with the final NUL */
	SCHEME_MAX_PASSWORD = 512, /* bytes, crypt(3)'s bound */
	SCHEME_MAX_DIGEST = 64,
	SCHEME_MAX_SALT = 128,
	SCRAM_ITERATIONS = 16384, /* where no parameter says so */
	SCRAM_SALT = 16, /* bytes of salts that are made here */
	SCRAM_ITERATIONS_LEAST = 4096, /* RFC 7677 section 4 */
	SCRAM_ITERATIONS_MOST = 65536 /* clients refuse more */
};

enum scheme_result {
	SCHEME_ERROR = 0, /* it could not be computed: try later */
	SCHEME_FITS,
	SCHEME_WRONG,
	SCHEME_SILENT /* nothing stored can tell */
};

struct scheme_settings {
	int cost; /* yescrypt's, 1 (about a millisecond) to 11 (seconds) */
	unsigned iterations; /* of SCRAM keys; 0: SCRAM_ITERATIONS */
	bool plain; /* stored plain text counts */
};

/* Scratch memory of one thread, and its settings. */
struct schemes;
/* NULL when memory is out. The first one readies libcrypto: before the process is confined and has threads. */
struct schemes *schemes_new(const struct scheme_settings *settings);
void schemes_free(struct schemes **schemes);
void schemes_set(struct schemes *schemes, const struct scheme_settings *settings);

/*
 * Does the password fit? Its prepared form (RFC 4013), or else the bytes as they were typed: what is stored may be older than the
 * preparation, or come from elsewhere. A password with two forms costs twice, whether it is wrong or whether there is nobody.
 */
MUST_CHECK enum scheme_result schemes_verify(
	struct schemes *schemes, struct slice stored, struct slice password);
/* Compute what verifying costs, for a login that is nobody. False when that cannot be done with these settings. */
bool schemes_waste(struct schemes *schemes, struct slice password);
/* Did the last one that fitted do so as typed, though it has a prepared form? SCRAM then fails for it. */
bool schemes_fitted_raw(const struct schemes *schemes);
/* Is the prepared form another than the bytes? */
bool schemes_two_forms(struct slice password);
/* The prepared form, in `prepared`; the password itself when it has none. */
struct slice schemes_prepared(struct slice password, char prepared[SCHEME_MAX_PASSWORD]);
/* Why it cannot be a new password; NULL: it can. */
const char *schemes_fault(struct slice password);
/* A new password, prepared: yescrypt, and SCRAM keys. False when there is a schemes_fault, or the cost cannot be. */
MUST_CHECK bool schemes_make(
	struct schemes *schemes, struct slice password, char stored[SCHEME_MAX_STORED]);
/* yescrypt alone, of that cost: for a password that no mechanism proves without showing it. */
MUST_CHECK bool schemes_hash(
	struct schemes *schemes, struct slice password, int cost, char stored[SCHEME_MAX_STORED]);
/* It is what schemes_make would make now, but for salts and costs. */
bool schemes_current(struct slice stored);
/* Each verifier is of a scheme that counts and has its form: nothing is computed, lists of many are checked. False with `error` filled. */
MUST_CHECK bool schemes_known(
	struct schemes *schemes, struct slice stored, char *error, size_t error_size);
/* Passwords and dummies hashed so far: tests look at this instead of the clock. */
uint64_t schemes_hashes(const struct schemes *schemes);

/* --- keys for mechanisms --- */

/* RFC 5802 section 3. */
struct scram_keys {
	unsigned iterations;
	size_t salt_length, digest_length;
	unsigned char salt[SCHEME_MAX_SALT];
	unsigned char stored_key[SCHEME_MAX_DIGEST], server_key[SCHEME_MAX_DIGEST];
};
/*
 * `digest` is "SHA-1" or "SHA-256". From stored keys, or from stored plain text (with the salt given in `keys` then). Where plain text
 * counts the time of making keys passes in any case.
 */
MUST_CHECK bool schemes_scram(
	struct schemes *schemes, struct slice stored, const char *digest, struct scram_keys *keys);
/* The value of the first verifier of that name; false when there is none. */
bool schemes_value(struct slice stored, const char *name, struct slice *value);
/* Stored plain text; false when there is none or it does not count. */
bool schemes_plain(const struct schemes *schemes, struct slice stored, struct slice *password);

#endif
