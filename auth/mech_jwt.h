// SPDX-License-Identifier: ISC
/*
 * Tokens that say who somebody is, signed by an authority whose public keys are at hand: JSON Web Tokens (RFC 7519) with RS256 or
 * ES256 (RFC 7518), keys as a JWK set (RFC 7517). Nothing is asked over the network.
 */
#ifndef AUTH_MECH_JWT_H
#define AUTH_MECH_JWT_H

#include "auth/mech_claims.h"

enum { JWT_MOST = 16 * 1024 };

struct oauth;
/* Reads the keys: before the process is confined. NULL with `error` filled. The settings' texts must stay. */
struct oauth *oauth_open(const struct oauth_settings *settings, char *error, size_t error_size);
void oauth_close(struct oauth **oauth);
/* The file of the keys is another, or was written to, since. */
bool oauth_changed(const struct oauth *oauth);
const char *oauth_scope(const struct oauth *oauth);

/* Has it the form of one: three parts? Others are opaque, and nobody but their authority can say anything about them. */
bool oauth_is_jwt(struct slice token);

/*
 * Is the token good at `now` (seconds since 1970)? Then `name` gets the login name in it, as it stands there. False with a reason for
 * the log; signatures are computed in the calling thread, any number of threads at a time.
 */
MUST_CHECK bool oauth_check(const struct oauth *oauth, struct slice token, int64_t now,
	char name[CLAIMS_NAME_MOST + 1], const char **reason);

#endif
