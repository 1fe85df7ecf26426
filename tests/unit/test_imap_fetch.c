// SPDX-License-Identifier: ISC
/* FETCH and STORE through a whole session on a real store. */
#include "imap_talk.h"

#define PLAIN \
	"From: Al <al@example.test>\r\nSubject: plain\r\nX-Long: a\r\n b\r\n\r\nFirst " \
	"line\r\nSecond line\r\n"
#define MULTI \
	"Subject: multi\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
	"--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" \
	"Subject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n" \
	"--c\r\n\r\ndeep\r\n--c--\r\n--b--\r\n"

static int setup(void **state)
{
	struct talk *t = talk_new();
	char *text;

	text = talk_append("INBOX", "(\\Flagged $Work) \"17-Jul-1996 02:44:25 -0700\" ", PLAIN);
	talk(t, text);
	assert_says(t, "a OK [APPENDUID ");
	free(text);
	text = talk_append("INBOX", "", MULTI);
	talk(t, text);
	assert_says(t, " 2] APPEND completed.");
	free(text);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	talk_free(*state);
	return 0;
}

static void message_comes_back_byte_for_byte_and_becomes_seen(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 1 BODY[]\r\nc FETCH 1 FLAGS\r\n");
	assert_says(t, "BODY[] {86}\r\n" PLAIN ")\r\n");
	assert_says(t, "* 1 FETCH (FLAGS (\\Seen \\Flagged");
	assert_says(t, "b OK FETCH completed.");
}

static void peek_and_examine_leave_flags_alone(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 1 (BODY.PEEK[] RFC822.HEADER)\r\nc FETCH 1 FLAGS\r\n"
		"d EXAMINE INBOX\r\ne FETCH 1 BODY[]\r\nf FETCH 1 FLAGS\r\n");
	assert_silent(t, "\\Seen \\Flagged");
}

static void header_fields_keep_their_folding_and_end_with_an_empty_line(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[HEADER.FIELDS (x-long SUBJECT None)]\r\n"
		"c FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (From X-Long)]\r\nd FETCH 1 "
		"BODY.PEEK[HEADER]<0.4>\r\n");
	assert_says(t, "BODY[HEADER.FIELDS (x-long SUBJECT None)] {33}\r\nSubject: "
		       "plain\r\nX-Long: a\r\n b\r\n\r\n)");
	assert_says(t, "BODY[HEADER.FIELDS.NOT (From X-Long)] {18}\r\nSubject: plain\r\n\r\n)");
	assert_says(t, "BODY[HEADER]<0> {4}\r\nFrom)");
}

static void parts_are_found_by_number(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 2 (BODY.PEEK[1] BODY.PEEK[2.HEADER] BODY.PEEK[2.1] "
		"BODY.PEEK[2.1.MIME] BODY.PEEK[3] "
		"BODY.PEEK[1.TEXT] BODY.PEEK[2.MIME])\r\nc FETCH 1 (BODY.PEEK[1] "
		"BODY.PEEK[1.1])\r\n");
	assert_says(t, "BODY[1] {3}\r\none");
	assert_says(t, "BODY[2.HEADER] {67}\r\nSubject: inner\r\nContent-Type: "
		       "multipart/alternative; boundary=c\r\n\r\n");
	assert_says(t, "BODY[2.1] {4}\r\ndeep");
	assert_says(t, "BODY[2.1.MIME] {2}\r\n\r\n");
	assert_says(t, "BODY[3] NIL");
	assert_says(t, "BODY[1.TEXT] NIL");
	assert_says(t, "BODY[2.MIME] {32}\r\nContent-Type: message/rfc822\r\n\r\n");
	assert_says(t, "BODY[1] {25}\r\nFirst line\r\nSecond line\r\n");
	assert_says(t, "BODY[1.1] NIL");
}

static void partials_are_cut_to_what_is_there(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[TEXT]<6.1000000>\r\nc FETCH 1 "
		"BODY.PEEK[TEXT]<25.1>\r\n"
		"d FETCH 1 BODY.PEEK[TEXT]<9223372036854775807.9223372036854775807>\r\n");
	assert_says(t, "BODY[TEXT]<6> {19}\r\nline\r\nSecond line\r\n)");
	assert_says(t, "BODY[TEXT]<25> {0}\r\n)");
	assert_says(t, "BODY[TEXT]<9223372036854775807> {0}\r\n)");
}

static void index_items_come_without_the_file(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 1 (UID RFC822.SIZE INTERNALDATE FLAGS MODSEQ)\r\nc UID "
		"FETCH 2:* FLAGS\r\n");
	assert_says(t, "* 1 FETCH (UID 1 RFC822.SIZE 86 INTERNALDATE \"17-Jul-1996 ");
	assert_says(t, " $Work)");
	assert_says(t, "* 2 FETCH (UID 2 FLAGS (");
	assert_silent(t, "* 1 FETCH (UID 1 FLAGS");
}

