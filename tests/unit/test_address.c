// SPDX-License-Identifier: ISC
/* Addresses of SMTP commands and of message headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mail/address.h"

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, 1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_free(&arena);
	return 0;
}

/* What parsing `text` gives: "written form|rest" or the error. */
static const char *parsed(const char *text, unsigned flags)
{
	static char result[4096];
	struct slice s = slice_from(text);
	struct buffer out = { 0 };
	struct address a;
	const char *error;

	if (!address_parse_path(&s, flags, &arena, &a, &error))
		return error;
	address_write(&a, &out);
	buffer_add_byte(&out, '|');
	buffer_add(&out, s);
	assert_true(slice_to_string(buffer_slice(&out), result, sizeof(result)));
	buffer_free(&out);
	return result;
}

#define BAD_RECIPIENT "5.1.3 Bad recipient address syntax"
#define BAD_SENDER    "5.1.7 Bad sender address syntax"

static void plain_path_is_read_and_what_follows_is_left(void **state)
{
	assert_string_equal(parsed("<joe@Example.ORG> SIZE=1", 0), "joe@example.org| SIZE=1");
	assert_string_equal(parsed("<Joe.B+x@a-b.c_d.org>", 0), "Joe.B+x@a-b.c_d.org|");
}

static void recipient_with_two_at_signs_is_refused(void **state)
{
	assert_string_equal(parsed("<a@b@example.org>", 0), BAD_RECIPIENT);
	assert_string_equal(parsed("<a@b@example.org>", ADDRESS_BARE), BAD_RECIPIENT);
	assert_string_equal(parsed("<a@b@example.org>", ADDRESS_NULL), BAD_SENDER);
}

