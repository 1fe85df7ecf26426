// SPDX-License-Identifier: ISC
/*
 * master - reads the configuration, starts everything else, introduces the processes to each other, starts again what has ended,
 * takes up a changed configuration, passes on orders about sessions, and ends the suite. It parses nothing but its own configuration
 * and the small messages of its children and of commands that its owner runs, and talks to nobody outside.
 *
 *	master -c FOLDER [--ready-fd N | --check]
 *
 * SIGTERM stops, SIGQUIT aborts, SIGHUP reloads. The lock on run/master.pid says that it runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

static _Noreturn void give_up(
	struct master *master, int status, const char *what, const char *detail)
{
	char line[1200];
	int length = snprintf(line, sizeof(line), "error: %s: %s\n", what, detail);

	log_error("%s: %s", what, detail);
	if (master->ready_fd >= 0 && length > 0 &&
		!os_write_all(master->ready_fd, line, (size_t)length))
		exit(status);
	exit(status);
}

static int usage(FILE *out, int status)
{
	fputs("usage: master -c FOLDER [--ready-fd N | --check]\n"
	      "The supervisor of Postern. \"postern start\" runs it; see master(8).\n",
		out);
	return status;
}

static bool parse_arguments(struct master *master, int argc, char **argv)
{
	uint64_t fd;
	char *folder = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			folder = realpath(argv[++i], NULL);
			if (!folder)
				give_up(master, EX_CONFIG, argv[i], strerror(errno));
		} else if (strcmp(argv[i], "--check") == 0) {
			master->checking = true;
		} else if (strcmp(argv[i], "--ready-fd") == 0 && i + 1 < argc &&
			   slice_to_u64(slice_from(argv[i + 1]), 1 << 20, &fd)) {
			master->ready_fd = (int)fd;
			fcntl(master->ready_fd, F_SETFD, FD_CLOEXEC);
			i++;
		} else {
			return false;
		}
	}
	if (!folder)
		return false;
	snprintf(master->config_directory, sizeof(master->config_directory), "%s", folder);
	free(folder);
	return true;
}

/* Daemons stand beside this program, unless daemon_directory says otherwise. */
static void find_daemons(struct master *master)
{
	ssize_t length =
		readlink("/proc/self/exe", master->own_folder, sizeof(master->own_folder) - 1);
	char *slash;

	master->own_folder[length > 0 ? length : 0] = '\0';
	slash = strrchr(master->own_folder, '/');
	if (slash)
		*slash = '\0';
}

/* Something that does not keep the mail from running, before there is a log. */
static void tell_starter(struct master *master, const char *what, const char *detail)
{
	char line[1400];
	int length = snprintf(line, sizeof(line), "warning: %s: %s\n", what, detail);

	if (master->ready_fd >= 0 && !os_write_all(master->ready_fd, line, (size_t)length))
		log_warning("%s: %s", what, detail);
}

static void open_syslog(struct master *master)
{
	char what[300];
	int error;

	os_close(&master->log_fd);
	log_open(STDERR_FILENO, master->settings.log_name, master->settings.host,
		master->settings.log_json, false);
	if (syslog_open(master))
		return;
	error = errno;
	snprintf(what, sizeof(what), "syslog_socket %s", master->settings.log_socket);
	tell_starter(master, what, strerror(error));
}

void take_settings(struct master *master, struct generation *generation)
{
	const struct settings *settings = &master->settings;

	master->settings = generation->settings;
	if (!settings->log_file[0]) {
		open_syslog(master);
		return;
	}
	os_close(&master->log_fd);
	master->log_fd = generation->log_fd;
	generation->log_fd = -1;
	log_open(master->log_fd, settings->log_name, settings->host, settings->log_json, false);
}

static void take_lock(struct master *master)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[1200], text[32];
	int length;

	snprintf(path, sizeof(path), "%s/run/master.pid", master->settings.instance);
	master->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (master->lock_fd < 0)
		give_up(master, EX_CANTCREAT, path, strerror(errno));
	if (fcntl(master->lock_fd, F_SETLK, &lock) < 0)
		give_up(master, EX_UNAVAILABLE, path, "the mail system is already running");
	length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* The file is nobody else's to open: a reader could take a lock on it, and no master could start. Written over: that needs
	 * no room, so that the suite starts on a full disk, too. */
	if (!os_pwrite_all(master->lock_fd, text, (size_t)length, 0) ||
		ftruncate(master->lock_fd, length) < 0)
		give_up(master, EX_CANTCREAT, path, strerror(errno));
}

static void open_figures(struct master *master)
{
	char path[1200];

	if (!figures_start(master, path, sizeof(path)))
		tell_starter(master, path, strerror(errno));
}

static void open_control(struct master *master)
{
	char path[1200];

	if (!sessions_open(master, path, sizeof(path)))
		tell_starter(master, path, strerror(errno));
}