static void numbers_beyond_the_mailbox_are_bad_and_uids_are_not(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb FETCH 3 FLAGS\r\nc UID FETCH 900 FLAGS\r\nd UID FETCH 900:* "
		"UID\r\n");
	assert_says(t, "b BAD ");
	assert_says(t, "c OK ");
	assert_says(t, "* 2 FETCH (UID 2)\r\nd OK");
}

static void store_answers_with_flags_unless_silent(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb STORE 1:2 +FLAGS (\\Answered)\r\nc UID STORE 2 -FLAGS.SILENT "
		"\\Answered\r\n"
		"d STORE 1 FLAGS ($New)\r\ne STORE 1 +FLAGS \\Recent\r\n");
	assert_says(t, "* 1 FETCH (FLAGS (\\Answered \\Flagged");
	assert_says(t, "* 2 FETCH (FLAGS (\\Answered");
	assert_says(t, "c OK UID STORE completed.");
	assert_silent(t, "FETCH (UID 2");
	assert_says(t, "$Work $New \\*)] Flags permitted.\r\n* 1 FETCH (FLAGS (");
	assert_says(t, "e BAD ");
	talk(t, "a SELECT INBOX\r\nb FETCH 1:2 FLAGS\r\n");
	assert_says(t, "* 1 FETCH (FLAGS ($New))");
	assert_says(t, "* 2 FETCH (FLAGS ())");
}

static void conditional_store_leaves_newer_messages_alone(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX (CONDSTORE)\r\nb STORE 1 +FLAGS.SILENT \\Seen\r\n"
		"c STORE 1:2 (UNCHANGEDSINCE 3) +FLAGS (\\Deleted)\r\nd STORE 1:2 (UNCHANGEDSINCE "
		"0) FLAGS ()\r\n"
		"e FETCH 1:2 FLAGS (CHANGEDSINCE 4)\r\n");
	assert_says(t, "b OK STORE completed.");
	assert_says(t, "c OK [MODIFIED 1] STORE completed.");
	assert_says(t, "d OK [MODIFIED 1:2] STORE completed.");
	assert_says(t, "* 2 FETCH (MODSEQ (5) FLAGS (\\Deleted \\Recent))");
	assert_says(t, "* 2 FETCH (FLAGS (\\Deleted \\Recent) MODSEQ (5))");
	assert_silent(t, "* 1 FETCH (FLAGS (\\Seen");
}

static void expunge_counts_down_and_uid_expunge_is_choosy(void **state)
{
	struct talk *t = *state;

	talk(t, "a SELECT INBOX\r\nb STORE 1:2 +FLAGS.SILENT \\Deleted\r\nc UID EXPUNGE 2\r\nd "
		"EXPUNGE\r\ne SELECT INBOX\r\n");
	assert_says(t, "* 2 EXPUNGE\r\nc OK");
	assert_says(t, "* 1 EXPUNGE\r\nd OK");
	assert_says(t, "* 0 EXISTS");
}

static void move_and_copy_tell_the_new_uids(void **state)
{
	struct talk *t = *state;

	talk(t, "a CREATE Box\r\nb SELECT INBOX\r\nc COPY 1:2 Box\r\nd UID MOVE 1 Box\r\ne COPY 1 "
		"Missing\r\nf STATUS Box (MESSAGES)\r\n");
	assert_says(t, "c OK [COPYUID ");
	assert_says(t, " 1:2 1:2] COPY completed.");
	assert_says(t, " 1 3] Moved.\r\n* 1 EXPUNGE\r\nd OK UID MOVE completed.");
	assert_says(t, "e NO [TRYCREATE]");
	assert_says(t, "* STATUS Box (MESSAGES 3)");
}

static void read_only_mailboxes_cannot_be_changed(void **state)
{
	struct talk *t = *state;

	talk(t, "a EXAMINE INBOX\r\nb STORE 1 FLAGS \\Seen\r\nc EXPUNGE\r\nd MOVE 1 INBOX\r\ne UID "
		"EXPUNGE 1\r\nf CLOSE\r\n");
	for (const char *tag = "bcde"; *tag; tag++) {
		char text[32];

		snprintf(text, sizeof(text), "%c NO [READ-ONLY]", *tag);
		assert_says(t, text);
	}
	assert_says(t, "f OK CLOSE completed.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message_comes_back_byte_for_byte_and_becomes_seen),
		TEST(peek_and_examine_leave_flags_alone),
		TEST(header_fields_keep_their_folding_and_end_with_an_empty_line),
		TEST(parts_are_found_by_number),
		TEST(partials_are_cut_to_what_is_there),
		TEST(index_items_come_without_the_file),
		TEST(numbers_beyond_the_mailbox_are_bad_and_uids_are_not),
		TEST(store_answers_with_flags_unless_silent),
		TEST(conditional_store_leaves_newer_messages_alone),
		TEST(expunge_counts_down_and_uid_expunge_is_choosy),
		TEST(move_and_copy_tell_the_new_uids),
		TEST(read_only_mailboxes_cannot_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
