// SPDX-License-Identifier: ISC
/*
 * Readiness for a service manager that started master in the foreground: one datagram to the socket that NOTIFY_SOCKET names
 * (sd_notify(3)'s protocol, without the library).
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"
#include "service/log.h"

void notify_ready(void)
{
	static const char TEXT[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2)
		return;
	if (length >= sizeof(where.sun_path)) {
		log_warning("NOTIFY_SOCKET: path too long for a socket");
		return;
	}
	memcpy(where.sun_path, path, length);
	if (path[0] == '@') /* the abstract namespace */
		where.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, TEXT, sizeof(TEXT) - 1, MSG_NOSIGNAL, (struct sockaddr *)&where,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_warning("NOTIFY_SOCKET %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}
