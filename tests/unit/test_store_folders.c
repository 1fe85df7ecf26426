// SPDX-License-Identifier: ISC
/* The tree of mailboxes: names, list, create, delete, rename, subscriptions; quota. */
#include <errno.h>

#include "store_helper.h"

#include "store/internal.h"

static void names_that_cannot_be_mailboxes_are_refused(void **state)
{
	static const char *const BAD[] = { "", "/", "a/", "/a", "a//b", "..", "../x", "a/../b", ".",
		"a/.", "a\nb", "a\x7f", " a", "a ", "\xff", "a/\xc0\x80", "x/ /y" };
	struct world *w = *state;
	char deep[100], wide[400];

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_int_equal(
			store_create(w->store, slice_from(BAD[i]), SLICE("")), STORE_BAD_NAME);
	assert_int_equal(store_create(w->store, slice_of("a\0b", 3), SLICE("")), STORE_BAD_NAME);
	for (int i = 0; i < 21; i++)
		memcpy(deep + 2 * i, "a/", 2);
	assert_int_equal(store_create(w->store, slice_of(deep, 41), SLICE("")), STORE_BAD_NAME);
	memset(wide, 'x', sizeof(wide));
	assert_int_equal(store_create(w->store, slice_of(wide, 250), SLICE("")), STORE_BAD_NAME);
	assert_int_equal(store_create(w->store, slice_of(wide, 240), SLICE("")), STORE_OK);
}

