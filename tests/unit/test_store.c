// SPDX-License-Identifier: ISC
/* The store's everyday life: open, append, read, flags, expunge, copy, two sessions on one mailbox. */
#include "store_helper.h"

static void first_open_makes_inbox(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;

	assert_int_equal(store_status(w->store, SLICE("INBOX"), &counts), STORE_OK);
	assert_int_equal(counts.messages, 0);
	assert_int_equal(counts.uid_next, 1);
	assert_true(counts.uid_validity > 0);
	assert_true(exists(w, "cur") && exists(w, "new") && exists(w, "tmp"));
}

static void store_that_is_not_there_is_not_made_unless_asked(void **state)
{
	struct store *store;

	assert_int_equal(
		store_open("/tmp/store-test-no-such-folder", false, 0, &store), STORE_NONE);
	assert_null(store);
}

static void appended_message_comes_back_with_cr_lf(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	struct slice text;
	uint32_t count;

	assert_int_equal(append(w->store, "INBOX", "Subject: a\r\n\r\nbody\r\n", FLAG_SEEN), 1);
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_entries(m, &count)[0].size, 20);
	assert_int_equal(count, 1);
	assert_int_equal(mailbox_entries(m, &count)[0].flags, FLAG_SEEN);
	assert_int_equal(mailbox_entries(m, &count)[0].internal_date, APPEND_DATE);
	assert_int_equal(mailbox_read(m, 0, &text), STORE_OK);
	assert_slice(text, "Subject: a\r\n\r\nbody\r\n");
	mailbox_close(&m);
}

static void line_ends_split_over_pieces_are_kept_exactly(void **state)
{
	static const char *const PIECES[] = { "A: b\r", "\n", "\r\n", "x\r", "y\n", "\r",
		"z\r\n\r" };
	struct world *w = *state;
	struct store_append *append;
	struct mailbox *m;
	struct slice text;
	uint32_t validity, count;

	assert_int_equal(store_append_begin(w->store, SLICE("INBOX"), &append), STORE_OK);
	assert_int_equal(store_append_message(append, 0, NULL, 0, 1000, 0), STORE_OK);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(store_append_data(append, slice_from(PIECES[i])), STORE_OK);
	assert_int_equal(store_append_commit(&append, &validity, NULL), STORE_OK);
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_read(m, 0, &text), STORE_OK);
	assert_slice(text, "A: b\r\n\r\nx\ry\r\n\rz\r\n\r");
	assert_int_equal(mailbox_entries(m, &count)[0].size, text.length);
	mailbox_close(&m);
}

static void delivered_message_appears_with_a_uid(void **state)
{
	struct world *w = *state;
	struct mailbox *m = open_box(w->store, "INBOX");
	struct slice text;
	uint32_t count;
	bool news;

	deliver(w, "Subject: hello\n\nworld\n");
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	assert_true(news);
	assert_int_equal(mailbox_entries(m, &count)[0].uid, 1);
	assert_true(mailbox_entries(m, &count)[0].recent);
	assert_int_equal(mailbox_read(m, 0, &text), STORE_OK);
	assert_slice(text, "Delivered-To: one\r\nSubject: hello\r\n\r\nworld\r\n");
	assert_int_equal(mailbox_entries(m, &count)[0].size, text.length);
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	assert_false(news);
	mailbox_close(&m);
}

