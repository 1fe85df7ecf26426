// SPDX-License-Identifier: ISC
/* The threads that wait for the disk: who is committed with whom, and who waits for nobody. The disk's slowness is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cleanup/sync.h"
#include "os/os.h"

enum { WAIT = 30 /* seconds that what must come may take */, SMALL = 100, MANY = 6 };

struct fixture {
	char path[64];
	struct queue queue;
	struct loop *loop;
	struct sync_pool pool;
	struct sync_job jobs[MANY];
	unsigned finished;
};

static struct queue_recipient recipient = { .address = SLICE("one@example.test") };
static const struct queue_envelope ENVELOPE = { .info = { .recipient_count = 1 },
	.sender = SLICE("sender@example.test"),
	.recipients = &recipient };

/* The first so many syncs wait until they are let go. */
static atomic_int to_stop;
static sem_t stopped, go_on;

static int stop_first(enum os_call call, const char *path)
{
	if (call == OS_FSYNC && atomic_fetch_sub(&to_stop, 1) > 0) {
		sem_post(&stopped);
		sem_wait(&go_on);
	}
	return 0;
}

static void wait_stopped(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += WAIT;
	assert_int_equal(sem_timedwait(&stopped, &deadline), 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static void finished(void *context, struct sync_job *job)
{
	struct fixture *f = context;

	assert_true(job->durable);
	assert_int_equal(job->error, 0);
	f->finished++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[200];

	snprintf(f->path, sizeof(f->path), "/tmp/sync-test-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_true(queue_open(&f->queue, f->path, true, error, sizeof(error)));
	f->loop = loop_new(NULL);
	assert_true(sync_prepare(&f->pool, &f->queue));
	assert_true(sync_open(&f->pool, f->loop, finished, f));
	sem_init(&stopped, 0, 0);
	sem_init(&go_on, 0, 0);
	atomic_store(&to_stop, 0);
	os_fault_hook = stop_first;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	/* A test that failed may have left threads waiting. */
	for (int i = 0; i < SYNC_THREADS; i++)
		sem_post(&go_on);
	sync_close(&f->pool);
	for (unsigned i = 0; i < MANY; i++)
		queue_writer_free(&f->jobs[i].writer);
	os_fault_hook = NULL;
	loop_free(&f->loop);
	queue_close(&f->queue);
	nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void submit(struct fixture *f, struct sync_job *job, size_t size)
{
	char id[QUEUE_ID_SIZE], *content = malloc(size);

	assert_non_null(content);
	memset(content, 'x', size);
	queue_id_new(id);
	*job = (struct sync_job){ .writer = queue_create(&f->queue, id, 1), .envelope = &ENVELOPE };
	assert_non_null(job->writer);
	assert_true(queue_write_content(job->writer, slice_of(content, size)));
	free(content);
	sync_submit(&f->pool, job);
}

static void wait_finished(struct fixture *f, unsigned count)
{
	int64_t deadline = loop_monotonic() + WAIT * 1000;

	while (f->finished < count) {
		assert_true(loop_monotonic() < deadline);
		loop_turn(f->loop, 100);
	}
	assert_int_equal(f->finished, count);
}

/* What comes while a commit is under way is the next one, all of it. */
static void small_files_that_wait_at_a_time_are_one_commit(void **state)
{
	struct fixture *f = *state;
	struct sync_job *jobs = f->jobs;
	unsigned commits = 0, syncs = 0;

	atomic_store(&to_stop, 1);
	submit(f, &jobs[0], SMALL);
	wait_stopped();
	for (unsigned i = 1; i < MANY; i++)
		submit(f, &jobs[i], SMALL);
	sem_post(&go_on);
	wait_finished(f, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_false(jobs[i].large);
		commits += jobs[i].syncs > 0;
		syncs += jobs[i].syncs;
	}
	assert_int_equal(commits, 2);
	/* Each file, and one folder a commit, or more where a second ends among them. */
	assert_in_range(syncs, MANY + 2, 2 * MANY);
}

static void a_large_file_keeps_no_other_waiting(void **state)
{
	struct fixture *f = *state;
	struct sync_job *jobs = f->jobs;

	atomic_store(&to_stop, 1);
	submit(f, &jobs[0], SYNC_LARGE);
	wait_stopped();
	for (unsigned i = 1; i < MANY; i++)
		submit(f, &jobs[i], i == 1 ? SYNC_LARGE - 1 : SMALL);
	wait_finished(f, MANY - 1);
	assert_true(jobs[0].large);
	assert_false(jobs[1].large || jobs[0].durable);
	sem_post(&go_on);
	wait_finished(f, MANY);
	assert_true(jobs[0].durable);
}

/* Nor is it kept waiting by others, large or small: each large file is a commit of its own. */
static void large_files_are_committed_alone_and_beside_each_other(void **state)
{
	struct fixture *f = *state;
	struct sync_job *jobs = f->jobs;

	atomic_store(&to_stop, 3);
	submit(f, &jobs[0], SMALL);
	wait_stopped();
	submit(f, &jobs[1], SYNC_LARGE);
	submit(f, &jobs[2], SYNC_LARGE);
	wait_stopped();
	wait_stopped();
	for (unsigned i = 0; i < 3; i++)
		sem_post(&go_on);
	wait_finished(f, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(jobs[i].syncs, 2);
}

/* What one thread was told of a folder that could not be written is told to the others, too: their descriptors share nothing. */
static void threads_sync_folders_through_descriptors_of_their_own(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SYNC_THREADS; i++)
		for (unsigned k = 0; k < SYNC_THREADS; k++) {
			int one = f->pool.threads[i].folders.share[0];
			int other = f->pool.threads[k].folders.share[0];

			assert_int_equal(flock(one, LOCK_EX | LOCK_NB), 0);
			assert_int_equal(flock(other, LOCK_EX | LOCK_NB), i == k ? 0 : -1);
			assert_int_equal(flock(one, LOCK_UN), 0);
		}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(small_files_that_wait_at_a_time_are_one_commit),
		TEST(a_large_file_keeps_no_other_waiting),
		TEST(large_files_are_committed_alone_and_beside_each_other),
		TEST(threads_sync_folders_through_descriptors_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
