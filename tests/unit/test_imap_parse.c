// SPDX-License-Identifier: ISC
/* The grammar of IMAP commands: what is taken, what is refused, and that no input takes more than its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "imapd/fetch.h"
#include "imapd/parse.h"
#include "store/store.h"

static struct arena arena;

static struct parser parser_of(const char *text)
{
	arena_reset(&arena);
	return (struct parser){ .rest = slice_from(text), .arena = &arena };
}

static void assert_slice(struct slice s, const char *text)
{
	assert_int_equal(s.length, strlen(text));
	assert_memory_equal(s.data, text, s.length);
}

static void atoms_end_at_specials(void **state)
{
	struct parser p = parser_of("ab[c]d");
	struct slice text;

	assert_true(parse_atom(&p, &text));
	assert_slice(text, "ab[c");
	p = parser_of("ab[c]d e");
	assert_true(parse_astring(&p, &text));
	assert_slice(text, "ab[c]d");
	p = parser_of("a%b*c]");
	assert_true(parse_list_mailbox(&p, &text));
	assert_slice(text, "a%b*c]");
	p = parser_of("a+b");
	assert_true(parse_tag(&p, &text));
	assert_slice(text, "a");
	for (const char *c = "(){ %*\"\\"; *c; c++) {
		char one[2] = { *c, '\0' };

		p = parser_of(one);
		assert_false(parse_atom(&p, &text));
		assert_non_null(p.error);
	}
}

static void quoted_strings_know_two_escapes_only(void **state)
{
	struct parser p = parser_of("\"a\\\"b\\\\c\" rest");
	struct slice text;

	assert_true(parse_string(&p, &text));
	assert_slice(text, "a\"b\\c");
	assert_slice(p.rest, " rest");
	p = parser_of("\"a\\nb\"");
	assert_false(parse_string(&p, &text));
	p = parser_of("\"open");
	assert_false(parse_string(&p, &text));
	p = parser_of("\"ends in a backslash\\");
	assert_false(parse_string(&p, &text));
	p = parser_of("\"\"");
	assert_true(parse_string(&p, &text));
	assert_int_equal(text.length, 0);
}

static void literals_in_memory_are_taken_by_length(void **state)
{
	struct parser p = parser_of("{5}\r\na\"b\r\n rest");
	struct slice text;

	assert_true(parse_astring(&p, &text));
	assert_slice(text, "a\"b\r\n");
	assert_slice(p.rest, " rest");
	p = parser_of("{3+}\r\nab");
	assert_false(parse_astring(&p, &text));
	p = parser_of("{9223372036854775808}\r\nab");
	assert_false(parse_astring(&p, &text));
	p = parser_of("{-1}\r\nab");
	assert_false(parse_astring(&p, &text));
	p = parser_of("{}\r\nab");
	assert_false(parse_astring(&p, &text));
}

static void nul_in_a_literal_is_refused(void **state)
{
	struct parser p = parser_of("");
	struct slice text;

	p.rest = slice_of("{3}\r\na\0b", 8);
	assert_false(parse_astring(&p, &text));
}

static void literal_marks_stand_at_the_end_of_a_line_only(void **state)
{
	uint64_t size;
	size_t at;
	bool synchronizing;

	assert_true(parse_literal_mark(SLICE("x {12}"), &at, &size, &synchronizing));
	assert_int_equal(at, 2);
	assert_int_equal(size, 12);
	assert_true(synchronizing);
	assert_true(parse_literal_mark(SLICE("{0+}"), &at, &size, &synchronizing));
	assert_false(synchronizing);
	assert_true(
		parse_literal_mark(SLICE("{99999999999999999999999}"), &at, &size, &synchronizing));
	assert_true(size == INT64_MAX);
	assert_false(parse_literal_mark(SLICE("{12} "), &at, &size, &synchronizing));
	assert_false(parse_literal_mark(SLICE("{1a}"), &at, &size, &synchronizing));
	assert_false(parse_literal_mark(SLICE("12}"), &at, &size, &synchronizing));
	assert_false(parse_literal_mark(SLICE("{+}"), &at, &size, &synchronizing));
	assert_false(parse_literal_mark(SLICE("}"), &at, &size, &synchronizing));
}

static void sets_are_resolved_sorted_and_merged(void **state)
{
	struct parser p = parser_of("7:5,*,2,3:6,900:*");
	struct sequence_set set, resolved;

	assert_true(parse_set(&p, &set));
	assert_true(set_resolve(&set, 10, &arena, &resolved));
	assert_int_equal(resolved.count, 3);
	assert_int_equal(resolved.ranges[0].low, 2);
	assert_int_equal(resolved.ranges[0].high, 2);
	assert_int_equal(resolved.ranges[1].low, 3);
	assert_int_equal(resolved.ranges[1].high, 7);
	/* "900:*" holds the last message, whatever its number (RFC 3501 6.4.8). */
	assert_int_equal(resolved.ranges[2].low, 10);
	assert_true(set_holds(&resolved, 7));
	assert_false(set_holds(&resolved, 8));
	assert_true(set_holds(&resolved, 10));
	assert_false(set_holds(&resolved, 1));
	assert_false(set_holds(&resolved, 901));
}

