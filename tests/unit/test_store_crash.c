// SPDX-License-Identifier: ISC
/*
 * Every system call is made to fail in turn, once alone and once with all that follow it, as if the process had died there. What was
 * answered with STORE_OK must be there afterwards, and what was there before must not be lost; then the same without the index.
 */
#include <errno.h>

#include <sqlite3.h>

#define STORE_TEST_IN_MEMORY true
#include "store_helper.h"

static long fail_at, calls;
static bool fail_all;

static int fault(enum os_call call, const char *path)
{
	long n = calls++;

	return n == fail_at || (fail_all && n > fail_at) ? EIO : 0;
}

/* What the mailbox holds, by the first byte of each message's body: 0 absent, else 1 + flags. */
struct contents {
	unsigned char state[128];
	uint32_t uid[128], validity, messages;
};

static void look(struct world *w, const char *name, struct contents *c)
{
	struct mailbox *m;
	struct slice text;
	uint32_t count;
	struct mailbox_counts counts;
	enum store_status status;

	memset(c, 0, sizeof(*c));
	status = mailbox_open(w->store, slice_from(name), true, &m);
	if (status == STORE_NONE)
		return;
	assert_int_equal(status, STORE_OK);
	mailbox_entries(m, &count);
	for (uint32_t i = 0; i < count; i++) {
		const struct message_entry *entry = &mailbox_entries(m, &count)[i];
		unsigned char key;

		assert_int_equal(mailbox_read(m, i, &text), STORE_OK);
		assert_int_equal(text.length, entry->size);
		assert_int_equal(text.length, 3);
		key = (unsigned char)text.data[0] & 127;
		assert_int_equal(c->state[key], 0);
		c->state[key] = 1 + entry->flags;
		c->uid[key] = entry->uid;
		assert_true(i == 0 || mailbox_entries(m, &count)[i - 1].uid < entry->uid);
	}
	mailbox_counts(m, &counts);
	c->validity = counts.uid_validity;
	c->messages = count;
	mailbox_close(&m);
	/* The row's counters say the same as the rows. */
	struct mailbox_counts row;

	assert_int_equal(store_status(w->store, slice_from(name), &row), STORE_OK);
	assert_int_equal(row.messages, counts.messages);
	assert_int_equal(row.unseen, counts.unseen);
	assert_int_equal(row.deleted, counts.deleted);
	assert_int_equal(row.size, counts.size);
}

struct operation {
	const char *name;
	enum store_status (*run)(struct world *w);
	/* Given the answer, is that what the mailboxes may hold? */
	void (*check)(bool ok, const struct contents *inbox, const struct contents *box);
};

static enum store_status run_append(struct world *w)
{
	struct store_append *append;
	uint32_t validity;
	enum store_status status = store_append_begin(w->store, SLICE("INBOX"), &append);

	if (status != STORE_OK)
		return status;
	for (char c = 'x'; c <= 'z'; c++) {
		char text[] = { c, '\r', '\n', '\0' };

		(void)!store_append_message(append, FLAG_SEEN, NULL, 0, 1, 3);
		(void)!store_append_data(append, slice_from(text));
	}
	return store_append_commit(&append, &validity, NULL);
}

static void check_append(bool ok, const struct contents *inbox, const struct contents *box)
{
	for (char c = 'x'; c <= 'z'; c++) {
		if (ok)
			assert_int_equal(inbox->state[(int)c], 1 + FLAG_SEEN);
		else if (!fail_all)
			assert_int_equal(inbox->state[(int)c], 0);
	}
}

static enum store_status with_inbox(
	struct world *w, enum store_status (*run)(struct mailbox *m, const uint32_t *indexes))
{
	static const uint32_t INDEXES[] = { 0, 1 };
	struct mailbox *m;
	enum store_status status = mailbox_open(w->store, SLICE("INBOX"), false, &m);

	if (status != STORE_OK)
		return status;
	status = run(m, INDEXES);
	mailbox_close(&m);
	return status;
}

static enum store_status flags_of(struct mailbox *m, const uint32_t *indexes)
{
	return mailbox_store_flags(m, indexes, 2, FLAGS_REPLACE, FLAG_FLAGGED, 0, 0, NULL);
}

static enum store_status run_flags(struct world *w)
{
	return with_inbox(w, flags_of);
}

