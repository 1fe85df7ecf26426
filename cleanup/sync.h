// SPDX-License-Identifier: ISC
/*
 * The threads that wait for the disk. A job is one queue file: envelope, first block, name, fsync. One thread takes all jobs that
 * wait, so that they share one commit of the file system's journal; what comes meanwhile waits for the next. A large file, whose
 * sync takes long, is taken alone, and does not keep others waiting.
 */
#ifndef CLEANUP_SYNC_H
#define CLEANUP_SYNC_H

#include <pthread.h>

#include "base/loop.h"
#include "queue/queue.h"

enum { SYNC_THREADS = 4, SYNC_LARGE = 1 << 20 /* bytes */, SYNC_STACK = 256 << 10 };

struct sync_job {
	struct sync_job *next;
	struct queue_writer *writer;
	const struct queue_envelope *envelope;
	bool large; /* SYNC_LARGE or more */
	bool durable;
	unsigned syncs; /* those it took; of a batch, those of all at its first */
	int error; /* errno when not */
};

struct sync_thread {
	struct sync_pool *pool;
	struct queue folders; /* its own, to sync what it names */
	pthread_t thread;
};

struct sync_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct sync_job *head, *tail; /* to do */
	bool busy; /* a thread has taken jobs that are not large */
	struct sync_job *done; /* newest first */
	bool stopping;
	unsigned count;
	struct sync_thread threads[SYNC_THREADS];
	struct watch watch; /* an eventfd: something is done */
	void (*finished)(void *context, struct sync_job *job);
	void *context;
};

/* Before the cell is entered: each thread gets folders of its own (queue_commit). False with errno. */
MUST_CHECK bool sync_prepare(struct sync_pool *pool, const struct queue *queue);
/* After the cell is entered: threads started before would not be confined. False with errno. */
MUST_CHECK bool sync_open(struct sync_pool *pool, struct loop *loop,
	void (*finished)(void *context, struct sync_job *job), void *context);
/* The job, its writer and its envelope are the pool's until `finished`, which runs in the loop. */
void sync_submit(struct sync_pool *pool, struct sync_job *job);
/* Wait for the threads; jobs that are done but not told are not told any more. */
void sync_close(struct sync_pool *pool);

#endif
