// SPDX-License-Identifier: ISC
/* OAUTHBEARER and XOAUTH2: tokens by key, and by what the introspection command says. */
#include "tests/unit/mech_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/mech_jwt.h"
#include "base/arena.h"
#include "base/base64.h"
#include "tests/unit/text_file.h"

/* --- tokens by key --- */

/* RFC 7515, appendices A.2 and A.3 */
static const char KEYS[] =
	"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\",\"kid\":\"one\",\"use\":"
	"\"sig\",\"n\":"
	"\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
	"4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
	"yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
	"bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
	"KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
	"DWNmoudF8NAco9_"
	"h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"},"
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
#define PAYLOAD \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"
#define RS256_TOKEN \
	"eyJhbGciOiJSUzI1NiJ9." PAYLOAD \
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_" \
	"O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_" \
	"nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--" \
	"xi12jzDwusC-" \
	"eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVr" \
	"Bp0igcN_IoypGlUPQGe77Rw"
#define ES256_TOKEN \
	"eyJhbGciOiJFUzI1NiJ9." PAYLOAD \
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

enum { THEN = 1300819379 };

static struct oauth *open_keys(const char *issuer, const char *audience, const char *scope)
{
	static char file[128];
	const struct oauth_settings keys = {
		.keys = file, .issuer = issuer, .audience = audience, .scope = scope, .claim = "iss"
	};
	struct oauth *oauth;

	snprintf(file, sizeof(file), "%s/keys", folder);
	text_file_in(folder, "keys", KEYS);
	oauth = oauth_open(&keys, error, sizeof(error));
	if (!oauth)
		fail_msg("%s", error);
	return oauth;
}

static void tokens_of_rfc_7515_are_good_in_their_time(void **state)
{
	static const char *const TOKENS[] = { RS256_TOKEN, ES256_TOKEN };
	struct oauth *oauth = open_keys("", "", "");
	char name[CLAIMS_NAME_MOST + 1], broken[1200];
	const char *reason;

	for (int i = 0; i < 2; i++) {
		if (!oauth_check(oauth, slice_from(TOKENS[i]), THEN, name, &reason))
			fail_msg("%s", reason);
		assert_string_equal(name, "joe");
		assert_false(oauth_check(
			oauth, slice_from(TOKENS[i]), THEN + 2 * CLAIMS_LEEWAY, name, &reason));
		snprintf(broken, sizeof(broken), "%s", TOKENS[i]);
		broken[30] = broken[30] == 'A' ? 'B' : 'A';
		assert_false(oauth_check(oauth, slice_from(broken), THEN, name, &reason));
		snprintf(broken, sizeof(broken), "%s", TOKENS[i]);
		broken[strlen(broken) - 10] ^= 1;
		assert_false(oauth_check(oauth, slice_from(broken), THEN, name, &reason));
	}
	oauth_close(&oauth);
	oauth = open_keys("jim", "", "");
	assert_false(oauth_check(oauth, SLICE(ES256_TOKEN), THEN, name, &reason));
	oauth_close(&oauth);
	oauth = open_keys("joe", "mail", "");
	assert_false(oauth_check(oauth, SLICE(ES256_TOKEN), THEN, name, &reason));
	oauth_close(&oauth);
	oauth = open_keys("joe", "", "mail");
	assert_false(oauth_check(oauth, SLICE(ES256_TOKEN), THEN, name, &reason));
	oauth_close(&oauth);
}

static void token_cannot_choose_how_it_is_checked(void **state)
{
	/* {"alg":"none"}, {"alg":"HS256"}, no signature, nothing at all */
	static const char *const TOKENS[] = { "eyJhbGciOiJub25lIn0." PAYLOAD ".",
		"eyJhbGciOiJIUzI1NiJ9." PAYLOAD ".AAAA", "eyJhbGciOiJSUzI1NiJ9." PAYLOAD ".",
		"eyJhbGciOiJFUzI1NiJ9." PAYLOAD ".", "", ".", "..", "...", "a.b", "a.b.c.d",
		"eyJhbGciOiJSUzI1NiJ9." PAYLOAD
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
		"Kg6NU1Q" };
	struct oauth *oauth = open_keys("", "", "");
	char name[CLAIMS_NAME_MOST + 1];
	const char *reason;

	for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]); i++)
		assert_false(oauth_check(oauth, slice_from(TOKENS[i]), THEN, name, &reason));
	oauth_close(&oauth);
}

