// SPDX-License-Identifier: ISC
/* What a session that was taken over may do to the IMAP front by way of the descriptor it sends to sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imapd/front.h"

static struct conn *closed;
static struct login_client *client;
static unsigned resumed;

void conn_close(struct conn *conn)
{
	closed = conn;
	loop_timer_stop(&conn->timer);
	if (conn->watch.fd >= 0) {
		if (conn->watch.loop)
			loop_unwatch(&conn->watch);
		close(conn->watch.fd);
	}
	free(conn->sleeper);
	conn->sleeper = NULL;
	conn->watch.fd = -1;
}

struct login_client *login_find(struct login *login, uint32_t serial)
{
	return client;
}

bool login_tell_spawner(struct login *login, const struct message *message)
{
	resumed += message->type == MESSAGE_RESUME;
	return true;
}

/* The front with one client whose session sends `fd` to sleep; turned for a moment. */
static void sleep_with(int fd)
{
	struct imap_front front = { .loop = loop_new(NULL), .keepalive_interval = 1 };
	struct conn conn = { .front = &front, .state = CONN_SESSION };
	struct message message = { .type = MESSAGE_HIBERNATE, .fd_count = 1, .fds = { fd } };
	int64_t until = loop_monotonic() + 30;

	closed = NULL;
	resumed = 0;
	conn.watch.fd = -1;
	conn.client.context = &conn;
	client = &conn.client;
	alarm(10); /* a front that waits does not come back */
	sleeper_spawner_says(&front, &message);
	while (!closed && loop_monotonic() < until)
		loop_turn(front.loop, 5);
	alarm(0);
	if (!closed)
		conn_close(&conn);
	loop_free(&front.loop);
}

static void keepalive_does_not_wait_for_a_client_that_does_not_read(void **state)
{
	static const char FILL[65536];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	while (write(ends[0], FILL, sizeof(FILL)) > 0)
		continue;
	/* The mode is the socket's, and the session shares it. */
	assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
	sleep_with(ends[0]);
	assert_int_equal(resumed, 0);
	close(ends[1]);
}

static void descriptor_that_is_no_socket_is_closed(void **state)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	sleep_with(ends[1]);
	assert_non_null(closed);
	assert_int_equal(fcntl(ends[1], F_GETFD), -1);
	close(ends[0]);
}

static void who_has_to_go_is_told_and_not_woken(void **state)
{
	static const char BYE[] = "* BYE Disconnected by the administrator.\r\n";
	struct imap_front front = { .loop = loop_new(NULL), .keepalive_interval = 10000 };
	struct conn conn = { .front = &front, .state = CONN_SESSION };
	struct message message = { .type = MESSAGE_HIBERNATE, .fd_count = 1 };
	struct message end = { .type = MESSAGE_SLEEPER_END };
	char heard[100];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	message.fds[0] = ends[0];
	closed = NULL;
	resumed = 0;
	conn.watch.fd = -1;
	conn.client.context = &conn;
	client = &conn.client;
	/* Not before it sleeps: then it is not the front's to end. */
	sleeper_spawner_says(&front, &end);
	assert_null(closed);
	sleeper_spawner_says(&front, &message);
	sleeper_spawner_says(&front, &end);
	assert_ptr_equal(closed, &conn);
	assert_int_equal(resumed, 0);
	assert_int_equal(read(ends[1], heard, sizeof(heard)), sizeof(BYE) - 1);
	assert_memory_equal(heard, BYE, sizeof(BYE) - 1);
	close(ends[1]);
	loop_free(&front.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keepalive_does_not_wait_for_a_client_that_does_not_read),
		cmocka_unit_test(descriptor_that_is_no_socket_is_closed),
		cmocka_unit_test(who_has_to_go_is_told_and_not_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
