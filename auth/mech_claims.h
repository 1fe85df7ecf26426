// SPDX-License-Identifier: ISC
/*
 * What a token says, or what the introspection command says of it, as claims (RFC 7519 section 4, RFC 7662 section 2.2): are they good,
 * and whose are they?
 */
#ifndef AUTH_MECH_CLAIMS_H
#define AUTH_MECH_CLAIMS_H

#include "os/json_text.h"

enum { CLAIMS_NAME_MOST = 320, CLAIMS_LEEWAY = 60 /* s between two clocks */ };

struct oauth_settings {
	const char *keys; /* file of the JWK set; of no use for claims */
	const char *issuer; /* "iss"; empty: any */
	const char *audience; /* "aud", or one of them; empty: any */
	const char *scope; /* a word of "scope"; empty: any */
	const char *claim; /* that holds the login name: "email" */
};

/*
 * Are they good at `now` (seconds since 1970)? Then `name` gets the login name in them, as it stands there. `ends`: they must say when
 * they end. False with a reason for the log.
 */
MUST_CHECK bool claims_check(const struct oauth_settings *settings, const json_t *claims,
	int64_t now, bool ends, char name[CLAIMS_NAME_MOST + 1], const char **reason);

enum introspected { INTROSPECTION_UNKNOWN = 0, INTROSPECTION_GOOD, INTROSPECTION_REFUSED };

/* The answer of the introspection command (RFC 7662 section 2.2), likewise. UNKNOWN when it is none. */
enum introspected introspection_check(const struct oauth_settings *settings, struct slice answer,
	int64_t now, char name[CLAIMS_NAME_MOST + 1], const char **reason);

#endif
