// SPDX-License-Identifier: ISC
/*
 * A listening socket in a loop. When descriptors or memory run out the next client stays pending, and the socket ready: whoever
 * looked at once again would do nothing else. So it is looked away from for a moment, and the log says so once a minute.
 */
#ifndef SERVICE_ACCEPTOR_H
#define SERVICE_ACCEPTOR_H

#include <sys/socket.h>

#include "base/loop.h"

enum {
	ACCEPTOR_BATCH = 64, /* taken in one go, so that a flood does not starve those who are in */
	ACCEPTOR_PAUSE = 250, /* ms without accepting when it failed */
	ACCEPTOR_TELL = 60 * 1000 /* ms between log lines about it */
};

/* Embedded in its owner, zeroed before first use. */
struct acceptor {
	struct watch watch; /* watch.fd is the listener's, and stays the caller's */
	struct loop *loop;
	/* `fd` is the callee's, close-on-exec and non-blocking; it may stop the acceptor. */
	void (*accepted)(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from);
	void *context;
	struct timer resume;
	const char *name; /* of the listener, for the log; the caller's */
	int64_t told; /* loop time of the last log line */
	bool failed; /* a log line was written */
	bool stopped;
};

/* False with errno when the loop cannot watch it. */
MUST_CHECK bool acceptor_start(struct acceptor *acceptor, struct loop *loop, int fd,
	const char *name,
	void (*accepted)(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from),
	void *context);
/* Take nobody in any more; does not close the socket. Safe when it was never started. */
void acceptor_stop(struct acceptor *acceptor);

#endif
