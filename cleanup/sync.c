// SPDX-License-Identifier: ISC
/* Sync threads. See sync.h. */
#include "cleanup/sync.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "service/threads.h"

struct batch {
	struct sync_job *jobs[QUEUE_COMMITS];
	unsigned count;
};

static void run(const struct queue *folders, struct batch *batch)
{
	struct queue_writer *writers[QUEUE_COMMITS];

	for (unsigned i = 0; i < batch->count; i++) {
		struct sync_job *job = batch->jobs[i];

		writers[i] = job->writer;
		(void)!queue_write_envelope(job->writer, job->envelope);
	}
	batch->jobs[0]->syncs = queue_commit(folders, writers, batch->count);
	for (unsigned i = 0; i < batch->count; i++) {
		struct sync_job *job = batch->jobs[i];

		job->error = queue_writer_error(job->writer);
		job->durable = job->error == 0;
	}
}

/* True when there is something that needs no other thread's end. */
static bool may_take(const struct sync_pool *pool)
{
	return pool->head && (pool->head->large || !pool->busy);
}

static void take(struct sync_pool *pool, struct batch *batch)
{
	bool large = pool->head->large;

	for (batch->count = 0; pool->head && batch->count < QUEUE_COMMITS;) {
		struct sync_job *job = pool->head;

		if (batch->count && (large || job->large))
			break;
		pool->head = job->next;
		job->syncs = 0;
		batch->jobs[batch->count++] = job;
	}
	if (!pool->head)
		pool->tail = NULL;
	pool->busy = pool->busy || !large;
	if (may_take(pool))
		pthread_cond_signal(&pool->work);
}

/* False when the pool ends. */
static bool wait_for_work(struct sync_pool *pool, struct batch *batch)
{
	while (!may_take(pool) && !(pool->stopping && !pool->head))
		pthread_cond_wait(&pool->work, &pool->lock);
	batch->count = 0;
	if (pool->head)
		take(pool, batch);
	return batch->count > 0;
}

static void tell(struct sync_pool *pool, const struct batch *batch)
{
	bool first = pool->done == NULL;

	for (unsigned i = 0; i < batch->count; i++) {
		batch->jobs[i]->next = pool->done;
		pool->done = batch->jobs[i];
	}
	if (first)
		eventfd_write(pool->watch.fd, 1);
}

static void *sync_thread(void *argument)
{
	struct sync_thread *self = argument;
	struct sync_pool *pool = self->pool;
	struct batch batch;

	pthread_mutex_lock(&pool->lock);
	while (wait_for_work(pool, &batch)) {
		pthread_mutex_unlock(&pool->lock);
		run(&self->folders, &batch);
		pthread_mutex_lock(&pool->lock);
		if (!batch.jobs[0]->large)
			pool->busy = false;
		tell(pool, &batch);
	}
	/* Others may wait for what this one has taken last. */
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void sync_ready(struct watch *watch, uint32_t events)
{
	struct sync_pool *pool = watch->context;
	struct sync_job *done, *ordered = NULL, *next;
	eventfd_t count;

	eventfd_read(watch->fd, &count);
	pthread_mutex_lock(&pool->lock);
	done = pool->done;
	pool->done = NULL;
	pthread_mutex_unlock(&pool->lock);
	for (; done; done = next) {
		next = done->next;
		done->next = ordered;
		ordered = done;
	}
	for (; ordered; ordered = next) {
		next = ordered->next;
		pool->finished(pool->context, ordered);
	}
}

static bool start_threads(struct sync_pool *pool)
{
	while (pool->count < SYNC_THREADS) {
		struct sync_thread *next = &pool->threads[pool->count];

		next->pool = pool;
		if (!thread_start(&next->thread, SYNC_STACK, sync_thread, next))
			break;
		pool->count++;
	}
	/* Fewer threads are slower, not worse. */
	return pool->count > 0;
}

bool sync_prepare(struct sync_pool *pool, const struct queue *queue)
{
	*pool = (struct sync_pool){ .watch.fd = -1 };
	for (unsigned i = 0; i < SYNC_THREADS; i++)
		if (!queue_open_again(&pool->threads[i].folders, queue))
			return false;
	return true;
}

bool sync_open(struct sync_pool *pool, struct loop *loop,
	void (*finished)(void *context, struct sync_job *job), void *context)
{
	pool->finished = finished;
	pool->context = context;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->watch = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = sync_ready,
		.context = pool };
	return pool->watch.fd >= 0 && loop_watch(loop, &pool->watch) && start_threads(pool);
}

void sync_submit(struct sync_pool *pool, struct sync_job *job)
{
	job->next = NULL;
	job->large = queue_writer_size(job->writer) >= SYNC_LARGE;
	pthread_mutex_lock(&pool->lock);
	if (pool->tail)
		pool->tail->next = job;
	else
		pool->head = job;
	pool->tail = job;
	if (may_take(pool))
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

void sync_close(struct sync_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i].thread, NULL);
	for (unsigned i = 0; i < SYNC_THREADS; i++)
		queue_close(&pool->threads[i].folders);
	loop_unwatch(&pool->watch);
	if (pool->watch.fd >= 0)
		close(pool->watch.fd);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
}
