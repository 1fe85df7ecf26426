// SPDX-License-Identifier: ISC
/* How the queue manager learns of messages, and what it does not take: real queue files, cleanup's end of the connection is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"
#include "qmgr/qmgr.h"

enum { LARGE = 8 << 20 /* bytes of content */, MANY = 16 };

struct fixture {
	char path[64];
	struct qmgr q;
	int cleanup; /* its end */
};

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static void ask_nobody(struct deferred *deferred)
{
}

static void retire(struct deferred *deferred)
{
	mail_retire_some(deferred->context);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[200];
	int ends[2];

	snprintf(f->path, sizeof(f->path), "/tmp/intake-test-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_true(queue_open(&f->q.queue, f->path, true, error, sizeof(error)));
	f->q.loop = loop_new(NULL);
	f->q.settings = (struct qmgr_settings){
		.active_limit = 1000, .recipient_limit = 1000, .run_delay = 3600 * 1000
	};
	f->q.ask.run = ask_nobody;
	f->q.retire = (struct deferred){ .run = retire, .context = &f->q };
	f->q.locked = true;
	intake_open(&f->q);
	intake_start(&f->q);
	for (int i = 0; i < 5; i++)
		loop_turn(f->q.loop, 0);
	assert_true(channel_pair(ends));
	f->cleanup = ends[0];
	intake_peer(&f->q, ends[1]);
	for (int i = 0; i < 5; i++)
		loop_turn(f->q.loop, 0);
	*state = f;
	return 0;
}

static bool drop_mail(void *context, struct slice key, void *mail)
{
	mail_list_leave(mail);
	mail_list_add(context, mail);
	return true;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct mail_list all = { 0 };
	struct mail *mail;

	os_fault_hook = NULL;
	f->q.draining = true;
	control_close_all(&f->q);
	map_each(&f->q.mails, drop_mail, &all);
	while ((mail = mail_list_take(&all)))
		mail_free(mail);
	map_free(&f->q.mails);
	map_free(&f->q.laters);
	queue_scan_close(&f->q.scan);
	close(f->cleanup);
	loop_turn(f->q.loop, 0);
	loop_free(&f->q.loop);
	queue_close(&f->q.queue);
	nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* A message for `recipients` with `size` bytes of content, as cleanup leaves it. */
static void commit(struct fixture *f, size_t size, uint32_t recipients, char id[QUEUE_ID_SIZE])
{
	struct queue_envelope envelope = { .info = { .recipient_count = recipients },
		.sender = SLICE("sender@example.test") };
	struct queue_writer *w;
	char *content = malloc(size);

	assert_non_null(content);
	memset(content, 'x', size);
	envelope.recipients = calloc(recipients, sizeof(*envelope.recipients));
	assert_non_null(envelope.recipients);
	for (uint32_t i = 0; i < recipients; i++)
		envelope.recipients[i].address = SLICE("one@example.test");
	queue_id_new(id);
	w = queue_create(&f->q.queue, id, os_now());
	assert_non_null(w);
	assert_true(queue_write_content(w, slice_of(content, size)));
	assert_true(queue_write_envelope(w, &envelope));
	queue_commit(&f->q.queue, &w, 1);
	assert_int_equal(queue_writer_error(w), 0);
	queue_writer_free(&w);
	free(envelope.recipients);
	free(content);
}

/* What cleanup tells; qmgr reads it in its next turn. */
static void tell(struct fixture *f, const char *id)
{
	struct message message = { .type = MESSAGE_QUEUE_ARRIVED,
		.queue_arrived.queue_id = slice_from(id) };

	assert_true(channel_sync_send(f->cleanup, &message, loop_monotonic() + 1000));
}

static bool stands_in(const struct fixture *f, enum queue_name name, const char *id)
{
	int fd = queue_open_file(&f->q.queue, name, id, O_RDONLY);
	bool there = fd >= 0;

	os_close(&fd);
	return there;
}

/* What an operator asks for, and qmgr's answer: how many messages it concerned. */
static uint32_t order(struct fixture *f, enum queue_action action, const char *id)
{
	struct message message = { .type = MESSAGE_QUEUE_CONTROL,
		.queue_control = { .action = (uint8_t)action, .id = slice_from(id) } };
	struct buffer space = { 0 };
	uint32_t count;
	int ends[2];

	assert_true(channel_pair(ends));
	control_client(&f->q, ends[1], &(struct peer){ .uid = getuid() });
	assert_true(channel_sync_send(ends[0], &message, loop_monotonic() + 1000));
	loop_turn(f->q.loop, 1000);
	assert_true(channel_sync_receive(ends[0], &message, &space, loop_monotonic() + 1000));
	assert_int_equal(message.type, MESSAGE_QUEUE_CONTROL_ANSWER);
	assert_int_equal(message.queue_control_answer.status, 0);
	count = message.queue_control_answer.count;
	buffer_free(&space);
	close(ends[0]);
	return count;
}

static struct mail *find(struct fixture *f, const char *id)
{
	return mail_find(&f->q, slice_from(id));
}

static int refuse_rename(enum os_call call, const char *path)
{
	return call == OS_RENAME ? EIO : 0;
}

static void what_cleanup_tells_of_is_taken(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];

	commit(f, 100, 1, id);
	tell(f, id);
	loop_turn(f->q.loop, 1000);
	assert_non_null(find(f, id));
	assert_int_equal(find(f, id)->place, QUEUE_INCOMING);
	assert_true(mail_fd(find(f, id)) >= 0);
}

/* An operator was faster than cleanup's word: what the word is about is not where it was any more. */
static void what_was_held_or_deleted_before_its_hint_is_read_is_not_taken(void **state)
{
	static const enum queue_action ACTIONS[] = { QUEUE_DO_HOLD, QUEUE_DO_DELETE };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		char id[QUEUE_ID_SIZE];
		enum queue_name now;

		commit(f, 100, 1, id);
		tell(f, id);
		assert_int_equal(queue_act(&f->q.queue, id, ACTIONS[i], QUEUE_INCOMING, &now),
			QUEUE_ACT_DONE);
		for (int turn = 0; turn < 3; turn++)
			loop_turn(f->q.loop, 0);
		assert_null(find(f, id));
		assert_int_equal(stands_in(f, QUEUE_HOLD, id), ACTIONS[i] == QUEUE_DO_HOLD);
		assert_false(stands_in(f, QUEUE_INCOMING, id));
	}
	assert_int_equal(f->q.recipients, 0);
}