static void names_on_disk_are_maildir_plus_plus(void **state)
{
	static const struct {
		const char *name, *folder;
	} NAMES[] = { { "Sent", ".Sent" }, { "A/B/C", ".A.B.C" },
		{ "Entw\xc3\xbcrfe", ".Entw&APw-rfe" }, { "R&D", ".R&-D" },
		{ "v1.0/x", ".v1&AC4-0.x" }, { "INBOX/Work", ".INBOX.Work" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", ".&ZeVnLA-" } };
	struct world *w = *state;
	char name[STORE_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		assert_int_equal(
			store_create(w->store, slice_from(NAMES[i].name), SLICE("")), STORE_OK);
		assert_true(exists(w, NAMES[i].folder));
		assert_true(store_name_from_folder(NAMES[i].folder, name, sizeof(name)));
		assert_string_equal(name, NAMES[i].name);
	}
	assert_int_equal(store_create(w->store, SLICE("inbox/Work"), SLICE("")), STORE_EXISTS);
	assert_false(store_name_from_folder(".INBOX", name, sizeof(name)));
	assert_false(store_name_from_folder("..x", name, sizeof(name)));
	assert_false(store_name_from_folder(".a..b", name, sizeof(name)));
	assert_false(store_name_from_folder(".&AGE-", name, sizeof(name)));
	assert_false(store_name_from_folder("cur", name, sizeof(name)));
}

/* "name flags" of each mailbox, one a line: e exists, s subscribed, c has children; then the special use. */
static void assert_list(struct store *store, const char *expected)
{
	struct vector infos = vector_of(sizeof(struct mailbox_info), 0);
	struct buffer text = { 0 };
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_int_equal(store_list(store, &arena, &infos), STORE_OK);
	for (size_t i = 0; i < infos.count; i++) {
		const struct mailbox_info *info = vector_at(&infos, i);

		buffer_printf(&text, "%.*s %s%s%s%.*s\n", SLICE_ARG(info->name),
			info->exists ? "e" : "-", info->subscribed ? "s" : "",
			info->has_children ? "c" : "", SLICE_ARG(info->special_use));
	}
	assert_string_equal(buffer_text(&text), expected);
	buffer_free(&text);
	vector_free(&infos);
	arena_free(&arena);
}

static void list_shows_children_parents_subscriptions_and_uses(void **state)
{
	struct world *w = *state;

	store_create(w->store, SLICE("A-b"), SLICE(""));
	store_create(w->store, SLICE("A/B"), SLICE(""));
	store_create(w->store, SLICE("Sent"), SLICE(""));
	store_create(w->store, SLICE("Papierkorb"), SLICE("\\Trash"));
	store_create(w->store, SLICE("Trash"), SLICE(""));
	store_subscribe(w->store, SLICE("Sent"), true);
	store_subscribe(w->store, SLICE("Gone"), true);
	store_subscribe(w->store, SLICE("inbox"), true);
	assert_list(w->store, "A -c\nA/B e\nA-b e\nGone -s\nINBOX es\nPapierkorb e\\Trash\nSent "
			      "es\\Sent\nTrash e\n");
	store_subscribe(w->store, SLICE("Gone"), false);
	store_subscribe(w->store, SLICE("Never"), false);
	store_delete(w->store, SLICE("A/B"));
	assert_list(w->store, "A-b e\nINBOX es\nPapierkorb e\\Trash\nSent es\\Sent\nTrash e\n");
}

static void subscriptions_of_dovecot_are_read_in_both_forms(void **state)
{
	struct world *w = *state;

	write_file(w, "subscriptions", "INBOX\nA.B\nEntw&APw-rfe\n../../etc\n");
	assert_list(w->store, "A/B -s\nEntw\xc3\xbcrfe -s\nINBOX es\n");
	write_file(w, "subscriptions", "V\t2\n\nINBOX\nA\tB\n");
	store_subscribe(w->store, SLICE("C/D"), true);
	assert_list(w->store, "A/B -s\nC/D -s\nINBOX es\n");
}

static void uid_validity_never_comes_back(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;
	uint32_t last = 0;

	for (int i = 0; i < 5; i++) {
		assert_int_equal(store_create(w->store, SLICE("Box"), SLICE("")), STORE_OK);
		append(w->store, "Box", "x\r\n", 0);
		assert_int_equal(store_status(w->store, SLICE("Box"), &counts), STORE_OK);
		assert_true(counts.uid_validity > last);
		assert_int_equal(counts.messages, 1);
		last = counts.uid_validity;
		assert_int_equal(store_delete(w->store, SLICE("Box")), STORE_OK);
		assert_int_equal(store_status(w->store, SLICE("Box"), &counts), STORE_NONE);
		if (i == 2) {
			unsigned boxes, messages;

			store_close(&w->store);
			assert_int_equal(store_rebuild(w->folder, &boxes, &messages), STORE_OK);
			w->store = open_store(w);
		}
	}
}

static void deleted_mailbox_is_gone_for_its_session(void **state)
{
	struct world *w = *state;
	struct store *other = open_store(w);
	struct mailbox *m;
	bool news;

	store_create(w->store, SLICE("Box"), SLICE(""));
	append(w->store, "Box", "x\r\n", 0);
	m = open_box(other, "Box");
	assert_int_equal(store_delete(w->store, SLICE("Box")), STORE_OK);
	assert_int_equal(mailbox_refresh(m, &news), STORE_NONE);
	store_create(w->store, SLICE("Box"), SLICE(""));
	assert_int_equal(mailbox_refresh(m, &news), STORE_NONE);
	mailbox_close(&m);
	store_close(&other);
	assert_int_equal(files_ending(w, ".", "trashed"), 0);
}

static void what_cannot_be_deleted_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(store_delete(w->store, SLICE("INBOX")), STORE_IN_USE);
	assert_int_equal(store_delete(w->store, SLICE("None")), STORE_NONE);
	assert_int_equal(store_delete(w->store, SLICE("../x")), STORE_NONE);
	store_create(w->store, SLICE("A/B"), SLICE(""));
	assert_int_equal(store_delete(w->store, SLICE("A")), STORE_IN_USE);
	assert_int_equal(store_create(w->store, SLICE("A"), SLICE("")), STORE_OK);
	assert_int_equal(store_delete(w->store, SLICE("A")), STORE_OK);
	assert_list(w->store, "A -c\nA/B e\nINBOX e\n");
}

static void rename_takes_children_uids_and_rows_along(void **state)
{
	struct world *w = *state;
	struct mailbox_counts before, after;

	store_create(w->store, SLICE("A"), SLICE(""));
	store_create(w->store, SLICE("A/B"), SLICE(""));
	store_create(w->store, SLICE("A-x"), SLICE(""));
	append(w->store, "A/B", "x\r\n", FLAG_SEEN);
	store_status(w->store, SLICE("A/B"), &before);
	assert_int_equal(store_rename(w->store, SLICE("A"), SLICE("A/C")), STORE_BAD_NAME);
	assert_int_equal(store_rename(w->store, SLICE("A"), SLICE("A-x")), STORE_EXISTS);
	assert_int_equal(store_rename(w->store, SLICE("None"), SLICE("X")), STORE_NONE);
	assert_int_equal(store_rename(w->store, SLICE("A"), SLICE("INBOX")), STORE_EXISTS);
	assert_int_equal(store_rename(w->store, SLICE("A"), SLICE("Z/Y")), STORE_OK);
	assert_list(w->store, "A-x e\nINBOX e\nZ -c\nZ/Y ec\nZ/Y/B e\n");
	store_status(w->store, SLICE("Z/Y/B"), &after);
	assert_int_equal(after.uid_validity, before.uid_validity);
	assert_int_equal(after.messages, 1);
	assert_int_equal(after.unseen, 0);
	/* A parent that is none itself. */
	assert_int_equal(store_rename(w->store, SLICE("Z"), SLICE("W")), STORE_OK);
	assert_list(w->store, "A-x e\nINBOX e\nW -c\nW/Y ec\nW/Y/B e\n");
}

static void rename_that_fails_half_way_is_undone(void **state)
{
	struct world *w = *state;

	store_create(w->store, SLICE("A"), SLICE(""));
	store_create(w->store, SLICE("A/B"), SLICE(""));
	store_create(w->store, SLICE("T/B"), SLICE(""));
	assert_int_equal(store_rename(w->store, SLICE("A"), SLICE("T")), STORE_EXISTS);
	assert_list(w->store, "A ec\nA/B e\nINBOX e\nT -c\nT/B e\n");
}

static void renamed_inbox_is_empty_and_still_there(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;
	uint32_t next;

	append(w->store, "INBOX", "x\r\n", FLAG_FLAGGED);
	append(w->store, "INBOX", "y\r\n", 0);
	store_create(w->store, SLICE("INBOX/Child"), SLICE(""));
	store_status(w->store, SLICE("INBOX"), &counts);
	next = counts.uid_next;
	assert_int_equal(store_rename(w->store, SLICE("inbox"), SLICE("Old")), STORE_OK);
	store_status(w->store, SLICE("INBOX"), &counts);
	assert_int_equal(counts.messages, 0);
	assert_int_equal(counts.uid_next, next);
	store_status(w->store, SLICE("Old"), &counts);
	assert_int_equal(counts.messages, 2);
	assert_list(w->store, "INBOX ec\nINBOX/Child e\nOld e\n");
	assert_int_equal(append(w->store, "INBOX", "z\r\n", 0), next);
}

static void full_mailbox_refuses_mail_until_there_is_room(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t all[] = { 0, 1 };

	store_close(&w->store);
	w->store = open_store_quota(w, 100);
	assert_int_equal(deliver_quota(w, "Subject: a\n\n0123456789\n", 100),
		STORE_OK); /* 41 with its prefix */
	assert_int_equal(deliver_quota(w, "Subject: a\n\n0123456789\n", 100), STORE_OK);
	assert_int_equal(deliver_quota(w, "Subject: a\n\n0123456789\n", 100), STORE_OVER_QUOTA);
	assert_int_equal(append(w->store, "INBOX", "0123456789012345678\r\n", 0), 0);
	assert_int_equal(files_ending(w, "new", ""), 2);
	assert_int_equal(files_ending(w, "tmp", ""), 0);
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_copy(m, all, 1, SLICE("INBOX"), false, &(uint32_t){ 0 }, NULL),
		STORE_OVER_QUOTA);
	assert_int_equal(mailbox_remove(m, all, 2), STORE_OK);
	mailbox_close(&m);
	assert_int_equal(deliver_quota(w, "Subject: a\n\n0123456789\n", 100), STORE_OK);
	/* Another limit: the file is counted anew. */
	assert_int_equal(deliver_quota(w, "Subject: a\n\n0123456789\n", 70), STORE_OVER_QUOTA);
	write_file(w, "maildirsize", "70S\ngarbage\n");
	assert_int_equal(deliver_quota(w, "x\n", 70), STORE_OK);
}