static void malformed_paths_are_refused(void **state)
{
	static const char *const bad[] = { "", "<", "<>", "<@>", "<a", "<a@", "<a@b", "<@b>",
		"<a@.b>", "<a@b..c>", "<a@b.>", "<a@-b>", "<a@b->", "<.a@b>", "<a.@b>", "<a..b@c>",
		"<a b@c>", "<a@b c>", "<\"a@b>", "<\"a\\\"@b>", "<\"\"@b>", "<a@[1.2.3]>",
		"<a@[1.2.3.4>", "<a@[IPv6:1:2]>", "<a@[]>", "<a@1.2.3.4>", "<a@b,c@d>", "<(x)a@b>",
		"<a\"b\"@c>", "<\"a\"b@c>", "<\"a\".b@c>", "<\"a\nb\"@c>", "<a\r@b>", "<@x:@y:a@b>",
		"<@x a@b>", "<@x,a@b>", "joe@example.org", "<joe>", "<a@b!c>", "<a@b/c>" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(parsed(bad[i], 0), BAD_RECIPIENT);
}

static void nul_anywhere_in_a_path_is_refused(void **state)
{
	const char good[] = "<\"a b\".c@exa.org>";

	for (size_t i = 0; i + 1 < sizeof(good); i++) {
		char text[sizeof(good)];
		struct slice s = { text, sizeof(text) - 1 };
		struct address a;
		const char *error;

		memcpy(text, good, sizeof(text));
		text[i] = '\0';
		assert_false(address_parse_path(&s, ADDRESS_BARE, &arena, &a, &error));
	}
}

static void null_sender_is_only_for_senders(void **state)
{
	assert_string_equal(parsed("<> BODY=8BITMIME", ADDRESS_NULL), "| BODY=8BITMIME");
	assert_string_equal(parsed("<>", 0), BAD_RECIPIENT);
	assert_string_equal(parsed("<>", ADDRESS_BARE), BAD_RECIPIENT);
}

static void route_is_dropped(void **state)
{
	assert_string_equal(parsed("<@a.org,@b.org:joe@c.org>", 0), "joe@c.org|");
}

static void quoted_local_part_is_unquoted_and_quoted_again_where_it_must_be(void **state)
{
	struct slice text = SLICE("<\"a@b\\\" c\"@d>");
	struct address a;
	const char *error;

	assert_true(address_parse_path(&text, 0, &arena, &a, &error));
	assert_true(slice_equal(a.local, SLICE("a@b\" c")));
	assert_string_equal(parsed("<\"a@b\\\" c\"@d>", 0), "\"a@b\\\" c\"@d|");
	assert_string_equal(parsed("<\"ab.c\"@d>", 0), "ab.c@d|");
	assert_string_equal(parsed("<\"ab.\"@d>", 0), "\"ab.\"@d|");
	assert_string_equal(parsed("<\"(\"@d>", 0), "\"(\"@d|");
}

static void postmaster_needs_no_domain(void **state)
{
	assert_string_equal(parsed("<PostMaster>", 0), "PostMaster|");
}

static void lax_form_takes_what_clients_send(void **state)
{
	assert_string_equal(
		parsed("joe@example.org SIZE=5", ADDRESS_BARE), "joe@example.org| SIZE=5");
	assert_string_equal(parsed("joe", ADDRESS_BARE), "joe|");
	assert_string_equal(parsed("<joe>", ADDRESS_BARE), "joe|");
	assert_string_equal(
		parsed("<a..b.@docomo.example>", ADDRESS_BARE), "\"a..b.\"@docomo.example|");
	assert_string_equal(parsed("<a@example.org.>", ADDRESS_BARE), "a@example.org|");
	assert_string_equal(parsed("<a@example.org..>", ADDRESS_BARE), BAD_RECIPIENT);
	assert_string_equal(parsed("<\"a\".b@c>", ADDRESS_BARE), "a.b@c|");
	assert_string_equal(parsed("joe@b>", ADDRESS_BARE), BAD_RECIPIENT);
}

static void address_literals_are_checked_and_kept(void **state)
{
	assert_string_equal(parsed("<a@[192.0.2.1]>", 0), "a@[192.0.2.1]|");
	assert_string_equal(parsed("<a@[ipv6:2001:DB8::1]>", 0), "a@[IPv6:2001:db8::1]|");
	assert_true(address_is_literal(SLICE("[IPv6:::1]")));
	assert_false(address_is_literal(SLICE("[IPv6:]")));
	assert_false(address_is_literal(SLICE("192.0.2.1")));
	assert_false(address_is_literal(SLICE("[192.0.2.256]")));
}

static void utf8_needs_smtputf8_and_must_be_utf8(void **state)
{
	assert_string_equal(parsed("<j\xc3\xb6@example.org>", 0),
		"5.6.7 Must declare SMTPUTF8 to use a unicode address");
	assert_string_equal(parsed("<j@b\xc3\xbc.org>", 0),
		"5.6.7 Must declare SMTPUTF8 to use a unicode address");
	assert_string_equal(parsed("<j\xc3\xb6@B\xc3\xbc"
				   "cher.example>",
				    ADDRESS_UTF8),
		"j\xc3\xb6@xn--bcher-kva.example|");
	assert_string_equal(parsed("<j\xc3@example.org>", ADDRESS_UTF8), BAD_RECIPIENT);
	assert_string_equal(parsed("<j@\xff.org>", ADDRESS_UTF8), BAD_RECIPIENT);
}

static void a_domain_in_u_labels_is_kept_as_given_beside_its_key(void **state)
{
	struct slice text = SLICE("<@r\xc3\xb6ute.example:j\xc3\xb6@B\xc3\xbc"
				  "cher.example> SMTPUTF8");
	struct slice plain = SLICE("<j@B.example>");
	struct buffer out = { 0 };
	struct arena memory;
	struct address address;
	const char *error;

	arena_init(&memory, 1 << 16);
	assert_true(address_parse_path(&text, ADDRESS_UTF8, &memory, &address, &error));
	assert_true(slice_equal(address.domain, SLICE("xn--bcher-kva.example")));
	assert_true(address_write_as_given(&address, &out));
	assert_string_equal(buffer_text(&out), "j\xc3\xb6@B\xc3\xbc"
					       "cher.example");
	buffer_clear(&out);
	assert_true(address_parse_path(&plain, ADDRESS_UTF8, &memory, &address, &error));
	assert_true(address_write_as_given(&address, &out));
	assert_string_equal(buffer_text(&out), "j@b.example");
	buffer_free(&out);
	arena_free(&memory);
}

static void long_names_are_bounded(void **state)
{
	char text[3000];

	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 5, "@b>", 4);
	text[0] = '<';
	assert_string_equal(parsed(text, ADDRESS_BARE), BAD_RECIPIENT);
	memcpy(text + 900, "@b>", 4);
	assert_string_not_equal(parsed(text, 0), BAD_RECIPIENT);
	memset(text, 'a', 100);
	memcpy(text, "<x@", 3);
	memcpy(text + 3 + 63, ".org>", 6);
	assert_string_not_equal(parsed(text, 0), BAD_RECIPIENT);
	memcpy(text + 3 + 63, "a.org>", 7);
	assert_string_equal(parsed(text, 0), BAD_RECIPIENT);
}

