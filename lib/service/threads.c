// SPDX-License-Identifier: ISC
/* Threads for a loop. See threads.h. */
#include "service/threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STACK = 512 * 1024 };

struct worker {
	struct threads *threads;
	void *hand;
	pthread_t thread;
};

struct job_list {
	struct thread_job *first, **end;
};

struct threads {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job_list waiting, done;
	bool closing;
	struct watch watch; /* an eventfd: something is in `done` */
	struct threads_hooks hooks;
	unsigned count;
	struct worker worker[THREADS_MOST];
};

static void list_add(struct job_list *list, struct thread_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct thread_job *list_take(struct job_list *list)
{
	struct thread_job *job = list->first;

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
	struct threads *threads = worker->threads;
	const uint64_t one = 1;
	struct thread_job *job;

	pthread_mutex_lock(&threads->lock);
	while (!threads->closing) {
		job = list_take(&threads->waiting);
		if (!job) {
			pthread_cond_wait(&threads->more, &threads->lock);
			continue;
		}
		pthread_mutex_unlock(&threads->lock);
		threads->hooks.run(worker->hand, job);
		pthread_mutex_lock(&threads->lock);
		list_add(&threads->done, job);
		(void)!write(threads->watch.fd, &one, sizeof(one));
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

static void collect(struct watch *watch, uint32_t events)
{
	struct threads *threads = watch->context;
	struct thread_job *job;
	uint64_t count;

	(void)!read(watch->fd, &count, sizeof(count));
	for (;;) {
		pthread_mutex_lock(&threads->lock);
		job = list_take(&threads->done);
		pthread_mutex_unlock(&threads->lock);
		if (!job)
			return;
		threads->hooks.finished(threads->hooks.context, job);
	}
}

bool thread_start(pthread_t *thread, size_t stack, void *(*run)(void *argument), void *argument)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, stack);
	result = pthread_create(thread, &attributes, run, argument);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = result;
	return result == 0;
}

static bool start_worker(struct threads *threads, void *hand)
{
	struct worker *worker = &threads->worker[threads->count];

	*worker = (struct worker){ .threads = threads, .hand = hand };
	if (!thread_start(&worker->thread, STACK, work, worker))
		return false;
	threads->count++;
	return true;
}

struct threads *threads_open(
	struct loop *loop, const struct threads_hooks *hooks, void *const *hands, unsigned count)
{
	struct threads *threads = calloc(1, sizeof(*threads));
	int error;

	if (!threads)
		return NULL;
	threads->waiting.end = &threads->waiting.first;
	threads->done.end = &threads->done.first;
	threads->hooks = *hooks;
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->more, NULL);
	threads->watch = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = collect,
		.context = threads };
	if (threads->watch.fd < 0 || !loop_watch(loop, &threads->watch))
		goto failed;
	for (unsigned i = 0; i < count && i < THREADS_MOST; i++)
		if (!start_worker(threads, hands[i]))
			goto failed;
	return threads;
failed:
	error = errno;
	threads_close(&threads);
	errno = error;
	return NULL;
}

void threads_add(struct threads *threads, struct thread_job *job)
{
	pthread_mutex_lock(&threads->lock);
	list_add(&threads->waiting, job);
	pthread_cond_signal(&threads->more);
	pthread_mutex_unlock(&threads->lock);
}

void threads_close(struct threads **threads)
{
	struct threads *t = *threads;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_cond_broadcast(&t->more);
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = 0; i < t->count; i++)
		pthread_join(t->worker[i].thread, NULL);
	if (t->watch.loop)
		loop_unwatch(&t->watch);
	if (t->watch.fd >= 0)
		close(t->watch.fd);
	pthread_cond_destroy(&t->more);
	pthread_mutex_destroy(&t->lock);
	free(t);
	*threads = NULL;
}
