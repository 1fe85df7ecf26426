// SPDX-License-Identifier: ISC
/*
 * postern start, start-fg, stop, abort, reload: what is said to master.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "cli/account.h"
#include "cli/instance.h"

enum {
	START_TIMEOUT = 60000, /* ms until every process of a start is ready */
	STOP_SPARE = 5000, /* ms beyond service_stop_timeout */
	ABORT_TIMEOUT = 10000,
	RELOAD_SPARE = 30000, /* ms beyond service_start_timeout */
	PROGRESS = 2000, /* ms between signs of life while waiting */
	STEP = 50 /* ms between two looks */
};

/* No command here takes arguments: --help, or too many. -1: go on. */
static int no_arguments(int argc, char **argv, const char *help)
{
	if (argc < 2)
		return -1;
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		printf("usage: postern [-c FOLDER] %s\n%s\n", argv[0], help);
		return EX_OK;
	}
	cli_complain(argv[0], "no arguments are taken; see --help");
	return EX_USAGE;
}

static void nap(int milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000l };

	nanosleep(&time, NULL);
}

/* --- start --- */

/* What daemons get of the environment: nothing that could make a library do something else. */
static const char *const KEPT[] = { "TZ=", "NOTIFY_SOCKET=", "POSTERN_",
	"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };

static char **clean_environment(void)
{
	static char *kept[32] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	};
	size_t count = 1;

	for (char **variable = environ; *variable && count < 31; variable++)
		for (size_t i = 0; i < sizeof(KEPT) / sizeof(KEPT[0]); i++)
			if (strncmp(*variable, KEPT[i], strlen(KEPT[i])) == 0 && count < 31)
				kept[count++] = *variable;
	return kept;
}

/* Does not return. `ready` is where master says that it is ready, or -1. */
static _Noreturn void run_master(const struct instance *instance, const char *command, int ready)
{
	char folder[PATH_MAX], path[PATH_MAX + 16], number[16];
	const char *etc = config_text(instance->config, PARAM_config_directory);
	char *arguments[] = { "master", "-c", (char *)etc, ready >= 0 ? "--ready-fd" : NULL, number,
		NULL };

	instance_daemons(instance->config, folder);
	snprintf(path, sizeof(path), "%s/master", folder);
	snprintf(number, sizeof(number), "%d", ready);
	execve(path, arguments, clean_environment());
	if (ready >= 0)
		dprintf(ready, "error: %s: %s\n", path, strerror(errno));
	else
		cli_complain(command, "%s: %s", path, strerror(errno));
	_exit(EX_UNAVAILABLE);
}

static bool may_start(const char *command, const struct instance *instance)
{
	pid_t pid = instance_master(instance->root);

	if (pid > 0)
		cli_complain(command, "the mail system is already running (pid %d)", (int)pid);
	else if (pid < 0)
		cli_complain(command, "%s/run/master.pid: %s", instance->root, strerror(errno));
	if (pid == 0)
		account_recover(command, instance->config);
	return pid == 0;
}

/* Detached: a session of its own, nothing of the terminal. */
static void become_master(const struct instance *instance, int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0)
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
	if (chdir("/") == 0)
		run_master(instance, "start", ready);
	_exit(EX_OSERR);
}

/* Lines from master until "ready"; others are told. False at its end, or after START_TIMEOUT. */
static bool wait_ready(int fd)
{
	int64_t deadline = loop_monotonic() + START_TIMEOUT;
	struct buffer text = buffer_limited(1 << 16);
	bool ready = false, open = true;

	while (open && !ready) {
		struct pollfd poll_fd = { fd, POLLIN, 0 };
		int64_t left = deadline - loop_monotonic();
		char *room = buffer_reserve(&text, 1024);
		ptrdiff_t end;

		open = room && left > 0 && poll(&poll_fd, 1, (int)left) >= 0;
		if (open && poll_fd.revents) {
			ssize_t got = read(fd, room, 1024);

			open = got > 0;
			text.length += got > 0 ? (size_t)got : 0;
		}
		while ((end = slice_find(buffer_slice(&text), '\n')) >= 0) {
			struct slice line = slice_head(buffer_slice(&text), (size_t)end);

			if (slice_equal(line, SLICE("ready")))
				ready = true;
			else
				fprintf(stderr, "start: %.*s\n", SLICE_ARG(line));
			buffer_consume(&text, (size_t)end + 1);
		}
	}
	buffer_free(&text);
	return ready;
}