static void raise_limits(void)
{
	enum { WANTED = 1 << 18 };
	struct rlimit limit, more = { WANTED, WANTED };

	/* Fronts hold many clients; each daemon lowers its own limit in its cell. Who may not have more takes what there is. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max < WANTED && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("descriptor limit: %s", strerror(errno));
}

static void reap(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		process_exited(master, pid, status);
}

static void signal_ready(struct watch *watch, uint32_t events)
{
	struct master *master = watch->context;
	struct signalfd_siginfo info;

	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(master);
			break;
		case SIGHUP:
			reload(master);
			break;
		case SIGQUIT:
			master_abort(master);
			break;
		default:
			master_stop(master);
		}
	}
}

static void watch_signals(struct master *master)
{
	static const int SIGNALS[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++)
		sigaddset(&set, SIGNALS[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	master->signals =
		(struct watch){ .events = EPOLLIN, .ready = signal_ready, .context = master };
	master->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (master->signals.fd < 0 || !loop_watch(master->loop, &master->signals))
		give_up(master, EX_OSERR, "signals", strerror(errno));
}

/* For "postern check", while the suite runs or not: what a reload would find. It listens nowhere, and leaves no file. */
static int check(struct master *master)
{
	static struct config_report report;
	struct generation *generation;
	char text[900];

	master->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	generation = generation_load(master, &report);
	for (unsigned i = 0; i < report.count; i++) {
		config_fault_text(&report.faults[i], text, sizeof(text));
		printf("%s: %s\n", report.faults[i].warning ? "warning" : "error", text);
	}
	if (!generation && !report.errors)
		printf("error: not enough memory or descriptors just now\n");
	if (generation)
		generation_free(generation);
	return fflush(stdout) == 0 && generation ? EX_OK : EX_CONFIG;
}

enum { START_ATTEMPTS = 3 };

/* Every service must stand before anybody is told that the suite runs. */
static void wait_until_ready(struct master *master)
{
	int64_t deadline = loop_monotonic() + 30000;

	for (unsigned i = 0; i < master->current->count && !master->stopping; i++) {
		struct entry *entry = &master->current->entries[i];

		while (!master->stopping && loop_monotonic() < deadline &&
			(entry->processes.count == 0 ||
				entry_process(entry, 0)->state == PROCESS_STARTING)) {
			loop_turn(master->loop, 100);
			/* Once may be bad luck (no descriptor, no memory just then); again and again is a fault to tell now. */
			if (entry->quick_deaths >= START_ATTEMPTS && entry->processes.count == 0)
				give_up(master, EX_UNAVAILABLE, entry->config->name,
					"the service ends at its start: see the log");
		}
		if (!master->stopping &&
			(entry->processes.count == 0 ||
				entry_process(entry, 0)->state == PROCESS_STARTING))
			give_up(master, EX_UNAVAILABLE, entry->config->name,
				"the service does not start: see the log");
	}
}

int main(int argc, char **argv)
{
	static struct master master = {
		.log_fd = -1, .lock_fd = -1, .ready_fd = -1, .settings.log_name = "postern"
	};
	static struct config_report report;
	struct generation *first;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, EX_OK);
	if (!parse_arguments(&master, argc, argv))
		return usage(stderr, EX_USAGE);
	umask(077);
	master.root = geteuid() == 0;
	master.sockets = vector_of(sizeof(struct listen_socket *), 0);
	os_random(master.seal_key, sizeof(master.seal_key));
	find_daemons(&master);
	if (master.checking)
		return check(&master);
	raise_limits();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	master.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	master.loop = loop_new(NULL);
	if (!master.loop || master.null_fd < 0 || !loop_timer_reserve(master.loop, TIMERS))
		give_up(&master, EX_OSERR, "start", strerror(errno));
	if (!generation_settings(&master, &report)) {
		report_faults(&report, master.ready_fd);
		return EX_CONFIG;
	}
	report = (struct config_report){ 0 };
	take_lock(&master);
	open_figures(&master);
	open_control(&master);
	watch_signals(&master);
	first = generation_load(&master, &report);
	report_faults(&report, master.ready_fd);
	if (!first)
		exit(EX_CONFIG);
	take_settings(&master, first);
	master.current = first;
	log_info("daemon started -- version %s, configuration %s", POSTERN_VERSION,
		master.config_directory);
	master.starting = true;
	generation_start(first);
	wait_until_ready(&master);
	master.starting = false;
	if (!master.stopping && master.ready_fd >= 0 &&
		!os_write_all(master.ready_fd, "ready\n", 6))
		log_warning("nobody hears that the suite is ready: %s", strerror(errno));
	os_close(&master.ready_fd);
	if (!master.stopping)
		notify_ready();
	if (master.reload_wanted)
		reload(&master);
	while (!master.ended)
		loop_turn(master.loop, -1);
	log_info("stopped");
	return EX_OK;
}