static void flags_are_seen_by_the_other_session_and_in_the_file_name(void **state)
{
	struct world *w = *state;
	struct store *other = open_store(w);
	struct mailbox *a, *b;
	uint32_t count, index = 0;
	uint64_t before;
	bool news;

	append(w->store, "INBOX", "a\r\n", 0);
	a = open_box(w->store, "INBOX");
	b = open_box(other, "INBOX");
	before = mailbox_entries(b, &count)[0].modseq;
	assert_int_equal(
		mailbox_store_flags(a, &index, 1, FLAGS_ADD, FLAG_FLAGGED | FLAG_SEEN, 0, 0, NULL),
		STORE_OK);
	assert_true(mailbox_entries(a, &count)[0].changed);
	assert_int_equal(mailbox_refresh(a, &news), STORE_OK);
	assert_false(news);
	assert_int_equal(mailbox_refresh(b, &news), STORE_OK);
	assert_true(news);
	assert_true(mailbox_entries(b, &count)[0].changed);
	assert_int_equal(mailbox_entries(b, &count)[0].flags, FLAG_FLAGGED | FLAG_SEEN);
	assert_true(mailbox_entries(b, &count)[0].modseq > before);
	assert_int_equal(files_ending(w, "cur", ":2,FS"), 1);
	mailbox_close(&a);
	mailbox_close(&b);
	store_close(&other);
}

static void expunged_message_keeps_its_number_until_forgotten(void **state)
{
	struct world *w = *state;
	struct store *other = open_store(w);
	struct mailbox *a, *b;
	uint32_t count, index = 1;
	bool news;

	for (int i = 0; i < 3; i++)
		append(w->store, "INBOX", "a\r\n", 0);
	a = open_box(w->store, "INBOX");
	b = open_box(other, "INBOX");
	mailbox_store_flags(a, &index, 1, FLAGS_ADD, FLAG_DELETED, 0, 0, NULL);
	assert_int_equal(mailbox_expunge(a, NULL, 0), STORE_OK);
	assert_true(mailbox_entries(a, &count)[1].expunged);
	assert_int_equal(count, 3);
	assert_int_equal(files_ending(w, "cur", ""), 2);
	assert_int_equal(mailbox_refresh(b, &news), STORE_OK);
	assert_true(news);
	assert_true(mailbox_entries(b, &count)[1].expunged);
	assert_int_equal(count, 3);
	mailbox_forget_expunged(b, NULL, NULL);
	assert_int_equal(mailbox_entries(b, &count)[1].uid, 3);
	assert_int_equal(count, 2);
	mailbox_close(&a);
	mailbox_close(&b);
	store_close(&other);
}

static void conflict_is_told_when_somebody_was_faster(void **state)
{
	struct world *w = *state;
	struct store *other = open_store(w);
	struct vector conflicts = vector_of(sizeof(uint32_t), 0);
	struct mailbox *a, *b;
	uint32_t count, both[] = { 0, 1 }, first = 0;
	uint64_t since;

	append(w->store, "INBOX", "a\r\n", 0);
	append(w->store, "INBOX", "b\r\n", 0);
	a = open_box(w->store, "INBOX");
	b = open_box(other, "INBOX");
	since = mailbox_entries(a, &count)[1].modseq;
	mailbox_store_flags(b, &first, 1, FLAGS_ADD, FLAG_SEEN, 0, 0, NULL);
	assert_int_equal(
		mailbox_store_flags(a, both, 2, FLAGS_ADD, FLAG_DELETED, 0, since, &conflicts),
		STORE_OK);
	assert_int_equal(conflicts.count, 1);
	assert_int_equal(*(uint32_t *)vector_at(&conflicts, 0), 0);
	assert_int_equal(mailbox_entries(a, &count)[0].flags & FLAG_DELETED, 0);
	assert_int_equal(mailbox_entries(a, &count)[1].flags, FLAG_DELETED);
	vector_free(&conflicts);
	mailbox_close(&a);
	mailbox_close(&b);
	store_close(&other);
}

