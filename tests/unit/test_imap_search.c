// SPDX-License-Identifier: ISC
/* SEARCH with every kind of key, and ESEARCH. */
#include "imap_talk.h"

#define FIRST \
	"Date: Thu, 1 Feb 2024 23:30:00 -0500\r\nFrom: Alice <alice@example.test>\r\nTo: " \
	"bob@example.test\r\n" \
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from Alice\r\nX-Tag: one\r\n\r\nHello Bob\r\n"
#define SECOND \
	"Date: Mon, 5 Feb 2024 12:00:00 +0000\r\nFrom: bob@example.test\r\nCc: " \
	"carol@example.test\r\nSubject: folded\r\n subject\r\n" \
	"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: " \
	"quoted-printable\r\n\r\n" \
	"Caf=E9 and a soft=\r\n break\r\n"
#define THIRD \
	"From: carol@example.test\r\nBcc: dave@example.test\r\nContent-Type: multipart/mixed; " \
	"boundary=b\r\n\r\n--b\r\n\r\nouter\r\n--b\r\n" \
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " \
	"base64\r\n\r\nw4RwZmVs\r\n--b\r\n" \
	"Content-Type: image/png\r\n\r\nouterpixels\r\n--b--\r\n"

static struct talk *box;

static int setup(void **state)
{
	static const char *const OPTIONS[] = { "(\\Seen $A) \"10-Jan-2024 10:00:00 +0000\" ",
		"(\\Flagged \\Answered) \"20-Jan-2024 10:00:00 +0000\" ",
		"(\\Draft \\Deleted $A) \"30-Jan-2024 10:00:00 +0000\" " };
	static const char *const MESSAGES[] = { FIRST, SECOND, THIRD };

	box = talk_new();
	for (unsigned i = 0; i < 3; i++) {
		char *text = talk_append("INBOX", OPTIONS[i], MESSAGES[i]);

		talk(box, text);
		free(text);
	}
	return 0;
}

static int teardown(void **state)
{
	talk_free(box);
	return 0;
}

/* The numbers found, as " 1 3". */
static void assert_found(const char *keys, const char *numbers)
{
	char input[1000], expected[200];

	snprintf(input, sizeof(input), "a EXAMINE INBOX\r\nb SEARCH %s\r\n", keys);
	snprintf(expected, sizeof(expected), "* SEARCH%s\r\nb OK", numbers);
	talk(box, input);
	assert_says(box, expected);
}

static void flags_and_keywords_are_found(void **state)
{
	static const char *const KEYS[][2] = { { "ALL", " 1 2 3" }, { "SEEN", " 1" },
		{ "UNSEEN", " 2 3" }, { "ANSWERED", " 2" }, { "UNANSWERED", " 1 3" },
		{ "FLAGGED", " 2" }, { "UNFLAGGED", " 1 3" }, { "DELETED", " 3" },
		{ "UNDELETED", " 1 2" }, { "DRAFT", " 3" }, { "UNDRAFT", " 1 2" },
		{ "KEYWORD $a", " 1 3" }, { "UNKEYWORD $A", " 2" }, { "KEYWORD none", "" },
		{ "RECENT", " 1 2 3" }, { "OLD", "" }, { "NEW", " 2 3" } };

	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		assert_found(KEYS[i][0], KEYS[i][1]);
}

static void sets_sizes_and_dates_are_found(void **state)
{
	static const char *const KEYS[][2] = { { "2:*", " 2 3" }, { "UID 1,3", " 1 3" },
		{ "UID 9:*", " 3" }, { "LARGER 1", " 1 2 3" }, { "SMALLER 10", "" },
		{ "BEFORE 20-Jan-2024", " 1" }, { "ON 20-Jan-2024", " 2" },
		{ "SINCE \"20-Jan-2024\"", " 2 3" }, { "SENTON 1-Feb-2024", " 1" },
		{ "SENTBEFORE 5-Feb-2024", " 1" }, { "SENTSINCE 2-Feb-2024", " 2" } };

	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		assert_found(KEYS[i][0], KEYS[i][1]);
}

