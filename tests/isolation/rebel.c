// SPDX-License-Identifier: ISC
/* A session that was taken over and will not go: it hears no signal, and its spawner hears nothing of it any more. See attempts.h. */
#include "tests/isolation/attempts.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { DESCRIPTORS_MOST = 256 };

/* As the kernel has it, not the C library. */
struct kernel_action {
	uint64_t handler, flags, restorer, mask;
};

static bool ignore(struct target *target, int signal_number)
{
	const struct kernel_action ignored = { .handler = (uint64_t)SIG_IGN };

	return CALL4(target, SYS_rt_sigaction, signal_number,
		       target_put(target, &ignored, sizeof(ignored)), 0, 8) == 0;
}

/* Who made the pair that this socket is one end of; 0: it is none. */
static pid_t maker(struct target *target, int fd)
{
	socklen_t size = sizeof(struct ucred);
	uint64_t room = target_room(target, size), length = target_put(target, &size, sizeof(size));
	struct ucred who = { 0 };

	if (CALL5(target, SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, room, length) != 0 ||
		!target_get(target, room, &who, sizeof(who)))
		return 0;
	return who.pid;
}

bool rebel(struct target *target)
{
	pid_t parent = (pid_t)CALL0(target, SYS_getppid);
	int channel = -1;

	/* The spawner makes two pairs for a session: the front's, then its own, which therefore has the higher number. */
	for (int fd = 3; fd < DESCRIPTORS_MOST; fd++) {
		target_forget(target);
		if (maker(target, fd) == parent)
			channel = fd;
	}
	target_forget(target);
	return ignore(target, SIGHUP) && ignore(target, SIGTERM) && channel >= 0 &&
	       CALL1(target, SYS_close, channel) == 0;
}