static void check_flags(bool ok, const struct contents *inbox, const struct contents *box)
{
	for (char c = 'a'; c <= 'b'; c++) {
		if (ok)
			assert_int_equal(inbox->state[(int)c], 1 + FLAG_FLAGGED);
		else
			assert_true(inbox->state[(int)c] == 1 + FLAG_FLAGGED ||
				    inbox->state[(int)c] == 1 + FLAG_DELETED);
	}
}

static enum store_status expunge_of(struct mailbox *m, const uint32_t *indexes)
{
	return mailbox_expunge(m, NULL, 0);
}

static enum store_status run_expunge(struct world *w)
{
	return with_inbox(w, expunge_of);
}

static void check_expunge(bool ok, const struct contents *inbox, const struct contents *box)
{
	for (char c = 'a'; c <= 'b'; c++)
		assert_int_equal(inbox->state[(int)c], ok ? 0 : 1 + FLAG_DELETED);
}

static enum store_status copy_of(struct mailbox *m, const uint32_t *indexes)
{
	uint32_t validity;

	return mailbox_copy(m, indexes, 2, SLICE("Box"), false, &validity, NULL);
}

static enum store_status run_copy(struct world *w)
{
	return with_inbox(w, copy_of);
}

static void check_copy(bool ok, const struct contents *inbox, const struct contents *box)
{
	for (char c = 'a'; c <= 'b'; c++) {
		assert_int_equal(inbox->state[(int)c], 1 + FLAG_DELETED);
		if (ok)
			assert_int_equal(box->state[(int)c], 1 + FLAG_DELETED);
		else if (!fail_all)
			assert_int_equal(box->state[(int)c], 0);
	}
}

static enum store_status move_of(struct mailbox *m, const uint32_t *indexes)
{
	uint32_t validity;

	return mailbox_copy(m, indexes, 2, SLICE("Box"), true, &validity, NULL);
}

static enum store_status run_move(struct world *w)
{
	return with_inbox(w, move_of);
}

static void check_move(bool ok, const struct contents *inbox, const struct contents *box)
{
	for (char c = 'a'; c <= 'b'; c++) {
		int here = inbox->state[(int)c] == 1 + FLAG_DELETED;
		int there = box->state[(int)c] == 1 + FLAG_DELETED;

		assert_int_equal(here + there, 1);
		if (ok)
			assert_true(there);
		else if (!fail_all)
			assert_true(here);
	}
}

static enum store_status run_deliver(struct world *w)
{
	struct delivery_source source = { .size = 2, .lines = 1 };
	struct store_delivery delivery = { .folder = "user", .source = &source };
	char path[128];
	int top = open(w->top, O_RDONLY | O_DIRECTORY);

	snprintf(path, sizeof(path), "%s/source", w->top);
	source.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(source.fd, "x\n", 2), 2);
	store_deliver(top, &delivery, 1);
	close(source.fd);
	close(top);
	return delivery.status;
}

static void check_deliver(bool ok, const struct contents *inbox, const struct contents *box)
{
	if (ok || !fail_all)
		assert_int_equal(inbox->state['x'], ok);
}

static enum store_status run_rename(struct world *w)
{
	return store_rename(w->store, SLICE("Box"), SLICE("New"));
}

static enum store_status run_rename_inbox(struct world *w)
{
	return store_rename(w->store, SLICE("INBOX"), SLICE("New"));
}

static enum store_status run_create(struct world *w)
{
	return store_create(w->store, SLICE("New"), SLICE("\\Junk"));
}

static void check_nothing(bool ok, const struct contents *inbox, const struct contents *box)
{
}

static const struct operation OPERATIONS[] = { { "append", run_append, check_append },
	{ "flags", run_flags, check_flags }, { "expunge", run_expunge, check_expunge },
	{ "copy", run_copy, check_copy }, { "move", run_move, check_move },
	{ "deliver", run_deliver, check_deliver }, { "rename", run_rename, check_nothing },
	{ "rename inbox", run_rename_inbox, check_nothing },
	{ "create", run_create, check_nothing } };