static void copies_have_flags_keywords_and_new_uids(void **state)
{
	struct world *w = *state;
	struct vector uids = vector_of(sizeof(uint32_t), 0);
	struct mailbox *m, *t;
	uint32_t count, both[] = { 0, 1 }, validity;
	unsigned bit;

	append(w->store, "INBOX", "a\r\n", FLAG_SEEN);
	append(w->store, "INBOX", "bb\r\n", 0);
	assert_int_equal(store_create(w->store, SLICE("Target"), SLICE("")), STORE_OK);
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_keyword(m, SLICE("Important"), true, &bit), STORE_OK);
	mailbox_store_flags(m, both, 1, FLAGS_ADD, 0, 1ull << bit, 0, NULL);
	assert_int_equal(
		mailbox_copy(m, both, 2, SLICE("Target"), false, &validity, &uids), STORE_OK);
	assert_int_equal(uids.count, 2);
	t = open_box(w->store, "Target");
	assert_int_equal(mailbox_entries(t, &count)[0].flags, FLAG_SEEN);
	assert_int_equal(mailbox_entries(t, &count)[0].keywords, 1);
	assert_string_equal(mailbox_keywords(t)[0], "Important");
	assert_int_equal(mailbox_entries(t, &count)[1].size, 4);
	assert_int_equal(count, 2);
	mailbox_close(&t);
	mailbox_close(&m);
	vector_free(&uids);
}

static void moved_messages_leave_the_source(void **state)
{
	struct world *w = *state;
	struct mailbox *m, *t;
	uint32_t count, index = 0, validity;
	struct slice text;
	bool news;

	append(w->store, "INBOX", "a\r\n", FLAG_SEEN);
	append(w->store, "INBOX", "bb\r\n", 0);
	assert_int_equal(store_create(w->store, SLICE("Target"), SLICE("")), STORE_OK);
	m = open_box(w->store, "INBOX");
	assert_int_equal(
		mailbox_copy(m, &index, 1, SLICE("Target"), true, &validity, NULL), STORE_OK);
	assert_true(mailbox_entries(m, &count)[0].expunged);
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	assert_false(news);
	t = open_box(w->store, "Target");
	assert_int_equal(mailbox_read(t, 0, &text), STORE_OK);
	assert_slice(text, "a\r\n");
	assert_int_equal(files_ending(w, "cur", ""), 1);
	mailbox_close(&t);
	mailbox_close(&m);
}

static void several_appended_messages_come_all_or_none(void **state)
{
	struct world *w = *state;
	struct store_append *append;
	struct mailbox_counts counts;
	uint32_t validity;

	assert_int_equal(store_append_begin(w->store, SLICE("INBOX"), &append), STORE_OK);
	for (int i = 0; i < 3; i++) {
		store_append_message(append, 0, NULL, 0, 5, 3);
		store_append_data(append, SLICE("x\r\n"));
	}
	store_append_abort(&append);
	store_status(w->store, SLICE("INBOX"), &counts);
	assert_int_equal(counts.messages, 0);
	assert_int_equal(files_ending(w, "tmp", ""), 0);
	assert_int_equal(store_append_begin(w->store, SLICE("INBOX"), &append), STORE_OK);
	for (int i = 0; i < 3; i++) {
		store_append_message(append, 0, NULL, 0, 5, 3);
		store_append_data(append, SLICE("x\r\n"));
	}
	assert_int_equal(store_append_commit(&append, &validity, NULL), STORE_OK);
	store_status(w->store, SLICE("INBOX"), &counts);
	assert_int_equal(counts.messages, 3);
	assert_int_equal(counts.size, 9);
	assert_int_equal(counts.uid_validity, validity);
}

static void only_the_first_session_sees_recent(void **state)
{
	struct world *w = *state;
	struct store *other = open_store(w);
	struct mailbox_counts counts;
	struct mailbox *a, *b;
	uint32_t count;

	append(w->store, "INBOX", "a\r\n", 0);
	store_status(w->store, SLICE("INBOX"), &counts);
	assert_int_equal(counts.recent, 1);
	assert_int_equal(mailbox_open(w->store, SLICE("INBOX"), true, &a), STORE_OK);
	assert_true(mailbox_entries(a, &count)[0].recent);
	mailbox_close(&a);
	a = open_box(w->store, "INBOX");
	b = open_box(other, "INBOX");
	assert_true(mailbox_entries(a, &count)[0].recent);
	assert_false(mailbox_entries(b, &count)[0].recent);
	mailbox_close(&a);
	mailbox_close(&b);
	store_close(&other);
}

