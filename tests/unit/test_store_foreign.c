// SPDX-License-Identifier: ISC
/* What other programs do to the Maildir beside us: mutt, mbsync, Dovecot, Courier, a shell. */
#include "store_helper.h"

/* Makes what was done look old, so that the deferred look at a folder with a young mtime does not have to be waited for. */
static int64_t later(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + 5000000;
}

static void refresh(struct mailbox *m, bool expect)
{
	bool news;

	os_clock_hook = later;
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	os_clock_hook = NULL;
	assert_int_equal(news, expect);
}

static void rename_file(struct world *w, const char *from, const char *to)
{
	assert_int_equal(renameat(w->dir, from, w->dir, to), 0);
}

static void message_without_sizes_is_measured_and_renamed(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	struct slice text;
	uint32_t count;

	write_file(w, "cur/1600000000.M1P2.host:2,RS", "Subject: x\n\nbody\n");
	write_file(w, "new/1600000001.M1P2.host", "Subject: y\r\n\r\nbody\r\n");
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_ANSWERED | FLAG_SEEN);
	assert_int_equal(mailbox_entries(m, &count)[0].size, 20);
	assert_int_equal(mailbox_entries(m, &count)[1].size, 20);
	assert_int_equal(mailbox_read(m, 0, &text), STORE_OK);
	assert_slice(text, "Subject: x\r\n\r\nbody\r\n");
	assert_int_equal(mailbox_read(m, 1, &text), STORE_OK);
	assert_slice(text, "Subject: y\r\n\r\nbody\r\n");
	assert_true(exists(w, "cur/1600000000.M1P2.host,S=17,W=20,U=1:2,RS"));
	assert_true(exists(w, "cur/1600000001.M1P2.host,S=20,W=20,U=2:2,"));
	mailbox_close(&m);
}

static void new_mail_gets_uids_in_the_order_of_delivery(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t count;

	write_file(w, "new/1600000002.M1P2.host", "ccc");
	write_file(w, "new/1600000001.M9P2.host", "b");
	write_file(w, "new/1600000001.M0000010P2.host", "bb");
	write_file(w, "new/999999999.M1P2.host", "");
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_entries(m, &count)[0].size, 0);
	assert_int_equal(
		mailbox_entries(m, &count)[1].size + mailbox_entries(m, &count)[2].size, 3);
	assert_int_equal(mailbox_entries(m, &count)[3].size, 3);
	assert_int_equal(count, 4);
	mailbox_close(&m);
}

static void flags_changed_by_name_are_taken(void **state)
{
	struct world *w = *state;
	char found[256], from[300], to[300];
	struct mailbox *m;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", 0);
	m = open_box(w->store, "INBOX");
	assert_int_equal(find_files(w, "cur", ":2,", found), 1);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "cur/%sFS", found);
	rename_file(w, from, to);
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_FLAGGED | FLAG_SEEN);
	assert_int_equal(mailbox_entries(m, &count)[0].uid, 1);
	assert_int_equal(count, 1);
	mailbox_close(&m);
}

static void message_renamed_without_our_fields_keeps_its_uid(void **state)
{
	struct world *w = *state;
	char found[256], from[300], to[300], base[200];
	struct mailbox *m;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", 0);
	append(w->store, "INBOX", "b\r\n", 0);
	m = open_box(w->store, "INBOX");
	assert_int_equal(find_files(w, "cur", "U=1:2,", found), 1);
	snprintf(base, sizeof(base), "%.*s", (int)(strchr(found, ',') - found), found);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "cur/%s:2,T", base);
	rename_file(w, from, to);
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_DELETED);
	assert_int_equal(mailbox_entries(m, &count)[0].uid, 1);
	assert_int_equal(count, 2);
	/* And moved back to new/, as mutt does when a message is marked new. */
	assert_int_equal(find_files(w, "cur", "T", found), 1);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "new/%.*s", (int)(strrchr(found, ':') - found), found);
	rename_file(w, from, to);
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, 0);
	assert_int_equal(mailbox_entries(m, &count)[0].uid, 1);
	assert_int_equal(files_ending(w, "new", ""), 0);
	assert_int_equal(count, 2);
	mailbox_close(&m);
}

