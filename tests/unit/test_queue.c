// SPDX-License-Identifier: ISC
/* Queue files: what is written comes back, what is damaged is noticed, what fails leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "os/os.h"
#include "queue/format.h"
#include "queue/scan.h"

enum { MEMORY = 64 << 20 };

struct fixture {
	char path[64];
	struct queue queue;
	struct arena arena;
};

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[200];

	snprintf(f->path, sizeof(f->path), "/tmp/queue-test-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_true(queue_open(&f->queue, f->path, true, error, sizeof(error)));
	arena_init(&f->arena, MEMORY);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	os_fault_hook = NULL;
	queue_close(&f->queue);
	arena_free(&f->arena);
	nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static struct queue_recipient recipients[] = {
	{ .address = SLICE("one@example.test"), .original = SLICE("alias@example.test") },
	{ .address = SLICE("two@example.test"),
		.original = SLICE("two@example.test"),
		.orcpt = SLICE("rfc822;two@example.test"),
		.notify = 6 },
	{ .address = SLICE("three@example.test"), .original = SLICE("") },
};

static struct queue_envelope sample(void)
{
	return (struct queue_envelope){
		.info = { .recipient_count = 3, .flags = QUEUE_FLAG_8BIT },
		.sender = SLICE("sender@example.test"),
		.envid = SLICE("id+2B1"),
		.client_name = SLICE("client.example"),
		.client_address = SLICE("192.0.2.1"),
		.helo = SLICE("helo.example"),
		.protocol = SLICE("ESMTP"),
		.login = SLICE(""),
		.recipients = recipients,
	};
}

/* Commit a message with `size` bytes of content; its id. */
static bool commit(struct fixture *f, size_t size, char id[QUEUE_ID_SIZE])
{
	struct queue_envelope envelope = sample();
	struct queue_writer *w;
	bool ok;

	queue_id_new(id);
	w = queue_create(&f->queue, id, 1700000000123456);
	if (!w)
		return false;
	ok = true;
	for (size_t i = 0; ok && i < size; i += 60) {
		static const char line[] =
			"The quick brown fox jumps over the lazy dog, and once more.\n";

		ok = queue_write_content(w, slice_head(slice_of(line, 60), size - i));
	}
	ok = ok && queue_write_envelope(w, &envelope);
	if (ok)
		queue_commit(&f->queue, &w, 1);
	ok = ok && queue_writer_error(w) == 0;
	queue_writer_free(&w);
	return ok;
}

