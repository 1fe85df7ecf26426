// SPDX-License-Identifier: ISC
/*
 * A disk filled to the last byte: what is there can be read, and deleted. Each test has a small file system in memory of its own, which
 * only root can make.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "store_helper.h"

enum { DISK = 2 << 20, MESSAGES = 20, MESSAGE = 20000 };

static char *message_text(void)
{
	char *text = calloc(1, MESSAGE + 64);
	int at = snprintf(text, 64, "Subject: large\n\n");

	memset(text + at, 'x', MESSAGE);
	text[at + MESSAGE] = '\n';
	return text;
}

static int disk_make(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char options[40], *text = message_text();

	*state = w;
	snprintf(w->top, sizeof(w->top), "/tmp/store-full-XXXXXX");
	if (!mkdtemp(w->top))
		return -1;
	snprintf(options, sizeof(options), "size=%d", DISK);
	snprintf(w->folder, sizeof(w->folder), "%s/user", w->top);
	w->dir = -1;
	if (mount("tmpfs", w->top, "tmpfs", 0, options) == 0) {
		w->store = open_store(w);
		w->dir = open(w->folder, O_RDONLY | O_DIRECTORY);
		for (int i = 0; i < MESSAGES; i++)
			assert_int_not_equal(append(w->store, "INBOX", text, 0), 0);
		store_close(&w->store);
	}
	free(text);
	return 0;
}

static int disk_end(void **state)
{
	struct world *w = *state;

	store_close(&w->store);
	if (w->dir >= 0)
		close(w->dir);
	umount2(w->top, MNT_DETACH);
	rmdir(w->top);
	free(w);
	return 0;
}

/* To the last byte; false without the right to mount. */
static bool fill(struct world *w)
{
	static const char block[4096] = "x";
	int fd;

	if (w->dir < 0)
		return false;
	fd = openat(w->dir, "../filler", O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	while (write(fd, block, 1) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
	return true;
}

static uint32_t count_of(struct mailbox *m)
{
	uint32_t count;

	mailbox_entries(m, &count);
	return count;
}

/* \Deleted on all, and out; each as a command of its own. */
static void delete_all(struct mailbox *m)
{
	uint32_t indexes[MESSAGES + 2], count = count_of(m);

	for (uint32_t i = 0; i < count; i++)
		indexes[i] = i;
	assert_int_equal(
		mailbox_store_flags(m, indexes, count, FLAGS_ADD, FLAG_DELETED, 0, 0, NULL),
		STORE_OK);
	assert_int_equal(mailbox_expunge(m, NULL, 0), STORE_OK);
	mailbox_forget_expunged(m, NULL, NULL);
	assert_int_equal(count_of(m), 0);
}

static void expect_empty(struct world *w)
{
	struct mailbox *m;

	store_close(&w->store);
	w->store = open_store(w);
	m = open_box(w->store, "INBOX");
	assert_int_equal(count_of(m), 0);
	assert_int_equal(files_ending(w, "cur", ""), 0);
	mailbox_close(&m);
}

static void a_full_disk_can_be_read_and_emptied(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	struct slice text;

	if (!fill(w))
		skip();
	w->store = open_store(w);
	m = open_box(w->store, "INBOX");
	assert_int_equal(count_of(m), MESSAGES);
	assert_int_equal(mailbox_read_cached(m, 3, STORE_ENVELOPE, &text), STORE_OK);
	mailbox_plan_end(m);
	delete_all(m);
	mailbox_close(&m);
	expect_empty(w);
	assert_true(exists(w, "postern.reserve"));
}

/* INBOX, with the disk full and the room that was held back gone, too. */
static struct mailbox *open_without_room(struct world *w)
{
	struct mailbox *m;

	if (w->dir < 0)
		skip();
	w->store = open_store(w);
	m = open_box(w->store, "INBOX");
	unlinkat(w->dir, "postern.reserve", 0);
	fill(w);
	return m;
}

/* Somebody else took the room that was given up: nothing can be written down, and still messages can be removed. */
static void without_any_room_names_and_files_tell(void **state)
{
	struct world *w = *state;
	struct mailbox *m;

	m = open_without_room(w);
	uint32_t index = 5;
	enum store_status status =
		mailbox_store_flags(m, &index, 1, FLAGS_ADD, FLAG_FLAGGED, 0, 0, NULL);

	assert_int_equal(status, STORE_OK);
	assert_int_equal(mailbox_entries(m, &index)[5].flags, FLAG_FLAGGED);
	assert_int_equal(files_ending(w, "cur", ":2,F"), 1);
	delete_all(m);
	mailbox_close(&m);
	expect_empty(w);
}

static void flags_in_names_alone_outlive_the_session(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t index = 5, count;

	m = open_without_room(w);
	assert_int_equal(
		mailbox_store_flags(m, &index, 1, FLAGS_ADD, FLAG_FLAGGED, 0, 0, NULL), STORE_OK);
	bool news;

	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	assert_int_equal(mailbox_entries(m, &count)[5].flags, FLAG_FLAGGED);
	unlinkat(w->dir, "../filler", 0);
	mailbox_close(&m);
	store_close(&w->store);
	w->store = open_store(w);
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_entries(m, &count)[5].flags, FLAG_FLAGGED);
	mailbox_close(&m);
}

static void new_mail_is_shown_when_its_uid_can_be_kept(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t count;
	bool news;

	if (w->dir < 0)
		skip();
	write_file(w, "new/1.M1.there", "Subject: new\n\nnew\n");
	fill(w);
	w->store = open_store(w);
	m = open_box(w->store, "INBOX");
	/* The room held back sufficed. */
	assert_int_equal(count_of(m), MESSAGES + 1);
	assert_int_equal(mailbox_entries(m, &count)[MESSAGES].uid, MESSAGES + 1);
	unlinkat(w->dir, "../filler", 0);
	write_file(w, "new/2.M1.there", "Subject: new\n\nnew\n");
	unlinkat(w->dir, "postern.reserve", 0);
	fill(w);
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	uint32_t seen = count_of(m);

	assert_true(seen == MESSAGES + 1 || seen == MESSAGES + 2);
	delete_all(m);
	assert_int_equal(mailbox_refresh(m, &news), STORE_OK);
	mailbox_forget_expunged(m, NULL, NULL);
	count = count_of(m);
	assert_int_equal(count, seen == MESSAGES + 1 ? 1 : 0);
	if (count)
		assert_int_equal(mailbox_entries(m, &count)[0].uid, MESSAGES + 2);
	mailbox_close(&m);
}

static void a_move_into_the_trash_works(void **state)
{
	struct world *w = *state;
	struct vector uids = vector_of(sizeof(uint32_t), 0);
	struct mailbox *m;
	uint32_t indexes[2] = { 0, 1 }, validity;

	if (w->dir < 0)
		skip();
	w->store = open_store(w);
	assert_int_equal(store_create(w->store, SLICE("Trash"), SLICE("")), STORE_OK);
	append(w->store, "Trash", "Subject: x\n\nx\n", 0);
	store_close(&w->store);
	fill(w);
	w->store = open_store(w);
	m = open_box(w->store, "INBOX");
	assert_int_equal(
		mailbox_copy(m, indexes, 2, SLICE("Trash"), true, &validity, &uids), STORE_OK);
	assert_int_equal(uids.count, 2);
	assert_int_equal(store_delete(w->store, SLICE("Trash")), STORE_OK);
	vector_free(&uids);
	mailbox_close(&m);
}

static void what_cannot_be_done_says_why(void **state)
{
	struct world *w = *state;
	char *text = message_text();

	if (!fill(w)) {
		free(text);
		skip();
	}
	w->store = open_store(w);
	/* Some may fit into the room held back. */
	for (unsigned i = 0; i < 10 && append(w->store, "INBOX", text, 0); i++)
		;
	assert_int_equal(append(w->store, "INBOX", text, 0), 0);
	assert_true(store_no_room(w->store));
	assert_non_null(strstr(store_error(w->store), "No space left"));
	free(text);
}

int main(void)
{
#define FULL_TEST(name) cmocka_unit_test_setup_teardown(name, disk_make, disk_end)
	const struct CMUnitTest tests[] = {
		FULL_TEST(a_full_disk_can_be_read_and_emptied),
		FULL_TEST(without_any_room_names_and_files_tell),
		FULL_TEST(flags_in_names_alone_outlive_the_session),
		FULL_TEST(new_mail_is_shown_when_its_uid_can_be_kept),
		FULL_TEST(a_move_into_the_trash_works),
		FULL_TEST(what_cannot_be_done_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