static int start(const struct instance *instance)
{
	int ends[2];
	pid_t child;
	bool ready;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return EX_OSERR;
	child = fork();
	if (child < 0)
		return EX_OSERR;
	if (child == 0) {
		fcntl(ends[1], F_SETFD, 0);
		become_master(instance, ends[1]);
	}
	close(ends[1]);
	ready = wait_ready(ends[0]);
	close(ends[0]);
	if (!ready) {
		const char *log = config_text(instance->config, PARAM_maillog_file);

		cli_complain("start", "the mail system did not start; see %s",
			*log ? log : "the system's log");
		kill(child, SIGTERM);
		return EX_UNAVAILABLE;
	}
	printf("the mail system is running: pid %d, %s\n", (int)instance_master(instance->root),
		instance->root);
	return EX_OK;
}

int start_main(int argc, char **argv)
{
	int status =
		no_arguments(argc, argv, "Start the mail system, and return when it is ready.");
	struct instance instance;

	if (status >= 0)
		return status;
	if (!instance_open("start", true, &instance))
		return EX_CONFIG;
	status = may_start("start", &instance) ? start(&instance) : EX_TEMPFAIL;
	instance_close(&instance);
	return status;
}

int start_fg_main(int argc, char **argv)
{
	int status = no_arguments(argc, argv,
		"Run the mail system in the foreground, for containers and supervisors.");
	struct instance instance;

	if (status >= 0)
		return status;
	if (!instance_open("start-fg", true, &instance))
		return EX_CONFIG;
	if (may_start("start-fg", &instance))
		run_master(&instance, "start-fg", -1);
	instance_close(&instance);
	return EX_TEMPFAIL;
}

/* --- stop, abort --- */

/* service_stop_timeout, its default when the configuration is broken. */
static int64_t stop_timeout(void)
{
	static struct config_report report;
	const struct parameter_info *info = parameter_info(PARAM_service_stop_timeout);
	struct config_source *source = config_read(cli_folder(NULL), &report);
	struct buffer text = { 0 };
	char error[200];
	int64_t value = 0;

	if (!source || !config_value(source, info->name, &text, error, sizeof(error)) ||
		!parameter_parse(info, buffer_slice(&text), &value, error, sizeof(error)))
		value = 10000;
	buffer_free(&text);
	config_source_free(&source);
	return value;
}

/* Until no master holds the lock. */
static bool wait_gone(const char *root, int64_t limit)
{
	int64_t begin = loop_monotonic(), told = begin;

	while (instance_master(root) > 0) {
		int64_t now = loop_monotonic();

		if (now - begin > limit)
			return false;
		if (now - told >= PROGRESS) {
			printf("waiting for the mail system to end (%lld s)\n",
				(long long)(now - begin) / 1000);
			fflush(stdout);
			told = now;
		}
		nap(STEP);
	}
	return true;
}

static int end_master(const char *command, int signal, int64_t limit)
{
	char root[PATH_MAX];
	pid_t pid;

	if (!instance_find(command, root))
		return EX_CONFIG;
	pid = instance_master(root);
	if (pid <= 0) {
		cli_complain(command,
			pid ? "%s/run/master.pid: %s" : "the mail system is not running", root,
			strerror(errno));
		return 1;
	}
	if (kill(pid, signal) < 0) {
		cli_complain(command, "pid %d: %s", (int)pid, strerror(errno));
		return EX_NOPERM;
	}
	if (!wait_gone(root, limit)) {
		cli_complain(command, "the mail system (pid %d) has not ended after %lld s",
			(int)pid, (long long)limit / 1000);
		return EX_TEMPFAIL;
	}
	puts("the mail system has stopped");
	return EX_OK;
}

