// SPDX-License-Identifier: ISC
/* Searching for texts in messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "mail/search.h"

static bool in_message(const char *text, const char *message, enum mail_search_where where)
{
	struct mail_needle *needle = mail_needle_new(SLICE("utf-8"), slice_from(text));
	size_t length = strlen(message);
	char *copy = malloc(length ? length : 1); /* exactly, for the sanitizer */
	bool found;

	assert_non_null(needle);
	memcpy(copy, message, length);
	found = mail_search_text(needle, slice_of(copy, length), where);
	/* And once more: nothing is left over from the first time. */
	assert_int_equal(mail_search_text(needle, slice_of(copy, length), where), found);
	mail_needle_free(&needle);
	assert_null(needle);
	free(copy);
	return found;
}

static bool in_body(const char *text, const char *message)
{
	return in_message(text, message, MAIL_SEARCH_BODY);
}

static bool in_text(const char *text, const char *message)
{
	return in_message(text, message, MAIL_SEARCH_TEXT);
}

static bool in_header(const char *text, const char *name, const char *headers)
{
	struct mail_needle *needle = mail_needle_new(SLICE(""), slice_from(text));
	bool found = mail_search_header(needle, slice_from(headers), slice_from(name));

	mail_needle_free(&needle);
	return found;
}

static void plain_text_is_found_in_any_case(void **state)
{
	assert_true(in_body("HELLO w", "Subject: x\r\n\r\nwell, Hello World!\r\n"));
	assert_true(in_body("!\r\n", "Subject: x\r\n\r\nwell, Hello World!\r\n"));
	assert_false(in_body("hello  w", "Subject: x\r\n\r\nwell, Hello World!\r\n"));
	assert_false(in_body("x", "Subject: x\r\n\r\ny"));
	assert_true(in_body("", ""));
	assert_false(in_body("a", ""));
	assert_true(in_body("[z]", "\r\n{[Z]}"));
	assert_false(in_body("[z]", "\r\n{z}"));
}

static void every_place_in_long_text_is_looked_at(void **state)
{
	static const char *const needles[] = { "q", "Qz", "needle", "a rather longer needle" };
	static const size_t count = sizeof(needles) / sizeof(needles[0]);

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(needles[i]);
		struct mail_needle *needle = mail_needle_new(SLICE(""), slice_from(needles[i]));

		for (size_t at = 0; at + n <= 200; at++) {
			char text[200];

			memset(text, 'n', sizeof(text));
			assert_false(mail_search_utf8(needle, slice_of(text, sizeof(text))));
			memcpy(text + at, needles[i], n);
			assert_true(mail_search_utf8(needle, slice_of(text, sizeof(text))));
			assert_false(mail_search_utf8(needle, slice_of(text, at + n - 1)));
		}
		mail_needle_free(&needle);
	}
}

static void text_is_headers_and_body_is_not(void **state)
{
	static const char message[] = "Subject: one\r\nTo: a@b\r\n\r\ntwo\r\n";

	assert_true(in_text("one", message));
	assert_true(in_text("subject: ONE", message));
	assert_true(in_text("two", message));
	assert_false(in_body("one", message));
	assert_false(in_text("one\r\nTo", message));
}

static void encoded_words_are_found_decoded_and_only_decoded(void **state)
{
	static const char headers[] = "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n aus\r\n";

	assert_true(in_header("GR\xc3\x9c\xc3\x9f"
			      "E",
		"subject", headers));
	assert_true(in_header("e aus", "SUBJECT", headers));
	assert_false(in_header("utf-8", "Subject", headers));
	assert_true(in_text("gr\xc3\xbc", "Subject: =?iso-8859-1?q?gr=FC?=\r\n\r\n"));
	assert_false(in_text("=fc", "Subject: =?iso-8859-1?q?gr=FC?=\r\n\r\n"));
}

