// SPDX-License-Identifier: ISC
/*
 * What master does for keyd, which cannot do it from inside its cell: it looks whether files of keys and certificates have changed, and
 * hands over those that have; and it has them checked before a configuration is taken up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

enum {
	WATCHED_MAX = 2000,
	FRESH = 2, /* seconds: what changed so lately may have done so after keyd read it */
	CHECK_PATIENCE = 20000, /* ms */
	CHECK_OUTPUT = 64 * 1024
};

struct watched_file {
	uint32_t number;
	char *path;
	struct stat last; /* as it was when keyd got it; zeroed: it is to get it */
};

/* --- changes --- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void keys_watch(struct process *process, const struct message_key_watch *message)
{
	struct watched_file *file;

	if (!process->watched.size)
		process->watched = vector_of(sizeof(struct watched_file), WATCHED_MAX);
	file = vector_add(&process->watched);
	if (!file) {
		log_warning("TLS: too many files to watch: %.*s is not", SLICE_ARG(message->path));
		return;
	}
	file->number = message->number;
	file->path = slice_dup(message->path);
	if (!file->path || stat(file->path, &file->last) < 0 ||
		file->last.st_ctim.tv_sec >= os_now() / 1000000 - FRESH)
		file->last = (struct stat){ 0 };
}

static void send_file(struct process *process, struct watched_file *file)
{
	struct message message = { .type = MESSAGE_KEY_FILE, .fd_count = 1 };
	struct stat now;
	int fd;

	if (!file->path || stat(file->path, &now) < 0 || same_file(&now, &file->last) ||
		!S_ISREG(now.st_mode))
		return;
	fd = os_open(file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd >= 0 && os_fstat(fd, &now)) {
		file->last = now;
		message.key_file.number = file->number;
		message.fds[0] = fd;
		channel_send(&process->control, &message);
	}
	os_close(&fd);
}

static void look(struct timer *timer)
{
	struct process *process = timer->context;

	for (size_t i = 0; i < process->watched.count; i++)
		send_file(process, vector_at(&process->watched, i));
	loop_timer_start(
		process->master->loop, timer, process->entry->generation->settings.key_interval);
}

void keys_begin(struct process *process)
{
	if (!process->watched.count)
		return;
	process->watch_timer = (struct timer){ .fire = look, .context = process };
	loop_timer_start(process->master->loop, &process->watch_timer,
		process->entry->generation->settings.key_interval);
}

void keys_end(struct process *process)
{
	loop_timer_stop(&process->watch_timer);
	for (size_t i = 0; i < process->watched.count; i++)
		free(((struct watched_file *)vector_at(&process->watched, i))->path);
	vector_free(&process->watched);
}

/* --- the check --- */

static _Noreturn void run_check(const struct generation *generation, int snapshot, int out)
{
	static char *const ENVIRONMENT[] = { NULL };
	char path[2200], since[32];
	char *arguments[] = { "keyd", "--check", since, NULL };

	/* At start nothing is fresh: what has grown old is served, with a warning. */
	snprintf(since, sizeof(since), "%lld", (long long)generation->master->keys_since);
	snprintf(path, sizeof(path), "%s/keyd", generation->settings.daemons);
	if (dup2(generation->master->null_fd, 0) < 0 || dup2(out, 1) < 0 || dup2(snapshot, 3) < 0)
		_exit(127);
	close_range(4, ~0U, 0);
	execve(path, arguments, ENVIRONMENT);
	_exit(127);
}

/* What it says, until it has ended; false: it takes too long. */
static bool read_faults(int fd, struct buffer *text)
{
	int64_t deadline = loop_monotonic() + CHECK_PATIENCE;
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	ssize_t got;
	char *space;

	for (;;) {
		int64_t left = deadline - loop_monotonic();

		if (left <= 0 || poll(&poller, 1, (int)left) == 0)
			return false;
		space = buffer_reserve(text, 4096);
		if (!space)
			return false;
		got = os_read(fd, space, 4096);
		if (got <= 0)
			return got == 0;
		text->length += (size_t)got;
	}
}

/* Lines "error FILE<tab>TEXT". */
static void take_faults(struct slice text, struct config_report *report)
{
	struct slice line, kind, file;
	char name[256];

	while (slice_split(&text, '\n', &line)) {
		slice_split(&line, ' ', &kind);
		slice_split(&line, '\t', &file);
		if (!slice_to_string(file, name, sizeof(name)))
			snprintf(name, sizeof(name), "a file of certificates");
		config_fault_add(report, slice_equal(kind, SLICE("warning")), name, 0, "", "%.*s",
			SLICE_ARG(line));
	}
}

bool keys_check(
	struct generation *generation, const struct entry *keyd, struct config_report *report)
{
	struct buffer text = buffer_limited(CHECK_OUTPUT);
	int ends[2], status = -1;
	bool good = false;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		run_check(generation, keyd->snapshot, ends[1]);
	}
	close(ends[1]);
	if (pid > 0) {
		good = read_faults(ends[0], &text);
		if (!good)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	close(ends[0]);
	take_faults(buffer_slice(&text), report);
	buffer_free(&text);
	if (good && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (!report->errors)
		config_fault_add(report, false, "master.cf", keyd->config->line, keyd->config->name,
			"the keys of TLS cannot be checked");
	return false;
}