int stop_main(int argc, char **argv)
{
	int status = no_arguments(argc, argv,
		"Stop the mail system: what is in hand is finished, within service_stop_timeout.");

	return status >= 0 ? status : end_master("stop", SIGTERM, stop_timeout() + STOP_SPARE);
}

int abort_main(int argc, char **argv)
{
	int status = no_arguments(argc, argv,
		"Stop the mail system at once. No accepted mail is lost; clients lose their "
		"connections.");

	return status >= 0 ? status : end_master("abort", SIGQUIT, ABORT_TIMEOUT);
}

/* --- reload --- */

/* run/reload.status is replaced, so a new answer is another file. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* "generation N ok", "generation N error: ..." when the configuration is wrong, "generation N failed: ..." when something else was,
 * "generation N incomplete: ..." when it holds without one that exists only once. */
static int tell_outcome(const char *path)
{
	char text[1200] = "";
	FILE *file = fopen(path, "re");
	struct slice line, rest, word, number;

	if (!file || !fgets(text, sizeof(text), file))
		text[0] = 0;
	if (file)
		fclose(file);
	line = rest = slice_trim(slice_from(text));
	if (slice_word(&rest, " ", &word) && slice_word(&rest, " ", &number) &&
		slice_equal(slice_trim(rest), SLICE("ok"))) {
		printf("the new configuration is in force (generation %.*s)\n", SLICE_ARG(number));
		return EX_OK;
	}
	rest = slice_trim(rest);
	if (slice_starts(rest, SLICE("incomplete: "))) {
		cli_complain("reload",
			"the new configuration is in force, but a service is missing, and tried "
			"again: %.*s",
			SLICE_ARG(slice_tail(rest, strlen("incomplete: "))));
		return EX_TEMPFAIL;
	}
	cli_complain("reload", "the former configuration stays in force: %.*s",
		SLICE_ARG(rest.length ? rest : line));
	return slice_starts(rest, SLICE("failed:")) ? EX_TEMPFAIL : EX_CONFIG;
}

static int reload(const struct instance *instance)
{
	int64_t deadline = loop_monotonic() + RELOAD_SPARE +
			   config_time(instance->config, PARAM_service_start_timeout);
	pid_t pid = instance_master(instance->root);
	struct stat before = { 0 }, now;
	char path[PATH_MAX + 32];

	if (pid <= 0) {
		cli_complain("reload", "the mail system is not running");
		return 1;
	}
	snprintf(path, sizeof(path), "%s/run/reload.status", instance->root);
	(void)!stat(path, &before);
	if (kill(pid, SIGHUP) < 0) {
		cli_complain("reload", "pid %d: %s", (int)pid, strerror(errno));
		return EX_NOPERM;
	}
	while (loop_monotonic() < deadline && instance_master(instance->root) == pid) {
		if (stat(path, &now) == 0 && !same_file(&before, &now))
			return tell_outcome(path);
		nap(STEP);
	}
	cli_complain("reload", "master (pid %d) gives no answer", (int)pid);
	return EX_TEMPFAIL;
}

int reload_main(int argc, char **argv)
{
	int status = no_arguments(argc, argv,
		"Put the configuration as it now is into force: all of it, or nothing when "
		"something is wrong with it.");
	struct instance instance;

	if (status >= 0)
		return status;
	if (!instance_open("reload", true, &instance)) {
		cli_complain(
			"reload", "the configuration is wrong; the running one stays in force");
		return EX_CONFIG;
	}
	status = reload(&instance);
	instance_close(&instance);
	return status;
}
