// SPDX-License-Identifier: ISC
/*
 * OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner: a token in place of a password. The token says who it is of (mech_jwt.h), or the
 * introspection command does (RFC 7662); a name that stands beside it must be the same.
 *
 * With keys and a command a JWT must be good for both: the keys keep what was never issued from the command, and the command knows
 * what was revoked.
 */
#include "auth/mech_oauth.h"

#include <stdio.h>

#include "auth/mech_jwt.h"
#include "os/os.h"

enum { SEPARATOR = '\001' };

struct request {
	struct slice user; /* empty: none was named */
	struct slice token;
};

/* b64token (RFC 6750 section 2.1): nothing that means anything to whoever reads it from a line or puts it into a header. */
static bool is_token(struct slice token)
{
	while (token.length > 1 && token.data[token.length - 1] == '=')
		token = slice_head(token, token.length - 1);
	for (size_t i = 0; i < token.length; i++)
		if (!token.data[i] ||
			(!ascii_alnum(token.data[i]) && !strchr("-._~+/", token.data[i])))
			return false;
	return token.length > 0;
}

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
	return found && is_token(request->token);
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

static const char *scope(void)
{
	const struct exchange_settings *library = &mech_settings;

	return library->oauth ? oauth_scope(library->oauth) : library->introspection->scope;
}

/* Section 3.2.2: the client hears what is wrong in a challenge, answers it with nothing of use, and fails. */
static bool refuse(struct exchange *exchange, const char *reason)
{
	exchange->note = reason;
	exchange->told = AUTH_FAILED;
	buffer_printf(&exchange->output, "{\"status\":\"%s\",\"scope\":\"%s\"}",
		strcmp(exchange->mech->name, "XOAUTH2") == 0 ? "401" : "invalid_token", scope());
	return false;
}

/* Whose the token is; NULL, or a reason why it does not count. */
static const char *take_name(struct exchange *exchange, const char *name, const char *nameless)
{
	char claimed[CREDENTIALS_MAX_LOGIN + 1];

	if (!mech_find_login(exchange, slice_from(name), claimed))
		return nameless;
	if (exchange->named && strcmp(claimed, exchange->login) != 0)
		return "the token is of another login";
	memcpy(exchange->login, claimed, sizeof(claimed));
	exchange->named = true;
	return NULL;
}

static bool check(struct exchange *exchange, const struct request *request)
{
	const struct exchange_settings *library = &mech_settings;
	char name[CLAIMS_NAME_MOST + 1], claimed[CREDENTIALS_MAX_LOGIN + 1];
	const char *reason = NULL;

	exchange->named = request->user.length > 0;
	if (exchange->named && mech_find_login(exchange, request->user, claimed))
		memcpy(exchange->login, claimed, sizeof(claimed));
	if (library->oauth && (!library->introspection || oauth_is_jwt(request->token))) {
		if (oauth_check(library->oauth, request->token, os_now() / 1000000, name, &reason))
			reason = take_name(
				exchange, name, "the token has no login name (auth_oauth_claim)");
		if (reason)
			return refuse(exchange, reason);
	}
	if (!library->introspection)
		return mech_known_login(exchange);
	buffer_add(&exchange->question, request->token);
	return false;
}

static bool hear(struct exchange *exchange)
{
	char name[CLAIMS_NAME_MOST + 1];
	const char *reason = "the introspection command gave no answer";
	enum introspected said = exchange->answered
					 ? introspection_check(mech_settings.introspection,
						   buffer_slice(&exchange->answer),
						   os_now() / 1000000, name, &reason)
					 : INTROSPECTION_UNKNOWN;

	if (said == INTROSPECTION_UNKNOWN) {
		exchange->note = reason;
		return mech_done(exchange, AUTH_TEMPORARY);
	}
	if (said == INTROSPECTION_GOOD)
		reason = take_name(exchange, name,
			"the token has no login name (auth_oauth_introspection_claim)");
	return reason ? refuse(exchange, reason) : mech_known_login(exchange);
}

bool mech_oauth_step(struct exchange *exchange)
{
	struct slice input = buffer_slice(&exchange->input);
	struct request request = { 0 };
	bool old = strcmp(exchange->mech->name, "XOAUTH2") == 0;

	if (exchange->told == AUTH_FAILED)
		return mech_done(exchange, AUTH_FAILED);
	if (exchange->heard)
		return hear(exchange);
	if (exchange->steps == 1 && !exchange->has_input)
		return false;
	if (!mech_settings.oauth && !mech_settings.introspection)
		return mech_done(exchange, AUTH_NO_MECHANISM);
	if (old ? !take_pairs(input, &request) : !take_bearer(input, &request))
		return mech_done(exchange, AUTH_BAD);
	return check(exchange, &request);
}