static void sets_with_zero_or_gaps_are_refused(void **state)
{
	static const char *const WRONG[] = { "", "0", "1,", "1,,2", ":", "1:", ":1", "1:0",
		"4294967296", "a", "1:2:" };
	struct sequence_set set;

	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		struct parser p = parser_of(WRONG[i]);

		assert_false(parse_set(&p, &set) && parse_end(&p));
	}
}

static void flags_become_bits_and_keywords(void **state)
{
	struct parser p = parser_of("(\\Seen \\DELETED $Label1 seen $label1)");
	struct flag_list list;

	assert_true(parse_flags(&p, false, &list));
	assert_int_equal(list.flags, FLAG_SEEN | FLAG_DELETED);
	assert_int_equal(list.count, 2);
	assert_slice(list.keywords[0], "$Label1");
	p = parser_of("()");
	assert_true(parse_flags(&p, false, &list));
	p = parser_of("\\Seen a b");
	assert_true(parse_flags(&p, true, &list));
	assert_int_equal(list.count, 2);
	p = parser_of("(\\Recent)");
	assert_false(parse_flags(&p, false, &list));
	p = parser_of("(\\Seen");
	assert_false(parse_flags(&p, false, &list));
	p = parser_of("(a  b)");
	assert_false(parse_flags(&p, false, &list));
}

static void mailbox_names_are_utf8_with_inbox_in_capitals(void **state)
{
	struct parser p = parser_of("iNbOx");
	struct slice name;

	assert_true(parse_mailbox(&p, &name));
	assert_slice(name, "INBOX");
	p = parser_of("inbox/Sub/");
	assert_true(parse_mailbox(&p, &name));
	assert_slice(name, "INBOX/Sub");
	p = parser_of("inboxes");
	assert_true(parse_mailbox(&p, &name));
	assert_slice(name, "inboxes");
	p = parser_of("\"Entw&APw-rfe\"");
	assert_true(parse_mailbox(&p, &name));
	assert_slice(name, "Entw\xc3\xbcrfe");
	p = parser_of("\"Entw&APw\"");
	assert_false(parse_mailbox(&p, &name));
}

static bool fetch_of(const char *text, struct fetch_request *r)
{
	struct parser p = parser_of(text);

	return fetch_parse(&p, r) && parse_end(&p);
}

static void fetch_items_are_understood(void **state)
{
	struct fetch_request r;

	assert_true(fetch_of(
		" 1 (UID BODY.PEEK[1.2.HEADER.FIELDS (From \"X-Y\" \"a b\")]<10.20> RFC822.TEXT)",
		&r));
	assert_int_equal(r.count, 3);
	assert_slice(r.items[1].section.label, "BODY[1.2.HEADER.FIELDS (From X-Y \"a b\")]<10>");
	assert_true(r.items[1].section.peek);
	assert_int_equal(r.items[1].section.number_count, 2);
	assert_int_equal(r.items[1].section.length, 20);
	assert_slice(r.items[2].section.label, "RFC822.TEXT");
	assert_false(r.items[2].section.peek);
	assert_true(fetch_of(" 1:* full", &r));
	assert_int_equal(r.count, 5);
	assert_true(fetch_of(" 1 (FLAGS) (CHANGEDSINCE 12345)", &r));
	assert_int_equal(r.changed_since, 12345);
	assert_true(fetch_of(" 1 BODY[]", &r));
	assert_true(fetch_of(" 1 BODY", &r));
	assert_int_equal(r.items[0].kind, FETCH_BODY);
}

static void fetch_items_that_are_none_are_refused(void **state)
{
	static const char *const WRONG[] = { " 1 ()", " 1 (ALL)", " 1 BODY[MIME]", " 1 BODY[1.]",
		" 1 BODY[0]", " 1 BODY[1.FOO]", " 1 BODY[HEADER.FIELDS ()]", " 1 BODY[]<0.0>",
		" 1 BODY[]<1>", " 1 BODY[", " 1 (FLAGS", " 1 FLAGS)", " 1 NOSUCH",
		" 1 FLAGS (CHANGEDSINCE)", " 1 FLAGS (OTHER 1)", " 1 BODY.PEEK", " 1  FLAGS",
		" 1" };
	struct fetch_request r;

	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
		assert_false(fetch_of(WRONG[i], &r));
}

static void the_first_error_is_the_one_told(void **state)
{
	struct parser p = parser_of("x");

	assert_false(parse_fail(&p, "first"));
	assert_false(parse_fail(&p, "second"));
	assert_string_equal(p.error, "first");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(atoms_end_at_specials),
		cmocka_unit_test(quoted_strings_know_two_escapes_only),
		cmocka_unit_test(literals_in_memory_are_taken_by_length),
		cmocka_unit_test(nul_in_a_literal_is_refused),
		cmocka_unit_test(literal_marks_stand_at_the_end_of_a_line_only),
		cmocka_unit_test(sets_are_resolved_sorted_and_merged),
		cmocka_unit_test(sets_with_zero_or_gaps_are_refused),
		cmocka_unit_test(flags_become_bits_and_keywords),
		cmocka_unit_test(mailbox_names_are_utf8_with_inbox_in_capitals),
		cmocka_unit_test(fetch_items_are_understood),
		cmocka_unit_test(fetch_items_that_are_none_are_refused),
		cmocka_unit_test(the_first_error_is_the_one_told),
	};
	int failed;

	arena_init(&arena, 1 << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