/* ---- Address lists -------------------------------------------------------------------------------------------------- */

static bool show(void *context, const struct header_address *a)
{
	struct buffer *out = context;

	if (a->group == 2)
		return buffer_add_text(out, "end;");
	if (a->group == 1)
		return buffer_printf(out, "group %.*s;", SLICE_ARG(a->name));
	if (a->name.data)
		buffer_printf(out, "\"%.*s\" ", SLICE_ARG(a->name));
	if (a->route.data)
		buffer_printf(out, "(%.*s)", SLICE_ARG(a->route));
	buffer_printf(out, "<%.*s", SLICE_ARG(a->local));
	if (a->domain.data)
		buffer_printf(out, "@%.*s", SLICE_ARG(a->domain));
	return buffer_add_text(out, ">;");
}

static void assert_list(const char *value, const char *expected)
{
	struct buffer out = { 0 };

	/* A copy without room behind it, so that reading too far is noticed. */
	size_t length = strlen(value);
	char *copy = malloc(length ? length : 1);

	memcpy(copy, value, length);
	assert_true(address_list_parse(slice_of(copy, length), &arena, 100, show, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
	free(copy);
}

static void usual_lists_are_read(void **state)
{
	assert_list("joe@example.org", "<joe@example.org>;");
	assert_list("Joe Doe <joe@example.org>, b@c", "\"Joe Doe\" <joe@example.org>;<b@c>;");
	assert_list("\"Doe, Joe \\\"J\\\"\" <j@d>", "\"Doe, Joe \"J\"\" <j@d>;");
	assert_list("John Q. Public <jqp@x>", "\"John Q. Public\" <jqp@x>;");
	assert_list("j@d (Joe (the) Doe)", "\"Joe (the) Doe\" <j@d>;");
	assert_list("\"a b\"@[192.0.2.1]", "<a b@[192.0.2.1]>;");
	assert_list(" <@a,@b:joe@c> ", "(@a,@b)<joe@c>;");
	assert_list("", "");
	assert_list(" , ,", "");
}

static void groups_begin_and_end(void **state)
{
	assert_list("undisclosed-recipients:;", "group undisclosed-recipients;end;");
	assert_list("A Group:a@b, c@d;, e@f", "group A Group;<a@b>;<c@d>;end;<e@f>;");
	assert_list("open: a@b", "group open;<a@b>;end;");
}

static void obsolete_and_broken_forms_become_what_they_can(void **state)
{
	assert_list("joe . b @ x . org", "<joe.b@x.org>;");
	assert_list("joe@x.org <joe@y.org>", "\"joe@x.org\" <joe@y.org>;");
	assert_list("root", "<root>;");
	assert_list("John Doe", "\"John Doe\" <>;");
	assert_list("a@b@c", "<a@b>;");
	assert_list("a@[x y]", "<a@[x y]>;");
	assert_list("<joe@x", "<joe@x>;");
	assert_list("\"open <joe@x", "<open <joe@x>;");
	assert_list("Joe <>", "\"Joe\" <>;");
	assert_list("a@b (open", "\"open\" <a@b>;");
	assert_list("a@b c", "<a@b>;");
	assert_list("<<a@b>>", "<a@b>;");
	assert_list("a\r\n\tb <c@\r\n d>", "\"a b\" <c@d>;");
	assert_list("\"a\r\n b\" <c@d>", "\"a b\" <c@d>;");
	assert_list("\\", "<>;");
	assert_list("(", "");
	assert_list("[", "<[>;");
}

static void what_is_left_out_spoils_nothing(void **state)
{
	assert_list("<a@b> c@d", "<a@b>;");
	assert_list("Joe <a@b> <c@d>", "\"Joe\" <a@b>;");
	assert_list("<a@b <c@d>", "<a@b>;");
	assert_list("a@b: c@d", "<a@b>;");
	assert_list("<a@b> (c) , <d@e>,", "\"c\" <a@b>;<d@e>;");
	assert_list("A Group: <a@b> (c);, d@e", "group A Group;\"c\" <a@b>;end;<d@e>;");
	assert_list("<a@b> c, <d@e>", "<a@b>;<d@e>;");
}

static bool one_more(void *context, const struct header_address *a)
{
	*(unsigned *)context += a->group == 0;
	return true;
}

static bool is_valid(struct slice value)
{
	/* A copy without room behind it, as above. */
	char *copy = malloc(value.length ? value.length : 1);
	bool valid;

	memcpy(copy, value.data, value.length);
	valid = address_list_valid(slice_of(copy, value.length));
	free(copy);
	return valid;
}

static void lists_of_the_grammar_are_valid(void **state)
{
	static const struct {
		const char *list;
		unsigned addresses;
	} GOOD[] = { { "", 0 }, { " , ,", 0 }, { "a@b", 1 }, { " <a@b> ", 1 }, { "root", 1 },
		{ "\"a@b\" <c@d>", 1 }, { "\"<a@b>, \\\"x\\\" (\" <c@d>", 1 },
		{ "=?utf-8?q?a=40b?= <c@d>", 1 }, { "=?utf-8?B?w6RA+/==?= Doe <c@d>", 1 },
		{ "John Q. Public <a@b>", 1 }, { "\"Joe\"Doe\"\" <a@b>", 1 },
		{ "J\xc3\xb6rg O'Neil <j\xc3\xb6rg@\xc3\xb6.org>", 1 }, { "(x@y) a@b", 1 },
		{ "a@b (x@y)", 1 }, { "a@b (<x@y> (c \\) d), e)", 1 }, { "<a@b> (c) , <d@e>,", 2 },
		{ "a(c)@(d)b", 1 }, { "a . c @ b . d", 1 }, { "\"a b\".c@d", 1 },
		{ "\"a\\@b <c\"@d", 1 }, { "a@[192.0.2.1]", 1 },
		{ "Joe (c) < (d) a@[IPv6:::1] (e) > (f)", 1 }, { "g:;", 0 },
		{ "A Group: a@b, Joe <c@d>; (c) , e@f", 3 }, { "\"a@b\": c@d;", 1 } };

	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		unsigned found = 0;

		assert_true(is_valid(slice_from(GOOD[i].list)));
		assert_true(address_list_parse(
			slice_from(GOOD[i].list), &arena, 100, one_more, &found));
		assert_int_equal(found, GOOD[i].addresses);
	}
}

/* Who reads these may take another for the sender. */
static void lists_that_can_be_read_in_two_ways_are_not_valid(void **state)
{
	static const char *const BAD[] = { /* names that are addresses */
		"a@b <c@d>", "x a@b <c@d>", "a@b <c@d>, e@f", "@ <c@d>", "a@ <c@d>", "<a@b> c@d",
		"Joe <a@b> <c@d>", "> <a@b>", "a> <c@d>", "a@b: <c@d>", "a@b: c@d;",
		/* routes */
		"<@a:b@c>", "<@a,@b:c@d>", "<@a@b:c@d>", "<@a@b c@d>", "<a@b:c@d>", "<:a@b>",
		"@a:b@c", "<mailto:a@b>",
		/* words too many */
		"<a@b>c", "<a@b>\"c\"", "<a@b>:c@d", "a@b c", "c a@b", "John Doe", "<c a@b>",
		"<a@b c>", "\"c\"a@b", "\"\"a@b", "a\"c\"@b",
		/* more or less than one domain */
		"a@b@c", "<a@b@c>", "a@", "<a@>", "<@a>", "<>", "Joe <>", "a@\"b\"", "a@b..c",
		"a@b.", "a@.b", "a..c@b", ".a@b", "a.@b", "a@[b] c", "a@[b]c", "a@[b[c]",
		"a@[b,c@d]", "<a@[b> <c@d>]>", "a@[b c]", "[a]@b", "Joe [a] <b@c>",
		/* what is not closed, or not open */
		"<a@b", "<<a@b>>", "<a@b <c@d>", "\"Joe <a@b>", "\"Joe\\", "a@b (c", "a@b (c (d)",
		"(", "(\\", "a@b, (c@d", "a@b)", "a@[b", "a@b]", "a\\b@c", "\\",
		/* groups */
		"g: a@b", ": a@b;", "g: h: a@b;;", "g: a@b;;", "g:; a@b", "a@b;", "a@b; c@d",
		/* control characters */
		"a\rb <c@d>", "\"a\nb\" <c@d>", "a@b\r", "a@b (\x1b)", "a\x7f@b"
	};

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		if (is_valid(slice_from(BAD[i])))
			fail_msg("%s", BAD[i]);
	}
}

