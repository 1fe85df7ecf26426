// SPDX-License-Identifier: ISC
/*
 * Threads that do what a loop must not wait for: hashing passwords (authd), asking SQL servers (proxymap). Jobs wait in one line; each thread
 * has something of its own to do them with, a connection for instance, and takes the next one when it is free.
 */
#ifndef SERVICE_THREADS_H
#define SERVICE_THREADS_H

#include <pthread.h>

#include "base/loop.h"

enum { THREADS_MOST = 64 };

/* One thread that gets no signals: they are the loop's. `stack` in bytes. False with errno. */
MUST_CHECK bool thread_start(
	pthread_t *thread, size_t stack, void *(*run)(void *argument), void *argument);

/* First member of a job. */
struct thread_job {
	struct thread_job *next;
};

struct threads_hooks {
	/* In a thread: do it with the thread's own `hand`. */
	void (*run)(void *hand, struct thread_job *job);
	/* In the loop, afterwards. */
	void (*finished)(void *context, struct thread_job *job);
	void *context;
};

struct threads;
/* As many threads as there are hands, at most THREADS_MOST; the hands stay the caller's. Signals are the loop's. NULL with errno. */
struct threads *threads_open(
	struct loop *loop, const struct threads_hooks *hooks, void *const *hands, unsigned count);
/* The job is the threads' until `finished` is called. */
void threads_add(struct threads *threads, struct thread_job *job);
/* Waits for the jobs that run; those that wait are never done. */
void threads_close(struct threads **threads);

#endif
