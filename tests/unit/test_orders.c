// SPDX-License-Identifier: ISC
/* Orders about sessions, in master: whom they go to, in which turn, and what becomes of those who do not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"

enum { SIDES = 4 };

/* A process that answers as the test wants. */
struct side {
	struct process process;
	struct entry *entry;
	int end; /* its own end of the control channel */
};

static struct {
	struct master master;
	struct generation generations[2];
	struct entry entries[SIDES];
	struct side sides[SIDES];
	char path[40];
	int command;
	int64_t now;
	struct buffer space;
} world;

static int64_t clock_now(void)
{
	return world.now;
}

static void hear(struct channel *channel, struct message *message)
{
	struct side *side = channel->context;

	assert_true(sessions_said(&side->process, message));
}

static void side_make(unsigned i, enum service_id id, struct generation *generation)
{
	struct side *side = &world.sides[i];
	int ends[2];

	world.entries[i] = (struct entry){ .master = &world.master, .id = id };
	world.entries[i].processes = vector_of(sizeof(struct process *), 0);
	*(struct process **)vector_add(&world.entries[i].processes) = &side->process;
	side->process = (struct process){ .master = &world.master,
		.entry = &world.entries[i],
		.pid = (pid_t)(100 + i),
		.state = PROCESS_READY };
	assert_true(channel_pair(ends));
	side->end = ends[1];
	assert_true(
		channel_open(&side->process.control, world.master.loop, ends[0], hear, NULL, side));
	if (!generation->entries)
		generation->entries = &world.entries[i];
	generation->count++;
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		loop_turn(world.master.loop, 0);
}

static int set_up(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char run[210], error[300];

	memset(&world, 0, sizeof(world));
	world.now = 1000000;
	world.master.loop = loop_new(clock_now);
	snprintf(world.path, sizeof(world.path), "/tmp/postern-orders-XXXXXX");
	assert_non_null(mkdtemp(world.path));
	snprintf(run, sizeof(run), "%s/run", world.path);
	assert_int_equal(mkdir(run, 0700), 0);
	snprintf(world.master.settings.instance, sizeof(world.master.settings.instance), "%s",
		world.path);
	world.master.current = &world.generations[0];
	world.generations[0].former = &world.generations[1];
	side_make(0, SERVICE_AUTH, &world.generations[0]);
	side_make(1, SERVICE_IMAPD_SESSION, &world.generations[0]);
	side_make(2, SERVICE_SMTPD, &world.generations[0]);
	side_make(3, SERVICE_POP3D_SESSION, &world.generations[1]);
	assert_true(sessions_open(&world.master, error, sizeof(error)));
	world.command = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control", world.path);
	assert_int_equal(connect(world.command, (struct sockaddr *)&address, sizeof(address)), 0);
	turn();
	return 0;
}

static int tear_down(void **state)
{
	char path[230];

	close(world.command);
	turn();
	assert_int_equal(world.master.sessions_client_count, 0);
	acceptor_stop(&world.master.control);
	close(world.master.control.watch.fd);
	for (unsigned i = 0; i < SIDES; i++) {
		channel_close(&world.sides[i].process.control);
		close(world.sides[i].end);
		vector_free(&world.entries[i].processes);
	}
	loop_free(&world.master.loop);
	buffer_free(&world.space);
	snprintf(path, sizeof(path), "%s/run/control", world.path);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run", world.path);
	rmdir(path);
	rmdir(world.path);
	return 0;
}

static void order(uint8_t action, struct slice logins)
{
	struct message message = { .type = MESSAGE_SESSIONS_ORDER };

	message.sessions_order.action = action;
	message.sessions_order.logins = logins;
	message.sessions_order.app = SLICE("phone");
	assert_true(channel_sync_send(world.command, &message, loop_monotonic() + 1000));
	turn();
}

/* What came to that descriptor, if anything. */
static bool heard(int fd, struct message *message)
{
	return channel_sync_receive(fd, message, &world.space, loop_monotonic() + 10);
}

static bool ordered(unsigned side)
{
	struct message message;

	return heard(world.sides[side].end, &message) && message.type == MESSAGE_SESSIONS_ORDER &&
	       message.sessions_order.order == world.master.orders &&
	       slice_equal(message.sessions_order.app, SLICE("phone"));
}

