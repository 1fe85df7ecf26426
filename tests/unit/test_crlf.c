// SPDX-License-Identifier: ISC
/* Line ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mail/crlf.h"

/* The same, byte by byte. */
static void expand_slowly(struct slice in, struct buffer *out)
{
	for (size_t i = 0; i < in.length; i++) {
		if (in.data[i] == '\n' && (i == 0 || in.data[i - 1] != '\r'))
			buffer_add_byte(out, '\r');
		buffer_add_byte(out, in.data[i]);
	}
}

static void make_text(char *text, size_t length, unsigned seed)
{
	uint32_t random = seed + 1;

	for (size_t i = 0; i < length; i++) {
		random = random * 1664525 + 1013904223;
		text[i] = "ab\r\n\n\rcdefgh"[(random >> 16) % (seed % 2 ? 12 : 6)];
	}
}

static void expanding_agrees_with_the_slow_way_however_it_is_cut(void **state)
{
	for (unsigned seed = 0; seed < 200; seed++) {
		char text[900];
		struct slice in = { text, 1 + seed * 4 };
		size_t piece = 1 + seed % 37;
		struct buffer wide = { 0 }, expected_wide = { 0 };
		struct crlf_state w = { 0 };

		make_text(text, in.length, seed);
		expand_slowly(in, &expected_wide);
		for (size_t at = 0; at < in.length; at += piece)
			assert_true(
				crlf_expand_next(&w, slice_head(slice_tail(in, at), piece), &wide));
		assert_true(slice_equal(buffer_slice(&wide), buffer_slice(&expected_wide)));
		assert_int_equal(crlf_state_size(&w), expected_wide.length);
		assert_int_equal(w.lines, crlf_lines(in));
		buffer_clear(&wide);
		assert_true(crlf_expand(in, &wide));
		assert_true(slice_equal(buffer_slice(&wide), buffer_slice(&expected_wide)));
		buffer_free(&wide);
		buffer_free(&expected_wide);
	}
}

static void lines_are_counted_in_long_texts(void **state)
{
	static char text[5000];

	memset(text, '\n', sizeof(text));
	for (size_t length = 0; length < sizeof(text); length += 61) {
		struct crlf_state counted = { 0 };

		assert_int_equal(crlf_lines(slice_of(text, length)), length);
		crlf_count_next(&counted, slice_of(text, length));
		assert_int_equal(crlf_state_size(&counted), 2 * length);
	}
}

static void a_limit_is_kept(void **state)
{
	struct buffer out = buffer_limited(3);

	assert_false(crlf_expand(SLICE("\n\n"), &out));
	assert_true(out.failed);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expanding_agrees_with_the_slow_way_however_it_is_cut),
		cmocka_unit_test(lines_are_counted_in_long_texts),
		cmocka_unit_test(a_limit_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
