// SPDX-License-Identifier: ISC
/* Listening sockets when nothing more can be accepted: lib/service/acceptor.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/os.h"
#include "service/acceptor.h"
#include "service/log.h"

static struct {
	struct loop *loop;
	struct acceptor acceptor;
	int listener, clients[2], log;
	unsigned accepted, attempts;
	int fault; /* of the next accept calls */
	int64_t now; /* ms */
} world;

static int fail_accept(enum os_call call, const char *path)
{
	if (call != OS_ACCEPT)
		return 0;
	world.attempts++;
	return world.fault;
}

static void take(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from)
{
	world.accepted++;
	close(fd);
}

static int64_t clock_now(void)
{
	return world.now;
}

static void dial(int *fd)
{
	struct sockaddr_un address;
	socklen_t length = sizeof(address);

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getsockname(world.listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(*fd, (struct sockaddr *)&address, length), 0);
}

static int set_up(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(&world, 0, sizeof(world));
	world.now = 1000000;
	world.loop = loop_new(clock_now);
	world.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Without a name: the kernel chooses an abstract one. */
	assert_int_equal(bind(world.listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(world.listener, 8), 0);
	world.log = memfd_create("log", MFD_CLOEXEC);
	log_open(world.log, "test", "host", false, false);
	os_fault_hook = fail_accept;
	assert_true(acceptor_start(
		&world.acceptor, world.loop, world.listener, "unix:test", take, &world));
	return 0;
}

static int tear_down(void **state)
{
	os_fault_hook = NULL;
	acceptor_stop(&world.acceptor);
	loop_free(&world.loop);
	close(world.listener);
	for (unsigned i = 0; i < 2; i++)
		if (world.clients[i])
			close(world.clients[i]);
	close(world.log);
	return 0;
}

static unsigned log_lines(void)
{
	char text[4096];
	ssize_t length = pread(world.log, text, sizeof(text), 0);
	unsigned lines = 0;

	for (ssize_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

static void turn(unsigned times)
{
	while (times--)
		loop_turn(world.loop, 0);
}

static void without_descriptors_nobody_is_accepted_and_nothing_spins(void **state)
{
	world.fault = EMFILE;
	dial(&world.clients[0]);
	turn(50);
	assert_int_equal(world.accepted, 0);
	assert_int_equal(world.attempts, 1);
}

static void who_waited_is_accepted_when_there_is_one_again(void **state)
{
	world.fault = ENFILE;
	dial(&world.clients[0]);
	turn(2);
	world.fault = 0;
	turn(5);
	assert_int_equal(world.accepted, 0);
	world.now += ACCEPTOR_PAUSE;
	turn(3);
	assert_int_equal(world.accepted, 1);
	dial(&world.clients[1]);
	turn(2);
	assert_int_equal(world.accepted, 2);
}

static void the_log_hears_of_it_once_a_minute(void **state)
{
	world.fault = EMFILE;
	dial(&world.clients[0]);
	for (int64_t end = world.now + ACCEPTOR_TELL; world.now < end; world.now += ACCEPTOR_PAUSE)
		turn(2);
	assert_int_equal(log_lines(), 1);
	assert_true(world.attempts > 2);
	turn(2);
	assert_int_equal(log_lines(), 2);
}

static void a_client_that_gave_up_is_no_reason_to_pause(void **state)
{
	world.fault = ECONNABORTED;
	dial(&world.clients[0]);
	turn(1);
	world.fault = 0;
	turn(1);
	assert_int_equal(world.accepted, 1);
	assert_int_equal(log_lines(), 0);
}

static void who_is_stopped_while_it_waits_stays_stopped(void **state)
{
	world.fault = EMFILE;
	dial(&world.clients[0]);
	turn(2);
	acceptor_stop(&world.acceptor);
	world.fault = 0;
	world.now += 10 * ACCEPTOR_PAUSE;
	turn(3);
	assert_int_equal(world.accepted, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(without_descriptors_nobody_is_accepted_and_nothing_spins),
		TEST(who_waited_is_accepted_when_there_is_one_again),
		TEST(the_log_hears_of_it_once_a_minute),
		TEST(a_client_that_gave_up_is_no_reason_to_pause),
		TEST(who_is_stopped_while_it_waits_stays_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