/* A message with one delivery in flight; the rest of its recipients is not asked about yet. */
static struct mail *in_flight(struct fixture *f, char id[QUEUE_ID_SIZE])
{
	struct mail *mail;

	commit(f, 100, 3, id);
	tell(f, id);
	loop_turn(f->q.loop, 1000);
	mail = find(f, id);
	assert_non_null(mail);
	assert_ptr_equal(f->q.to_resolve.head, mail);
	mail->flying = mail->deliveries = 1;
	return mail;
}

static void land(struct fixture *f, struct mail *mail)
{
	mail->flying = mail->deliveries = 0;
	mail_advance(mail);
	loop_turn(f->q.loop, 0);
}

static struct mail *wait_taken(struct fixture *f, const char *id)
{
	int64_t deadline = loop_monotonic() + 30000;

	while (!find(f, id)) {
		assert_true(loop_monotonic() < deadline);
		loop_turn(f->q.loop, 100);
	}
	return find(f, id);
}

/* In hold/ at once, whatever becomes of qmgr; nothing further is asked, and what was in flight changes nothing. */
static void a_message_held_in_flight_asks_no_further_and_stays_held(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	struct mail *mail = in_flight(f, id);

	assert_int_equal(order(f, QUEUE_DO_HOLD, id), 1);
	assert_ptr_equal(find(f, id), mail);
	assert_true(stands_in(f, QUEUE_HOLD, id));
	assert_false(stands_in(f, QUEUE_INCOMING, id));
	assert_null(f->q.to_resolve.head);
	assert_int_equal(order(f, QUEUE_DO_HOLD, id), 0);
	land(f, mail);
	assert_int_equal(f->q.to_resolve.count, 0);
	assert_null(find(f, id));
	assert_true(stands_in(f, QUEUE_HOLD, id));
	assert_int_equal(order(f, QUEUE_DO_RELEASE, id), 1);
	assert_int_equal(wait_taken(f, id)->place, QUEUE_ACTIVE);
}