/* The token is long over: what is tried here is the way to it and the way out. */
static void oauth_tells_the_client_before_it_fails(void **state)
{
	static const struct {
		const char *mechanism, *response;
	} GOOD_FORM[] = {
		/* RFC 7628 section 4.1 */
		{ "OAUTHBEARER", "n,a=user@example.org,\001host=server.example.com\001port=143\001"
				 "auth=Bearer " ES256_TOKEN "\001\001" },
		{ "OAUTHBEARER", "n,,\001auth=Bearer " ES256_TOKEN "\001\001" },
		{ "XOAUTH2", "user=user@example.org\001auth=Bearer " ES256_TOKEN "\001\001" },
	};
	static const struct {
		const char *mechanism, *response;
	} BAD_FORM[] = {
		{ "OAUTHBEARER", "" },
		{ "OAUTHBEARER", "n,a=user@example.org," },
		{ "OAUTHBEARER", "n,a=user@example.org,\001host=x\001\001" },
		{ "OAUTHBEARER", "p=tls-unique,,\001auth=Bearer x\001\001" },
		{ "OAUTHBEARER", "n,,\001auth=Bearer \001\001" },
		{ "OAUTHBEARER", "n,,\001auth=Bearer x\001auth=Bearer y\001\001" },
		{ "XOAUTH2", "user=user@example.org" },
		{ "XOAUTH2", "user=user@example.org\001auth=Basic x\001\001" },
	};
	struct oauth *oauth = open_keys("", "", "mail");

	settings.oauth = oauth;
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
	for (size_t i = 0; i < sizeof(GOOD_FORM) / sizeof(GOOD_FORM[0]); i++) {
		struct exchange *exchange = begin(GOOD_FORM[i].mechanism);

		assert_false(step(exchange, slice_from(GOOD_FORM[i].response)));
		assert_true(slice_starts(exchange_output(exchange), SLICE("{\"status\":\"")));
		assert_int_equal(exchange_told(exchange), AUTH_FAILED);
		assert_string_equal(
			exchange_note(exchange), "the token has expired, or never does");
		ends(exchange, "\001", AUTH_FAILED);
	}
	for (size_t i = 0; i < sizeof(BAD_FORM) / sizeof(BAD_FORM[0]); i++)
		ends(begin(BAD_FORM[i].mechanism), BAD_FORM[i].response, AUTH_BAD);
	oauth_close(&oauth);
}

/* --- tokens that the introspection command knows --- */

static struct oauth_settings asked = {
	.issuer = "", .audience = "", .scope = "", .claim = "username"
};

/* An exchange with that token, up to the question, and the answer to it. */
static struct exchange *introspected(const char *who, const char *token, const char *answer)
{
	struct exchange *exchange = begin("OAUTHBEARER");
	char response[300];

	snprintf(response, sizeof(response), "n,%s,\001auth=Bearer %s\001\001", who, token);
	assert_false(step(exchange, slice_from(response)));
	assert_true(slice_equal(exchange_question(exchange), slice_from(token)));
	assert_int_equal(exchange_output(exchange).length, 0);
	exchange_answer(exchange, answer != NULL, slice_from(answer));
	assert_int_equal(exchange_question(exchange).length, 0);
	return exchange;
}

static void is_good(const char *who, const char *answer)
{
	struct exchange *exchange = introspected(who, "opaque", answer);

	assert_true(exchange_step(exchange, backends));
	if (exchange_status(exchange) != AUTH_OK)
		fail_msg("%s: %s", answer, exchange_note(exchange));
	assert_string_equal(exchange_login(exchange), "plain@example.org");
	exchange_free(&exchange);
}

static void is_refused(const char *who, const char *answer, const char *note)
{
	struct exchange *exchange = introspected(who, "opaque", answer);

	assert_false(exchange_step(exchange, backends));
	assert_string_equal(exchange_note(exchange), note);
	assert_true(slice_starts(
		exchange_output(exchange), SLICE("{\"status\":\"invalid_token\",\"scope\":\"")));
	ends(exchange, "\001", AUTH_FAILED);
}

static void is_temporary(const char *answer)
{
	struct exchange *exchange = introspected("", "opaque", answer);

	assert_true(exchange_step(exchange, backends));
	assert_int_equal(exchange_status(exchange), AUTH_TEMPORARY);
	assert_string_not_equal(exchange_note(exchange), "");
	exchange_free(&exchange);
}