static void delivery_outside_of_the_mail_folder_is_refused(void **state)
{
	static const char *const BAD[] = { "", "/etc", "..", "a/../..", "a//b", "./a", "a/" };
	struct world *w = *state;
	struct delivery_source source = { .fd = -1 };

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]) - 1; i++) {
		struct store_delivery delivery = { .folder = BAD[i], .source = &source };

		store_deliver(w->dir, &delivery, 1);
		assert_int_equal(delivery.status, STORE_TEMPORARY);
	}
}

enum { TOGETHER = 5 };

static enum os_call failing;
static unsigned countdown;

static int fail_one(enum os_call call, const char *path)
{
	return call == failing && countdown-- == 0 ? EIO : 0;
}

/* Five messages of "x\n" at once, the last one for another user; the statuses are in `deliveries`. */
static void deliver_together(struct world *w, struct store_delivery *deliveries, int64_t quota)
{
	static struct delivery_source source = { .size = 2, .lines = 1 };
	char path[128];
	int top = open(w->top, O_RDONLY | O_DIRECTORY);

	snprintf(path, sizeof(path), "%s/source", w->top);
	source.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(source.fd, "x\n", 2), 2);
	for (unsigned i = 0; i < TOGETHER; i++)
		deliveries[i] =
			(struct store_delivery){ .folder = i == TOGETHER - 1 ? "other" : "user",
				.source = &source,
				.quota = quota };
	store_deliver(top, deliveries, TOGETHER);
	close(source.fd);
	close(top);
}

