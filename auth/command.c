// SPDX-License-Identifier: ISC
/* Running a program. See command.h. */
#include "auth/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

enum { CANNOT_RUN = 127, READ_AT_ONCE = 4096, MS = 1000 };

/* The input as a file that has no name: nobody waits for a program that does not read. */
static int make_input(struct slice input)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd >= 0 && (!os_write_all(fd, input.data, input.length) || lseek(fd, 0, SEEK_SET) < 0))
		os_close(&fd);
	return fd;
}

static _Noreturn void run(
	const struct command_settings *settings, int input, int output, int64_t time)
{
	static char path[] = "PATH=/usr/bin:/bin";
	char *const environment[] = { path, NULL };
	const struct rlimit seconds = { (rlim_t)(time / MS + 1), (rlim_t)(time / MS + 1) };
	const struct rlimit processes = { settings->processes, settings->processes };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(getpid(), getpid());
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setrlimit(RLIMIT_CPU, &seconds) < 0 ||
		(settings->processes && setrlimit(RLIMIT_NPROC, &processes) < 0) ||
		chdir("/") < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 ||
		dup2(settings->null, 2) < 0 || close_range(3, ~0U, 0) < 0)
		_exit(CANNOT_RUN);
	execve(settings->arguments[0], settings->arguments, environment);
	_exit(CANNOT_RUN);
}

static void stop_reading(struct command *command)
{
	if (command->watch.fd < 0)
		return;
	loop_unwatch(&command->watch);
	os_close(&command->watch.fd);
}

/* All of it; its end comes by waitpid. */
static void kill_for(struct command *command, enum command_end end)
{
	if (command->end == COMMAND_DONE)
		command->end = end;
	kill(-command->pid, SIGKILL);
	stop_reading(command);
}

static void read_output(struct watch *watch, uint32_t events)
{
	struct command *command = watch->context;
	char *room;
	ssize_t length = 1;

	while (command->watch.fd >= 0 && length > 0) {
		room = buffer_reserve(&command->output, READ_AT_ONCE);
		length = room ? os_read(command->watch.fd, room, READ_AT_ONCE) : -1;
		if (length > 0)
			command->output.length += (size_t)length;
		if (!room || command->output.length > command->most)
			kill_for(command, COMMAND_TOO_MUCH);
		else if (length == 0 || (length < 0 && errno != EAGAIN))
			stop_reading(command);
	}
}

static void too_late(struct timer *timer)
{
	kill_for(timer->context, COMMAND_LATE);
}

static bool start_reading(struct command *command, int fd)
{
	command->watch = (struct watch){
		.fd = fd, .events = EPOLLIN, .ready = read_output, .context = command
	};
	return os_set_blocking(fd, false) && loop_watch(command->loop, &command->watch);
}

bool command_start(struct command *command, const struct command_settings *settings,
	struct loop *loop, struct slice input, int64_t time)
{
	int from = make_input(input), to[2] = { -1, -1 };
	bool started = false;

	command->loop = loop;
	command->end = COMMAND_DONE;
	command->pid = -1;
	command->watch.fd = -1;
	command->most = settings->output_most;
	command->output = buffer_secret(settings->output_most + READ_AT_ONCE);
	if (from >= 0 && pipe2(to, O_CLOEXEC) == 0 && start_reading(command, to[0])) {
		command->pid = fork();
		if (command->pid == 0)
			run(settings, from, to[1], time);
		started = command->pid > 0;
	}
	if (started) {
		/* Whoever of the two is first: no kill comes before it. */
		setpgid(command->pid, command->pid);
		command->limit = (struct timer){ .fire = too_late, .context = command };
		loop_timer_start(loop, &command->limit, time);
	} else {
		loop_unwatch(&command->watch);
		command->watch.fd = -1;
		os_close(&to[0]);
	}
	os_close(&to[1]);
	os_close(&from);
	return started;
}

bool command_reap(struct command *command)
{
	siginfo_t info = { 0 };

	/* It is looked at first and taken away last: until then its group is no other's. */
	if (waitid(P_PID, (id_t)command->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid != command->pid)
		return false;
	loop_timer_stop(&command->limit);
	if (command->watch.fd >= 0)
		read_output(&command->watch, EPOLLIN);
	kill_for(command, COMMAND_DONE);
	waitpid(command->pid, &command->status, 0);
	if (command->end == COMMAND_DONE &&
		(!WIFEXITED(command->status) || WEXITSTATUS(command->status) != 0))
		command->end = COMMAND_FAILED;
	command->ended(command, command->end);
	return true;
}

void command_describe(const struct command *command, char *text, size_t size)
{
	if (command->end == COMMAND_LATE)
		snprintf(text, size, "it took too long: killed");
	else if (command->end == COMMAND_TOO_MUCH)
		snprintf(text, size, "it said too much: killed");
	else if (WIFSIGNALED(command->status))
		snprintf(text, size, "signal %d", WTERMSIG(command->status));
	else if (WEXITSTATUS(command->status) == CANNOT_RUN)
		snprintf(text, size, "exit status %d: it cannot be run, or not what it runs",
			CANNOT_RUN);
	else
		snprintf(text, size, "exit status %d", WEXITSTATUS(command->status));
}