static void cache_answers_the_same_as_the_file(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	struct slice text;

	append(w->store, "INBOX", "Subject: a\r\nFrom: x@example.org\r\n\r\nbody\r\n", 0);
	m = open_box(w->store, "INBOX");
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			mailbox_plan_read(m, 0, 0);
		assert_int_equal(mailbox_read_headers(m, 0, &text), STORE_OK);
		assert_slice(text, "Subject: a\r\nFrom: x@example.org\r\n\r\n");
		assert_int_equal(mailbox_read_cached(m, 0, STORE_ENVELOPE, &text), STORE_OK);
		assert_true(slice_search(text, SLICE("\"example.org\"")) > 0);
		assert_int_equal(mailbox_read_cached(m, 0, STORE_BODY, &text), STORE_OK);
		assert_true(slice_search(text, SLICE("\"text\"")) > 0);
		assert_int_equal(mailbox_read_cached(m, 0, STORE_BODYSTRUCTURE, &text), STORE_OK);
		mailbox_close(&m);
		m = open_box(w->store, "INBOX");
	}
	mailbox_plan_end(m);
	mailbox_close(&m);
}

static void pop3_lock_is_held_by_one(void **state)
{
	struct world *w = *state;
	struct store *other = open_store(w);

	assert_int_equal(store_pop3_lock(w->store), STORE_OK);
	assert_int_equal(store_pop3_lock(w->store), STORE_OK);
	assert_int_equal(store_pop3_lock(other), STORE_LOCKED);
	store_close(&w->store);
	assert_int_equal(store_pop3_lock(other), STORE_OK);
	store_close(&other);
	w->store = open_store(w);
}

/* A command that changes nothing itself may be the first to see new mail. */
static void new_mail_is_taken_over_whole_by_commands_that_change_nothing(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;
	struct mailbox *m;
	uint32_t first = 0, count;
	bool news;

	assert_int_equal(append(w->store, "INBOX", "Subject: a\r\n\r\n", FLAG_SEEN), 1);
	m = open_box(w->store, "INBOX");
	deliver(w, "Subject: b\n\nb\n");
	assert_int_equal(
		mailbox_store_flags(m, &first, 1, FLAGS_ADD, FLAG_SEEN, 0, 0, NULL), STORE_OK);
	deliver(w, "Subject: c\n\nc\n");
	assert_int_equal(mailbox_expunge(m, NULL, 0), STORE_OK);
	deliver(w, "Subject: d\n\nd\n");
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	mailbox_entries(m, &count);
	assert_int_equal(count, 4);
	assert_int_equal(store_status(w->store, SLICE("INBOX"), &counts), STORE_OK);
	assert_int_equal(counts.messages, 4);
	assert_int_equal(counts.uid_next, 5);
	assert_int_equal(append(w->store, "INBOX", "Subject: e\r\n\r\n", 0), 5);
	mailbox_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(first_open_makes_inbox),
		STORE_TEST(store_that_is_not_there_is_not_made_unless_asked),
		STORE_TEST(appended_message_comes_back_with_cr_lf),
		STORE_TEST(line_ends_split_over_pieces_are_kept_exactly),
		STORE_TEST(delivered_message_appears_with_a_uid),
		STORE_TEST(flags_are_seen_by_the_other_session_and_in_the_file_name),
		STORE_TEST(expunged_message_keeps_its_number_until_forgotten),
		STORE_TEST(conflict_is_told_when_somebody_was_faster),
		STORE_TEST(copies_have_flags_keywords_and_new_uids),
		STORE_TEST(moved_messages_leave_the_source),
		STORE_TEST(several_appended_messages_come_all_or_none),
		STORE_TEST(only_the_first_session_sees_recent),
		STORE_TEST(new_mail_is_taken_over_whole_by_commands_that_change_nothing),
		STORE_TEST(cache_answers_the_same_as_the_file),
		STORE_TEST(pop3_lock_is_held_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
