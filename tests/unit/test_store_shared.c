// SPDX-License-Identifier: ISC
/*
 * Many processes on one user's store: sessions that append, change flags, copy and expunge, deliveries, and kill -9 in the middle of
 * it. Each process writes down what was answered with STORE_OK; the parent compares.
 */
#include <signal.h>
#include <sys/wait.h>

#include "store_helper.h"

enum { WORKERS = 8, PER_WORKER = 30, KILL_ROUNDS = 12 };

/* What a worker was told, sent through a pipe as it happens: nothing of it may be lost. */
struct told {
	char what; /* a appended, d delivered, f flagged, x expunged */
	uint32_t worker, number, uid;
};

static void tell(int fd, char what, uint32_t worker, uint32_t number, uint32_t uid)
{
	struct told told = { what, worker, number, uid };

	if (write(fd, &told, sizeof(told)) != sizeof(told))
		_exit(9);
}

/* The body tells which message it is. */
static bool identify(struct slice text, uint32_t *worker, uint32_t *number)
{
	char copy[64];

	return slice_to_string(text, copy, sizeof(copy)) &&
	       sscanf(strstr(copy, "id ") ? strstr(copy, "id ") : "", "id %u %u", worker, number) ==
		       2;
}

static void change_own(struct mailbox *m, int out, uint32_t worker, uint32_t number, uint32_t uid)
{
	uint32_t count, index;
	bool news;

	if (mailbox_refresh(m, &news) != STORE_OK)
		_exit(3);
	index = mailbox_find_uid(m, uid);
	(void)mailbox_entries(m, &count);
	if (index >= count || mailbox_entries(m, &count)[index].uid != uid)
		_exit(4);
	if (mailbox_store_flags(m, &index, 1, FLAGS_ADD, number % 2 ? FLAG_FLAGGED : FLAG_DELETED,
		    0, 0, NULL) != STORE_OK)
		_exit(5);
	tell(out, 'f', worker, number, uid);
	if (number % 4 != 0)
		return;
	if (mailbox_expunge(m, &index, 1) != STORE_OK)
		_exit(6);
	tell(out, 'x', worker, number, uid);
	mailbox_forget_expunged(m, NULL, NULL);
}

static void work(struct world *w, int out, uint32_t worker)
{
	struct store *store;
	struct mailbox *m;
	char text[64];

	if (store_open(w->folder, true, 0, &store) != STORE_OK ||
		mailbox_open(store, SLICE("INBOX"), false, &m) != STORE_OK)
		_exit(2);
	for (uint32_t i = 0; i < PER_WORKER; i++) {
		uint32_t uid;

		if (i % 3 == 2) {
			snprintf(text, sizeof(text), "id %u %u\n", worker, i);
			if (deliver_as(w, text, 0, worker) != STORE_OK)
				_exit(8);
			tell(out, 'd', worker, i, 0);
			continue;
		}
		snprintf(text, sizeof(text), "id %u %u\r\n", worker, i);
		uid = append(store, "INBOX", text, 0);
		if (!uid) {
			fprintf(stderr, "append: %s\n", store_error(store));
			_exit(7);
		}
		tell(out, 'a', worker, i, uid);
		change_own(m, out, worker, i, uid);
	}
	mailbox_close(&m);
	store_close(&store);
	_exit(0);
}

struct known {
	bool appended, delivered, flagged, expunged, found;
	uint32_t uid;
};
static struct known known[WORKERS * KILL_ROUNDS][PER_WORKER];

static void read_told(int fd)
{
	struct told told;

	while (read(fd, &told, sizeof(told)) == sizeof(told)) {
		struct known *k = &known[told.worker][told.number];

		k->appended |= told.what == 'a';
		k->delivered |= told.what == 'd';
		k->flagged |= told.what == 'f';
		k->expunged |= told.what == 'x';
		if (told.uid)
			k->uid = told.uid;
	}
}

