// SPDX-License-Identifier: ISC
/* Processes of the suite: starting one, hearing it, and what happens when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

enum { CONTROL_FD = 3, ARGUMENTS_MAX = 64 };

static void control_receive(struct channel *channel, struct message *message)
{
	struct process *process = channel->context;

	switch (message->type) {
	case MESSAGE_MASTER_READY:
		if (process->state != PROCESS_STARTING)
			return;
		process->state = PROCESS_READY;
		loop_timer_stop(&process->start_limit);
		keys_begin(process);
		introduce_pending(process);
		if (is_candidate(process->entry))
			reload_step(process->master);
		else
			generation_sweep(process->master);
		return;
	case MESSAGE_MASTER_FAILED:
		/* From its start, with no byte of anybody else's in it. */
		if (process->state != PROCESS_STARTING)
			return;
		free(process->failure);
		process->failure = slice_dup(message->master_failed.reason);
		return;
	case MESSAGE_MASTER_DRAINING:
		process->closed_to_new = true;
		generation_sweep(process->master);
		return;
	case MESSAGE_MASTER_CONNECT:
		introduce(process, &message->master_connect);
		return;
	case MESSAGE_MASTER_OUTSIDE:
		introduce_outside(process, &message->master_outside);
		return;
	case MESSAGE_SESSIONS_ROW:
	case MESSAGE_SESSIONS_DONE:
		if (sessions_said(process, message))
			return;
		break;
	case MESSAGE_KEY_WATCH:
		/* Master opens what is named here: only who has not heard anybody yet may name it. */
		if (process->state == PROCESS_STARTING && process->entry->id == SERVICE_KEYD) {
			keys_watch(process, &message->key_watch);
			return;
		}
		break;
	default:
		break;
	}
	log_warning("%s[%d] sent %s, which is not for master: ended",
		process->entry->config->command, (int)process->pid, message_name(message->type));
	kill(process->pid, SIGKILL);
}

static void control_closed(struct channel *channel, const char *why)
{
	struct process *process = channel->context;

	/* What cannot be told anything must not go on; what has ended already is reaped all the same. */
	kill(process->pid, SIGKILL);
}

/* The program of a log line as Postfix has it: "smtpd" for the front and its sessions alike. */
static void log_name_of(const struct entry *entry, char *name, size_t size)
{
	const char *command = entry->config->command;
	const char *dash = strstr(command, "-session");

	snprintf(name, size, "%s/%.*s", entry->log_name,
		dash ? (int)(dash - command) : (int)strlen(command), command);
}

static bool ids_of(const struct entry *entry, uid_t *uid, gid_t *gid)
{
	const char *name = cell_uid_name(entry->cell->uid);
	struct passwd *user;

	*uid = getuid();
	*gid = getgid();
	if (!entry->master->root || !name)
		return true;
	user = getpwnam(name);
	if (!user) {
		log_error("service %s needs the system user %s, which does not exist: \"postern "
			  "init\" makes it",
			entry->config->name, name);
		return false;
	}
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	return true;
}

static bool send_start(struct process *process, int log_fd, uid_t uid, gid_t gid)
{
	struct master *master = process->master;
	struct entry *entry = process->entry;
	const struct settings *settings = &entry->generation->settings;
	struct buffer names = { 0 };
	struct message message = { .type = MESSAGE_MASTER_START, .fd_count = 3 };
	struct message_master_start *start = &message.master_start;
	char log_name[192];
	bool ok;

	log_name_of(entry, log_name, sizeof(log_name));
	for (unsigned i = 0; i < entry->listener_count; i++)
		buffer_append(
			&names, entry->listeners[i]->name, strlen(entry->listeners[i]->name) + 1);
	start->entry = slice_from(entry->config->name);
	start->root = slice_from(settings->instance);
	start->log_name = slice_from(log_name);
	start->host = slice_from(settings->host);
	start->log_json = settings->log_json;
	start->log_syslog = process->log.fd >= 0 ? (uint8_t)(settings->log_facility + 1) : 0;
	start->best_effort = settings->best_effort;
	start->chroot = master->root && entry->config->chroot;
	start->uid = uid;
	start->gid = gid;
	start->max_sessions = entry->config->maxproc;
	start->build = message_build();
	start->listeners = buffer_slice(&names);
	start->order = master->orders;
	start->held = is_candidate(entry);
	if (entry->id == SERVICE_TLSD || entry->id == SERVICE_AUTH)
		start->seal_key = slice_of(master->seal_key, sizeof(master->seal_key));
	message.fds[0] = entry->snapshot;
	message.fds[1] = process->figures_fd >= 0 ? process->figures_fd : master->null_fd;
	message.fds[2] = log_fd;
	for (unsigned i = 0; i < entry->listener_count; i++)
		message.fds[message.fd_count++] = entry->listeners[i]->fd;
	ok = !names.failed && channel_send(&process->control, &message);
	buffer_free(&names);
	return ok;
}