static unsigned files_in(struct world *w, const char *folder)
{
	char path[200];
	struct dirent *entry;
	unsigned count = 0;
	DIR *names;

	snprintf(path, sizeof(path), "%s/%s", w->top, folder);
	names = opendir(path);
	while (names && (entry = readdir(names)))
		count += entry->d_name[0] != '.';
	if (names)
		closedir(names);
	return count;
}

static char called[100];

/* Those calls whose order matters, a letter each. */
static int note_call(enum os_call call, const char *path)
{
	static const char LETTERS[OS_CALLS] = {
		[OS_COPY] = 'c', [OS_FSYNC] = 'f', [OS_WRITE_BACK] = 'w', [OS_RENAME] = 'r'
	};
	size_t length = strlen(called);

	if (LETTERS[call] && length < sizeof(called) - 1)
		called[length] = LETTERS[call];
	return 0;
}

/* One after the other, each file would cost a commit of the file system's journal of its own. */
static void a_batch_is_written_then_synced_at_a_time_then_named(void **state)
{
	struct world *w = *state;
	struct store_delivery deliveries[TOGETHER];

	deliver_together(w, deliveries, 0); /* makes the mailboxes */
	memset(called, 0, sizeof(called));
	os_fault_hook = note_call;
	deliver_together(w, deliveries, 0);
	os_fault_hook = NULL;
	assert_string_equal(called, "ccccc"
				    "fffff"
				    "wwwwwwwwww" /* begun, then awaited */
				    "rrrrr"
				    "ff");
}

static void one_failed_delivery_harms_no_other_of_its_batch(void **state)
{
	struct world *w = *state;
	struct store_delivery deliveries[TOGETHER];

	failing = OS_COPY;
	countdown = 2;
	os_fault_hook = fail_one;
	deliver_together(w, deliveries, 0);
	os_fault_hook = NULL;
	for (unsigned i = 0; i < TOGETHER; i++)
		assert_int_equal(deliveries[i].status, i == 2 ? STORE_TEMPORARY : STORE_OK);
	assert_int_equal(files_in(w, "user/new"), 3);
	assert_int_equal(files_in(w, "user/tmp"), 0);
	assert_int_equal(files_in(w, "other/new"), 1);
}

/* When new/ of one mailbox cannot be synced, nothing of it counts as delivered, and nothing is left that would come twice. */
static void a_mailbox_that_cannot_be_synced_fails_all_its_deliveries(void **state)
{
	struct world *w = *state;
	struct store_delivery deliveries[TOGETHER];

	deliver_together(w, deliveries, 0);
	failing = OS_FSYNC;
	countdown = TOGETHER;
	os_fault_hook = fail_one;
	deliver_together(w, deliveries, 0);
	os_fault_hook = NULL;
	for (unsigned i = 0; i < TOGETHER; i++)
		assert_int_equal(
			deliveries[i].status, i < TOGETHER - 1 ? STORE_TEMPORARY : STORE_OK);
	assert_int_equal(files_in(w, "user/new"), TOGETHER - 1);
	assert_int_equal(files_in(w, "other/new"), 2);
}

static void a_batch_is_measured_against_the_quota_together(void **state)
{
	struct world *w = *state;
	struct store_delivery deliveries[TOGETHER];

	deliver_together(w, deliveries, 5);
	for (unsigned i = 0; i < TOGETHER; i++)
		assert_int_equal(
			deliveries[i].status, i == 2 || i == 3 ? STORE_OVER_QUOTA : STORE_OK);
	assert_int_equal(files_in(w, "user/new"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(a_batch_is_written_then_synced_at_a_time_then_named),
		STORE_TEST(one_failed_delivery_harms_no_other_of_its_batch),
		STORE_TEST(a_mailbox_that_cannot_be_synced_fails_all_its_deliveries),
		STORE_TEST(a_batch_is_measured_against_the_quota_together),
		STORE_TEST(names_that_cannot_be_mailboxes_are_refused),
		STORE_TEST(names_on_disk_are_maildir_plus_plus),
		STORE_TEST(list_shows_children_parents_subscriptions_and_uses),
		STORE_TEST(subscriptions_of_dovecot_are_read_in_both_forms),
		STORE_TEST(uid_validity_never_comes_back),
		STORE_TEST(deleted_mailbox_is_gone_for_its_session),
		STORE_TEST(what_cannot_be_deleted_is_refused),
		STORE_TEST(rename_takes_children_uids_and_rows_along),
		STORE_TEST(rename_that_fails_half_way_is_undone),
		STORE_TEST(renamed_inbox_is_empty_and_still_there),
		STORE_TEST(full_mailbox_refuses_mail_until_there_is_room),
		STORE_TEST(delivery_outside_of_the_mail_folder_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
