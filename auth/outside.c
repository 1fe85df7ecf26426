// SPDX-License-Identifier: ISC
/* Connections for workers. See outside.h. */
#include "auth/outside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "service/log.h"

enum { OUTSIDE_WAIT = 10 /* s */ };

/* One worker's wish. It belongs to the loop once that took it, until it is answered; who comes last frees it. */
struct wish {
	struct wish *next;
	struct outside *outside;
	pthread_cond_t answered;
	bool done, abandoned;
	int fd;
};

struct outside {
	struct service *service;
	enum cell_outside what;
	pthread_mutex_t lock;
	struct wish *first;
	struct watch watch; /* an eventfd: there are wishes */
};

static void connected(struct service *service, void *context, int fd, const char *reason)
{
	struct wish *wish = context;
	struct outside *outside = wish->outside;
	bool abandoned;

	if (fd < 0)
		log_warning("auth: no connection to saslauthd: %s", reason);
	pthread_mutex_lock(&outside->lock);
	abandoned = wish->abandoned;
	wish->fd = fd;
	wish->done = true;
	pthread_cond_signal(&wish->answered);
	pthread_mutex_unlock(&outside->lock);
	if (!abandoned)
		return;
	if (fd >= 0)
		close(fd);
	pthread_cond_destroy(&wish->answered);
	free(wish);
}

static void ask_master(struct watch *watch, uint32_t events)
{
	struct outside *outside = watch->context;
	struct wish *wish, *next;
	uint64_t count;

	(void)!read(watch->fd, &count, sizeof(count));
	pthread_mutex_lock(&outside->lock);
	wish = outside->first;
	outside->first = NULL;
	pthread_mutex_unlock(&outside->lock);
	for (; wish; wish = next) {
		next = wish->next;
		service_connect_outside(outside->service, outside->what, connected, wish);
	}
}

struct outside *outside_open(struct service *service, enum cell_outside what)
{
	struct outside *outside = calloc(1, sizeof(*outside));

	if (!outside)
		return NULL;
	outside->service = service;
	outside->what = what;
	pthread_mutex_init(&outside->lock, NULL);
	outside->watch = (struct watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = ask_master,
		.context = outside };
	if (outside->watch.fd >= 0 && loop_watch(service_loop(service), &outside->watch))
		return outside;
	pthread_mutex_destroy(&outside->lock);
	free(outside);
	return NULL;
}

/* True when the answer came in time; the lock is held. */
static bool wait_for_answer(struct wish *wish)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += OUTSIDE_WAIT;
	while (!wish->done && result == 0)
		result = pthread_cond_timedwait(&wish->answered, &wish->outside->lock, &until);
	return wish->done;
}

int outside_connect(void *context)
{
	struct outside *outside = context;
	struct wish *wish = calloc(1, sizeof(*wish));
	const uint64_t one = 1;
	pthread_condattr_t clock;
	bool done;
	int fd;

	if (!wish)
		return -1;
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&wish->answered, &clock);
	pthread_condattr_destroy(&clock);
	wish->outside = outside;
	pthread_mutex_lock(&outside->lock);
	wish->next = outside->first;
	outside->first = wish;
	(void)!write(outside->watch.fd, &one, sizeof(one));
	done = wait_for_answer(wish);
	wish->abandoned = !done;
	pthread_mutex_unlock(&outside->lock);
	if (!done)
		return -1;
	fd = wish->fd;
	pthread_cond_destroy(&wish->answered);
	free(wish);
	return fd;
}
