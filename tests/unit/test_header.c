// SPDX-License-Identifier: ISC
/* Header fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mail/header.h"

static void assert_slice(struct slice s, const char *expected)
{
	assert_true(slice_equal(s, slice_from(expected)));
}

static void fields_come_one_after_another_with_folding_kept(void **state)
{
	struct slice text = SLICE("From: a\r\nSubject : b\r\n\tc\r\n d\r\nX:\r\n\r\nbody: x\r\n");
	struct header_field f;
	bool bad;

	assert_true(header_next(&text, &f, &bad));
	assert_slice(f.name, "From");
	assert_slice(f.value, " a");
	assert_slice(f.whole, "From: a\r\n");
	assert_true(header_next(&text, &f, &bad));
	assert_slice(f.name, "Subject");
	assert_slice(f.value, " b\r\n\tc\r\n d");
	assert_true(header_next(&text, &f, &bad));
	assert_slice(f.value, "");
	assert_false(header_next(&text, &f, &bad));
	assert_false(bad);
	assert_slice(text, "\r\nbody: x\r\n");
}

static void line_that_is_no_header_begins_the_body(void **state)
{
	static const char *const bodies[] = { "hello\n", " x: y\n", ": x\n", "a b: c\n", "a",
		"\r:x", "\x80: x\n" };

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct slice text = slice_from(bodies[i]);
		struct header_field f;
		bool bad;

		assert_false(header_next(&text, &f, &bad));
		assert_true(bad);
		assert_slice(text, bodies[i]);
	}
}

static void last_field_needs_no_line_end(void **state)
{
	struct slice text = SLICE("A: b");
	struct header_field f;
	bool bad;

	assert_true(header_next(&text, &f, &bad));
	assert_slice(f.value, " b");
	assert_slice(f.whole, "A: b");
	assert_int_equal(text.length, 0);
}

static void length_counts_the_empty_line(void **state)
{
	assert_int_equal(header_length(SLICE("A: b\n\nbody")), 6);
	assert_int_equal(header_length(SLICE("A: b\r\n\r\nbody")), 8);
	assert_int_equal(header_length(SLICE("A: b\r\n")), 6);
	assert_int_equal(header_length(SLICE("A: b\nbody\n")), 5);
	assert_int_equal(header_length(SLICE("\nbody")), 1);
	assert_int_equal(header_length(SLICE("")), 0);
}

static void in_a_mailbox_only_the_empty_line_ends_the_headers(void **state)
{
	struct slice text = SLICE("From joe\nA: b\n>From x\n y: z\nC: d\n\nbody: x\n");
	struct header_field f;

	assert_int_equal(header_length_lax(text), text.length - 8);
	assert_int_equal(header_length_lax(SLICE("A: b\r\n\r\nx")), 8);
	assert_int_equal(header_length_lax(SLICE("A: b\r\nx")), 7);
	assert_int_equal(header_length_lax(SLICE("")), 0);
	assert_true(header_next_lax(&text, &f));
	assert_slice(f.name, "A");
	assert_true(header_next_lax(&text, &f));
	assert_slice(f.name, "C");
	assert_false(header_next_lax(&text, &f));
	assert_slice(text, "\nbody: x\n");
}

static void field_is_found_in_any_case_but_not_in_the_body_or_in_another(void **state)
{
	struct slice text = SLICE("X-Subject: 1\nSUBJECT: 2\nA: 3\n Date: 4\n\nDate: 5\n");
	struct header_field f;

	assert_true(header_find(text, "Subject", &f));
	assert_slice(f.value, " 2");
	assert_false(header_find(text, "Date", &f));
	assert_false(header_find(text, "", &f));
}

static void assert_made(
	bool (*make)(struct slice, struct buffer *), const char *value, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(make(slice_from(value), &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void unfolding_removes_line_ends_only(void **state)
{
	assert_made(header_unfold, " a\r\n\tb\n  c\rd \r\n", "a\tb  c\rd");
	assert_made(header_unfold, "", "");
	assert_made(header_unfold, "\r\n", "");
}

/* ---- Incremental reading -------------------------------------------------------------------------------------------- */

struct seen {
	struct buffer text;
};

static void see(void *context, struct slice whole)
{
	struct seen *seen = context;

	buffer_add_byte(&seen->text, '{');
	buffer_add(&seen->text, whole);
	buffer_add_byte(&seen->text, '}');
}

/* Feed `text` in chunks of `size`; how many bytes belong to the headers. */
static size_t stream(struct slice text, size_t size, struct seen *seen)
{
	struct header_stream s = { .limit = 100, .field = see, .context = seen };
	size_t total = 0;

	for (size_t at = 0; at < text.length && !s.done; at += size)
		total += header_stream_feed(&s, slice_head(slice_tail(text, at), size));
	header_stream_end(&s);
	total -= s.excess;
	header_stream_free(&s);
	return total;
}

static void stream_agrees_with_whole_text_however_it_is_cut(void **state)
{
	static const char *const texts[] = { "A: b\nC: d\n e\n\nbody: x\n",
		"A: b\nbody here\nC: d\n", "A: b\n", "A: b", "\nx", "", "A: b\nno-colon",
		"A : b\n\tc\nB:\n\n", " a: b\n", "A: b\n\nA: c\n", "A: b\r\n\r\nx", "a b: c\n",
		":\n", "A: b\n\rC: d\n\n", "A" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct slice all = slice_from(texts[i]), rest = all;
		struct seen expected = { 0 };
		struct header_field f;
		bool bad;

		while (header_next(&rest, &f, &bad))
			see(&expected, f.whole);
		for (size_t size = 1; size <= all.length + 1; size++) {
			struct seen seen = { 0 };

			assert_int_equal(stream(all, size, &seen), header_length(all));
			assert_true(slice_equal(
				buffer_slice(&seen.text), buffer_slice(&expected.text)));
			buffer_free(&seen.text);
		}
		buffer_free(&expected.text);
	}
}

static void long_field_is_cut_in_a_stream_and_the_next_is_whole(void **state)
{
	char text[400];
	struct seen seen = { 0 };

	memset(text, 'x', sizeof(text));
	memcpy(text, "A: ", 3);
	memcpy(text + 200, "\n y\nB: c\n\n", 11);
	assert_int_equal(stream(slice_from(text), 7, &seen), strlen(text));
	assert_int_equal(seen.text.length, 102 + 7);
	assert_memory_equal(seen.text.data + 102, "{B: c\n}", 7);
	buffer_free(&seen.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_come_one_after_another_with_folding_kept),
		cmocka_unit_test(line_that_is_no_header_begins_the_body),
		cmocka_unit_test(last_field_needs_no_line_end),
		cmocka_unit_test(length_counts_the_empty_line),
		cmocka_unit_test(in_a_mailbox_only_the_empty_line_ends_the_headers),
		cmocka_unit_test(field_is_found_in_any_case_but_not_in_the_body_or_in_another),
		cmocka_unit_test(unfolding_removes_line_ends_only),
		cmocka_unit_test(stream_agrees_with_whole_text_however_it_is_cut),
		cmocka_unit_test(long_field_is_cut_in_a_stream_and_the_next_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