/* Whatever happened: the five messages of before are in one of the mailboxes, each once, or were expunged with an OK. */
static void check_all_there(const struct operation *o, bool ok, const struct contents *inbox,
	const struct contents *box, const struct contents *new)
{
	for (char c = 'a'; c <= 'e'; c++) {
		int places = (inbox->state[(int)c] != 0) + (box->state[(int)c] != 0) +
			     (new->state[(int)c] != 0);

		if (o->run == run_expunge && ok && c <= 'b')
			assert_int_equal(places, 0);
		else if (o->run == run_copy && c <= 'b')
			assert_true(places >= 1);
		else
			assert_int_equal(places, 1);
	}
}

/* A mailbox's messages are the same by UID as before, for those that stayed where they were. */
static void check_same_uids(const struct contents *before, const struct contents *after)
{
	if (!before->validity || !after->validity || before->validity != after->validity)
		return;
	for (int c = 0; c < 128; c++) {
		if (before->state[c] && after->state[c])
			assert_int_equal(before->uid[c], after->uid[c]);
	}
}

static void fill(struct world *w)
{
	store_create(w->store, SLICE("Box"), SLICE(""));
	append(w->store, "INBOX", "a\r\n", FLAG_DELETED);
	append(w->store, "INBOX", "b\r\n", FLAG_DELETED);
	append(w->store, "INBOX", "c\r\n", FLAG_SEEN);
	append(w->store, "Box", "d\r\n", FLAG_ANSWERED);
	append(w->store, "Box", "e\r\n", 0);
}

static int64_t later(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + 5000000;
}

static void look_at_all(struct world *w, struct contents found[3])
{
	look(w, "INBOX", &found[0]);
	look(w, "Box", &found[1]);
	look(w, "New", &found[2]);
}

/* One round; false when the operation ended before the fault came. */
static bool round_of(const struct operation *o, long at, bool all)
{
	struct contents before[3], after[3], rebuilt[3];
	struct world *w;
	void *state;
	bool ok, hit;
	unsigned boxes, messages;

	assert_int_equal(world_make(&state), 0);
	w = state;
	fill(w);
	look_at_all(w, before);
	fail_at = at;
	fail_all = all;
	calls = 0;
	os_fault_hook = fault;
	ok = o->run(w) == STORE_OK;
	if (all)
		store_close(&w->store);
	os_fault_hook = NULL;
	hit = calls > at;
	store_close(&w->store);
	w->store = open_store(w);
	/* All this goes so fast that mtimes are the same; a little later folders that were young are looked through. */
	os_clock_hook = later;
	look_at_all(w, after);
	os_clock_hook = NULL;
	o->check(ok, &after[0], &after[1]);
	check_all_there(o, ok, &after[0], &after[1], &after[2]);
	check_same_uids(&before[0], &after[0]);
	check_same_uids(&before[1], &after[1]);
	store_close(&w->store);
	assert_int_equal(store_rebuild(w->folder, &boxes, &messages), STORE_OK);
	w->store = open_store(w);
	look_at_all(w, rebuilt);
	assert_memory_equal(after, rebuilt, sizeof(after));
	world_end(&state);
	return hit;
}

static void nothing_acknowledged_is_lost_whatever_call_fails(void **state)
{
	for (size_t i = 0; i < sizeof(OPERATIONS) / sizeof(OPERATIONS[0]); i++) {
		long rounds = 0;

		for (int all = 0; all < 2; all++) {
			for (long at = 0; round_of(&OPERATIONS[i], at, all); at++)
				rounds++;
		}
		print_message("%s: %ld calls\n", OPERATIONS[i].name, rounds / 2);
		assert_true(rounds > 10);
	}
}

/* SQLite's own writes: the disk is full, or broken, at each of them in turn. */
static ssize_t failing_pwrite(int fd, const void *data, size_t length, off_t at)
{
	if (calls++ >= fail_at) {
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, data, length, at);
}

static bool round_of_full_disk(const struct operation *o, long at)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	struct contents before[3], after[3];
	struct world *w;
	void *state;
	bool ok;

	assert_int_equal(world_make(&state), 0);
	w = state;
	fill(w);
	look_at_all(w, before);
	fail_at = at;
	fail_all = false;
	calls = 0;
	assert_int_equal(
		vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)failing_pwrite), SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)failing_pwrite),
		SQLITE_OK);
	ok = o->run(w) == STORE_OK;
	vfs->xSetSystemCall(vfs, "pwrite", NULL);
	vfs->xSetSystemCall(vfs, "pwrite64", NULL);
	/* All this goes so fast that mtimes are the same; a little later folders that were young are looked through. */
	os_clock_hook = later;
	look_at_all(w, after);
	os_clock_hook = NULL;
	o->check(ok, &after[0], &after[1]);
	check_all_there(o, ok, &after[0], &after[1], &after[2]);
	check_same_uids(&before[0], &after[0]);
	world_end(&state);
	return calls > at;
}