/* Everything that was acknowledged is so; UIDs are those that were told and no UID was told twice. */
static void verify(struct world *w, bool killed)
{
	struct store *store = open_store(w);
	struct mailbox *m = open_box(store, "INBOX");
	struct mailbox_counts row, view;
	uint32_t count, worker, number;
	static bool uid_told[100000];
	struct slice text;

	for (size_t i = 0; i < WORKERS * KILL_ROUNDS; i++) {
		for (size_t k = 0; k < PER_WORKER; k++)
			known[i][k].found = false;
	}
	(void)mailbox_entries(m, &count);
	for (uint32_t i = 0; i < count; i++) {
		const struct message_entry *entry = &mailbox_entries(m, &count)[i];
		struct known *k;

		assert_int_equal(mailbox_read(m, i, &text), STORE_OK);
		assert_int_equal(text.length, entry->size);
		assert_true(identify(text, &worker, &number));
		k = &known[worker][number];
		assert_false(k->found);
		assert_false(k->expunged);
		k->found = true;
		if (k->appended)
			assert_int_equal(k->uid, entry->uid);
		if (k->flagged)
			assert_true(entry->flags & (number % 2 ? FLAG_FLAGGED : FLAG_DELETED));
		else if (!killed)
			assert_int_equal(entry->flags, 0);
	}
	memset(uid_told, 0, sizeof(uid_told));
	for (size_t i = 0; i < WORKERS * KILL_ROUNDS; i++) {
		for (size_t k = 0; k < PER_WORKER; k++) {
			const struct known *one = &known[i][k];

			/* Killed between the removal and the word of it: then it may be gone. */
			if ((one->appended || one->delivered) && !one->expunged &&
				!(killed && one->flagged && k % 4 == 0))
				assert_true(one->found);
			if (!one->uid)
				continue;
			assert_false(uid_told[one->uid]);
			uid_told[one->uid] = true;
		}
	}
	mailbox_counts(m, &view);
	assert_int_equal(store_status(store, SLICE("INBOX"), &row), STORE_OK);
	assert_int_equal(row.messages, view.messages);
	assert_int_equal(row.unseen, view.unseen);
	assert_int_equal(row.deleted, view.deleted);
	assert_int_equal(row.size, view.size);
	mailbox_close(&m);
	store_close(&store);
}

static void start(struct world *w, pid_t *children, int out, uint32_t first)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			alarm(60);
			work(w, out, first + i);
		}
	}
}

static void processes_share_a_store_without_losing_anything(void **state)
{
	struct world *w = *state;
	pid_t children[WORKERS];
	int pipes[2], status;

	memset(known, 0, sizeof(known));
	store_close(&w->store);
	assert_int_equal(pipe(pipes), 0);
	fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
	start(w, children, pipes[1], 0);
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	close(pipes[1]);
	read_told(pipes[0]);
	close(pipes[0]);
	verify(w, false);
	for (int i = 0; i < WORKERS; i++)
		assert_true(known[i][0].expunged && known[i][1].flagged && known[i][2].delivered);
}

static void killed_processes_leave_nothing_half_done(void **state)
{
	struct world *w = *state;
	pid_t children[WORKERS];
	unsigned boxes, messages;
	uint16_t pause;
	int pipes[2], status;

	memset(known, 0, sizeof(known));
	store_close(&w->store);
	for (uint32_t round = 0; round < KILL_ROUNDS; round++) {
		assert_int_equal(pipe(pipes), 0);
		fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
		start(w, children, pipes[1], round * WORKERS);
		os_random(&pause, sizeof(pause));
		usleep(10000 + pause % 60000);
		for (int i = 0; i < WORKERS; i++)
			kill(children[i], SIGKILL);
		for (int i = 0; i < WORKERS; i++)
			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		close(pipes[1]);
		read_told(pipes[0]);
		close(pipes[0]);
		verify(w, true);
	}
	assert_int_equal(store_rebuild(w->folder, &boxes, &messages), STORE_OK);
	verify(w, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(processes_share_a_store_without_losing_anything),
		STORE_TEST(killed_processes_leave_nothing_half_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
