// SPDX-License-Identifier: ISC
/*
 * The reload of master: the configuration is read, its processes get ready beside the present ones (switch.c), and then it holds, or
 * nothing has changed. run/reload.status has the outcome for "postern reload".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

static bool write_status(const char *path, const char *temporary, struct slice line)
{
	int fd = os_open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	bool done =
		fd >= 0 && os_write_all(fd, line.data, line.length) && rename(temporary, path) == 0;

	os_close(&fd);
	return done;
}

/* One line for `postern reload`, which waits for the number to grow. On a full disk the former one makes room. */
static void write_reload_status(struct master *master, const char *text)
{
	char path[1200], temporary[1210], line[1100];
	int length = snprintf(line, sizeof(line), "generation %u %s\n", master->reloads, text);
	struct slice status = slice_of(line, (size_t)length);

	snprintf(path, sizeof(path), "%s/run/reload.status", master->settings.instance);
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	if (write_status(path, temporary, status))
		return;
	unlink(temporary);
	unlink(path);
	if (!write_status(path, temporary, status))
		log_warning("%s: %s", path, strerror(errno));
}

/* The first error; warnings may stand before it. There is none when it was not the configuration that failed. */
static void describe_refusal(const struct config_report *report, char *text, size_t size)
{
	char fault[900];

	for (unsigned i = 0; i < report->count; i++) {
		if (report->faults[i].warning)
			continue;
		config_fault_text(&report->faults[i], fault, sizeof(fault));
		snprintf(text, size, "error: %s", fault);
		return;
	}
	snprintf(text, size, "failed: not enough memory or descriptors just now");
	log_error("not enough memory or descriptors just now");
}

static void again(struct timer *timer)
{
	reload(timer->context);
}

/* `text` is for the command, which exits by its first word: "error", the configuration is wrong, "failed", it may go well next time. */
static void refuse(struct master *master, const char *text)
{
	log_error("reload refused, the former configuration stays in force");
	write_reload_status(master, text);
}

/* One that was asked for meanwhile; not from within what happens to a process. */
static void next_reload(struct master *master)
{
	if (!master->reload_wanted)
		return;
	master->reload_wanted = false;
	master->reload_again = (struct timer){ .fire = again, .context = master };
	loop_timer_start(master->loop, &master->reload_again, 0);
}

static void call_off(struct master *master, const char *text)
{
	generation_give_up(master->candidate);
	refuse(master, text);
	next_reload(master);
}

void reload(struct master *master)
{
	static struct config_report report;
	char text[1000];
	struct generation *generation;

	if (master->stopping)
		return;
	if (master->starting || master->candidate) {
		master->reload_wanted = true;
		return;
	}
	report = (struct config_report){ 0 };
	generation = generation_load(master, &report);
	master->reloads++;
	report_faults(&report, -1);
	if (!generation) {
		describe_refusal(&report, text, sizeof(text));
		refuse(master, text);
		return;
	}
	if (!generation_begin(generation)) {
		call_off(master, "failed: a service cannot be started: see the log");
		generation_sweep(master);
	}
}

void reload_step(struct master *master)
{
	struct generation *generation = master->candidate;

	if (master->stopping || !generation_ready(generation))
		return;
	take_settings(master, generation);
	log_info("reload -- generation %u", generation->number);
	master->reload_open = true;
	generation_switch(generation);
	next_reload(master);
}

/* To the log, and behind `word` for the command. */
static void describe_failure(
	const struct process *process, const char *word, char *text, size_t size)
{
	const char *why = process->overdue   ? "it is not ready in service_start_timeout"
			  : process->failure ? process->failure
					     : "the service ends at its start: see the log";

	snprintf(text, size, "%s: %s: %s", word, process->entry->config->name, why);
	log_error("%s", text + strlen(word) + 2);
}

void reload_failed(struct process *process, int status)
{
	bool wrong = WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG;
	char text[1000];

	describe_failure(
		process, wrong && !process->overdue ? "error" : "failed", text, sizeof(text));
	call_off(process->master, text);
}

void reload_incomplete(struct process *process)
{
	char text[1000];

	if (!process->master->reload_open)
		return;
	process->master->reload_open = false;
	describe_failure(process, "incomplete", text, sizeof(text));
	write_reload_status(process->master, text);
}

void reload_in_force(struct master *master)
{
	if (!master->reload_open)
		return;
	master->reload_open = false;
	write_reload_status(master, "ok");
}
