// SPDX-License-Identifier: ISC
/* Introductions by master: who gets a connection, and what becomes of one that wants too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/master.h"

bool process_start(struct entry *entry)
{
	return false;
}

static const struct cell ASKED = { .service = SERVICE_AUTH,
	.serve = PEER(IMAPD) | PEER(IMAPD_SESSION) };
static const struct cell FRONT = { .service = SERVICE_IMAPD, .talk_to = PEER(AUTH) };
static const struct cell SPAWNER = {
	.service = SERVICE_IMAPD_SESSION, .talk_to = PEER(AUTH), .calls = CELL_CALLS_FORK
};

struct side {
	struct entry entry;
	struct process process;
	struct service_entry config;
	int end; /* the process's own end of its control channel */
};

static void ignore(struct channel *channel, struct message *message)
{
}

static void side_make(struct side *side, struct master *master, const struct cell *cell, pid_t pid)
{
	int ends[2];

	*side = (struct side){ .config = { .maxproc = 1 } };
	side->entry = (struct entry){
		.master = master, .config = &side->config, .cell = cell, .id = cell->service
	};
	side->entry.processes = vector_of(sizeof(struct process *), 0);
	*(struct process **)vector_add(&side->entry.processes) = &side->process;
	side->process = (struct process){ .master = master,
		.entry = &side->entry,
		.pid = pid,
		.state = PROCESS_READY,
		.introduced = vector_of(sizeof(struct introduced), 0) };
	assert_true(channel_pair(ends));
	side->end = ends[1];
	assert_true(
		channel_open(&side->process.control, master->loop, ends[0], ignore, NULL, side));
}

static void side_free(struct side *side)
{
	channel_close(&side->process.control);
	close(side->end);
	vector_free(&side->process.introduced);
	vector_free(&side->entry.processes);
}

/* Everything that came is closed, as a process would that wants only to fill the other's table. */
static unsigned drain(struct side *side)
{
	static struct buffer space;
	struct message message;
	unsigned count = 0;

	while (channel_sync_receive(side->end, &message, &space, loop_monotonic() + 1)) {
		count += message.fd_count;
		message_close_fds(&message);
	}
	return count;
}

/* How many connections `cell` gets of 1000 it asks for, and whether it is still alive then. */
static unsigned ask_often(const struct cell *cell, bool *alive)
{
	struct message_master_connect request = { .service = SERVICE_AUTH };
	struct master master = { .loop = loop_new(NULL) };
	struct generation generation = { .count = 1 };
	struct side asker, asked;
	unsigned got = 0;
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	side_make(&asker, &master, cell, child);
	side_make(&asked, &master, &ASKED, getpid());
	generation.entries = &asked.entry;
	*(struct process **)vector_at(&asked.entry.processes, 0) = &asked.process;
	master.current = &generation;
	for (unsigned i = 0; i < 1000; i++) {
		introduce(&asker.process, &request);
		got += drain(&asker);
		drain(&asked);
	}
	assert_int_equal(asked.process.introduced.count, 1);
	*alive = waitpid(child, NULL, WNOHANG) == 0;
	if (!*alive)
		child = 0;
	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	side_free(&asker);
	side_free(&asked);
	loop_free(&master.loop);
	return got;
}

static void process_that_asks_for_ever_more_connections_is_ended(void **state)
{
	bool alive;

	assert_int_equal(ask_often(&FRONT, &alive), INTRODUCTIONS_MOST);
	assert_false(alive);
}

static void spawner_gets_a_connection_for_each_session(void **state)
{
	bool alive;

	assert_int_equal(ask_often(&SPAWNER, &alive), 1000);
	assert_true(alive);
}

/* Which of two generations' authd the asker of one of them meets while a reload gets ready. */
static void a_candidate_meets_only_its_own_and_nobody_else_meets_it(void **state)
{
	struct message_master_connect request = { .service = SERVICE_AUTH };
	struct master master = { .loop = loop_new(NULL) };
	struct generation present = { .count = 1 }, candidate = { .count = 1, .former = &present };
	struct side asker, old, new;

	side_make(&asker, &master, &FRONT, getpid());
	side_make(&old, &master, &ASKED, getpid());
	side_make(&new, &master, &ASKED, getpid());
	present.entries = &old.entry;
	candidate.entries = &new.entry;
	*(struct process **)vector_at(&old.entry.processes, 0) = &old.process;
	*(struct process **)vector_at(&new.entry.processes, 0) = &new.process;
	master.current = &present;
	master.candidate = &candidate;
	asker.entry.generation = &present;
	introduce(&asker.process, &request);
	assert_int_equal(drain(&old), 1);
	assert_int_equal(drain(&new), 0);
	asker.entry.generation = &candidate;
	introduce(&asker.process, &request);
	assert_int_equal(drain(&old), 0);
	assert_int_equal(drain(&new), 1);
	/* Given up: what is left of it asks those who serve. */
	master.candidate = NULL;
	introduce(&asker.process, &request);
	assert_int_equal(drain(&old), 1);
	assert_int_equal(drain(&new), 0);
	side_free(&asker);
	side_free(&old);
	side_free(&new);
	loop_free(&master.loop);
}

/* What authd gets of master's answer to that wish. */
static unsigned ask_outside(const struct cell *cell, unsigned what, const char *path)
{
	struct message_master_outside request = { .what = (uint8_t)what };
	struct master master = { .loop = loop_new(NULL) };
	struct side asker;
	unsigned got;

	side_make(&asker, &master, cell, getpid());
	snprintf(asker.entry.saslauthd, sizeof(asker.entry.saslauthd), "%s", path);
	introduce_outside(&asker.process, &request);
	got = drain(&asker);
	side_free(&asker);
	loop_free(&master.loop);
	return got;
}

static void socket_of_another_program_is_for_those_whose_cell_says_so(void **state)
{
	static const struct cell MAY = { .service = SERVICE_AUTH,
		.outside = CELL_OUTSIDE_SASLAUTHD };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/postern-outside-%d", (int)getpid());
	unlink(name.sun_path);
	assert_int_equal(ask_outside(&MAY, CELL_OUTSIDE_SASLAUTHD, name.sun_path), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 5), 0);
	assert_int_equal(ask_outside(&MAY, CELL_OUTSIDE_SASLAUTHD, name.sun_path), 1);
	assert_int_equal(ask_outside(&FRONT, CELL_OUTSIDE_SASLAUTHD, name.sun_path), 0);
	assert_int_equal(ask_outside(&MAY, 0, name.sun_path), 0);
	assert_int_equal(ask_outside(&MAY, 2, name.sun_path), 0);
	close(listener);
	unlink(name.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(process_that_asks_for_ever_more_connections_is_ended),
		cmocka_unit_test(spawner_gets_a_connection_for_each_session),
		cmocka_unit_test(a_candidate_meets_only_its_own_and_nobody_else_meets_it),
		cmocka_unit_test(socket_of_another_program_is_for_those_whose_cell_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