static void removed_file_is_expunged(void **state)
{
	struct world *w = *state;
	char found[256], path[300];
	struct mailbox *m;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", 0);
	append(w->store, "INBOX", "b\r\n", 0);
	m = open_box(w->store, "INBOX");
	assert_int_equal(find_files(w, "cur", "U=1:2,", found), 1);
	snprintf(path, sizeof(path), "cur/%s", found);
	unlinkat(w->dir, path, 0);
	refresh(m, true);
	assert_true(mailbox_entries(m, &count)[0].expunged);
	assert_false(mailbox_entries(m, &count)[1].expunged);
	mailbox_close(&m);
}

static void copied_file_is_another_message(void **state)
{
	struct world *w = *state;
	char found[256], from[300], to[300];
	struct mailbox *m;
	struct slice text;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", FLAG_SEEN);
	m = open_box(w->store, "INBOX");
	assert_int_equal(find_files(w, "cur", "", found), 1);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "cur/%sT", found);
	assert_int_equal(linkat(w->dir, from, w->dir, to, 0), 0);
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_SEEN);
	assert_int_equal(mailbox_entries(m, &count)[1].flags, FLAG_SEEN | FLAG_DELETED);
	assert_int_equal(count, 2);
	assert_int_equal(mailbox_entries(m, &count)[1].uid, 2);
	assert_int_equal(mailbox_read(m, 1, &text), STORE_OK);
	assert_slice(text, "a\r\n");
	/* Flags changed by name find the right one of the two. */
	assert_int_equal(find_files(w, "cur", "U=2:2,ST", found), 1);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "cur/%.*s", (int)strlen(found) - 1, found);
	rename_file(w, from, to);
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[1].flags, FLAG_SEEN);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_SEEN);
	mailbox_close(&m);
}

static void file_renamed_after_our_look_is_still_read(void **state)
{
	struct world *w = *state;
	char found[256], from[300], to[300];
	uint32_t count, index = 0;
	struct mailbox *m;
	struct slice text;

	append(w->store, "INBOX", "a\r\n", 0);
	m = open_box(w->store, "INBOX");
	find_files(w, "cur", "", found);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "cur/%sS", found);
	rename_file(w, from, to);
	assert_int_equal(mailbox_read(m, 0, &text), STORE_OK);
	assert_slice(text, "a\r\n");
	rename_file(w, to, from);
	assert_int_equal(
		mailbox_store_flags(m, &index, 1, FLAGS_ADD, FLAG_FLAGGED, 0, 0, NULL), STORE_OK);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_FLAGGED);
	find_files(w, "cur", "", found);
	snprintf(from, sizeof(from), "cur/%s", found);
	unlinkat(w->dir, from, 0);
	mailbox_close(&m);
	m = open_box(w->store, "INBOX");
	mailbox_entries(m, &count);
	assert_int_equal(count, 0);
	mailbox_close(&m);
}

static void vanished_file_is_none_when_read(void **state)
{
	struct world *w = *state;
	char found[256], path[300];
	struct mailbox *m;
	struct slice text;
	uint32_t index = 0;

	append(w->store, "INBOX", "a\r\n", 0);
	m = open_box(w->store, "INBOX");
	find_files(w, "cur", "", found);
	snprintf(path, sizeof(path), "cur/%s", found);
	unlinkat(w->dir, path, 0);
	assert_int_equal(mailbox_read(m, 0, &text), STORE_NONE);
	assert_int_equal(
		mailbox_store_flags(m, &index, 1, FLAGS_ADD, FLAG_SEEN, 0, 0, NULL), STORE_OK);
	mailbox_close(&m);
}

