// SPDX-License-Identifier: ISC
/* Sync threads. See sync.h. */
#include "cleanup/sync.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void run_job(struct sync_job *job)
{
	job->durable =
		queue_write_envelope(job->writer, job->envelope) && queue_commit(job->writer);
	job->error = job->durable ? 0 : errno;
	job->fd = job->durable ? queue_reopen(job->writer) : -1;
}

static struct sync_job *wait_for_job(struct sync_pool *pool)
{
	struct sync_job *job;

	while (!pool->head && !pool->stopping)
		pthread_cond_wait(&pool->work, &pool->lock);
	job = pool->head;
	if (job) {
		pool->head = job->next;
		if (!pool->head)
			pool->tail = NULL;
	}
	return job;
}

static void *sync_thread(void *argument)
{
	struct sync_pool *pool = argument;
	struct sync_job *job;

	pthread_mutex_lock(&pool->lock);
	while ((job = wait_for_job(pool))) {
		bool first;

		pthread_mutex_unlock(&pool->lock);
		run_job(job);
		pthread_mutex_lock(&pool->lock);
		first = pool->done == NULL;
		job->next = pool->done;
		pool->done = job;
		if (first)
			eventfd_write(pool->watch.fd, 1);
	}
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
	pthread_attr_t attributes;
	int error;

	error = pthread_attr_init(&attributes);
	if (!error)
		error = pthread_attr_setstacksize(&attributes, SYNC_STACK);
	for (; !error && pool->count < SYNC_THREADS; pool->count++) {
		error = pthread_create(&pool->threads[pool->count], &attributes, sync_thread, pool);
		if (error)
			break;
	}
	pthread_attr_destroy(&attributes);
	errno = error;
	/* Fewer threads are slower, not worse. */
	return pool->count > 0;
}

bool sync_open(struct sync_pool *pool, struct loop *loop,
	void (*finished)(void *context, struct sync_job *job), void *context)
{
	*pool = (struct sync_pool){ .finished = finished, .context = context };
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
	pthread_mutex_lock(&pool->lock);
	if (pool->tail)
		pool->tail->next = job;
	else
		pool->head = job;
	pool->tail = job;
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
		pthread_join(pool->threads[i], NULL);
	loop_unwatch(&pool->watch);
	if (pool->watch.fd >= 0)
		close(pool->watch.fd);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
}
