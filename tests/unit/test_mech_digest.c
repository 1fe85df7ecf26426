// SPDX-License-Identifier: ISC
/* What a client may say in DIGEST-MD5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "auth/mech_digest.h"

static void what_the_rfc_has_is_sound(void **state)
{
	/* RFC 2831 section 4 */
	assert_true(mech_digest_is_sound(
		SLICE("charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\","
		      "nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\","
		      "digest-uri=\"imap/elwood.innosoft.com\","
		      "response=d388dad90d4bbd760a152321f2143af7,qop=auth")));
	assert_true(mech_digest_is_sound(SLICE(" , username = \"a\\\"b, c=d\" ,, nc=1 ,")));
	assert_true(mech_digest_is_sound(SLICE("username=\"\"")));
}

static void nothing_stands_twice(void **state)
{
	assert_false(mech_digest_is_sound(SLICE("username=\"a\",username=\"a\"")));
	assert_false(mech_digest_is_sound(SLICE("cnonce=a,nc=1,CNonce=\"b\"")));
	assert_false(mech_digest_is_sound(SLICE("other=a,nc=1,other=a")));
}

static void what_is_no_list_is_not_sound(void **state)
{
	static const char *const UNSOUND[] = { "", " ", ",", "username", "username=", "=a",
		"username=\"a", "username=\"a\\\"", "username=\"a\"b", "user name=a", "nc=1 2",
		"a=b;c=d", "a=b=c", "a=\"b\"\"c\"" };
	char many[400] = "";

	for (size_t i = 0; i < sizeof(UNSOUND) / sizeof(UNSOUND[0]); i++)
		assert_false(mech_digest_is_sound(slice_from(UNSOUND[i])));
	assert_false(mech_digest_is_sound(slice_of("a=\0b", 4)));
	assert_false(mech_digest_is_sound(slice_of("\0a=b", 4)));
	for (size_t i = 0; i <= MECH_DIGEST_DIRECTIVES; i++) {
		size_t length = strlen(many);

		snprintf(many + length, sizeof(many) - length, ",a%zu=x", i);
		assert_int_equal(
			mech_digest_is_sound(slice_from(many)), i < MECH_DIGEST_DIRECTIVES);
	}
}

static void a_response_tells_of_the_password_that_it_is_made_of(void **state)
{
	/* RFC 2831 section 4 */
	const struct slice response =
		SLICE("charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\","
		      "nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\","
		      "digest-uri=\"imap/elwood.innosoft.com\","
		      "response=d388dad90d4bbd760a152321f2143af7,qop=auth");

	assert_true(mech_digest_fits(response, SLICE("secret")));
	assert_false(mech_digest_fits(response, SLICE("Secret")));
	assert_false(mech_digest_fits(response, SLICE("")));
	/* What is left out has its default. */
	assert_true(mech_digest_fits(
		slice_head(response, response.length - strlen(",qop=auth")), SLICE("secret")));
	/* MD5 of what stands in section 2.1.2.1, for "a\"b", "r", "p": the quoted pair is one character. */
	assert_true(mech_digest_fits(
		SLICE("username=\"a\\\"b\",realm=r,nonce=n,cnonce=c,nc=00000001,digest-uri=u,"
		      "response=39e2b1b4ada5cf2c52b94b1d0df3e40b"),
		SLICE("p")));
	assert_true(mech_digest_fits(
		SLICE("username=u,realm=r,nonce=n,cnonce=c,nc=00000001,digest-uri=u,authzid=z,"
		      "response=004fedca47cd988e7f567c5c5afaaacd"),
		SLICE("p")));
	/* e with an acute accent: one byte of ISO 8859-1, or two as it came. */
	assert_true(mech_digest_fits(SLICE("username=u,realm=r,nonce=n,cnonce=c,nc=00000001,digest-"
					   "uri=u,response=27bfb9a3ccbd92776d4ff39e5ba6fed0"),
		SLICE("\xc3\xa9")));
	assert_true(mech_digest_fits(SLICE("username=u,realm=r,nonce=n,cnonce=c,nc=00000001,digest-"
					   "uri=u,response=5652ce51b7e3436400321cce31763c95"),
		SLICE("\xc3\xa9")));
	assert_false(mech_digest_fits(SLICE(""), SLICE("p")));
	assert_false(mech_digest_fits(SLICE("username=\"a"), SLICE("p")));
	assert_false(mech_digest_fits(SLICE("response="), SLICE("\xc3")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_rfc_has_is_sound),
		cmocka_unit_test(nothing_stands_twice),
		cmocka_unit_test(what_is_no_list_is_not_sound),
		cmocka_unit_test(a_response_tells_of_the_password_that_it_is_made_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