static void a_message_released_in_flight_goes_on_when_that_is_over(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	struct mail *mail = in_flight(f, id);

	assert_int_equal(order(f, QUEUE_DO_HOLD, id), 1);
	assert_int_equal(order(f, QUEUE_DO_RELEASE, id), 1);
	assert_ptr_equal(find(f, id), mail);
	assert_true(stands_in(f, QUEUE_ACTIVE, id));
	land(f, mail);
	/* Taken anew out of deferred/. */
	mail = wait_taken(f, id);
	assert_int_equal(mail->envelope.info.attempts, 1);
	assert_ptr_equal(f->q.to_resolve.head, mail);
	assert_true(stands_in(f, QUEUE_ACTIVE, id));
}

static void a_message_that_cannot_be_moved_is_not_called_held(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	struct mail *mail = in_flight(f, id);

	os_fault_hook = refuse_rename;
	assert_int_equal(order(f, QUEUE_DO_HOLD, id), 0);
	os_fault_hook = NULL;
	assert_false(mail->hold);
	assert_ptr_equal(f->q.to_resolve.head, mail);
	assert_true(stands_in(f, QUEUE_INCOMING, id));
}

/* One file under many names: each is a message, and nobody writes a hundred megabytes for it. */
static void add_names(struct fixture *f, const char *id)
{
	for (unsigned i = 1; i < MANY; i++) {
		char other[QUEUE_ID_SIZE];

		queue_id_new(other);
		assert_true(os_linkat(queue_folder(&f->q.queue, QUEUE_INCOMING, id), id,
			queue_folder(&f->q.queue, QUEUE_INCOMING, other), other));
	}
}

static unsigned taken_in_first_turn(struct fixture *f)
{
	agenda_scan(&f->q, QUEUE_INCOMING);
	while (!f->q.mails.count)
		loop_turn(f->q.loop, 100);
	return (unsigned)f->q.mails.count;
}

static void content_that_is_read_counts_in_the_turn(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];

	commit(f, LARGE, 1, id);
	add_names(f, id);
	assert_in_range(taken_in_first_turn(f), 1, QMGR_TURN_FILES / (LARGE >> 20));
	while (f->q.mails.count < MANY)
		loop_turn(f->q.loop, 100);
}

/* What was tried before is whole: its content is not read, whatever its size. */
static void content_that_is_not_read_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope envelope;
	struct arena arena;
	char id[QUEUE_ID_SIZE];
	int fd;

	commit(f, LARGE, 1, id);
	fd = queue_open_file(&f->q.queue, QUEUE_INCOMING, id, O_RDWR);
	arena_init(&arena, 1 << 20);
	assert_true(queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope));
	envelope.info.attempts = 1;
	assert_true(queue_update(fd, &envelope));
	arena_free(&arena);
	os_close(&fd);
	add_names(f, id);
	assert_int_equal(taken_in_first_turn(f), MANY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(what_cleanup_tells_of_is_taken),
		TEST(what_was_held_or_deleted_before_its_hint_is_read_is_not_taken),
		TEST(a_message_held_in_flight_asks_no_further_and_stays_held),
		TEST(a_message_released_in_flight_goes_on_when_that_is_over),
		TEST(a_message_that_cannot_be_moved_is_not_called_held),
		TEST(content_that_is_read_counts_in_the_turn),
		TEST(content_that_is_not_read_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