static int open_file(struct fixture *f, const char *id)
{
	int fd = queue_open_file(&f->queue, QUEUE_INCOMING, id, O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

static void assert_sample(const struct queue_envelope *e, size_t size)
{
	assert_int_equal(e->info.arrival, 1700000000123456);
	assert_int_equal(e->info.content_size, size);
	assert_int_equal(e->info.content_lines, size / 60);
	assert_int_equal(e->info.flags, QUEUE_FLAG_8BIT);
	assert_int_equal(e->info.recipient_count, 3);
	assert_true(slice_equal(e->sender, SLICE("sender@example.test")));
	assert_true(slice_equal(e->envid, SLICE("id+2B1")));
	assert_true(slice_equal(e->client_name, SLICE("client.example")));
	assert_true(slice_equal(e->client_address, SLICE("192.0.2.1")));
	assert_true(slice_equal(e->helo, SLICE("helo.example")));
	assert_true(slice_equal(e->protocol, SLICE("ESMTP")));
	assert_int_equal(e->login.length, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(slice_equal(e->recipients[i].address, recipients[i].address));
		assert_true(slice_equal(e->recipients[i].original, recipients[i].original));
		assert_true(slice_equal(e->recipients[i].orcpt, recipients[i].orcpt));
		assert_int_equal(e->recipients[i].notify, recipients[i].notify);
	}
}

static const char CHECKSUM_TEXT[] =
	"From: one@example.test\nSubject: a checksum\n\n\xff\x80 body\n";

static void checksum_is_the_castagnoli_one(void **state)
{
	/* RFC 3720 B.4 and the well-known check value. */
	static const char zeros[32];

	assert_int_equal(queue_crc(0, "123456789", 9), 0xe3069283);
	assert_int_equal(queue_crc(0, zeros, sizeof(zeros)), 0x8a9136aa);
	assert_int_equal(queue_crc(queue_crc(0, "1234", 4), "56789", 5), 0xe3069283);
	for (size_t i = 0; i < sizeof(CHECKSUM_TEXT); i++)
		assert_int_equal(queue_crc(7, CHECKSUM_TEXT + i, sizeof(CHECKSUM_TEXT) - i),
			queue_crc_tables(7, CHECKSUM_TEXT + i, sizeof(CHECKSUM_TEXT) - i));
}

static void what_is_committed_is_read_back(void **state)
{
	static const size_t sizes[] = { 0, 60, 4020, 131040, 131100, 600000 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct queue_envelope e;
		char id[QUEUE_ID_SIZE];
		int fd;

		assert_true(commit(f, sizes[i], id));
		fd = open_file(f, id);
		assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
		assert_sample(&e, sizes[i]);
		os_close(&fd);
		arena_reset(&f->arena);
	}
}

static void content_stands_at_its_offset(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE], text[60];
	int fd;

	assert_true(commit(f, 300000, id));
	fd = open_file(f, id);
	assert_int_equal(os_pread(fd, text, 60, QUEUE_CONTENT_OFFSET + 60 * 4000), 60);
	assert_memory_equal(text, "The quick brown fox", 19);
	os_close(&fd);
}

static void ids_are_valid_sorted_and_never_the_same(void **state)
{
	char last[QUEUE_ID_SIZE] = "", id[QUEUE_ID_SIZE];

	for (int i = 0; i < 10000; i++) {
		queue_id_new(id);
		assert_true(queue_id_valid(slice_from(id)));
		assert_true(strcmp(last, id) < 0);
		memcpy(last, id, sizeof(id));
	}
	assert_false(queue_id_valid(SLICE("../../etc/passwd")));
	assert_false(queue_id_valid(SLICE("0123456789ABCDE\0")));
	assert_false(queue_id_valid(SLICE("0123456789ABCDEFG")));
	assert_false(queue_id_valid(SLICE("0123456789abcdef")));
	assert_false(queue_id_valid(SLICE("")));
}

static void marks_are_kept(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope e;
	char id[QUEUE_ID_SIZE];
	int fd;

	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	assert_true(queue_read(fd, QUEUE_CHECK_HEAD, &f->arena, &e));
	assert_int_equal(e.info.recipients_done, 0);
	assert_true(queue_mark_done(fd, &e, 1));
	assert_true(queue_mark_done(fd, &e, 1));
	assert_false(queue_mark_done(fd, &e, 3));
	assert_int_equal(e.info.recipients_done, 1);
	assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
	assert_sample(&e, 6000);
	assert_int_equal(e.info.recipients_done, 1);
	assert_false(e.recipients[0].done);
	assert_true(e.recipients[1].done);
	os_close(&fd);
}

static void updates_are_kept_with_the_reasons_of_those_left(void **state)
{
	static char text[1000];
	struct fixture *f = *state;
	struct queue_envelope e;
	char id[QUEUE_ID_SIZE];
	int fd;

	memset(text, 'x', sizeof(text));
	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	/* Reasons that grow and shrink, so that reports are written over and appended. */
	for (unsigned i = 1; i < 40; i++) {
		size_t length = i * 317 % sizeof(text);

		arena_reset(&f->arena);
		assert_true(queue_read(fd, QUEUE_CHECK_HEAD, &f->arena, &e));
		if (i == 20)
			assert_true(queue_mark_done(fd, &e, 0));
		e.info.attempts = i;
		e.info.next_try = 1000 + i;
		e.info.delay_warned = i / 2;
		e.info.flags |= QUEUE_FLAG_EXPIRED;
		e.recipients[0].reason = slice_of(text, length);
		e.recipients[0].dsn = SLICE("4.2.2");
		e.recipients[2].reason = SLICE("disk full");
		assert_true(queue_update(fd, &e));
		assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
		assert_int_equal(e.info.attempts, i);
		assert_int_equal(e.info.next_try, 1000 + i);
		assert_int_equal(e.info.delay_warned, i / 2);
		assert_int_equal(e.info.flags, QUEUE_FLAG_8BIT | QUEUE_FLAG_EXPIRED);
		assert_int_equal(e.recipients[0].reason.length, i < 20 ? length : 0);
		assert_true(slice_equal(e.recipients[2].reason, SLICE("disk full")));
		assert_int_equal(e.recipients[1].reason.length, 0);
	}
	os_close(&fd);
}

static void torn_report_costs_only_the_reasons(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope e;
	char id[QUEUE_ID_SIZE];
	struct stat status;
	int fd;

	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	assert_true(queue_read(fd, QUEUE_CHECK_HEAD, &f->arena, &e));
	e.recipients[0].reason = SLICE("mailbox is full, says the other side");
	e.info.attempts = 1;
	assert_true(queue_update(fd, &e));
	assert_true(os_fstat(fd, &status));
	assert_true(os_pwrite_all(fd, "Q", 1, status.st_size - 3));
	assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
	assert_int_equal(e.info.attempts, 1);
	assert_int_equal(e.recipients[0].reason.length, 0);
	assert_int_equal(ftruncate(fd, status.st_size - 10), 0);
	assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
	assert_sample(&e, 6000);
	os_close(&fd);
}

static void every_lost_tail_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope e;
	char id[QUEUE_ID_SIZE];
	struct stat status;
	int fd;

	assert_true(commit(f, 1020, id));
	fd = open_file(f, id);
	assert_true(os_fstat(fd, &status));
	for (int64_t size = status.st_size - 1; size >= 0; size--) {
		arena_reset(&f->arena);
		assert_int_equal(ftruncate(fd, size), 0);
		assert_false(queue_read(fd, QUEUE_CHECK_HEAD, &f->arena, &e));
		assert_int_equal(errno, EBADMSG);
	}
	os_close(&fd);
}