static void answer(unsigned side, uint32_t number, unsigned count)
{
	struct message message = { .type = MESSAGE_SESSIONS_DONE };

	message.sessions_done.order = number;
	message.sessions_done.count = count;
	assert_true(channel_sync_send(world.sides[side].end, &message, loop_monotonic() + 1000));
	turn();
}

static void assert_done(unsigned count, unsigned silent)
{
	struct message message;

	assert_true(heard(world.command, &message));
	assert_int_equal(message.type, MESSAGE_SESSIONS_DONE);
	assert_int_equal(message.sessions_done.count, count);
	assert_int_equal(message.sessions_done.silent, silent);
}

#define ONE slice_of("one@example.test", sizeof("one@example.test"))

static void authd_hears_first_and_all_generations_hear(void **state)
{
	struct message message;

	order(SESSIONS_END, ONE);
	assert_true(ordered(0));
	assert_false(ordered(1));
	answer(0, 1, 0);
	assert_true(ordered(1));
	assert_true(ordered(3));
	assert_false(ordered(2));
	answer(1, 1, 2);
	assert_false(heard(world.command, &message));
	answer(3, 1, 1);
	assert_done(3, 0);
}

static void a_list_is_no_matter_of_authd(void **state)
{
	struct message row = { .type = MESSAGE_SESSIONS_ROW }, message;

	order(SESSIONS_LIST, SLICE(""));
	assert_false(ordered(0));
	assert_true(ordered(1));
	row.sessions_row.order = 1;
	row.sessions_row.service = SLICE("imap");
	row.sessions_row.login = SLICE("one@example.test");
	row.sessions_row.client_address = SLICE("192.0.2.1");
	assert_true(channel_sync_send(world.sides[1].end, &row, loop_monotonic() + 1000));
	turn();
	assert_true(heard(world.command, &message));
	assert_int_equal(message.type, MESSAGE_SESSIONS_ROW);
	answer(1, 1, 1);
	answer(3, 1, 0);
	assert_done(1, 0);
}

static void who_ends_or_does_not_answer_holds_nobody_up(void **state)
{
	order(SESSIONS_END, ONE);
	sessions_forget(&world.sides[0].process);
	turn();
	assert_true(ordered(1));
	answer(1, 1, 4);
	world.now += 60000;
	turn();
	assert_done(4, 1);
	/* Too late, and nobody asked: not counted anywhere. */
	answer(3, 1, 7);
	order(SESSIONS_LIST, SLICE(""));
	answer(1, 1, 9);
	answer(1, 2, 1);
	answer(3, 2, 0);
	assert_done(1, 0);
}

static void who_starts_has_no_sessions_yet(void **state)
{
	world.sides[1].process.state = PROCESS_STARTING;
	order(SESSIONS_LIST, SLICE(""));
	answer(3, 1, 0);
	assert_done(0, 0);
}

static void services_without_sessions_have_nothing_to_say(void **state)
{
	struct message done = { .type = MESSAGE_SESSIONS_DONE };

	order(SESSIONS_LIST, SLICE(""));
	done.sessions_done.order = 1;
	assert_false(sessions_said(&world.sides[2].process, &done));
}

static void an_order_to_end_all_or_nothing_known_is_none(void **state)
{
	struct message message;

	order(SESSIONS_END, SLICE(""));
	assert_false(heard(world.command, &message));
	assert_int_equal(world.master.sessions_client_count, 0);
	assert_int_equal(world.master.orders, 0);
}

static void nobody_else_may_connect(void **state)
{
	struct stat info;
	char path[230];

	snprintf(path, sizeof(path), "%s/run/control", world.path);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(authd_hears_first_and_all_generations_hear),
		TEST(a_list_is_no_matter_of_authd),
		TEST(who_ends_or_does_not_answer_holds_nobody_up),
		TEST(who_starts_has_no_sessions_yet),
		TEST(services_without_sessions_have_nothing_to_say),
		TEST(an_order_to_end_all_or_nothing_known_is_none),
		TEST(nobody_else_may_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