/* What of the environment a daemon gets: the time zone, and in test builds what tests steer it with. */
static char *const *daemon_environment(void)
{
	static const char *const KEPT[] = {
		"TZ",
		"ASAN_OPTIONS",
		"UBSAN_OPTIONS",
#ifdef POSTERN_TEST_HOOKS
		"POSTERN_FAULT",
		"POSTERN_WITHOUT",
#endif
	};
	enum { KEPT_COUNT = sizeof(KEPT) / sizeof(KEPT[0]) };
	static char path[] = "PATH=/usr/bin:/bin", text[KEPT_COUNT][512];
	static char *environment[KEPT_COUNT + 2];
	unsigned count = 0;

	environment[count++] = path;
	for (size_t i = 0; i < KEPT_COUNT; i++) {
		const char *value = getenv(KEPT[i]);

		if (value && snprintf(text[i], sizeof(text[i]), "%s=%s", KEPT[i], value) <
				     (int)sizeof(text[i]))
			environment[count++] = text[i];
	}
	environment[count] = NULL;
	return environment;
}

static _Noreturn void run_daemon(struct entry *entry, int control, int log_fd)
{
	struct master *master = entry->master;
	const struct settings *settings = &entry->generation->settings;
	char path[2200];
	char *arguments[ARGUMENTS_MAX] = { entry->config->command };
	sigset_t none;

	for (unsigned i = 0;
		i + 2 < ARGUMENTS_MAX && entry->config->arguments && entry->config->arguments[i];
		i++)
		arguments[i + 1] = entry->config->arguments[i];
	snprintf(path, sizeof(path), "%s/%s", settings->daemons, entry->config->command);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* The control channel last: its number may be that of one of the others. */
	if (dup2(master->null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0 ||
		dup2(control, CONTROL_FD) < 0)
		_exit(EX_OSERR);
	close_range(CONTROL_FD + 1, ~0U, 0);
	fcntl(CONTROL_FD, F_SETFD, 0);
	execve(path, arguments, daemon_environment());
	log_open(2, settings->log_name, settings->host, settings->log_json, false);
	if (!settings->log_file[0])
		log_syslog(settings->log_facility, NULL, NULL);
	log_error("cannot execute %s: %s", path, strerror(errno));
	_exit(EX_OSFILE);
}

static struct process *process_new(struct entry *entry)
{
	struct process *process = calloc(1, sizeof(*process)),
		       **place = process ? vector_add(&entry->processes) : NULL;

	if (!place) {
		free(process);
		return NULL;
	}
	*place = process;
	process->master = entry->master;
	process->entry = entry;
	process->started = loop_now(entry->master->loop);
	process->introduced = vector_of(sizeof(struct introduced), 0);
	process->pending = vector_of(sizeof(struct pending), PENDING_MAX);
	process->control.watch.fd = -1;
	process->log.fd = -1;
	figures_begin(process);
	return process;
}

static void process_free(struct process *process)
{
	struct entry *entry = process->entry;

	for (size_t i = 0; i < entry->processes.count; i++) {
		if (entry_process(entry, i) == process) {
			vector_swap_out(&entry->processes, i);
			break;
		}
	}
	loop_timer_stop(&process->start_limit);
	channel_close(&process->control);
	keys_end(process);
	syslog_detach(process);
	figures_end(process);
	free(process->failure);
	vector_free(&process->introduced);
	vector_free(&process->pending);
	free(process);
}

static void restart_due(struct timer *timer)
{
	struct entry *entry = timer->context;

	if (!entry->replaced && !entry->master->stopping && entry->processes.count == 0)
		process_start(entry);
}

/* The first restart comes at once (most deaths are single ones, and mail waits); then the waits double. */
static void schedule_restart(struct entry *entry, bool quick)
{
	int64_t first = entry->generation->restart_delay;

	if (entry->replaced || entry->master->stopping || entry->processes.count > 0 ||
		is_candidate(entry))
		return;
	figures_add(FIGURE_restarts, 1);
	entry->restart = (struct timer){ .fire = restart_due, .context = entry };
	loop_timer_start(entry->master->loop, &entry->restart, quick ? entry->delay : 1);
	entry->quick_deaths = quick ? entry->quick_deaths + 1 : 0;
	if (!quick)
		entry->delay = 0;
	else
		entry->delay = entry->delay == 0 ? first : entry->delay * 2;
	if (entry->delay > RESTART_MOST)
		entry->delay = RESTART_MOST;
}

/* Where a new process writes its log: the file, or a pair of its own to master. The caller's to close; -1 with errno. */
static int log_end(struct process *process)
{
	const struct entry *entry = process->entry;
	int file = is_candidate(entry) ? entry->generation->log_fd : process->master->log_fd;

	return file >= 0 ? fcntl(file, F_DUPFD_CLOEXEC, 3) : syslog_attach(process);
}

/* It hangs in what it opens, or hears nothing. Others may wait for it. */
static void start_overdue(struct timer *timer)
{
	struct process *process = timer->context;

	process->overdue = true;
	log_error("%s[%d] is not ready in service_start_timeout: killed",
		process->entry->config->command, (int)process->pid);
	kill(process->pid, SIGKILL);
}

bool process_start(struct entry *entry)
{
	struct process *process;
	int ends[2], log_fd = -1;
	bool told;
	uid_t uid;
	gid_t gid;

	if (entry->master->stopping)
		return false; /* nobody would end it */
	if (!ids_of(entry, &uid, &gid) || !channel_pair(ends)) {
		schedule_restart(entry, true);
		return false;
	}
	process = process_new(entry);
	log_fd = process ? log_end(process) : -1;
	if (log_fd >= 0) {
		process->pid = fork();
		if (process->pid == 0)
			run_daemon(entry, ends[1], log_fd);
	}
	close(ends[1]);
	if (log_fd < 0 || process->pid < 0) {
		log_error("cannot start %s: %s", entry->config->command, strerror(errno));
		close(ends[0]);
		os_close(&log_fd);
		if (process)
			process_free(process);
		schedule_restart(entry, true);
		return false;
	}
	if (process->figures_fd >= 0 && !figures_set_pid(process->figures_fd, process->pid))
		log_warning("%s[%d] is not shown by status: %s", entry->config->command,
			(int)process->pid, strerror(errno));
	told = channel_open(&process->control, entry->master->loop, ends[0], control_receive,
		       control_closed, process) &&
	       send_start(process, log_fd, uid, gid);
	os_close(&log_fd);
	if (!told)
		kill(process->pid, SIGKILL);
	process->start_limit = (struct timer){ .fire = start_overdue, .context = process };
	loop_timer_start(
		entry->master->loop, &process->start_limit, entry->generation->start_timeout);
	return true;
}

void process_drain(struct process *process, bool fast)
{
	struct message message = { .type = MESSAGE_MASTER_DRAIN, .master_drain.fast = fast };

	process->state = PROCESS_DRAINING;
	channel_send(&process->control, &message);
}

void process_wakeup(struct entry *entry, unsigned reason)
{
	struct message message = { .type = MESSAGE_MASTER_WAKEUP,
		.master_wakeup.reason = (uint8_t)reason };

	for (size_t i = 0; i < entry->processes.count; i++) {
		if (entry_process(entry, i)->state == PROCESS_READY)
			channel_send(&entry_process(entry, i)->control, &message);
	}
}

static struct process *process_of(struct master *master, pid_t pid)
{
	for (struct generation *g = generation_newest(master); g; g = g->former) {
		for (unsigned i = 0; i < g->count; i++) {
			for (size_t k = 0; k < g->entries[i].processes.count; k++) {
				if (entry_process(&g->entries[i], k)->pid == pid)
					return entry_process(&g->entries[i], k);
			}
		}
	}
	return NULL;
}

static void log_exit(const struct process *process, int status)
{
	const char *command = process->entry->config->command;
	const char *daemons = process->entry->generation->settings.daemons;

	if (WIFSIGNALED(status))
		log_warning("process %s/%s pid %d killed by signal %d", daemons, command,
			(int)process->pid, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_warning("process %s/%s pid %d exit status %d", daemons, command,
			(int)process->pid, WEXITSTATUS(status));
}

static void last_words(struct channel *channel, struct message *message)
{
	if (message->type == MESSAGE_MASTER_FAILED)
		control_receive(channel, message);
	else if (message->type == MESSAGE_SESSIONS_ROW || message->type == MESSAGE_SESSIONS_DONE)
		(void)!sessions_said(channel->context, message);
}

static void last_words_over(struct channel *channel, const char *why)
{
}

/* It is reaped, and what it said before need not be read yet: how many sessions it ended with its last one. */
static void hear_out(struct process *process)
{
	process->control.receive = last_words;
	process->control.closed = last_words_over;
	channel_hear_out(&process->control);
}

void process_exited(struct master *master, pid_t pid, int status)
{
	struct process *process = process_of(master, pid);
	struct entry *entry;
	bool quick, failed;

	if (!process)
		return;
	entry = process->entry;
	quick = loop_now(master->loop) - process->started < QUICK_DEATH;
	/* Who ends before it is ready has failed, whatever it says. */
	failed = status != 0 || process->state == PROCESS_STARTING;
	if (!master->stopping)
		log_exit(process, status);
	hear_out(process);
	introduce_forget(process);
	sessions_forget(process);
	if (is_candidate(entry) && !master->stopping)
		reload_failed(process, status);
	else if (process->state == PROCESS_STARTING && entry->generation == master->current)
		reload_incomplete(process);
	process_free(process);
	schedule_restart(entry, quick && failed);
	generation_sweep(master);
	if (master->stopping)
		master_stop_step(master);
}
