// SPDX-License-Identifier: ISC
/* Forking session processes. See spawner.h. */
#include "service/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/vector.h"
#include "service/internal.h"
#include "service/log.h"
#include "service/threads.h"

enum {
	DISMISS_GRACE = 5000, /* ms that a session may take to leave */
	ORDERS_MAX = 256 /* under way */
};

/* An order that is not answered yet: it waits for sessions dismissed by it, or by one before. */
struct order {
	uint32_t order;
	unsigned count;
};

/*
 * The thread that forks the sessions: it has their seccomp program, which they inherit. The loop waits while it works, so that
 * nothing of the process is in use by two.
 */
struct forker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	bool ready, refused; /* guarded; or it could not be */
	const struct session_start *start; /* what it is to do; NULL: nothing */
	int channel_fd;
	pid_t pid;
	int error;
};

struct spawner {
	struct service *service;
	struct cell_session *cell;
	struct forker forker;
	unsigned limit;
	channel_receive receive;
	void (*ended)(void *context, struct session_child *child, int status);
	void *context;
	struct vector children; /* of struct session_child * */
	struct watch signals;
	struct timer grace;
	struct vector orders; /* of struct order */
	struct timer overdue; /* for those who do not leave */
};

static void child_closed(struct channel *channel, const char *why)
{
	/* The end of the process itself is what counts: SIGCHLD tells of it. */
	log_debug("session %d: %s", (int)((struct session_child *)channel->context)->pid, why);
}

static bool awaits(const struct spawner *spawner, const struct order *order)
{
	for (size_t i = 0; i < spawner->children.count; i++) {
		const struct session_child *child =
			*(struct session_child **)vector_at(&spawner->children, i);

		if (child->dismissed && child->dismissed <= order->order)
			return true;
	}
	return false;
}

static void answer_orders(struct spawner *spawner)
{
	for (size_t i = spawner->orders.count; i-- > 0;) {
		struct order order = *(struct order *)vector_at(&spawner->orders, i);

		if (awaits(spawner, &order))
			continue;
		vector_swap_out(&spawner->orders, i);
		service_sessions_done(spawner->service, order.order, order.count);
	}
}

static void child_gone(struct spawner *spawner, pid_t pid, int status)
{
	for (size_t i = 0; i < spawner->children.count; i++) {
		struct session_child *child =
			*(struct session_child **)vector_at(&spawner->children, i);

		if (child->pid != pid)
			continue;
		vector_swap_out(&spawner->children, i);
		/* At the end of the suite, it was asked to. */
		if (WIFSIGNALED(status) && !spawner->grace.place)
			log_warning(
				"session %d was ended by signal %d", (int)pid, WTERMSIG(status));
		channel_close(&child->channel);
		spawner->ended(spawner->context, child, status);
		if (child->dismissed)
			answer_orders(spawner);
		free(child);
		return;
	}
}

/* Messages that a child sent before it ended are read first: its channel is drained by the loop in the same turn or earlier. */
static void reap(struct watch *watch, uint32_t events)
{
	struct spawner *spawner = watch->context;
	struct signalfd_siginfo info[16];
	int status;
	pid_t pid;

	while (read(watch->fd, info, sizeof(info)) > 0)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_gone(spawner, pid, status);
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return x < y ? -1 : x > y;
}