/* Each byte in turn: only the marks may change without being noticed, and only to the one other mark. */
static void every_changed_byte_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope e;
	char id[QUEUE_ID_SIZE];
	struct stat status;
	int fd;

	assert_true(commit(f, 600, id));
	fd = open_file(f, id);
	assert_true(os_fstat(fd, &status));
	for (int64_t at = 0; at < status.st_size; at++) {
		unsigned char byte, wrong;

		arena_reset(&f->arena);
		assert_int_equal(os_pread(fd, &byte, 1, at), 1);
		wrong = byte ^ (unsigned char)(1 << at % 8);
		assert_true(os_pwrite_all(fd, &wrong, 1, at));
		assert_false(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
		assert_int_equal(errno, EBADMSG);
		assert_true(os_pwrite_all(fd, &byte, 1, at));
	}
	assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
	os_close(&fd);
}

/* A page that did not reach the disk comes back as zeros. */
static void every_lost_sector_is_noticed(void **state)
{
	static const unsigned char zeros[512];
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	struct stat status;
	int fd;

	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	assert_true(os_fstat(fd, &status));
	for (int64_t at = 0; at < status.st_size; at += 512) {
		size_t length = status.st_size - at < 512 ? (size_t)(status.st_size - at) : 512;
		struct queue_envelope e;
		unsigned char saved[512];

		arena_reset(&f->arena);
		assert_int_equal(os_pread(fd, saved, length, at), length);
		assert_true(os_pwrite_all(fd, zeros, length, at));
		assert_false(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
		assert_true(os_pwrite_all(fd, saved, length, at));
	}
	os_close(&fd);
}

/* A first block with a good checksum can still lie. */
static void lying_block_is_refused(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	unsigned char bytes[QUEUE_BLOCK_SIZE];
	int fd;

	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	assert_int_equal(os_pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	for (unsigned at = 24; at < 176; at += 8) {
		static const uint64_t lies[] = { UINT64_MAX, INT64_MAX, 1ull << 62, 1ull << 40 };

		for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			unsigned char lie[QUEUE_BLOCK_SIZE];
			struct queue_envelope e;
			bool ok;

			memcpy(lie, bytes, sizeof(lie));
			store_u64(lie + at, lies[i]);
			store_u64(lie + 504, queue_crc(0, lie, 504));
			assert_true(os_pwrite_all(fd, lie, sizeof(lie), 0));
			arena_reset(&f->arena);
			ok = queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e);
			/* Times may be anything; where there is no trailer and no report, their places do not matter. */
			if (ok)
				assert_true(at == 64 || at == 80 || at == 88 || at == 144);
			else
				assert_int_equal(errno, EBADMSG);
		}
	}
	os_close(&fd);
}

