// SPDX-License-Identifier: ISC
/*
 * Before a configuration is taken up, those who open and parse what it names look at it, in processes of their own
 * (config/self_check.h): master itself parses no certificate, no table and no list of ciphers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/tls_settings.h"
#include "master/master.h"
#include "os/os.h"

enum {
	CHECK_PATIENCE = 20000, /* ms for all of them */
	CHECK_OUTPUT = 64 * 1024, /* bytes of one */
	CHECKS_MOST = 64
};

/* One that runs. */
struct check {
	const struct entry *entry; /* whose configuration is looked at */
	enum service_id by;
	pid_t pid;
	int fd;
};

struct checks {
	struct generation *generation;
	struct config_report *report;
	struct check running[CHECKS_MOST];
	unsigned count;
};

static _Noreturn void run_check(
	const struct generation *generation, const struct check *check, const char *what, int out)
{
	static char *const ENVIRONMENT[] = { NULL };
	char path[2200];
	char *arguments[] = { (char *)service_id_name(check->by), "--check", (char *)what, NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(path, sizeof(path), "%s/%s", generation->settings.daemons, arguments[0]);
	if (dup2(generation->master->null_fd, 0) < 0 || dup2(out, 1) < 0 ||
		dup2(check->entry->snapshot, 3) < 0)
		_exit(127);
	close_range(4, ~0U, 0);
	execve(path, arguments, ENVIRONMENT);
	_exit(127);
}

static void begin(
	struct checks *checks, enum service_id by, const struct entry *entry, const char *what)
{
	struct check *check = &checks->running[checks->count];
	int ends[2] = { -1, -1 };

	if (checks->count == CHECKS_MOST) {
		config_fault_add(checks->report, true, "master.cf", entry->config->line,
			entry->config->name, "%s --check looks at %d entries, not at this one",
			service_id_name(by), CHECKS_MOST);
		return;
	}
	*check = (struct check){ .entry = entry, .by = by, .pid = -1, .fd = -1 };
	if (pipe2(ends, O_CLOEXEC) == 0)
		check->pid = fork();
	if (check->pid == 0)
		run_check(checks->generation, check, what, ends[1]);
	os_close(&ends[1]);
	check->fd = ends[0];
	checks->count++;
}

/* What it says, until it has ended; false: it takes too long. */
static bool read_faults(int fd, struct buffer *text, int64_t deadline)
{
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

/* Entries share what main.cf says: a fault is told once. */
static bool is_told(const struct config_report *report, const struct config_fault *fault)
{
	for (unsigned i = 0; i < report->count; i++) {
		const struct config_fault *other = &report->faults[i];

		if (other != fault && other->line == fault->line &&
			strcmp(other->file, fault->file) == 0 &&
			strcmp(other->parameter, fault->parameter) == 0 &&
			strcmp(other->text, fault->text) == 0)
			return true;
	}
	return false;
}

static void take_fault(struct checks *checks, const struct check *check, bool warning,
	const char *name, struct slice text)
{
	struct config_report found = { 0 }, *report = checks->report;
	const struct config_fault *fault = &found.faults[0];
	struct config_source *source = NULL;
	char words[400];
	bool derived;

	snprintf(words, sizeof(words), "%.*s", SLICE_ARG(text));
	if (check->by == SERVICE_KEYD)
		config_fault_add(&found, warning, name, 0, NULL, "%s", words);
	else if (name[0] && (source = services_source(checks->generation->source,
				     &checks->generation->services, check->entry->config)))
		config_setting_fault(source, name, warning, words, &found);
	else
		config_fault_add(&found, warning, "master.cf", check->entry->config->line,
			check->entry->config->name, "%s", words);
	/* What is not set can be wrong only by what it refers to. */
	derived = source && report->errors && !config_source_raw(source, name, NULL);
	config_source_free(&source);
	if (!derived && !is_told(report, fault))
		config_fault_add(report, warning, fault->file, fault->line, fault->parameter, "%s",
			fault->text);
}

/* Lines "error NAME<tab>TEXT". */
static void take_faults(struct checks *checks, const struct check *check, struct slice text)
{
	struct slice line, kind, file;
	char name[256];

	while (slice_split(&text, '\n', &line)) {
		slice_split(&line, ' ', &kind);
		slice_split(&line, '\t', &file);
		if (!slice_to_string(file, name, sizeof(name)))
			snprintf(name, sizeof(name), "a file of certificates");
		take_fault(checks, check, slice_equal(kind, SLICE("warning")), name, line);
	}
}

static bool finish(struct checks *checks, struct check *check, int64_t deadline)
{
	struct buffer text = buffer_limited(CHECK_OUTPUT);
	unsigned errors = checks->report->errors;
	int status = -1;
	bool good = check->pid > 0 && read_faults(check->fd, &text, deadline);

	if (check->pid > 0) {
		if (!good)
			kill(check->pid, SIGKILL);
		while (waitpid(check->pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	os_close(&check->fd);
	take_faults(checks, check, buffer_slice(&text));
	buffer_free(&text);
	if (good && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (checks->report->errors == errors &&
		(!good || !WIFEXITED(status) || WEXITSTATUS(status) != EX_CONFIG))
		config_fault_add(checks->report, false, "master.cf", check->entry->config->line,
			check->entry->config->name, "%s --check could not look at it",
			service_id_name(check->by));
	return false;
}

bool generation_check(struct generation *generation, struct config_report *report)
{
	struct checks checks = { .generation = generation, .report = report };
	int64_t deadline = loop_monotonic() + CHECK_PATIENCE;
	bool good = true, speaks_tls = entry_of(generation, SERVICE_TLSD) != NULL;
	const struct master *master = generation->master;
	/* At the start what has expired is served, with a warning. */
	const char *when = master->current || master->checking ? "reload" : "start";

	for (unsigned i = 0; i < generation->count; i++) {
		const struct entry *entry = &generation->entries[i];

		if (entry->id == SERVICE_KEYD && generation->tls_sets.length)
			begin(&checks, entry->id, entry, when);
		else if (entry->id == SERVICE_AUTH || entry->id == SERVICE_DIRECTORY)
			begin(&checks, entry->id, entry, NULL);
		else if (speaks_tls && tls_server_of(entry->config->command) != TLS_SERVERS)
			begin(&checks, SERVICE_TLSD, entry, entry->config->command);
	}
	for (unsigned i = 0; i < checks.count; i++)
		good = finish(&checks, &checks.running[i], deadline) && good;
	return good;
}
