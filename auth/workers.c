// SPDX-License-Identifier: ISC
/* authd's threads. See workers.h. */
#include "auth/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKER_STACK = 512 * 1024 };

struct worker {
	struct workers *workers;
	struct backends *backends;
	pthread_t thread;
};

struct job_list {
	struct job *first, **end;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job_list waiting, finished_jobs;
	bool closing;
	struct watch watch; /* an eventfd: something is in finished_jobs */
	void (*finished)(void *context, struct job *job);
	void *context;
	unsigned count;
	struct worker worker[WORKERS_MOST];
};

static void list_add(struct job_list *list, struct job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct job *list_take(struct job_list *list)
{
	struct job *job = list->first;

	if (!job)
		return NULL;
	list->first = job->next;
	if (!list->first)
		list->end = &list->first;
	return job;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct workers *workers = worker->workers;
	const uint64_t one = 1;
	struct job *job;

	pthread_mutex_lock(&workers->lock);
	while (!workers->closing) {
		job = list_take(&workers->waiting);
		if (!job) {
			pthread_cond_wait(&workers->more, &workers->lock);
			continue;
		}
		pthread_mutex_unlock(&workers->lock);
		job->done = exchange_step(job->exchange, worker->backends);
		pthread_mutex_lock(&workers->lock);
		list_add(&workers->finished_jobs, job);
		(void)!write(workers->watch.fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

static void collect(struct watch *watch, uint32_t events)
{
	struct workers *workers = watch->context;
	uint64_t count;
	struct job *job;

	(void)!read(watch->fd, &count, sizeof(count));
	for (;;) {
		pthread_mutex_lock(&workers->lock);
		job = list_take(&workers->finished_jobs);
		pthread_mutex_unlock(&workers->lock);
		if (!job)
			return;
		workers->finished(workers->context, job);
	}
}

static bool start_thread(struct workers *workers, struct backends *backends)
{
	struct worker *worker = &workers->worker[workers->count];
	sigset_t all, before;
	pthread_attr_t attributes;
	int result;

	worker->workers = workers;
	worker->backends = backends;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK);
	result = pthread_create(&worker->thread, &attributes, work, worker);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = result;
	workers->count += result == 0;
	return result == 0;
}

struct workers *workers_open(struct loop *loop, struct backends **backends, unsigned count,
	void (*finished)(void *context, struct job *job), void *context)
{
	struct workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		return NULL;
	workers->waiting.end = &workers->waiting.first;
	workers->finished_jobs.end = &workers->finished_jobs.first;
	workers->finished = finished;
	workers->context = context;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->more, NULL);
	workers->watch = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = collect,
		.context = workers };
	if (workers->watch.fd < 0 || !loop_watch(loop, &workers->watch)) {
		workers_close(&workers);
		return NULL;
	}
	for (unsigned i = 0; i < count && i < WORKERS_MOST; i++)
		if (!start_thread(workers, backends[i])) {
			workers_close(&workers);
			return NULL;
		}
	return workers;
}

void workers_add(struct workers *workers, struct job *job)
{
	pthread_mutex_lock(&workers->lock);
	list_add(&workers->waiting, job);
	pthread_cond_signal(&workers->more);
	pthread_mutex_unlock(&workers->lock);
}

void workers_close(struct workers **workers)
{
	struct workers *w = *workers;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->count; i++)
		pthread_join(w->worker[i].thread, NULL);
	if (w->watch.loop)
		loop_unwatch(&w->watch);
	if (w->watch.fd >= 0)
		close(w->watch.fd);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
	*workers = NULL;
}