static void keyword_letters_follow_dovecot_keywords(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t count, index = 0;
	unsigned bit;

	assert_int_equal(store_create(w->store, SLICE("Box"), SLICE("")), STORE_OK);
	store_close(&w->store);
	unlinkat(w->dir, "postern.db", 0);
	unlinkat(w->dir, "postern.db-wal", 0);
	unlinkat(w->dir, "postern.db-shm", 0);
	write_file(w, ".Box/dovecot-keywords", "0 $Work\n3 $Forwarded\n");
	write_file(w, ".Box/cur/1600000000.M1P2.host:2,Sa", "x\n");
	write_file(w, ".Box/cur/1600000001.M1P2.host:2,P", "x\n");
	w->store = open_store(w);
	m = open_box(w->store, "Box");
	assert_int_equal(mailbox_entries(m, &count)[0].keywords, 1);
	assert_int_equal(mailbox_entries(m, &count)[1].keywords, 8);
	assert_string_equal(mailbox_keywords(m)[0], "$Work");
	assert_int_equal(mailbox_keyword(m, SLICE("$forwarded"), false, &bit), STORE_OK);
	assert_int_equal(bit, 3);
	assert_int_equal(mailbox_keyword(m, SLICE("Fifth"), true, &bit), STORE_OK);
	mailbox_store_flags(m, &index, 1, FLAGS_ADD, 0, 1ull << bit | 8, 0, NULL);
	assert_int_equal(files_ending(w, ".Box/cur", ":2,PSae"), 1);
	mailbox_close(&m);
}

static void keyword_that_dovecot_adds_later_is_known(void **state)
{
	struct world *w = *state;
	struct mailbox *m = open_box(w->store, "INBOX");
	uint32_t count;
	unsigned bit;

	assert_int_equal(mailbox_keyword(m, SLICE("First"), true, &bit), STORE_OK);
	write_file(w, "dovecot-keywords", "0 First\n1 Theirs\n");
	write_file(w, "cur/1600000000.M1P2.host:2,bx", "a\n");
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[0].keywords, 2);
	assert_string_equal(mailbox_keywords(m)[1], "Theirs");
	assert_null(mailbox_keywords(m)[2]);
	write_file(w, "dovecot-keywords", "0 First\n1 Theirs\n2 More\n");
	assert_int_equal(mailbox_keyword(m, SLICE("ours"), true, &bit), STORE_OK);
	assert_int_equal(bit, 3);
	assert_int_equal(mailbox_keyword(m, SLICE("more"), false, &bit), STORE_OK);
	assert_int_equal(bit, 2);
	mailbox_close(&m);
}

static void keywords_past_the_limit_are_refused(void **state)
{
	struct world *w = *state;
	struct mailbox *m = open_box(w->store, "INBOX"), *again;
	uint32_t count, index = 0;
	char name[20];
	unsigned bit;

	append(w->store, "INBOX", "a\r\n", 0);
	for (int i = 0; i < STORE_KEYWORDS; i++) {
		snprintf(name, sizeof(name), "key%d", i);
		assert_int_equal(mailbox_keyword(m, slice_from(name), true, &bit), STORE_OK);
		assert_int_equal(bit, i);
	}
	assert_int_equal(mailbox_keyword(m, SLICE("more"), true, &bit), STORE_LIMIT);
	assert_int_equal(mailbox_keyword(m, SLICE("KEY61"), true, &bit), STORE_OK);
	refresh(m, true);
	mailbox_store_flags(m, &index, 1, FLAGS_ADD, 0, 1ull << 61 | 1ull << 25, 0, NULL);
	again = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_entries(again, &count)[0].keywords, 1ull << 61 | 1ull << 25);
	assert_int_equal(files_ending(w, "cur", ":2,z"), 1);
	mailbox_close(&again);
	mailbox_close(&m);
}

