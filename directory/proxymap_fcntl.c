// SPDX-License-Identifier: ISC
/*
 * fcntl for the client libraries of SQL servers. They make their sockets non-blocking by F_SETFL, which no cell allows, since it
 * could take O_APPEND off the log. The modules' libraries find this function before the C library's, and FIONBIO does the
 * same for sockets and nothing else.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#undef fcntl
#undef fcntl64

static int forward(int fd, int command, long argument)
{
	int on = (argument & O_NONBLOCK) != 0;

	return command == F_SETFL ? ioctl(fd, FIONBIO, &on)
				  : (int)syscall(SYS_fcntl, fd, command, argument);
}

#define FORWARD(name) \
	int name(int fd, int command, ...); \
	__attribute__((visibility("default"))) int name(int fd, int command, ...) \
	{ \
		va_list rest; \
		long argument; \
\
		va_start(rest, command); \
		argument = va_arg(rest, long); \
		va_end(rest); \
		return forward(fd, command, argument); \
	}
FORWARD(fcntl)
FORWARD(fcntl64)