static void header_search_keeps_to_its_field(void **state)
{
	static const char headers[] =
		"X-To: one\r\nTo: two\r\nTo: three\r\nCc:\r\n\r\nTo: four\r\n";

	assert_false(in_header("one", "To", headers));
	assert_true(in_header("three", "to", headers));
	assert_false(in_header("four", "to", headers));
	assert_true(in_header("", "cc", headers));
	assert_false(in_header("", "bcc", headers));
	assert_false(in_header("to", "To", headers));
}

static void transfer_encodings_are_undone(void **state)
{
	assert_true(in_body("hello world",
		"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8g\r\nd29ybGQ=\r\n"));
	assert_false(in_body("aGVsbG8g", "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8g\r\n"));
	assert_true(in_body("soft break",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nsoft br=\r\neak=20\r\n"));
}

static void charsets_are_converted(void **state)
{
	assert_true(in_body("GR\xc3\x9c",
		"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nsch\xf6ne gr\xfc\xdf"
		"e\r\n"));
	assert_true(in_body("\xd0\x9f\xd1\x80",
		"Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n"
		"\r\n0NLJ18XU\r\n"));
	assert_true(in_body("\xe3\x81\x82",
		"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$\"\x1b(B\r\n"));
	/* The second byte of a character in Shift_JIS may look like ASCII. */
	assert_false(in_body("A", "Content-Type: text/plain; charset=shift_jis\r\n\r\n\x83\x41"));
	assert_true(in_body("a", "Content-Type: text/plain; charset=shift_jis\r\n\r\n\x83\x41"
				 "A"));
	assert_false(in_body("gr\xc3\xbc", "\r\nnothing but ASCII here\r\n"));
}

static void needle_may_come_in_a_charset(void **state)
{
	struct mail_needle *needle = mail_needle_new(SLICE("iso-8859-1"), SLICE("\xfc"));

	assert_true(mail_search_utf8(needle, SLICE("\xc3\x9c")));
	assert_false(mail_search_utf8(needle, SLICE("\xfc")));
	mail_needle_free(&needle);
}

#define MIXED "Subject: top\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"

static void all_text_parts_are_searched_and_pictures_are_not(void **state)
{
	static const char message[] = MIXED "preamble\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: "
					    "image/png; name=cat.png\r\n\r\ntwo\r\n"
					    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
					    "inner\r\n\r\nthree\r\n--b--\r\n";

	assert_true(in_body("one", message));
	assert_false(in_body("two", message));
	assert_true(in_body("three", message));
	assert_true(in_body("inner", message));
	assert_false(in_body("top", message));
	assert_true(in_text("top", message));
	assert_true(in_text("cat.png", message));
	assert_false(in_body("cat.png", message));
	assert_false(in_text("preamble", message));
}

static void long_needles_take_linear_time(void **state)
{
	static char text[4 << 20], wanted[4000];
	struct mail_needle *needle;
	clock_t start = clock();

	memset(text, 'a', sizeof(text));
	memset(wanted, 'a', sizeof(wanted));
	wanted[sizeof(wanted) - 2] = 'b';
	needle = mail_needle_new(SLICE(""), slice_of(wanted, sizeof(wanted)));
	assert_false(mail_search_utf8(needle, slice_of(text, sizeof(text))));
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
	mail_needle_free(&needle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_is_found_in_any_case),
		cmocka_unit_test(every_place_in_long_text_is_looked_at),
		cmocka_unit_test(text_is_headers_and_body_is_not),
		cmocka_unit_test(encoded_words_are_found_decoded_and_only_decoded),
		cmocka_unit_test(header_search_keeps_to_its_field),
		cmocka_unit_test(transfer_encodings_are_undone),
		cmocka_unit_test(charsets_are_converted),
		cmocka_unit_test(needle_may_come_in_a_charset),
		cmocka_unit_test(all_text_parts_are_searched_and_pictures_are_not),
		cmocka_unit_test(long_needles_take_linear_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
