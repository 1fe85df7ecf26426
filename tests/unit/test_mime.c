// SPDX-License-Identifier: ISC
/* MIME structure and what IMAP makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "mail/header.h"
#include "mail/mime.h"

static struct arena arena;

static int set_up(void **state)
{
	arena_init(&arena, 64 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_free(&arena);
	return 0;
}

/* A copy of exactly that size, so that the sanitizer sees every byte read behind it. */
static struct slice exact(const char *text)
{
	static char *copy;
	size_t length = strlen(text);

	free(copy);
	copy = malloc(length ? length : 1);
	memcpy(copy, text, length);
	return slice_of(copy, length);
}

static void assert_structure(const char *text, bool extended, const char *expected)
{
	struct slice message = exact(text);
	struct mime_part *part = mime_parse(message, &arena);
	struct buffer out = { 0 };

	assert_non_null(part);
	assert_true(mime_write_structure(part, message, extended, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void assert_envelope(const char *headers, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(mime_write_envelope(exact(headers), &arena, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

/* "offset+length" of header and body of each part, depth first. */
static void show_part(const struct mime_part *part, struct buffer *out)
{
	buffer_printf(out, "%zu+%zu %zu+%zu/%u", part->header_offset, part->header_length,
		part->body_offset, part->body_length, part->body_lines);
	for (const struct mime_part *c = part->children; c; c = c->next) {
		buffer_add_text(out, c == part->children ? " (" : ", ");
		show_part(c, out);
	}
	if (part->children)
		buffer_add_byte(out, ')');
}

static void assert_parts(const char *text, const char *expected)
{
	struct mime_part *part = mime_parse(exact(text), &arena);
	struct buffer out = { 0 };

	assert_non_null(part);
	show_part(part, &out);
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static void plain_message_is_one_text_part(void **state)
{
	assert_parts("Subject: x\r\n\r\none\r\ntwo\r\n", "0+14 14+10/2");
	assert_structure("Subject: x\r\n\r\none\r\ntwo\r\n", false,
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2)");
	assert_structure("\r\n", true,
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL "
		"NIL)");
	assert_structure(
		"", false, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
}

static void fields_of_a_part_are_given(void **state)
{
	assert_structure("Content-Type: Text/HTML; charset=\"utf-8\"; Format=flowed\r\n"
			 "Content-Transfer-Encoding: BASE64 (c)\r\nContent-ID: <a@b>\r\n"
			 "Content-Description: say \"hi\"\r\n there\r\nContent-MD5: Q2hl\r\n"
			 "Content-Disposition: attachment; filename=\"a \\\"b.txt\"; size=3\r\n"
			 "Content-Language: en, de\r\nContent-Location: http://x/\r\n\r\nYWJj\r\n",
		true,
		"(\"Text\" \"HTML\" (\"charset\" \"utf-8\" \"Format\" \"flowed\") \"<a@b>\" "
		"\"say \\\"hi\\\" there\" \"BASE64\" 6 1 \"Q2hl\" "
		"(\"attachment\" (\"filename\" \"a \\\"b.txt\" \"size\" \"3\")) (\"en\" \"de\") "
		"\"http://x/\")");
}

static void multipart_is_taken_apart(void **state)
{
	static const char text[] =
		MIXED "preamble\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: a/b\r\n"
		      "\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\nnot a part\r\n";

	assert_parts(text, "0+45 45+89/13 (60+2 62+3/0, 72+21 93+5/1)");
	assert_structure(text, false,
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0)"
		"(\"a\" \"b\" NIL NIL NIL \"7bit\" 5) \"mixed\")");
	assert_structure(text, true,
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL "
		"NIL)"
		"(\"a\" \"b\" NIL NIL NIL \"7bit\" 5 NIL NIL NIL NIL) \"mixed\" "
		"(\"boundary\" \"b\") NIL NIL NIL)");
}

static void missing_final_boundary_ends_at_the_end(void **state)
{
	assert_parts(MIXED "--b\r\n\r\none\r\n", "0+45 45+12/3 (50+2 52+5/1)");
	assert_parts(MIXED "--b\r\nX: y", "0+45 45+9/1 (50+4 54+0/0)");
	assert_parts(MIXED "--b", "0+45 45+3/0 (48+0 48+0/0)");
}

static void boundary_in_the_headers_of_a_part_ends_it(void **state)
{
	assert_parts(MIXED "--b\r\nX: y\r\n--b\r\n\r\nz\r\n--b--",
		"0+45 45+26/5 (50+6 56+0/0, 61+2 63+1/0)");
}

static void longest_of_boundaries_that_are_prefixes_is_meant(void **state)
{
	assert_parts(MIXED "--b\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n"
			   "--b2\r\n\r\none\r\n--b2--\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
		"0+45 45+97/11 (50+52 102+19/3 (108+2 110+3/0), 128+2 130+3/0)");
	/* The other way round: the outer is longer. */
	assert_parts("Content-Type: multipart/mixed; boundary=bb\r\n\r\n"
		     "--bb\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		     "--b\r\n\r\none\r\n--b--\r\n--bb--\r\n",
		"0+46 46+78/8 (52+45 97+17/3 (102+2 104+3/0))");
}

static void boundary_that_ends_with_dashes_is_not_taken_for_a_closing_one(void **state)
{
	assert_parts("Content-Type: multipart/mixed; boundary=\"b--\"\r\n\r\n"
		     "--b--\r\n\r\none\r\n--b--\r\n\r\ntwo\r\n--b----\r\n",
		"0+49 49+37/7 (56+2 58+3/0, 70+2 72+3/0)");
}

static void outer_boundary_ends_inner_parts(void **state)
{
	assert_parts(MIXED
		"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n"
		"--b\r\n\r\ntwo\r\n--b--\r\n",
		"0+45 45+81/10 (50+45 95+10/2 (100+2 102+3/0), 112+2 114+3/0)");
}

static void multipart_without_boundary_is_opaque(void **state)
{
	assert_structure("Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n", false,
		"(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 7)");
}

static void multipart_without_parts_gets_an_empty_one_in_imap(void **state)
{
	assert_structure(MIXED "nothing\r\n", false,
		"((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")");
}

static void enclosed_message_has_envelope_and_structure(void **state)
{
	static const char text[] = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n"
				   "From: a@b\r\n\r\nbody\r\n";

	assert_parts(text, "0+32 32+32/4 (32+26 58+6/1)");
	assert_structure(text, false,
		"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 32 (NIL \"in\" ((NIL NIL \"a\" "
		"\"b\")) "
		"((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) "
		"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1) 4)");
}

static void parts_of_a_digest_are_messages(void **state)
{
	struct mime_part *part = mime_parse(
		exact("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n"
		      "\r\nhi\r\n--b\r\nContent-Type: text/plain\r\n\r\nyo\r\n--b--\r\n"),
		&arena);

	assert_true(part->children->is_message);
	assert_int_equal(part->children->children->body_length, 2);
	assert_false(part->children->next->is_message);
}

static void message_whose_header_ends_at_the_boundary_keeps_its_parts_inside(void **state)
{
	assert_parts(MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n--b--\r\n",
		"0+45 45+52/6 (50+32 82+8/2 (82+8 90+0/0))");
}

static void line_that_is_no_header_does_not_end_the_headers(void **state)
{
	assert_parts("From someone\r\nContent-Type: text/html\r\n\r\nx", "0+41 41+1/0");
}

static void lf_line_ends_are_understood(void **state)
{
	assert_parts("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n\n--b--\n",
		"0+43 43+16/5 (47+1 48+4/1)");
}

static void sections_are_found_by_number(void **state)
{
	struct slice message = exact(MIXED
		"--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
		"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nin\r\n--c--\r\n"
		"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--b--\r\n");
	struct mime_part *top = mime_parse(message, &arena);

	assert_ptr_equal(mime_find(top, NULL, 0), top);
	assert_ptr_equal(mime_find(top, (const uint32_t[]){ 1 }, 1), top->children);
	assert_ptr_equal(mime_find(top, (const uint32_t[]){ 2 }, 1), top->children->next);
	assert_ptr_equal(mime_find(top, (const uint32_t[]){ 2, 1 }, 2),
		top->children->next->children->children);
	assert_ptr_equal(
		mime_find(top, (const uint32_t[]){ 3, 1 }, 2), top->children->next->next->children);
	assert_null(mime_find(top, (const uint32_t[]){ 4 }, 1));
	assert_null(mime_find(top, (const uint32_t[]){ 0 }, 1));
	assert_null(mime_find(top, (const uint32_t[]){ 1, 1 }, 2));
	assert_null(mime_find(top, (const uint32_t[]){ 2, 2 }, 2));
	assert_null(mime_find(top, (const uint32_t[]){ 3, 1, 1 }, 3));
	top = mime_parse(exact("\r\nx"), &arena);
	assert_ptr_equal(mime_find(top, (const uint32_t[]){ 1 }, 1), top);
	assert_null(mime_find(top, (const uint32_t[]){ 2 }, 1));
}

static void parameters_are_read_forgivingly(void **state)
{
	struct mime_part *part = mime_parse(exact("Content-Type: text / plain (c;x=\"1) ; name = "
						  "a=b.txt junk; (x) y=z\r\n\r\n"),
		&arena);

	assert_true(slice_equal(mime_parameter(part, "NAME"), SLICE("a=b.txt")));
	assert_true(slice_equal(mime_parameter(part, "y"), SLICE("z")));
	part = mime_parse(
		exact("Content-Type: text/plain; a=b c; f=\"g\r\n h\\\"\";;x*0=\"y\";=z; i=\"open"),
		&arena);
	assert_int_equal(part->parameter_count, 4);
	assert_true(slice_equal(mime_parameter(part, "a"), SLICE("b")));
	assert_true(slice_equal(mime_parameter(part, "f"), SLICE("g h\"")));
	assert_true(slice_equal(mime_parameter(part, "x"), SLICE("y")));
	assert_true(slice_equal(mime_parameter(part, "i"), SLICE("open")));
	assert_null(mime_parameter(part, "none").data);
}

static void parameters_in_pieces_are_put_together(void **state)
{
	struct mime_part *part;

	assert_parts("Content-Type: multipart/mixed; boundary*1=\"ou\"; charset=x;\r\n"
		     " BOUNDARY*0=\"b\"; boundary*2=nd\r\n\r\n--bound\r\n\r\nx\r\n--bound--\r\n",
		"0+94 94+25/4 (103+2 105+1/0)");
	part = mime_parse(
		exact("Content-Type: text/plain; name*0*=utf-8''a%20; name*1=\"b c%\"; "
		      "name*2*=%41; name*4=lost; x*=utf-8''whole; y*1=no; z**0=n; *0=n\r\n\r\n"),
		&arena);
	assert_true(slice_equal(mime_parameter(part, "name*"), SLICE("utf-8''a%20b%20c%25%41")));
	assert_true(slice_equal(mime_parameter(part, "name*4"), SLICE("lost")));
	assert_true(slice_equal(mime_parameter(part, "x*"), SLICE("utf-8''whole")));
	assert_true(slice_equal(mime_parameter(part, "y*1"), SLICE("no")));
	assert_structure(
		"Content-Type: a/b; n*0=x; n*1=y; m=z\r\n"
		"Content-Disposition: attachment; filename*0*=us-ascii''q; filename*1=r\r\n\r\n",
		true,
		"(\"a\" \"b\" (\"n\" \"xy\" \"m\" \"z\") NIL NIL \"7bit\" 0 NIL "
		"(\"attachment\" (\"filename*\" \"us-ascii''qr\")) NIL NIL)");
}

static void unreadable_type_is_plain_text_and_the_first_field_counts(void **state)
{
	static const char *const bad[] = { "Content-Type: text\r\n\r\n", "Content-Type:\r\n\r\n",
		"Content-Type: ;x=y\r\n\r\n", "Content-Type: /x\r\n\r\n",
		"Content-Type: (\r\n\r\n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mime_part *part = mime_parse(exact(bad[i]), &arena);

		assert_true(slice_equal(part->subtype, SLICE("plain")));
	}
	assert_true(slice_equal(
		mime_parse(exact("Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n"), &arena)->type,
		SLICE("a")));
}

static void nesting_and_parts_are_bounded(void **state)
{
	struct buffer text = { 0 }, out = { 0 };
	struct mime_part *part;
	unsigned depth = 0, parts = 0;

	for (unsigned i = 0; i < 5000; i++)
		buffer_add_text(&text, "Content-Type: message/rfc822\r\n\r\n");
	part = mime_parse(buffer_slice(&text), &arena);
	assert_true(mime_write_structure(part, buffer_slice(&text), true, &out));
	for (; part; part = part->children)
		depth++;
	assert_int_equal(depth, MIME_MAX_DEPTH + 1);
	buffer_clear(&text);
	buffer_add_text(&text, MIXED);
	for (unsigned i = 0; i < MIME_MAX_PARTS + 100; i++)
		buffer_add_text(&text, "--b\r\n\r\nx\r\n");
	part = mime_parse(buffer_slice(&text), &arena);
	for (part = part->children; part; part = part->next) {
		parts++;
		if (!part->next)
			assert_int_equal(part->body_offset + part->body_length, text.length);
	}
	assert_int_equal(parts, MIME_MAX_PARTS - 1);
	buffer_free(&text);
	buffer_free(&out);
}

static void hostile_shapes_take_linear_time(void **state)
{
	static const struct {
		const char *start, *again;
	} shapes[] = { { "", "a" }, { "", "A: b\r\n" }, { "", "To: a@b\r\n" }, { "To: ", "a," },
		{ "To: ", "(" }, { "To: ", "<@a," }, { "To: ", "\"" },
		{ "Content-Type: a/b", ";a=\"" }, { MIXED, "\r\n--b" }, { MIXED, "--" },
		{ MIXED, "--b\r\n" }, { "\r\n", "\n" },
		{ "", "Content-Type: message/rfc822\r\n\r\n" }, { "Subject: ", "=?a?q?" },
		{ "Subject: ", "=?" }, { "", " \r\n" }, { "Content-Language: ", "a," } };

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct buffer text = { 0 }, out = { 0 }, decoded = { 0 };
		clock_t start = clock();
		struct mime_part *part;

		buffer_add_text(&text, shapes[i].start);
		while (text.length < 4 << 20)
			buffer_add_text(&text, shapes[i].again);
		part = mime_parse(buffer_slice(&text), &arena);
		assert_non_null(part);
		assert_true(mime_write_structure(part, buffer_slice(&text), true, &out));
		buffer_clear(&out);
		assert_true(mime_write_envelope(buffer_slice(&text), &arena, &out));
		assert_true(header_decode(buffer_slice(&text), &decoded));
		assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
		buffer_free(&text);
		buffer_free(&out);
		buffer_free(&decoded);
		arena_reset(&arena);
	}
}

/* ---- Envelope and strings ------------------------------------------------------------------------------------------- */

static void envelope_is_whole(void **state)
{
	assert_envelope(
		"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
		"Subject: IMAP4rev1 WG mtg\r\n summary\r\nFrom: Terry Gray <gray@cac.example>\r\n"
		"Sender:\r\nTo: imap@cac.example\r\ncc: minutes@cnri.example, \"J. K\" "
		"<k@m.example>\r\n"
		"Message-Id: <B27397@cac.example>\r\n\r\n",
		"(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary\" "
		"((\"Terry Gray\" NIL \"gray\" \"cac.example\")) ((\"Terry Gray\" NIL \"gray\" "
		"\"cac.example\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.example\")) ((NIL NIL \"imap\" "
		"\"cac.example\")) "
		"((NIL NIL \"minutes\" \"cnri.example\")(\"J. K\" NIL \"k\" \"m.example\")) NIL "
		"NIL "
		"\"<B27397@cac.example>\")");
}

static void envelope_of_nothing_is_all_nil(void **state)
{
	assert_envelope("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	assert_envelope("From:\r\nTo: ,\r\n\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

static void envelope_tells_groups_and_incomplete_addresses_apart(void **state)
{
	assert_envelope("To: g:a@b;\r\nCc: root\r\nBcc: <@x:c@d>, @e\r\n\r\n",
		"(NIL NIL NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) "
		"((NIL NIL \"root\" \"MISSING_DOMAIN\")) "
		"((NIL \"@x\" \"c\" \"d\")(NIL NIL \"MISSING_MAILBOX\" \"e\")) NIL NIL)");
}

static void addresses_that_come_twice_are_joined_and_else_the_last_counts(void **state)
{
	assert_envelope("To: a@b\r\nTo: c@d\r\nSubject: 1\r\nSubject: 2\r\n\r\n",
		"(NIL \"2\" NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL "
		"NIL)");
}

static void white_space_in_subjects_becomes_single_spaces(void **state)
{
	assert_envelope(
		"Subject:  a\t b\r\n\t c  \r\n", "(NIL \"a b c\" NIL NIL NIL NIL NIL NIL NIL NIL)");
	assert_envelope("Subject: \r\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)");
}

static void assert_nstring(struct slice s, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(mime_write_nstring(s, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void nstrings_are_quoted_literal_or_nil(void **state)
{
	assert_nstring((struct slice){ 0 }, "NIL");
	assert_nstring(SLICE(""), "\"\"");
	assert_nstring(SLICE("a\tb"), "\"a\tb\"");
	assert_nstring(SLICE("a\"\\"), "\"a\\\"\\\\\"");
	assert_nstring(SLICE("\xc3\xbc"), "{2}\r\n\xc3\xbc");
	assert_nstring(SLICE("a\r\nb"), "{4}\r\na\r\nb");
	assert_nstring(SLICE("a\0b"), "{5}\r\na\xef\xbf\xbd"
				      "b");
}

/* ---- Decoding ------------------------------------------------------------------------------------------------------- */

static void assert_decoded(const char *encoding, const char *body, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(mime_decode(slice_from(encoding), exact(body), &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void transfer_encodings_are_undone(void **state)
{
	assert_decoded("BASE64", "aGVsbG8gd29ybGQ=\r\n", "hello world");
	assert_decoded("base64", "aGVs\r\nbG8g d2!9ybGQ", "hello world");
	assert_decoded("base64", "aGVsbA==bG8=", "helllo");
	assert_decoded("base64", "a", "");
	assert_decoded("base64", "aGU", "he");
	assert_decoded("base64", "====", "");
	assert_decoded("quoted-printable", "a=3Db =C3=bc=\r\nc  \r\nd= \r\n=zz=",
		"a=b \xc3\xbc"
		"c\r\nd=zz");
	assert_decoded("quoted-printable", "a\nb=4", "a\nb=4");
	assert_decoded("7bit", "a=3D", "a=3D");
}

static void decoding_keeps_what_fits(void **state)
{
	struct buffer out = buffer_limited(100000), text = { 0 };

	for (unsigned i = 0; i < 50000; i++)
		buffer_add_text(&text, "YWFh");
	assert_false(mime_decode(SLICE("base64"), buffer_slice(&text), &out));
	assert_true(out.length > 80000);
	buffer_free(&out);
	buffer_free(&text);
}

static void assert_utf8(const char *charset, struct slice text, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(mime_to_utf8(slice_from(charset), text, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void charsets_become_utf8(void **state)
{
	assert_utf8("ISO-8859-1",
		SLICE("\xfc"
		      "ber"),
		"\xc3\xbc"
		"ber");
	assert_utf8("utf-8*de", SLICE("\xc3\xbc\xff"), "\xc3\xbc\xef\xbf\xbd");
	assert_utf8("windows-1252", SLICE("\x80"), "\xe2\x82\xac");
	assert_utf8("koi8-r", SLICE("\xc1"), "\xd0\xb0");
	assert_utf8("iso-2022-jp", SLICE("\x1b$B$\"\x1b(B!"), "\xe3\x81\x82!");
	assert_utf8("gb2312", SLICE("\xc4\xe3"), "\xe4\xbd\xa0");
	assert_utf8("EUC-KR", SLICE("\xb0\xa1\xff"), "\xea\xb0\x80\xef\xbf\xbd");
	assert_utf8("utf-16",
		SLICE("\xff\xfe=\xd8\x00\xde"
		      "a\0"),
		"\xf0\x9f\x98\x80"
		"a");
	assert_utf8("utf-16be", SLICE("\0a\xd8\x00\0b\1"),
		"a\xef\xbf\xbd"
		"b\xef\xbf\xbd");
	assert_utf8("x-nobody-knows", SLICE("a\xfc"), "a\xef\xbf\xbd");
	assert_utf8("", SLICE(""), "");
}

static void assert_header(const char *value, const char *expected)
{
	struct buffer out = { 0 };

	assert_true(header_decode(exact(value), &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void encoded_words_are_decoded(void **state)
{
	assert_header(" =?iso-8859-1?Q?Gr=FC=DFe_an?= alle\r\n dort", "Gr\xc3\xbc\xc3\x9f"
								      "e an alle dort");
	assert_header("=?utf-8?B?w7w=?= =?utf-8?b?w7w=?=", "\xc3\xbc\xc3\xbc");
	assert_header("=?utf-8?B?ww==?=\r\n =?utf-8?B?vA==?=", "\xc3\xbc");
	assert_header("=?utf-8?q?a?= =?iso-8859-1?q?=fc?=", "a\xc3\xbc");
	assert_header(
		"a =?x?= b =?utf-8?x?y?= =?utf-8?q?open", "a =?x?= b =?utf-8?x?y?= =?utf-8?q?open");
	assert_header("=?utf-8?q?a?=b=?utf-8?q?c?=", "abc");
	assert_header("=?", "=?");
	assert_header("=?a?q?", "=?a?q?");
	assert_header("\xfc \xc3\xbc", "\xef\xbf\xbd \xc3\xbc");
	assert_header("=?utf-8?q?=4?=", "=4");
}

static void case_is_folded_in_many_scripts(void **state)
{
	struct buffer out = { 0 };

	assert_true(mime_fold(
		SLICE("aZ\xc3\xbc\xce\xb1\xcf\x82\xd0\xb6\xe1\xba\x9e\xff\xf0\x9f\x98\x80"), &out));
	assert_string_equal(buffer_text(&out),
		"AZ\xc3\x9c\xce\x91\xce\xa3\xd0\x96\xc3\x9f\xef\xbf\xbd\xf0\x9f\x98\x80");
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_message_is_one_text_part),
		cmocka_unit_test(fields_of_a_part_are_given),
		cmocka_unit_test(multipart_is_taken_apart),
		cmocka_unit_test(missing_final_boundary_ends_at_the_end),
		cmocka_unit_test(boundary_in_the_headers_of_a_part_ends_it),
		cmocka_unit_test(longest_of_boundaries_that_are_prefixes_is_meant),
		cmocka_unit_test(boundary_that_ends_with_dashes_is_not_taken_for_a_closing_one),
		cmocka_unit_test(outer_boundary_ends_inner_parts),
		cmocka_unit_test(multipart_without_boundary_is_opaque),
		cmocka_unit_test(multipart_without_parts_gets_an_empty_one_in_imap),
		cmocka_unit_test(enclosed_message_has_envelope_and_structure),
		cmocka_unit_test(parts_of_a_digest_are_messages),
		cmocka_unit_test(message_whose_header_ends_at_the_boundary_keeps_its_parts_inside),
		cmocka_unit_test(line_that_is_no_header_does_not_end_the_headers),
		cmocka_unit_test(lf_line_ends_are_understood),
		cmocka_unit_test(sections_are_found_by_number),
		cmocka_unit_test(parameters_are_read_forgivingly),
		cmocka_unit_test(parameters_in_pieces_are_put_together),
		cmocka_unit_test(unreadable_type_is_plain_text_and_the_first_field_counts),
		cmocka_unit_test(nesting_and_parts_are_bounded),
		cmocka_unit_test(hostile_shapes_take_linear_time),
		cmocka_unit_test(envelope_is_whole),
		cmocka_unit_test(envelope_of_nothing_is_all_nil),
		cmocka_unit_test(envelope_tells_groups_and_incomplete_addresses_apart),
		cmocka_unit_test(addresses_that_come_twice_are_joined_and_else_the_last_counts),
		cmocka_unit_test(white_space_in_subjects_becomes_single_spaces),
		cmocka_unit_test(nstrings_are_quoted_literal_or_nil),
		cmocka_unit_test(transfer_encodings_are_undone),
		cmocka_unit_test(decoding_keeps_what_fits),
		cmocka_unit_test(charsets_become_utf8),
		cmocka_unit_test(encoded_words_are_decoded),
		cmocka_unit_test(case_is_folded_in_many_scripts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
