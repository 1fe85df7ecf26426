// SPDX-License-Identifier: ISC
/* Listening sockets. See acceptor.h. */
#include "service/acceptor.h"

#include <errno.h>

#include "os/os.h"
#include "service/log.h"

static void look_again(struct timer *timer)
{
	struct acceptor *acceptor = timer->context;

	if (acceptor->stopped || acceptor->watch.loop)
		return;
	/* Whatever is short may still be: another moment. */
	if (!loop_watch(acceptor->loop, &acceptor->watch))
		loop_timer_start(acceptor->loop, timer, ACCEPTOR_PAUSE);
}

static void look_away(struct acceptor *acceptor, int error)
{
	int64_t now = loop_now(acceptor->loop);

	if (!acceptor->failed || now - acceptor->told >= ACCEPTOR_TELL) {
		log_warning("accept on %s: %s: clients wait", acceptor->name, strerror(error));
		acceptor->failed = true;
		acceptor->told = now;
	}
	/* Without a timer nobody would come back to it: better to look at once. */
	if (loop_timer_start(acceptor->loop, &acceptor->resume, ACCEPTOR_PAUSE))
		loop_unwatch(&acceptor->watch);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct acceptor *acceptor = watch->context;

	for (unsigned i = 0; i < ACCEPTOR_BATCH && !acceptor->stopped; i++) {
		struct sockaddr_storage from = { 0 };
		int fd = os_accept(watch->fd, &from);

		if (fd >= 0) {
			acceptor->accepted(acceptor, fd, &from);
			continue;
		}
		if (errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			look_away(acceptor, errno);
		return;
	}
}

bool acceptor_start(struct acceptor *acceptor, struct loop *loop, int fd, const char *name,
	void (*accepted)(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from),
	void *context)
{
	*acceptor = (struct acceptor){
		.loop = loop, .accepted = accepted, .context = context, .name = name
	};
	acceptor->watch = (struct watch){
		.fd = fd, .events = EPOLLIN, .ready = listener_ready, .context = acceptor
	};
	acceptor->resume = (struct timer){ .fire = look_again, .context = acceptor };
	return loop_watch(loop, &acceptor->watch);
}

void acceptor_stop(struct acceptor *acceptor)
{
	acceptor->stopped = true;
	if (!acceptor->loop)
		return;
	loop_unwatch(&acceptor->watch);
	loop_timer_stop(&acceptor->resume);
}
