// SPDX-License-Identifier: ISC
/* Claims. See mech_claims.h. */
#include "auth/mech_claims.h"

static bool one_of(const json_t *claim, const char *wanted)
{
	const json_t *each;
	size_t i;

	if (!wanted[0])
		return true;
	json_array_foreach(claim, i, each) if (json_text_is(each, wanted)) return true;
	return json_text_is(claim, wanted);
}

static bool has_scope(const json_t *claims, const char *wanted)
{
	const json_t *scope = json_object_get(claims, "scope");
	struct slice rest = json_text_member(claims, "scope"), word;

	if (!wanted[0] || json_is_array(scope))
		return one_of(scope, wanted);
	while (slice_word(&rest, " ", &word))
		if (slice_equal(word, slice_from(wanted)))
			return true;
	return false;
}

/* A NumericDate (RFC 7519 section 2) in whole seconds. False when it is none, or so far away that it means nothing. */
static bool date_of(const json_t *claim, int64_t *date)
{
	static const double FARTHEST = 1e15;
	double number = json_number_value(claim);
	bool good = json_is_number(claim) && number > -FARTHEST && number < FARTHEST;

	*date = good ? (int64_t)number : 0;
	return good;
}

/* NULL: the claims are good now. */
static const char *fault_in(
	const struct oauth_settings *settings, const json_t *claims, int64_t now, bool ends)
{
	const json_t *expires = json_object_get(claims, "exp");
	const json_t *begins = json_object_get(claims, "nbf");
	const json_t *verified = json_object_get(claims, "email_verified");
	int64_t date;

	if ((ends || expires) && (!date_of(expires, &date) || date + CLAIMS_LEEWAY <= now))
		return "the token has expired, or never does";
	if (begins && (!date_of(begins, &date) || date - CLAIMS_LEEWAY > now))
		return "the token is not good yet";
	if (!one_of(json_object_get(claims, "iss"), settings->issuer))
		return "the token is of another issuer";
	if (!one_of(json_object_get(claims, "aud"), settings->audience))
		return "the token is for another audience";
	if (!has_scope(claims, settings->scope))
		return "the token lacks the scope";
	if (strcmp(settings->claim, "email") == 0 && verified && !json_is_true(verified))
		return "the address in the token is not verified";
	return NULL;
}

bool claims_check(const struct oauth_settings *settings, const json_t *claims, int64_t now,
	bool ends, char name[CLAIMS_NAME_MOST + 1], const char **reason)
{
	struct slice login;

	*reason = claims ? fault_in(settings, claims, now, ends) : "the token is malformed";
	if (*reason)
		return false;
	login = json_text_member(claims, settings->claim);
	if (login.length && slice_to_string(login, name, CLAIMS_NAME_MOST + 1))
		return true;
	*reason = ends ? "the token has no login name (auth_oauth_claim)"
		       : "the token has no login name (auth_oauth_introspection_claim)";
	return false;
}

enum introspected introspection_check(const struct oauth_settings *settings, struct slice answer,
	int64_t now, char name[CLAIMS_NAME_MOST + 1], const char **reason)
{
	char error[200];
	json_t *claims = json_text_read(answer, JSON_DECODE_INT_AS_REAL, error, sizeof(error));
	const json_t *active = json_object_get(claims, "active");
	enum introspected verdict = INTROSPECTION_UNKNOWN;

	if (!json_is_boolean(active)) {
		*reason = "the introspection command's answer is not that of RFC 7662";
	} else if (!json_is_true(active)) {
		*reason = "the token is not active";
		verdict = INTROSPECTION_REFUSED;
	} else {
		verdict = claims_check(settings, claims, now, false, name, reason)
				  ? INTROSPECTION_GOOD
				  : INTROSPECTION_REFUSED;
	}
	json_decref(claims);
	return verdict;
}