static unsigned countdown;
static enum os_call failing;
static int failure;

static int fail_after(enum os_call call, const char *path)
{
	if (call != failing)
		return 0;
	return countdown-- == 0 ? failure : 0;
}

static unsigned count_names(int at)
{
	DIR *folder = fdopendir(os_openat(at, ".", O_RDONLY, 0));
	unsigned count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 2;
}

/* Files in incoming/, finished or not. */
static unsigned count_entries(struct fixture *f)
{
	unsigned count = count_names(f->queue.folder[QUEUE_INCOMING]) - QUEUE_SHARES;

	for (unsigned i = 0; i < QUEUE_SHARES; i++)
		count += count_names(f->queue.share[i]);
	return count;
}

static unsigned count_ids(struct fixture *f, enum queue_name name)
{
	struct queue_scan *scan = queue_scan_open(&f->queue, name);
	char id[QUEUE_ID_SIZE];
	unsigned count = 0;

	assert_non_null(scan);
	while (queue_scan_next(scan, id))
		count++;
	queue_scan_close(&scan);
	return count;
}

static void what_is_no_file_is_passed_over_and_told(void **state)
{
	struct fixture *f = *state;
	int deferred = f->queue.folder[QUEUE_DEFERRED];
	char id[QUEUE_ID_SIZE], strange[QUEUE_ID_SIZE];
	struct queue_scan *scan;
	const char *name;

	assert_true(commit(f, 100, id));
	assert_true(queue_move(&f->queue, id, QUEUE_INCOMING, QUEUE_DEFERRED));
	for (int i = 0; i < 3; i++) {
		memcpy(strange, id, sizeof(strange));
		strange[0] = (char)('W' + i);
		assert_true(queue_id_valid(slice_from(strange)));
		assert_int_equal(i == 0   ? mkdirat(deferred, strange, 0700)
				 : i == 1 ? mkfifoat(deferred, strange, 0600)
					  : symlinkat(id, deferred, strange),
			0);
	}
	assert_int_equal(count_ids(f, QUEUE_DEFERRED), 1);
	scan = queue_scan_open(&f->queue, QUEUE_DEFERRED);
	while (queue_scan_next(scan, id))
		continue;
	assert_int_equal(queue_scan_strange(scan, &name), 3);
	assert_true(queue_id_valid(slice_from(name)));
	queue_scan_close(&scan);
}

static void every_failing_call_fails_the_commit_and_leaves_nothing(void **state)
{
	static const enum os_call calls[] = { OS_OPEN, OS_WRITE, OS_FSYNC, OS_RENAME };
	struct fixture *f = *state;
	unsigned failures = 0;

	for (unsigned c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
		for (unsigned after = 0; after < 8; after++) {
			char id[QUEUE_ID_SIZE];
			bool ok;

			failing = calls[c];
			countdown = after;
			failure = after % 2 ? ENOSPC : EIO;
			os_fault_hook = fail_after;
			ok = commit(f, 300000, id);
			os_fault_hook = NULL;
			if (ok) {
				assert_true(queue_remove(&f->queue, QUEUE_INCOMING, id));
				break;
			}
			failures++;
			assert_int_equal(count_entries(f), 0);
		}
	}
	/* open; three writes of content, one of the rest, one of the block; two syncs; one rename */
	assert_int_equal(failures, 1 + 4 + 2 + 1);
}