static void nul_anywhere_in_a_list_is_not_valid(void **state)
{
	const char good[] = "a \"b\" (c) <\"d\".e@f.g>, h@[i]";

	for (size_t i = 0; i < sizeof(good); i++) {
		char text[sizeof(good)];

		memcpy(text, good, i);
		text[i] = 0;
		memcpy(text + i + 1, good + i, sizeof(good) - 1 - i);
		assert_false(is_valid(slice_of(text, sizeof(text))));
	}
}

static void number_of_addresses_is_bounded(void **state)
{
	struct buffer out = { 0 };

	assert_false(address_list_parse(SLICE("a,b,c"), &arena, 2, show, &out));
	assert_string_equal(buffer_text(&out), "<a>;<b>;");
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_path_is_read_and_what_follows_is_left),
		cmocka_unit_test(recipient_with_two_at_signs_is_refused),
		cmocka_unit_test(malformed_paths_are_refused),
		cmocka_unit_test(nul_anywhere_in_a_path_is_refused),
		cmocka_unit_test(null_sender_is_only_for_senders),
		cmocka_unit_test(route_is_dropped),
		cmocka_unit_test(quoted_local_part_is_unquoted_and_quoted_again_where_it_must_be),
		cmocka_unit_test(postmaster_needs_no_domain),
		cmocka_unit_test(lax_form_takes_what_clients_send),
		cmocka_unit_test(address_literals_are_checked_and_kept),
		cmocka_unit_test(utf8_needs_smtputf8_and_must_be_utf8),
		cmocka_unit_test(a_domain_in_u_labels_is_kept_as_given_beside_its_key),
		cmocka_unit_test(long_names_are_bounded),
		cmocka_unit_test(usual_lists_are_read),
		cmocka_unit_test(groups_begin_and_end),
		cmocka_unit_test(obsolete_and_broken_forms_become_what_they_can),
		cmocka_unit_test(what_is_left_out_spoils_nothing),
		cmocka_unit_test(lists_of_the_grammar_are_valid),
		cmocka_unit_test(lists_that_can_be_read_in_two_ways_are_not_valid),
		cmocka_unit_test(nul_anywhere_in_a_list_is_not_valid),
		cmocka_unit_test(number_of_addresses_is_bounded),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