static void nothing_acknowledged_is_lost_when_the_disk_is_full(void **state)
{
	for (size_t i = 0; i < sizeof(OPERATIONS) / sizeof(OPERATIONS[0]); i++) {
		long at = 0;

		while (round_of_full_disk(&OPERATIONS[i], at))
			at++;
		print_message("%s: %ld writes\n", OPERATIONS[i].name, at);
		assert_true(at > 0 || OPERATIONS[i].run == run_deliver);
	}
}

static void damaged_database_is_set_aside_and_made_anew(void **state)
{
	struct world *w = *state;
	struct contents before, after;
	char found[256];
	int fd;

	fill(w);
	look(w, "INBOX", &before);
	store_close(&w->store);
	fd = openat(w->dir, "postern.db", O_WRONLY);
	for (int i = 0; i < 40; i++)
		assert_int_equal(pwrite(fd, "garbage garbage garbage", 23, 100 * i), 23);
	close(fd);
	assert_int_equal(store_open(w->folder, true, 0, &w->store), STORE_OK);
	assert_non_null(strstr(store_error(w->store), "made anew"));
	look(w, "INBOX", &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(find_files(w, ".", "damaged", found) == 1);
}

static void damage_found_in_the_middle_ends_that_session_only(void **state)
{
	struct world *w = *state;
	struct contents after;
	struct mailbox_counts counts;
	struct store *other = open_store(w);
	enum store_status status;
	char page[4096];
	int fd;

	fill(w);
	for (int i = 0; i < 300; i++)
		append(w->store, "INBOX", "z\r\n", 0);
	store_close(&other);
	store_close(&w->store);
	/* Page 1, with the schema, stays good: only reading messages shows the damage. */
	memset(page, 0xa5, sizeof(page));
	fd = openat(w->dir, "postern.db", O_WRONLY);
	for (off_t at = 4096; at < lseek(fd, 0, SEEK_END); at += 4096)
		assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
	close(fd);
	assert_int_equal(store_open(w->folder, true, 0, &w->store), STORE_OK);
	status = store_create(w->store, SLICE("More"), SLICE(""));
	assert_int_equal(status, STORE_TEMPORARY);
	store_close(&w->store);
	w->store = open_store(w);
	assert_int_equal(store_status(w->store, SLICE("INBOX"), &counts), STORE_OK);
	assert_int_equal(counts.messages, 303);
	look(w, "Box", &after);
	assert_int_equal(after.messages, 2);
}

static void rebuild_keeps_uids_flags_and_the_next_uid(void **state)
{
	struct world *w = *state;
	struct mailbox_counts before, after;
	struct contents a, b;
	struct mailbox *m;
	uint32_t last = 2;
	unsigned boxes, messages;

	fill(w);
	m = open_box(w->store, "INBOX");
	assert_int_equal(mailbox_remove(m, &last, 1), STORE_OK);
	mailbox_close(&m);
	look(w, "INBOX", &a);
	store_status(w->store, SLICE("INBOX"), &before);
	store_close(&w->store);
	assert_int_equal(store_rebuild(w->folder, &boxes, &messages), STORE_OK);
	assert_int_equal(boxes, 2);
	assert_int_equal(messages, 4);
	w->store = open_store(w);
	look(w, "INBOX", &b);
	assert_memory_equal(&a, &b, sizeof(a));
	store_status(w->store, SLICE("INBOX"), &after);
	assert_true(after.uid_next >= before.uid_next);
	assert_true(append(w->store, "INBOX", "q\r\n", 0) >= before.uid_next);
}

static void count_line(void *context, const char *text)
{
	++*(int *)context;
}

static void check_finds_and_mends_what_is_wrong(void **state)
{
	struct world *w = *state;
	struct store_check_result result;
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct mailbox_counts counts;
	sqlite3 *db;
	char path[200];
	int lines = 0;

	fill(w);
	assert_int_equal(store_check(w->folder, count_line, &lines, &result), STORE_OK);
	assert_int_equal(result.mailboxes, 2);
	assert_int_equal(result.messages, 5);
	assert_int_equal(lines, 0);
	snprintf(path, sizeof(path), "%s/postern.db", w->folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "UPDATE mailbox SET messages=9, size=1 WHERE name='INBOX'", NULL,
			NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	mkdirat(w->dir, "..postern-trashed-1", 0700);
	write_file(w, "tmp/young", "x");
	write_file(w, "tmp/old", "x");
	assert_int_equal(utimensat(w->dir, "tmp/old", old, 0), 0);
	assert_int_equal(store_check(w->folder, count_line, &lines, &result), STORE_OK);
	assert_int_equal(lines, 1);
	assert_int_equal(result.faults, 1);
	/* Its ctime is young: whoever copies an old message sets the mtime, too. */
	assert_int_equal(result.leftovers, 1);
	assert_true(exists(w, "tmp/old") && exists(w, "tmp/young"));
	assert_false(exists(w, "..postern-trashed-1"));
	store_status(w->store, SLICE("INBOX"), &counts);
	assert_int_equal(counts.messages, 3);
	assert_int_equal(counts.size, 9);
}

static void row_that_lags_behind_its_messages_is_mended(void **state)
{
	struct world *w = *state;
	struct mailbox_counts counts;
	sqlite3 *db;
	char path[200];

	fill(w);
	snprintf(path, sizeof(path), "%s/postern.db", w->folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				 "UPDATE mailbox SET uid_next=uid_next-1, messages=messages-1 "
				 "WHERE name='INBOX'",
				 NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	deliver(w, "Subject: x\n\n");
	assert_int_equal(store_status(w->store, SLICE("INBOX"), &counts), STORE_OK);
	assert_int_equal(counts.messages, 4);
}

static void session_whose_index_was_replaced_is_told_to_go(void **state)
{
	struct world *w = *state;
	struct mailbox *m;
	uint32_t index = 0;
	unsigned boxes, messages;

	fill(w);
	m = open_box(w->store, "INBOX");
	assert_int_equal(store_rebuild(w->folder, &boxes, &messages), STORE_OK);
	assert_int_equal(mailbox_store_flags(m, &index, 1, FLAGS_ADD, FLAG_SEEN, 0, 0, NULL),
		STORE_TEMPORARY);
	assert_int_equal(append(w->store, "INBOX", "q\r\n", 0), 0);
	mailbox_close(&m);
}

static void acknowledged_flags_survive_renames_that_were_lost(void **state)
{
	struct world *w = *state;
	struct contents after;
	struct timespec times[2];
	struct stat info;
	char found[256], from[300], to[300];

	fill(w);
	fstatat(w->dir, "cur", &info, 0);
	assert_int_equal(run_flags(w), STORE_OK);
	/* The crash: the folder is what it was on disk, the database was synced. */
	for (int uid = 1; uid <= 2; uid++) {
		char end[20];

		snprintf(end, sizeof(end), "U=%d:2,F", uid);
		assert_int_equal(find_files(w, "cur", end, found), 1);
		snprintf(from, sizeof(from), "cur/%s", found);
		snprintf(to, sizeof(to), "cur/%.*sT", (int)strlen(found) - 1, found);
		assert_int_equal(renameat(w->dir, from, w->dir, to), 0);
	}
	times[0] = info.st_atim;
	times[1] = info.st_mtim;
	assert_int_equal(utimensat(w->dir, "cur", times, 0), 0);
	look(w, "INBOX", &after);
	check_flags(true, &after, NULL);
	assert_int_equal(files_ending(w, "cur", ":2,F"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost_whatever_call_fails),
		cmocka_unit_test(nothing_acknowledged_is_lost_when_the_disk_is_full),
		STORE_TEST(damaged_database_is_set_aside_and_made_anew),
		STORE_TEST(damage_found_in_the_middle_ends_that_session_only),
		STORE_TEST(rebuild_keeps_uids_flags_and_the_next_uid),
		STORE_TEST(check_finds_and_mends_what_is_wrong),
		STORE_TEST(row_that_lags_behind_its_messages_is_mended),
		STORE_TEST(session_whose_index_was_replaced_is_told_to_go),
		STORE_TEST(acknowledged_flags_survive_renames_that_were_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