static void things_that_are_no_messages_are_left_alone(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t count;

	write_file(w, "cur/.hidden", "x");
	mkdirat(w->dir, "cur/folder", 0700);
	assert_int_equal(symlinkat("/etc/passwd", w->dir, "cur/1600000000.link:2,"), 0);
	assert_int_equal(mkfifoat(w->dir, "new/1600000000.fifo", 0600), 0);
	m = open_box(w->store, "INBOX");
	mailbox_entries(m, &count);
	assert_int_equal(count, 0);
	assert_true(exists(w, "cur/.hidden") && exists(w, "cur/folder") &&
		    exists(w, "new/1600000000.fifo"));
	mailbox_close(&m);
}

static void names_full_of_nonsense_do_no_harm(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	struct slice text;
	char longest[300] = "new/";
	uint32_t count;

	write_file(w, "new/,S=1,W=2,U=3", "aa\n");
	write_file(w, "new/x,S=99999999999999999999,U=4294967295:2,SSSSS", "bb\n");
	write_file(w, "new/y,S=-1,W=,U=0,,,:2,", "cc\n");
	write_file(w, "cur/z,S=2,W=1,U=77777777777,FOO=bar,BAZ:1,x", "dd\n");
	memset(longest + 4, 'L', 254);
	write_file(w, longest, "ee\n");
	m = open_box(w->store, "INBOX");
	mailbox_entries(m, &count);
	assert_int_equal(count, 5);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(mailbox_read(m, i, &text), STORE_OK);
		assert_int_equal(text.length, 4);
		assert_int_equal(mailbox_entries(m, &count)[i].size, 4);
		assert_in_range(mailbox_entries(m, &count)[i].uid, 1, 100);
	}
	mailbox_close(&m);
}

static void uids_of_dovecot_and_courier_are_taken_over(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;
	struct mailbox *m;
	uint32_t count;

	for (int i = 0; i < 2; i++) {
		const char *name = i ? "C" : "D";
		char path[100];

		snprintf(path, sizeof(path), ".%s", name);
		mkdirat(w->dir, path, 0700);
		for (int k = 0; k < 3; k++) {
			static const char *const SUB[] = { "cur", "new", "tmp" };

			snprintf(path, sizeof(path), ".%s/%s", name, SUB[k]);
			mkdirat(w->dir, path, 0700);
		}
		snprintf(path, sizeof(path), ".%s/cur/1600000000.M1P2.host,S=2,W=3:2,S", name);
		write_file(w, path, "a\n");
		snprintf(path, sizeof(path), ".%s/cur/1600000001.M1P2.host:2,", name);
		write_file(w, path, "bb\n");
		snprintf(path, sizeof(path), ".%s/new/1600000002.M1P2.host", name);
		write_file(w, path, "ccc\n");
		snprintf(path, sizeof(path), ".%s/cur/1600000003.M1P2.host:2,", name);
		write_file(w, path, "dddd\n");
	}
	write_file(w, ".D/dovecot-uidlist",
		"3 V1234567 N50 G00000000000000000000000000000000\n10 :1600000001.M1P2.host\n"
		"20 W3 :1600000000.M1P2.host,S=2,W=3\n30 :1600000002.M1P2.host\n40 :gone\nx y\n");
	write_file(w, ".C/courierimapuiddb",
		"1 1234567 50\n10 1600000001.M1P2.host\n20 1600000000.M1P2.host\n30 "
		"1600000002.M1P2.host\n");
	for (int i = 0; i < 2; i++) {
		m = open_box(w->store, i ? "C" : "D");
		mailbox_entries(m, &count);
		assert_int_equal(count, 4);
		assert_int_equal(mailbox_entries(m, &count)[0].uid, 10);
		assert_int_equal(mailbox_entries(m, &count)[0].size, 4);
		assert_int_equal(mailbox_entries(m, &count)[1].uid, 20);
		assert_int_equal(mailbox_entries(m, &count)[1].flags, FLAG_SEEN);
		assert_int_equal(mailbox_entries(m, &count)[2].uid, 30);
		assert_int_equal(mailbox_entries(m, &count)[2].size, 5);
		assert_int_equal(mailbox_entries(m, &count)[3].uid, 50);
		mailbox_counts(m, &counts);
		assert_int_equal(counts.uid_validity, 1234567);
		mailbox_close(&m);
	}
}

