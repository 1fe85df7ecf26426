// SPDX-License-Identifier: ISC
/*
 * Tokens that say who somebody is, signed by an authority whose public keys are at hand: JSON Web Tokens (RFC 7519) with RS256 or
 * ES256 (RFC 7518), keys as a JWK set (RFC 7517). Nothing is asked over the network.
 */
#ifndef AUTH_MECH_JWT_H
#define AUTH_MECH_JWT_H

#include "base/slice.h"

enum { JWT_MOST = 16 * 1024, JWT_NAME_MOST = 320, JWT_LEEWAY = 60 /* s between two clocks */ };

struct oauth_settings {
	const char *keys; /* file of the JWK set */
	const char *issuer; /* "iss"; empty: any, when all keys are of one authority anyway */
	const char *audience; /* "aud", or one of them; empty: any */
	const char *scope; /* a word of "scope"; empty: any */
	const char *claim; /* that holds the login name: "email" */
};

struct oauth;
/* Reads the keys: before the process is confined. NULL with `error` filled. The settings' texts must stay. */
struct oauth *oauth_open(const struct oauth_settings *settings, char *error, size_t error_size);
void oauth_close(struct oauth **oauth);
/* The file of the keys is another, or was written to, since. */
bool oauth_changed(const struct oauth *oauth);
const char *oauth_scope(const struct oauth *oauth);

/*
 * Is the token good at `now` (seconds since 1970)? Then `name` gets the login name in it, as it stands there. False with a reason for
 * the log; signatures are computed in the calling thread, any number of threads at a time.
 */
MUST_CHECK bool oauth_check(const struct oauth *oauth, struct slice token, int64_t now,
	char name[JWT_NAME_MOST + 1], const char **reason);

#endif
