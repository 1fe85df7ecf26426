// SPDX-License-Identifier: ISC
/*
 * OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner: a token in place of a password. The token says who it is of (mech_jwt.h); a name
 * that stands beside it must be the same.
 */
#include <stdio.h>

#include "auth/mech.h"
#include "auth/mech_jwt.h"
#include "os/os.h"

enum { SEPARATOR = '\001' };

struct request {
	struct slice user; /* empty: none was named */
	struct slice token;
};

/* "auth=Bearer token" among the pairs; others (host, port) mean nothing here. */
static bool take_pairs(struct slice rest, struct request *request)
{
	struct slice pair;
	bool found = false;

	while (slice_split(&rest, SEPARATOR, &pair)) {
		if (slice_starts_nocase(pair, SLICE("auth=Bearer "))) {
			request->token = slice_trim(slice_tail(pair, strlen("auth=Bearer ")));
			found = !found;
		} else if (slice_starts_nocase(pair, SLICE("user="))) {
			request->user = slice_tail(pair, strlen("user="));
		}
	}
	return found && request->token.length && slice_find(request->token, '\0') < 0;
}

/* RFC 7628 section 3.1: a gs2-header, then pairs between separators. */
static bool take_bearer(struct slice rest, struct request *request)
{
	struct slice part;

	if (!slice_starts(rest, SLICE("n,")) && !slice_starts(rest, SLICE("y,")))
		return false;
	rest = slice_tail(rest, 2);
	if (!slice_split(&rest, ',', &part))
		return false;
	if (part.length && !slice_starts(part, SLICE("a=")))
		return false;
	if (rest.length == 0 || rest.data[0] != SEPARATOR || !take_pairs(rest, request))
		return false;
	request->user = slice_tail(part, 2);
	return true;
}

/* Section 3.2.2: the client hears what is wrong in a challenge, answers it with nothing of use, and fails. */
static bool refuse(struct exchange *exchange, const char *reason)
{
	static const int FAILED = 1;

	exchange->note = reason;
	exchange->state = (void *)&FAILED;
	buffer_printf(&exchange->output, "{\"status\":\"%s\",\"scope\":\"%s\"}",
		strcmp(exchange->mech->name, "XOAUTH2") == 0 ? "401" : "invalid_token",
		exchange_library.oauth ? oauth_scope(exchange_library.oauth) : "");
	return false;
}

static bool check(struct exchange *exchange, const struct request *request)
{
	char name[JWT_NAME_MOST + 1], claimed[CREDENTIALS_MAX_LOGIN + 1];
	const char *reason = "";

	if (request->user.length && exchange_canonical(request->user, claimed, sizeof(claimed)))
		memcpy(exchange->login, claimed, sizeof(claimed));
	if (!oauth_check(exchange_library.oauth, request->token, os_now() / 1000000, name, &reason))
		return refuse(exchange, reason);
	if (!exchange_canonical(slice_from(name), claimed, sizeof(claimed)))
		return refuse(exchange, "the token has no login name (auth_oauth_claim)");
	if (request->user.length && strcmp(claimed, exchange->login) != 0)
		return refuse(exchange, "the token is of another login");
	memcpy(exchange->login, claimed, sizeof(claimed));
	return mech_known_login(exchange);
}

bool mech_oauth_step(struct exchange *exchange)
{
	struct slice input = buffer_slice(&exchange->input);
	struct request request = { 0 };
	bool old = strcmp(exchange->mech->name, "XOAUTH2") == 0;

	if (exchange->state)
		return mech_done(exchange, AUTH_FAILED);
	if (exchange->steps == 1 && !exchange->has_input)
		return false;
	if (!exchange_library.oauth)
		return mech_done(exchange, AUTH_NO_MECHANISM);
	if (old ? !take_pairs(input, &request) : !take_bearer(input, &request))
		return mech_done(exchange, AUTH_BAD);
	return check(exchange, &request);
}