static void headers_are_decoded_and_folded(void **state)
{
	static const char *const KEYS[][2] = { { "FROM alice", " 1" },
		{ "FROM EXAMPLE.TEST", " 1 2 3" }, { "TO bob", " 1" }, { "CC carol", " 2" },
		{ "BCC dave", " 3" }, { "SUBJECT \"folded subject\"", " 2" },
		{ "CHARSET UTF-8 SUBJECT \"GR\xc3\x9c\"", " 1" }, { "HEADER x-tag \"\"", " 1" },
		{ "HEADER X-Tag one", " 1" }, { "HEADER X-Tag two", "" },
		{ "HEADER Subject \"\"", " 1 2" },
		{ "CHARSET ISO-8859-1 SUBJECT {3+}\r\ngr\xfc", " 1" } };

	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		assert_found(KEYS[i][0], KEYS[i][1]);
}

static void bodies_are_decoded(void **state)
{
	static const char *const KEYS[][2] = { { "BODY hello", " 1" }, { "BODY Subject", "" },
		{ "TEXT subject", " 1 2" }, { "BODY \"soft break\"", " 2" },
		{ "BODY \"caf\xc3\x89\"", " 2" }, { "BODY \"\xc3\xa4pfel\"", " 3" },
		{ "BODY OUTER", " 3" }, { "BODY pixels", "" }, { "TEXT \"\"", " 1 2 3" } };

	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		assert_found(KEYS[i][0], KEYS[i][1]);
}

static void keys_are_combined(void **state)
{
	static const char *const KEYS[][2] = { { "SEEN FROM alice", " 1" }, { "NOT SEEN", " 2 3" },
		{ "OR SEEN DELETED", " 1 3" }, { "NOT (OR SEEN DELETED)", " 2" },
		{ "(BODY hello SEEN) 1:2", " 1" }, { "NOT BODY hello", " 2 3" },
		{ "OR BODY hello FLAGGED", " 1 2" }, { "OR (SEEN) NOT (NOT FLAGGED)", " 1 2" } };

	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		assert_found(KEYS[i][0], KEYS[i][1]);
}

static void esearch_returns_what_was_asked(void **state)
{
	talk(box,
		"a EXAMINE INBOX\r\nb SEARCH RETURN (MIN MAX COUNT ALL) ALL\r\nc UID SEARCH RETURN "
		"() OR 1 3\r\n"
		"d SEARCH RETURN (COUNT MIN) KEYWORD none\r\ne SEARCH RETURN (COUNT) MODSEQ 1\r\n");
	assert_says(box, "* ESEARCH (TAG \"b\") MIN 1 MAX 3 ALL 1:3 COUNT 3\r\n");
	assert_says(box, "* ESEARCH (TAG \"c\") UID ALL 1,3\r\n");
	assert_says(box, "* ESEARCH (TAG \"d\") COUNT 0\r\n");
	assert_says(box, "* ESEARCH (TAG \"e\") COUNT 3 MODSEQ ");
}

static void what_is_no_key_is_refused(void **state)
{
	static const char *const WRONG[] = { "", "NOSUCH", "(SEEN", "SEEN)", "NOT", "OR SEEN",
		"BEFORE yesterday", "ON 31-Foo-2020", "LARGER -1", "UID", "1:2 4", "()",
		"SEEN  SEEN", "KEYWORD", "HEADER a", "RETURN (BOGUS) ALL" };

	for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
		char input[200];

		snprintf(input, sizeof(input), "a EXAMINE INBOX\r\nb SEARCH %s\r\n", WRONG[i]);
		talk(box, input);
		assert_says(box, "b BAD ");
	}
	talk(box, "a EXAMINE INBOX\r\nb SEARCH CHARSET X-NONE SUBJECT a\r\n");
	assert_says(box, "b NO [BADCHARSET (");
}

static void nesting_is_bounded(void **state)
{
	struct buffer input = { 0 };

	buffer_add_text(&input, "a EXAMINE INBOX\r\nb SEARCH ");
	for (unsigned i = 0; i < 20000; i++)
		buffer_add_text(&input, "(");
	buffer_add_text(&input, "\r\nc SEARCH ");
	for (unsigned i = 0; i < 10000; i++)
		buffer_add_text(&input, "NOT ");
	buffer_add_text(&input, "SEEN\r\nd NOOP\r\n");
	talk_bytes(box, buffer_slice(&input));
	assert_says(box, "b BAD Too deeply nested");
	assert_says(box, "c BAD Too deeply nested");
	assert_says(box, "d OK");
	buffer_free(&input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_and_keywords_are_found),
		cmocka_unit_test(sets_sizes_and_dates_are_found),
		cmocka_unit_test(headers_are_decoded_and_folded),
		cmocka_unit_test(bodies_are_decoded),
		cmocka_unit_test(keys_are_combined),
		cmocka_unit_test(esearch_returns_what_was_asked),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(nesting_is_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