static void uid_of_a_name_far_ahead_is_not_believed(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", 0);
	write_file(w, "cur/1600000000.M1P2.host,S=2,W=3,U=2000000000:2,", "b\n");
	write_file(w, "cur/1600000000.M1P3.host,S=2,W=3,U=1:2,", "c\n");
	write_file(w, "cur/1600000000.M1P4.host,S=2,W=3,U=7:2,", "d\n");
	write_file(w, "cur/1600000000.M1P5.host,S=2,W=3,U=7:2,", "e\n");
	m = open_box(w->store, "INBOX");
	mailbox_entries(m, &count);
	assert_int_equal(count, 5);
	assert_int_equal(mailbox_entries(m, &count)[0].uid, 1);
	assert_int_equal(mailbox_entries(m, &count)[1].uid, 7);
	for (uint32_t i = 2; i < 5; i++)
		assert_int_equal(mailbox_entries(m, &count)[i].uid, 6 + i);
	mailbox_close(&m);
}

static void wrong_size_in_a_name_is_corrected_when_read(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;
	struct mailbox *m;
	struct slice text;
	uint32_t count;

	write_file(w, "new/1600000000.M1P2.host,S=4,W=4", "a\nb\n");
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_entries(m, &count)[0].size, 4);
	mailbox_close(&m);
	/* S= is right and W= says that there is nothing to make CR LF of: believed. A changed file is not. */
	char found[256], path[300];

	find_files(w, "cur", "", found);
	snprintf(path, sizeof(path), "cur/%s", found);
	write_file(w, path, "a\nb\nc\n");
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_read(m, 0, &text), STORE_OK);
	assert_slice(text, "a\r\nb\r\nc\r\n");
	assert_int_equal(mailbox_entries(m, &count)[0].size, 9);
	mailbox_close(&m);
	store_status(w->store, SLICE("INBOX"), &counts);
	assert_int_equal(counts.size, 9);
}

static void change_hidden_behind_the_same_mtime_is_found_later(void **state)
{
	struct world *w = *state;
	struct timespec times[2];
	char found[256], from[300], to[300];
	struct mailbox *m;
	struct stat info;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", 0);
	m = open_box(w->store, "INBOX");
	find_files(w, "cur", "", found);
	snprintf(from, sizeof(from), "cur/%s", found);
	snprintf(to, sizeof(to), "cur/%sF", found);
	fstatat(w->dir, "cur", &info, 0);
	rename_file(w, from, to);
	times[0] = info.st_atim;
	times[1] = info.st_mtim;
	assert_int_equal(utimensat(w->dir, "cur", times, 0), 0);
	refresh(m, true);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_FLAGGED);
	refresh(m, false);
	mailbox_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(message_without_sizes_is_measured_and_renamed),
		STORE_TEST(new_mail_gets_uids_in_the_order_of_delivery),
		STORE_TEST(flags_changed_by_name_are_taken),
		STORE_TEST(message_renamed_without_our_fields_keeps_its_uid),
		STORE_TEST(removed_file_is_expunged),
		STORE_TEST(copied_file_is_another_message),
		STORE_TEST(file_renamed_after_our_look_is_still_read),
		STORE_TEST(vanished_file_is_none_when_read),
		STORE_TEST(keyword_letters_follow_dovecot_keywords),
		STORE_TEST(keyword_that_dovecot_adds_later_is_known),
		STORE_TEST(keywords_past_the_limit_are_refused),
		STORE_TEST(things_that_are_no_messages_are_left_alone),
		STORE_TEST(names_full_of_nonsense_do_no_harm),
		STORE_TEST(uids_of_dovecot_and_courier_are_taken_over),
		STORE_TEST(uid_of_a_name_far_ahead_is_not_believed),
		STORE_TEST(wrong_size_in_a_name_is_corrected_when_read),
		STORE_TEST(change_hidden_behind_the_same_mtime_is_found_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
