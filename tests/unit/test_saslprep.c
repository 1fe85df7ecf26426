// SPDX-License-Identifier: ISC
/* One form for a password, however it was typed (RFC 4013), and what was stored before there was one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/scheme.h"
#include "auth/scheme_saslprep.h"
#include "auth/scheme_scram.h"

/* "é" as one character and as two. */
#define NFC "caf\xc3\xa9"
#define NFD "cafe\xcc\x81"

static struct schemes *schemes;

static int setup(void **state)
{
	const struct scheme_settings settings = { .cost = 1, .iterations = 4096, .plain = true };

	schemes = schemes_new(&settings);
	return schemes ? 0 : -1;
}

static int teardown(void **state)
{
	schemes_free(&schemes);
	return 0;
}

static void prepares(const char *text, const char *expected)
{
	char prepared[64];
	const char *fault;

	if (!saslprep(slice_from(text), prepared, sizeof(prepared), &fault))
		fail_msg("%s: %s", text, fault);
	assert_string_equal(prepared, expected);
	assert_null(fault);
}

static void refuses(struct slice text, const char *why)
{
	char prepared[64];
	const char *fault;

	assert_false(saslprep(text, prepared, sizeof(prepared), &fault));
	if (!strstr(fault, why))
		fail_msg("%s", fault);
}

static void the_examples_of_rfc_4013(void **state)
{
	prepares("I\xc2\xadX", "IX");
	prepares("user", "user");
	prepares("USER", "USER");
	prepares("\xc2\xaa", "a");
	prepares("\xe2\x85\xa8", "IX");
	refuses(SLICE("\x07"), "control character");
	refuses(SLICE("\xd8\xa7\x31"), "both ends");
}

static void forms_become_one_and_spaces_are_spaces(void **state)
{
	prepares(NFD, NFC);
	prepares(NFC, NFC);
	prepares("a\xc2\xa0\xe3\x80\x80z", "a  z");
	/* Newer than Unicode 3.2. */
	prepares("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

static void what_cannot_be_is_told(void **state)
{
	char long_text[80];

	refuses(SLICE("a\tb"), "control character");
	refuses(SLICE("a\0b"), "control character");
	refuses(SLICE("a\xc2\x80"), "control character");
	refuses(SLICE("\xee\x80\x80"), "control character, or another"); /* private use */
	refuses(SLICE("\xd7\x90"
		      "a"),
		"both directions");
	refuses(SLICE("caf\xe9"), "not UTF-8");
	refuses(SLICE("\xc2\xad"), "nothing is left");
	refuses(SLICE(""), "nothing is left");
	memset(long_text, 'x', sizeof(long_text));
	refuses(slice_of(long_text, sizeof(long_text)), "too long");
	/* One character of 3 bytes that becomes 18 of 33. */
	memset(long_text, 0, sizeof(long_text));
	for (int i = 0; i < 8; i++)
		memcpy(long_text + 3 * i, "\xef\xb7\xba", 3);
	refuses(slice_from(long_text), "too long");
}

static void a_new_password_fits_in_every_form_and_for_every_mechanism(void **state)
{
	char stored[SCHEME_MAX_STORED];
	struct scram_keys kept = { 0 }, typed;

	assert_true(schemes_make(schemes, SLICE(NFD), stored));
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE(NFD)), SCHEME_FITS);
	assert_false(schemes_fitted_raw(schemes));
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE(NFC)), SCHEME_FITS);
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE("cafe")), SCHEME_WRONG);
	assert_true(schemes_scram(schemes, slice_from(stored), "SHA-256", &kept));
	typed = kept;
	assert_true(scram_derive("SHA-256", SLICE(NFC), &typed));
	assert_memory_equal(kept.stored_key, typed.stored_key, kept.digest_length);
}

static void what_was_stored_of_the_bytes_fits_still(void **state)
{
	char stored[SCHEME_MAX_STORED];

	assert_true(schemes_hash(schemes, SLICE(NFD), 1, stored));
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE(NFD)), SCHEME_FITS);
	assert_true(schemes_fitted_raw(schemes));
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE(NFC)), SCHEME_WRONG);
	/* Bytes that have no prepared form. */
	assert_true(schemes_hash(schemes, SLICE("caf\xe9"), 1, stored));
	assert_int_equal(
		schemes_verify(schemes, slice_from(stored), SLICE("caf\xe9")), SCHEME_FITS);
	assert_true(schemes_hash(schemes, SLICE("a\tb"), 1, stored));
	assert_int_equal(schemes_verify(schemes, slice_from(stored), SLICE("a\tb")), SCHEME_FITS);
}

static void stored_plain_text_is_prepared_too(void **state)
{
	struct scram_keys kept = { .salt_length = 4, .salt = "salt" }, typed;

	assert_int_equal(schemes_verify(schemes, SLICE("{PLAIN}" NFD), SLICE(NFC)), SCHEME_FITS);
	assert_int_equal(schemes_verify(schemes, SLICE("{PLAIN}" NFD), SLICE(NFD)), SCHEME_FITS);
	assert_int_equal(schemes_verify(schemes, SLICE("{PLAIN}" NFC), SLICE(NFD)), SCHEME_FITS);
	assert_int_equal(
		schemes_verify(schemes, SLICE("{PLAIN}" NFC), SLICE("cafe")), SCHEME_WRONG);
	assert_true(schemes_scram(schemes, SLICE("{PLAIN}" NFD), "SHA-1", &kept));
	typed = kept;
	assert_true(scram_derive("SHA-1", SLICE(NFC), &typed));
	assert_memory_equal(kept.stored_key, typed.stored_key, kept.digest_length);
}

/* Whoever tries passwords does not learn from the time whether somebody is there. */
static void a_wrong_password_costs_what_nobody_costs(void **state)
{
	static const char *const TYPED[] = { NFD, NFC, "cafe", "caf\xe9", "a\tb", "" };
	char stored[SCHEME_MAX_STORED];
	uint64_t before, wrong;

	assert_true(schemes_hash(schemes, SLICE("another"), 1, stored));
	for (size_t i = 0; i < sizeof(TYPED) / sizeof(TYPED[0]); i++) {
		before = schemes_hashes(schemes);
		assert_int_equal(schemes_verify(schemes, slice_from(stored), slice_from(TYPED[i])),
			SCHEME_WRONG);
		wrong = schemes_hashes(schemes) - before;
		before = schemes_hashes(schemes);
		assert_true(schemes_waste(schemes, slice_from(TYPED[i])));
		assert_int_equal(schemes_hashes(schemes) - before, wrong);
		assert_int_equal(wrong, schemes_two_forms(slice_from(TYPED[i])) ? 2 : 1);
	}
}

static void a_password_that_cannot_be_is_not_made(void **state)
{
	char stored[SCHEME_MAX_STORED];

	assert_false(schemes_make(schemes, SLICE("caf\xe9"), stored));
	assert_false(schemes_make(schemes, SLICE("a\x07"), stored));
	assert_non_null(schemes_fault(SLICE("a\x07")));
	assert_non_null(schemes_fault(SLICE("")));
	assert_null(schemes_fault(SLICE(NFD)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_examples_of_rfc_4013),
		TEST(forms_become_one_and_spaces_are_spaces),
		TEST(what_cannot_be_is_told),
		TEST(a_new_password_fits_in_every_form_and_for_every_mechanism),
		TEST(what_was_stored_of_the_bytes_fits_still),
		TEST(stored_plain_text_is_prepared_too),
		TEST(a_wrong_password_costs_what_nobody_costs),
		TEST(a_password_that_cannot_be_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
