// SPDX-License-Identifier: ISC
/*
 * directory BIN INSTANCE USERS LOOKUPS: what an answer of directoryd takes. Starts the real one in its cell, on the accounts of an instance
 * (which has user0@example.test and so on, and does not run), in the place of master, and asks it as others do. Prints for each
 * question: its name, questions a second one by one, the median, 99th and 100th percentile of them in microseconds, and questions a
 * second when many are under way.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "os/os.h"
#include "service/service.h"

enum {
	PATIENCE = 10000, /* ms for one answer */
	UNDER_WAY = 64, /* questions at the same time */
	POPULAR = 1000 /* users who get all the mail, in the second round */
};

struct bench {
	const char *bin, *instance;
	unsigned users, lookups;
	pid_t pid;
	int control, asks, snapshot, figures, log;
	unsigned *order; /* of users */
	double *taken; /* microseconds */
	struct buffer space;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static int64_t deadline(void)
{
	return loop_monotonic() + PATIENCE;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* --- the place of master --- */

static void make_snapshot(struct bench *bench)
{
	struct config_report report = { 0 };
	struct buffer folder = { 0 }, snapshot = { 0 };
	struct config_source *source;

	must(buffer_printf(&folder, "%s/etc", bench->instance), "memory");
	source = config_read(buffer_text(&folder), &report);
	must(source && config_snapshot(source, &snapshot, &report), "main.cf");
	bench->snapshot = memfd_create("snapshot", MFD_CLOEXEC);
	must(os_write_all(bench->snapshot, snapshot.data, snapshot.length), "snapshot");
	config_source_free(&source);
	buffer_free(&snapshot);
	buffer_free(&folder);
}

static void send_start(struct bench *bench)
{
	struct message message = { .type = MESSAGE_MASTER_START, .fd_count = 3 };
	struct message_master_start *start = &message.master_start;
	struct buffer folder = { 0 };
	struct stat info;

	must(buffer_printf(&folder, "%s/data/directory", bench->instance), "memory");
	must(stat(buffer_text(&folder), &info) == 0, "data/directory");
	start->entry = start->log_name = SLICE("directory");
	start->root = slice_from(bench->instance);
	start->host = SLICE("localhost");
	start->best_effort = true;
	start->uid = info.st_uid;
	start->gid = info.st_gid;
	start->max_sessions = 1;
	start->build = message_build();
	message.fds[0] = bench->snapshot;
	message.fds[1] = bench->figures;
	message.fds[2] = bench->log;
	must(channel_sync_send(bench->control, &message, deadline()), "START");
	buffer_free(&folder);
}

static void start_directoryd(struct bench *bench)
{
	struct buffer path = { 0 };
	struct message message;
	int ends[2];

	must(buffer_printf(&path, "%s/directoryd", bench->bin), "memory");
	must(channel_pair(ends), "socket pair");
	bench->pid = fork();
	if (bench->pid == 0) {
		dup2(ends[1], 3);
		close_range(4, ~0U, 0);
		execl(buffer_text(&path), "directoryd", (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	bench->control = ends[0];
	send_start(bench);
	must(channel_sync_receive(bench->control, &message, &bench->space, deadline()) &&
			message.type == MESSAGE_MASTER_READY,
		"directoryd does not start");
	buffer_free(&path);
}

static void introduce(struct bench *bench)
{
	struct message peer = { .type = MESSAGE_MASTER_PEER, .fd_count = 1 };
	int ends[2];

	must(channel_pair(ends), "socket pair");
	peer.master_peer.from = SERVICE_SMTPD_SESSION;
	peer.fds[0] = ends[1];
	must(channel_sync_send(bench->control, &peer, deadline()), "introduction");
	close(ends[1]);
	bench->asks = ends[0];
}

/* --- questions --- */

static void ask(struct bench *bench, enum message_type type, unsigned user)
{
	struct message question = { .type = type };
	char address[64];
	struct slice text;

	snprintf(address, sizeof(address), "user%u@example.test", user);
	text = slice_from(address);
	if (type == MESSAGE_DIRECTORY_RECIPIENT)
		question.directory_recipient.recipient = text;
	else if (type == MESSAGE_DIRECTORY_RESOLVE)
		question.directory_resolve.recipient = text;
	else
		question.directory_mailbox.login = text;
	must(channel_sync_send(bench->asks, &question, deadline()), "question");
}

static void hear(struct bench *bench)
{
	struct message answer;
	unsigned status = DIRECTORY_TEMPORARY;

	must(channel_sync_receive(bench->asks, &answer, &bench->space, deadline()), "answer");
	if (answer.type == MESSAGE_DIRECTORY_RECIPIENT_ANSWER)
		status = answer.directory_recipient_answer.status;
	else if (answer.type == MESSAGE_DIRECTORY_RESOLVE_ANSWER)
		status = answer.directory_resolve_answer.status;
	else if (answer.type == MESSAGE_DIRECTORY_MAILBOX_ANSWER)
		status = answer.directory_mailbox_answer.status;
	must(status == DIRECTORY_FOUND, "a user is not found");
}

static void shuffle(struct bench *bench)
{
	uint64_t random = 88172645463325252;

	for (unsigned i = 0; i < bench->users; i++)
		bench->order[i] = i;
	for (unsigned i = bench->users - 1; i > 0; i--) {
		unsigned other, mine = bench->order[i];

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		other = (unsigned)(random % (i + 1));
		bench->order[i] = bench->order[other];
		bench->order[other] = mine;
	}
}

static int compare(const void *a, const void *b)
{
	double first = *(const double *)a, second = *(const double *)b;

	return (first > second) - (first < second);
}

static void measure(struct bench *bench, const char *name, enum message_type type, unsigned users)
{
	double begin = now(), one_by_one;
	unsigned asked = 0, answered = 0;

	for (unsigned i = 0; i < bench->lookups; i++) {
		double asked_at = now();

		ask(bench, type, bench->order[i % users]);
		hear(bench);
		bench->taken[i] = now() - asked_at;
	}
	one_by_one = bench->lookups / (now() - begin) * 1e6;
	qsort(bench->taken, bench->lookups, sizeof(bench->taken[0]), compare);
	begin = now();
	while (answered < bench->lookups) {
		while (asked < bench->lookups && asked - answered < UNDER_WAY)
			ask(bench, type, bench->order[asked++ % users]);
		hear(bench);
		answered++;
	}
	printf("%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\n", name, one_by_one,
		bench->taken[bench->lookups / 2], bench->taken[bench->lookups / 100 * 99],
		bench->taken[bench->lookups - 1], bench->lookups / (now() - begin) * 1e6);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum message_type type;
	} QUESTIONS[] = { { "recipient (RCPT)", MESSAGE_DIRECTORY_RECIPIENT },
		{ "resolve (qmgr)", MESSAGE_DIRECTORY_RESOLVE },
		{ "mailbox (login)", MESSAGE_DIRECTORY_MAILBOX } };
	struct bench bench = { 0 };
	char name[100];

	if (argc != 5) {
		fputs("usage: directory BIN INSTANCE USERS LOOKUPS\n", stderr);
		return 64;
	}
	bench.bin = argv[1];
	bench.instance = argv[2];
	bench.users = (unsigned)strtoul(argv[3], NULL, 10);
	bench.lookups = (unsigned)strtoul(argv[4], NULL, 10);
	must(bench.users >= POPULAR && bench.lookups >= 100, "too few users or lookups");
	bench.order = calloc(bench.users, sizeof(*bench.order));
	bench.taken = calloc(bench.lookups, sizeof(*bench.taken));
	bench.figures = memfd_create("figures", MFD_CLOEXEC);
	bench.log = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	must(bench.order && bench.taken && bench.log >= 0 &&
			ftruncate(bench.figures, 2 * sysconf(_SC_PAGESIZE)) == 0,
		"start");
	signal(SIGPIPE, SIG_IGN);
	shuffle(&bench);
	make_snapshot(&bench);
	start_directoryd(&bench);
	introduce(&bench);
	for (size_t i = 0; i < sizeof(QUESTIONS) / sizeof(QUESTIONS[0]); i++) {
		snprintf(name, sizeof(name), "%s, everybody in turn", QUESTIONS[i].name);
		measure(&bench, name, QUESTIONS[i].type, bench.users);
		snprintf(name, sizeof(name), "%s, %u users", QUESTIONS[i].name, POPULAR);
		measure(&bench, name, QUESTIONS[i].type, POPULAR);
	}
	kill(bench.pid, SIGTERM);
	close(bench.control);
	waitpid(bench.pid, NULL, 0);
	return 0;
}
