// SPDX-License-Identifier: ISC
/* What an IMAP client may send before login; the first byte says how the rest is cut into reads. authd refuses everybody. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imapd/front.h"

static bool closed;

void conn_close(struct conn *conn)
{
	loop_timer_stop(&conn->timer);
	loop_unwatch(&conn->watch);
	close(conn->watch.fd);
	conn_forget_prelogin(conn);
	free(conn);
	closed = true;
}

void conn_login(struct conn *conn, struct slice user, struct slice password)
{
	conn->pre->failures++;
	conn_reply(conn, "NO");
}

/* One challenge, so that SASL lines are read too. */
void conn_authenticate(struct conn *conn, struct slice mechanism, struct slice initial)
{
	conn_say(conn, "+ \r\n");
	conn->pre->sasl = true;
}

void conn_sasl_line(struct conn *conn, struct slice line)
{
	conn->pre->sasl = false;
	conn_reply(conn, "NO");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_front front = { .login_timeout = 60000, .max_failures = 3 };
	struct conn *conn;
	size_t piece;
	int ends[2];

	/* Without a tlsd: what comes along with STARTTLS is dropped, and the client with it. */
	front.tls = (struct tls_settings){ .level = TLS_LEVEL_MAY,
		.certificates = { .data = (char[]){ "x" }, .length = 1 } };
	if (size < 1 || size > 100000)
		return 0;
	piece = data[0] ? data[0] : 100000;
	data++;
	size--;
	front.loop = loop_new(NULL);
	conn = calloc(1, sizeof(*conn));
	if (!front.loop || !conn ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	conn->front = &front;
	conn->watch.fd = ends[1];
	conn->plaintext = true;
	closed = false;
	conn_begin(conn);
	while (size && !closed) {
		size_t n = size < piece ? size : piece;
		ssize_t sent = send(ends[0], data, n, MSG_NOSIGNAL);
		char drop[4096];

		if (sent > 0) {
			data += sent;
			size -= (size_t)sent;
		}
		loop_turn(front.loop, 0);
		while (read(ends[0], drop, sizeof(drop)) > 0)
			continue;
	}
	for (unsigned i = 0; i < 50 && !closed; i++)
		loop_turn(front.loop, 0);
	if (!closed)
		conn_close(conn);
	close(ends[0]);
	loop_free(&front.loop);
	return 0;
}