/* The report first, the first block last: whatever is missing, the message is whole. */
static void update_that_fails_half_way_leaves_a_good_file(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope e;
	char id[QUEUE_ID_SIZE];
	unsigned failures = 0;
	int fd;

	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
	e.recipients[0].reason = SLICE("the first reason, which is a long one");
	e.info.attempts = 1;
	assert_true(queue_update(fd, &e));
	for (unsigned after = 0;; after++) {
		bool ok;

		assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
		e.recipients[0].reason = SLICE("the second");
		e.info.attempts = 2;
		failing = OS_WRITE;
		failure = ENOSPC;
		countdown = after;
		os_fault_hook = fail_after;
		ok = queue_update(fd, &e);
		os_fault_hook = NULL;
		assert_true(queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e));
		assert_sample(&e, 6000);
		assert_int_equal(e.info.attempts, ok ? 2 : 1);
		if (ok)
			break;
		failures++;
	}
	assert_int_equal(failures, 2);
	assert_true(slice_equal(e.recipients[0].reason, SLICE("the second")));
	os_close(&fd);
}

static void failing_reads_are_not_corruption(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	int fd;

	assert_true(commit(f, 300000, id));
	fd = open_file(f, id);
	for (unsigned after = 0;; after++) {
		struct queue_envelope e;
		bool ok;

		failing = OS_READ;
		failure = EIO;
		countdown = after;
		os_fault_hook = fail_after;
		ok = queue_read(fd, QUEUE_CHECK_ALL, &f->arena, &e);
		os_fault_hook = NULL;
		if (ok) {
			assert_true(after > 5);
			break;
		}
		assert_int_equal(errno, EIO);
	}
	os_close(&fd);
}

static void unfinished_files_are_removed_but_not_those_of_living_writers(void **state)
{
	struct fixture *f = *state;
	char dead[QUEUE_ID_SIZE], alive[QUEUE_ID_SIZE], name[QUEUE_ID_SIZE + 4],
		done[QUEUE_ID_SIZE];
	static const char content[200000];
	struct queue_writer *w;
	int fd;

	queue_id_new(dead);
	snprintf(name, sizeof(name), "%s.tmp", dead);
	/* One of a queue without shares, one of a share. */
	assert_int_equal(f->queue.share_count, QUEUE_SHARES);
	fd = os_openat(f->queue.folder[QUEUE_INCOMING], name, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	os_close(&fd);
	fd = os_openat(f->queue.share[3], name, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	os_close(&fd);
	queue_id_new(alive);
	w = queue_create(&f->queue, alive, 1);
	assert_non_null(w);
	assert_true(queue_write_content(w, slice_of(content, sizeof(content))));
	assert_true(commit(f, 60, done));
	assert_int_equal(queue_remove_unfinished(&f->queue), 2);
	assert_int_equal(count_entries(f), 2);
	assert_int_equal(count_ids(f, QUEUE_INCOMING), 1);
	/* The living one can still be finished. */
	assert_true(queue_write_content(w, SLICE("more\n")));
	queue_writer_free(&w);
	assert_int_equal(queue_remove_unfinished(&f->queue), 0);
	assert_int_equal(count_entries(f), 1);
}

static void files_move_between_folders(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];

	assert_true(commit(f, 60, id));
	assert_true(queue_move(&f->queue, id, QUEUE_INCOMING, QUEUE_DEFERRED));
	assert_false(queue_move(&f->queue, id, QUEUE_INCOMING, QUEUE_DEFERRED));
	assert_int_equal(count_ids(f, QUEUE_INCOMING), 0);
	assert_int_equal(count_ids(f, QUEUE_DEFERRED), 1);
}

static void a_file_put_into_incoming_by_hand_goes_to_its_share(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_SIZE];
	int fd, home;

	assert_true(commit(f, 60, id));
	home = queue_folder(&f->queue, QUEUE_INCOMING, id);
	assert_true(os_renameat(home, id, f->queue.folder[QUEUE_INCOMING], id));
	assert_int_equal(queue_open_file(&f->queue, QUEUE_INCOMING, id, O_RDONLY), -1);
	assert_int_equal(count_ids(f, QUEUE_INCOMING), 1);
	/* Or into the share of another. */
	for (unsigned i = 0; i < QUEUE_SHARES; i++)
		if (f->queue.share[i] != home) {
			assert_true(os_renameat(home, id, f->queue.share[i], id));
			break;
		}
	assert_true(count_ids(f, QUEUE_INCOMING) >= 1);
	fd = open_file(f, id);
	os_close(&fd);
}

enum { TOGETHER = 12 };