static void open_introspection(const char *audience, const char *token_scope)
{
	asked.audience = audience;
	asked.scope = token_scope;
	settings.introspection = &asked;
	assert_true(exchange_library_open(&settings, error, sizeof(error)));
}

#define ACTIVE "{\"active\":true,\"username\":\"plain@example.org\""

static void the_command_says_whose_a_token_is(void **state)
{
	open_introspection("", "");
	is_good("", ACTIVE "}");
	is_good("", "{\"active\":true,\"username\":\"Plain\"}");
	is_good("a=plain@example.org", ACTIVE ",\"exp\":99999999999,\"nbf\":1}");
	is_refused("a=user@example.org", ACTIVE "}", "the token is of another login");
	is_refused("", "{\"active\":true}",
		"the token has no login name (auth_oauth_introspection_claim)");
	is_refused("", "{\"active\":true,\"username\":\"a b\"}",
		"the token has no login name (auth_oauth_introspection_claim)");
	is_refused("", "{\"active\":false,\"username\":\"plain\"}", "the token is not active");
	is_refused("", ACTIVE ",\"exp\":1}", "the token has expired, or never does");
	is_refused("", ACTIVE ",\"exp\":\"never\"}", "the token has expired, or never does");
	is_refused("", ACTIVE ",\"nbf\":99999999999}", "the token is not good yet");
}

static void who_is_not_known_here_is_refused_in_spite_of_a_good_token(void **state)
{
	struct exchange *exchange;

	open_introspection("", "");
	exchange = introspected("", "opaque", "{\"active\":true,\"username\":\"nobody\"}");
	assert_true(exchange_step(exchange, backends));
	assert_int_equal(exchange_status(exchange), AUTH_FAILED);
	exchange_free(&exchange);
}

static void scope_and_audience_count_in_an_answer_too(void **state)
{
	open_introspection("mail", "imap");
	is_good("", ACTIVE ",\"aud\":[\"web\",\"mail\"],\"scope\":\"openid imap\"}");
	is_refused("", ACTIVE ",\"scope\":\"imap\"}", "the token is for another audience");
	is_refused(
		"", ACTIVE ",\"aud\":\"mail\",\"scope\":\"imaps\"}", "the token lacks the scope");
}

static void what_is_no_answer_is_no_refusal(void **state)
{
	static const char *const ANSWERS[] = { NULL, "", "yes", "{}", "[]", "{\"active\":\"true\"}",
		"{\"active\":1}", "{\"active\":true", "{\"active\":true,\"active\":false}",
		"{\"active\":true} {}" };

	open_introspection("", "");
	for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++)
		is_temporary(ANSWERS[i]);
}

/* With keys, too, the command never hears of a JWT that is not signed with one of them. */
static void a_jwt_must_be_good_for_the_keys_first(void **state)
{
	struct oauth *oauth = open_keys("", "", "");
	struct exchange *exchange;

	settings.oauth = oauth;
	open_introspection("", "");
	exchange = begin("XOAUTH2");
	assert_false(step(exchange, SLICE("user=plain\001auth=Bearer " ES256_TOKEN "\001\001")));
	assert_int_equal(exchange_question(exchange).length, 0);
	assert_string_equal(exchange_note(exchange), "the token has expired, or never does");
	ends(exchange, "", AUTH_FAILED);
	is_good("", ACTIVE "}");
	oauth_close(&oauth);
}

static void a_token_is_made_of_token_characters(void **state)
{
	open_introspection("", "");
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer a\nb\001\001", AUTH_BAD);
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer a b\001\001", AUTH_BAD);
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer a\"b\001\001", AUTH_BAD);
	ends(begin("XOAUTH2"), "user=plain\001auth=Bearer =\001\001", AUTH_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tokens_of_rfc_7515_are_good_in_their_time),
		TEST(token_cannot_choose_how_it_is_checked),
		TEST(oauth_tells_the_client_before_it_fails),
		TEST(the_command_says_whose_a_token_is),
		TEST(who_is_not_known_here_is_refused_in_spite_of_a_good_token),
		TEST(scope_and_audience_count_in_an_answer_too),
		TEST(what_is_no_answer_is_no_refusal),
		TEST(a_jwt_must_be_good_for_the_keys_first),
		TEST(a_token_is_made_of_token_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