/* Close everything above standard error but what the child keeps; nothing of other clients may leak into it. */
static void close_others(const struct session_start *start, int channel_fd, int log_fd)
{
	enum { KEEP_MOST = 16 };
	int keep[KEEP_MOST + 2], from = 3;
	unsigned count = 0;

	keep[count++] = channel_fd;
	keep[count++] = log_fd;
	for (unsigned i = 0; i < start->keep_count && i < KEEP_MOST; i++)
		keep[count++] = start->keep[i];
	qsort(keep, count, sizeof(keep[0]), compare_int);
	for (unsigned i = 0; i < count; i++) {
		if (keep[i] < from)
			continue;
		if (keep[i] > from)
			close_range((unsigned)from, (unsigned)keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	close_range((unsigned)from, ~0U, 0);
}

static _Noreturn void run_child(
	struct spawner *spawner, const struct session_start *start, int channel_fd, pid_t parent)
{
	struct service *service = spawner->service;
	char error[300];
	sigset_t none;

	close_others(start, channel_fd, log_descriptor());
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Nobody would bound or end a session whose spawner has gone: postern abort, a crash. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(EX_OSERR);
	service->loop = NULL; /* the parent's, and closed */
	if (start->log_name)
		log_rename(start->log_name);
	service->session_folder = start->folder;
	if (!cell_session_enter(spawner->cell, &service->session_folder, start->rights,
		    service->best_effort, error, sizeof(error))) {
		log_error("session cannot be confined: %s", error);
		_exit(EX_NOPERM);
	}
	escape_arm(service);
	_exit(start->run(service, channel_fd, start->argument));
}

static void fork_one(struct spawner *spawner)
{
	struct forker *forker = &spawner->forker;
	pid_t parent = getpid();

	forker->pid = fork();
	forker->error = errno;
	if (forker->pid == 0)
		run_child(spawner, forker->start, forker->channel_fd, parent);
	forker->start = NULL;
}

static void *fork_sessions(void *argument)
{
	struct spawner *spawner = argument;
	struct forker *forker = &spawner->forker;
	char error[300];

	pthread_mutex_lock(&forker->lock);
	forker->refused = !cell_session_guard(
		spawner->cell, spawner->service->best_effort, error, sizeof(error));
	if (forker->refused)
		log_error("sessions cannot be confined: %s", error);
	forker->ready = true;
	pthread_cond_broadcast(&forker->turn);
	while (!forker->refused) {
		while (!forker->start)
			pthread_cond_wait(&forker->turn, &forker->lock);
		fork_one(spawner);
		pthread_cond_broadcast(&forker->turn);
	}
	pthread_mutex_unlock(&forker->lock);
	return NULL;
}

static bool start_forker(struct spawner *spawner)
{
	enum { STACK = 8 << 20 /* a session's, as a process has by default */ };
	struct forker *forker = &spawner->forker;

	pthread_mutex_init(&forker->lock, NULL);
	pthread_cond_init(&forker->turn, NULL);
	if (!thread_start(&forker->thread, STACK, fork_sessions, spawner)) {
		log_error("sessions cannot be forked: %s", strerror(errno));
		return false;
	}
	pthread_mutex_lock(&forker->lock);
	while (!forker->ready)
		pthread_cond_wait(&forker->turn, &forker->lock);
	pthread_mutex_unlock(&forker->lock);
	return !forker->refused;
}

/* In the loop: -1 with errno when it could not be forked. */
static pid_t fork_session(
	struct spawner *spawner, const struct session_start *start, int channel_fd)
{
	struct forker *forker = &spawner->forker;

	pthread_mutex_lock(&forker->lock);
	forker->channel_fd = channel_fd;
	forker->start = start;
	pthread_cond_broadcast(&forker->turn);
	while (forker->start)
		pthread_cond_wait(&forker->turn, &forker->lock);
	pthread_mutex_unlock(&forker->lock);
	errno = forker->error;
	return forker->pid;
}

struct spawner *spawner_open(struct service *service, unsigned limit, channel_receive receive,
	void (*ended)(void *context, struct session_child *child, int status), void *context)
{
	struct spawner *spawner = calloc(1, sizeof(*spawner));
	sigset_t set;

	if (!spawner)
		return NULL;
	*spawner = (struct spawner){ .service = service,
		.limit = limit,
		.receive = receive,
		.ended = ended,
		.context = context,
		.children = vector_of(sizeof(struct session_child *), limit),
		.orders = vector_of(sizeof(struct order), ORDERS_MAX) };
	spawner->cell = service->session_cell;
	if (!spawner->cell) {
		log_error("sessions cannot be confined: service_enter comes first, with "
			  "CELL_CALLS_LOCK_IN");
		free(spawner);
		return NULL;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	spawner->signals = (struct watch){ .events = EPOLLIN, .ready = reap, .context = spawner };
	spawner->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (spawner->signals.fd < 0 || !loop_watch(service->loop, &spawner->signals)) {
		log_error("sessions cannot be waited for: %s", strerror(errno));
		free(spawner);
		return NULL;
	}
	/* It stays until the process ends: without it there is nothing to be done here. */
	return start_forker(spawner) ? spawner : NULL;
}

static struct session_child *adopt(
	struct spawner *spawner, struct session_child *child, pid_t pid, int fd, void *context)
{
	*child = (struct session_child){
		.pid = pid, .context = context, .started = loop_now(spawner->service->loop)
	};
	if (!channel_open(&child->channel, spawner->service->loop, fd, spawner->receive,
		    child_closed, child))
		log_warning("session %d cannot be heard", (int)pid);
	*(struct session_child **)vector_add(&spawner->children) = child;
	return child;
}

struct session_child *spawner_start(
	struct spawner *spawner, const struct session_start *start, void *context)
{
	struct session_child *child;
	int ends[2];
	pid_t pid;

	/* Room first: after the fork nothing may fail. */
	if (spawner->children.count >= spawner->limit) {
		errno = EAGAIN;
		return NULL;
	}
	if (!vector_add(&spawner->children))
		return NULL;
	spawner->children.count--;
	child = calloc(1, sizeof(*child));
	if (!child || !channel_pair(ends)) {
		free(child);
		return NULL;
	}
	pid = fork_session(spawner, start, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		free(child);
		return NULL;
	}
	return adopt(spawner, child, pid, ends[0], context);
}

unsigned spawner_count(const struct spawner *spawner)
{
	return (unsigned)spawner->children.count;
}

void spawner_each(struct spawner *spawner, void (*each)(void *context, struct session_child *child),
	void *context)
{
	for (size_t i = 0; i < spawner->children.count; i++)
		each(context, *(struct session_child **)vector_at(&spawner->children, i));
}

/* A session that was taken over need not listen. */
static void end_overdue(struct timer *timer)
{
	struct spawner *spawner = timer->context;
	int64_t now = loop_now(spawner->service->loop), next = 0;

	for (size_t i = 0; i < spawner->children.count; i++) {
		const struct session_child *child =
			*(struct session_child **)vector_at(&spawner->children, i);
		int64_t due = child->dismissed_at + DISMISS_GRACE;

		if (!child->dismissed)
			continue;
		if (due <= now)
			kill(child->pid, SIGKILL);
		else if (!next || due < next)
			next = due;
	}
	if (next)
		loop_timer_start(spawner->service->loop, timer, next - now);
}

void spawner_dismiss(struct spawner *spawner, struct session_child *child, uint32_t order)
{
	if (child->dismissed)
		return;
	child->dismissed = order;
	child->dismissed_at = loop_now(spawner->service->loop);
	kill(child->pid, SIGHUP);
	spawner->overdue.fire = end_overdue;
	spawner->overdue.context = spawner;
	if (!spawner->overdue.place)
		loop_timer_start(spawner->service->loop, &spawner->overdue, DISMISS_GRACE);
}

void spawner_dismiss_some(struct spawner *spawner, const struct message_sessions_order *order,
	bool (*concerns)(const struct message_sessions_order *order, struct session_child *child),
	unsigned more)
{
	struct order *open = vector_add(&spawner->orders);
	struct order mine = { order->order, more };

	for (size_t i = 0; i < spawner->children.count; i++) {
		struct session_child *child =
			*(struct session_child **)vector_at(&spawner->children, i);

		if (!concerns(order, child))
			continue;
		spawner_dismiss(spawner, child, order->order);
		mine.count++;
	}
	if (!open) {
		service_sessions_done(spawner->service, mine.order, mine.count);
		return;
	}
	*open = mine;
	answer_orders(spawner);
}

static void signal_all(struct spawner *spawner, int signal_number)
{
	for (size_t i = 0; i < spawner->children.count; i++)
		kill((*(struct session_child **)vector_at(&spawner->children, i))->pid,
			signal_number);
}

static void grace_over(struct timer *timer)
{
	signal_all(timer->context, SIGKILL);
}

void spawner_end_all(struct spawner *spawner, int64_t grace)
{
	signal_all(spawner, SIGTERM);
	spawner->grace.fire = grace_over;
	spawner->grace.context = spawner;
	loop_timer_start(spawner->service->loop, &spawner->grace, grace);
}