static struct queue_writer *written(struct fixture *f, char id[QUEUE_ID_SIZE])
{
	struct queue_envelope envelope = sample();
	struct queue_writer *w;

	queue_id_new(id);
	w = queue_create(&f->queue, id, 1);
	assert_non_null(w);
	assert_true(queue_write_content(w, SLICE("Subject: x\n\nbody\n")));
	assert_true(queue_write_envelope(w, &envelope));
	return w;
}

/* All of them share one sync of their folder (two, if the second just ends), and one that fails harms no other. */
static void messages_committed_together_share_the_sync_of_their_folder(void **state)
{
	struct fixture *f = *state;
	struct queue_writer *writers[TOGETHER];
	char ids[TOGETHER][QUEUE_ID_SIZE];
	unsigned syncs, failed = 0;

	for (unsigned i = 0; i < TOGETHER; i++)
		writers[i] = written(f, ids[i]);
	failing = OS_FSYNC;
	failure = EIO;
	countdown = 3;
	os_fault_hook = fail_after;
	syncs = queue_commit(&f->queue, writers, TOGETHER);
	os_fault_hook = NULL;
	assert_in_range(syncs, TOGETHER, TOGETHER + 1);
	for (unsigned i = 0; i < TOGETHER; i++) {
		assert_int_equal(queue_writer_error(writers[i]), i == 3 ? EIO : 0);
		failed += queue_writer_error(writers[i]) != 0;
		queue_writer_free(&writers[i]);
	}
	assert_int_equal(failed, 1);
	assert_int_equal(count_entries(f), TOGETHER - 1);
}

/* When the folder cannot be synced, none of those that stand in it is durable. */
static void a_folder_that_cannot_be_synced_fails_all_that_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct queue_writer *writers[TOGETHER];
	char ids[TOGETHER][QUEUE_ID_SIZE];

	for (unsigned i = 0; i < TOGETHER; i++)
		writers[i] = written(f, ids[i]);
	failing = OS_FSYNC;
	failure = EIO;
	countdown = TOGETHER;
	os_fault_hook = fail_after;
	queue_commit(&f->queue, writers, TOGETHER);
	os_fault_hook = NULL;
	for (unsigned i = 0; i < TOGETHER; i++) {
		int expected = queue_folder(&f->queue, QUEUE_INCOMING, ids[i]) ==
					       queue_folder(&f->queue, QUEUE_INCOMING, ids[0])
				       ? EIO
				       : 0;

		assert_int_equal(queue_writer_error(writers[i]), expected);
		queue_writer_free(&writers[i]);
	}
}

/* An open file description can be locked against another of the same folder, and not against itself. */
static bool are_separate(int one, int other)
{
	bool separate;

	assert_int_equal(flock(one, LOCK_EX | LOCK_NB), 0);
	separate = flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	assert_int_equal(flock(one, LOCK_UN), 0);
	return separate;
}

/* The kernel tells an error of writing once to each open file description. */
static void folders_opened_again_are_the_same_with_descriptions_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct queue copy;

	assert_true(queue_open_again(&copy, &f->queue));
	assert_int_equal(copy.share_count, f->queue.share_count);
	for (unsigned i = 0; i < QUEUE_NAMES; i++)
		assert_true(are_separate(f->queue.folder[i], copy.folder[i]));
	for (unsigned i = 0; i < QUEUE_SHARES; i++)
		assert_true(are_separate(f->queue.share[i], copy.share[i]));
	queue_close(&copy);
	failing = OS_OPEN;
	failure = EMFILE;
	for (countdown = 0; countdown < QUEUE_NAMES + QUEUE_SHARES;) {
		unsigned after = countdown;

		os_fault_hook = fail_after;
		assert_false(queue_open_again(&copy, &f->queue));
		os_fault_hook = NULL;
		assert_int_equal(errno, EMFILE);
		countdown = after + 1;
	}
}

static void a_commit_syncs_the_folders_of_its_own_thread(void **state)
{
	struct fixture *f = *state;
	struct queue_writer *w;
	struct queue own;
	char id[QUEUE_ID_SIZE];

	assert_true(queue_open_again(&own, &f->queue));
	w = written(f, id);
	assert_int_equal(queue_commit(&own, &w, 1), 2);
	assert_int_equal(queue_writer_error(w), 0);
	queue_writer_free(&w);
	for (unsigned i = 0; i < QUEUE_SHARES; i++)
		os_close(&own.share[i]);
	w = written(f, id);
	queue_commit(&own, &w, 1);
	assert_int_equal(queue_writer_error(w), EBADF);
	queue_writer_free(&w);
	queue_close(&own);
	assert_int_equal(count_ids(f, QUEUE_INCOMING), 1);
}

/* It has its name before it is durable: others can see that its writer is not through with it. */
static void a_file_shows_that_its_writer_is_at_it(void **state)
{
	struct fixture *f = *state;
	struct queue_writer *w;
	char id[QUEUE_ID_SIZE];
	int fd;

	w = written(f, id);
	assert_int_equal(queue_commit(&f->queue, &w, 1), 2);
	fd = queue_open_file(&f->queue, QUEUE_INCOMING, id, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(queue_has_writer(fd));
	assert_int_equal(queue_writer_size(w), strlen("Subject: x\n\nbody\n"));
	queue_writer_free(&w);
	assert_false(queue_has_writer(fd));
	os_close(&fd);
}

/* Each has its own result; one that is no file at all harms no other. */
static void files_synced_together_have_a_result_each(void **state)
{
	struct os_sync syncs[OS_SYNCS];
	struct fixture *f = *state;
	char name[16];

	for (unsigned i = 0; i < OS_SYNCS; i++) {
		snprintf(name, sizeof(name), "sync%u", i);
		syncs[i] = (struct os_sync){ .fd = os_openat(f->queue.folder[QUEUE_ACTIVE], name,
						     O_CREAT | O_RDWR, 0600) };
		assert_true(syncs[i].fd >= 0);
		assert_true(os_write_all(syncs[i].fd, name, sizeof(name)));
	}
	os_close(&syncs[5].fd);
	for (unsigned count = 0; count <= OS_SYNCS; count++) {
		for (unsigned i = 0; i < OS_SYNCS; i++)
			syncs[i].error = -1;
		os_fsync_all(syncs, count);
		for (unsigned i = 0; i < OS_SYNCS; i++)
			assert_int_equal(syncs[i].error, i >= count ? -1 : i == 5 ? EBADF : 0);
	}
	failing = OS_FSYNC;
	failure = ENOSPC;
	countdown = 2;
	os_fault_hook = fail_after;
	os_fsync_all(syncs, 4);
	os_fault_hook = NULL;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(syncs[i].error, i == 2 ? ENOSPC : 0);
	for (unsigned i = 0; i < OS_SYNCS; i++)
		os_close(&syncs[i].fd);
}

/* The kernel tells an error of writing once: what fails before the fsync has failed, whatever fsync says then. */
static void what_is_not_written_back_is_not_durable(void **state)
{
	struct fixture *f = *state;
	struct queue_writer *writers[3];
	char ids[3][QUEUE_ID_SIZE];
	unsigned good = 0, before;

	/* Three files are started, then awaited; their folder has no data of its own, and is not asked for. */
	for (unsigned after = 0; after <= 6; after++) {
		for (unsigned i = 0; i < 3; i++)
			writers[i] = written(f, ids[i]);
		failing = OS_WRITE_BACK;
		failure = ENOSPC;
		countdown = after;
		os_fault_hook = fail_after;
		queue_commit(&f->queue, writers, 3);
		os_fault_hook = NULL;
		before = good;
		for (unsigned i = 0; i < 3; i++) {
			int error = queue_writer_error(writers[i]);

			assert_true(error == 0 || error == ENOSPC);
			good += error == 0;
			queue_writer_free(&writers[i]);
		}
		assert_int_equal(good - before, after < 6 ? 2 : 3);
	}
	assert_int_equal(count_ids(f, QUEUE_INCOMING), good);
}

/* A crash may have torn what was never tried; what was tried was whole. */
static void content_is_checked_of_what_was_never_tried(void **state)
{
	struct fixture *f = *state;
	struct queue_envelope e;
	struct arena arena;
	char id[QUEUE_ID_SIZE];
	int fd;

	assert_true(commit(f, 6000, id));
	fd = open_file(f, id);
	assert_true(os_pwrite_all(fd, "torn", 4, QUEUE_CONTENT_OFFSET + 100));
	arena_init(&arena, 1 << 20);
	assert_true(queue_read(fd, QUEUE_CHECK_HEAD, &arena, &e));
	assert_false(queue_read(fd, QUEUE_CHECK_NEW, &arena, &e));
	assert_int_equal(errno, EBADMSG);
	assert_true(queue_read(fd, QUEUE_CHECK_HEAD, &arena, &e));
	e.info.attempts = 1;
	assert_true(queue_update(fd, &e));
	assert_true(queue_read(fd, QUEUE_CHECK_NEW, &arena, &e));
	assert_false(queue_read(fd, QUEUE_CHECK_ALL, &arena, &e));
	arena_free(&arena);
	os_close(&fd);
}

/* A write that failed once leaves a hole: the message must not be committed, whatever is asked for later. */
static void what_failed_once_is_never_committed(void **state)
{
	static const char content[300000];
	struct fixture *f = *state;
	struct queue_envelope envelope = sample();
	struct queue_writer *w;
	char id[QUEUE_ID_SIZE];

	queue_id_new(id);
	w = queue_create(&f->queue, id, 1);
	failing = OS_WRITE;
	failure = ENOSPC;
	countdown = 0;
	os_fault_hook = fail_after;
	assert_false(queue_write_content(w, slice_of(content, sizeof(content))));
	os_fault_hook = NULL;
	(void)!queue_write_envelope(w, &envelope);
	queue_commit(&f->queue, &w, 1);
	assert_int_equal(queue_writer_error(w), ENOSPC);
	queue_writer_free(&w);
	assert_int_equal(count_entries(f), 0);
}

static void text_with_nul_or_too_long_is_not_written(void **state)
{
	static char text[QUEUE_MAX_FIELD + 1];
	struct fixture *f = *state;
	struct queue_envelope e = sample();
	struct queue_writer *w;
	char id[QUEUE_ID_SIZE];

	queue_id_new(id);
	w = queue_create(&f->queue, id, 1);
	e.helo = SLICE("a\0b");
	assert_false(queue_write_envelope(w, &e));
	queue_writer_free(&w);
	memset(text, 'x', sizeof(text));
	w = queue_create(&f->queue, id, 1);
	e.helo = slice_of(text, sizeof(text));
	assert_false(queue_write_envelope(w, &e));
	queue_writer_free(&w);
	assert_int_equal(count_entries(f), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_is_the_castagnoli_one),
		TEST(what_is_committed_is_read_back),
		TEST(content_stands_at_its_offset),
		TEST(ids_are_valid_sorted_and_never_the_same),
		TEST(marks_are_kept),
		TEST(updates_are_kept_with_the_reasons_of_those_left),
		TEST(torn_report_costs_only_the_reasons),
		TEST(every_lost_tail_is_noticed),
		TEST(every_changed_byte_is_noticed),
		TEST(every_lost_sector_is_noticed),
		TEST(lying_block_is_refused),
		TEST(what_is_no_file_is_passed_over_and_told),
		TEST(every_failing_call_fails_the_commit_and_leaves_nothing),
		TEST(update_that_fails_half_way_leaves_a_good_file),
		TEST(failing_reads_are_not_corruption),
		TEST(unfinished_files_are_removed_but_not_those_of_living_writers),
		TEST(files_move_between_folders),
		TEST(a_file_put_into_incoming_by_hand_goes_to_its_share),
		TEST(messages_committed_together_share_the_sync_of_their_folder),
		TEST(a_folder_that_cannot_be_synced_fails_all_that_wait_for_it),
		TEST(folders_opened_again_are_the_same_with_descriptions_of_their_own),
		TEST(a_commit_syncs_the_folders_of_its_own_thread),
		TEST(a_file_shows_that_its_writer_is_at_it),
		TEST(files_synced_together_have_a_result_each),
		TEST(what_is_not_written_back_is_not_durable),
		TEST(content_is_checked_of_what_was_never_tried),
		TEST(what_failed_once_is_never_committed),
		TEST(text_with_nul_or_too_long_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
