// SPDX-License-Identifier: ISC
/*
 * The log goes to the system's logger (maillog_file is empty). Each process writes its lines, already in syslog's form, to a
 * socket pair of its own, and master passes them on. Daemons are not given the logger's socket itself: a datagram socket sends to any
 * path it is told, so it would be a right to reach every other such socket of the machine, and one that they share could be
 * shut down by one of them for all.
 *
 * When the logger goes away (it is started again, or hangs), master stops reading, so that lines wait in the pairs, for
 * HOLD_MOST; then what does not fit into HELD_MOST is thrown away until the logger is back, and counted. A log that cannot be written
 * must not stop the mail.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

enum {
	HELD_MOST = 65536, /* bytes of lines that master itself keeps meanwhile */
	HOLD_MOST = 5000, /* ms that lines wait for the logger */
	RETRY = 100, /* ms between two attempts to reach it */
	LINES_A_TURN = 64, /* of one process */
	LINE_MOST = 16384, /* bytes; log.c writes at most about 10000 */
	WRITER_TIMEOUT = 1 /* s that a process waits for room in its pair; see log.c */
};

static bool reach_logger(struct syslog *syslog)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };

	os_close(&syslog->fd);
	if ((size_t)snprintf(where.sun_path, sizeof(where.sun_path), "%s", syslog->path) >=
		sizeof(where.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	syslog->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (syslog->fd >= 0 && connect(syslog->fd, (struct sockaddr *)&where, sizeof(where)) == 0)
		return true;
	os_close(&syslog->fd);
	return false;
}

static bool send_once(struct syslog *syslog, struct slice line)
{
	return syslog->fd >= 0 &&
	       send(syslog->fd, line.data, line.length, MSG_NOSIGNAL) == (ssize_t)line.length;
}

/* A logger that was started again has another socket. A full one is waited for: a new connection would not help. */
static bool send_line(struct syslog *syslog, struct slice line)
{
	if (send_once(syslog, line))
		return true;
	if (syslog->fd >= 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE))
		return errno == EMSGSIZE; /* nothing that waiting would mend */
	return reach_logger(syslog) && send_once(syslog, line);
}

static void watch_writers(struct syslog *syslog, uint32_t events)
{
	for (struct generation *g = generation_newest(syslog->master); g; g = g->former)
		for (unsigned i = 0; i < g->count; i++)
			for (size_t k = 0; k < g->entries[i].processes.count; k++)
				loop_rewatch(&entry_process(&g->entries[i], k)->log, events);
}

static void logger_is_back(struct syslog *syslog)
{
	uint64_t lost = syslog->lost;

	syslog->since = -1;
	syslog->lost = 0;
	loop_timer_stop(&syslog->retry);
	watch_writers(syslog, EPOLLIN);
	if (lost)
		log_warning("%llu log lines were lost while %s did not take them",
			(unsigned long long)lost, syslog->path);
}

/* Held lines stand one behind the other, each behind its length. True when none is left. */
static bool send_held(struct syslog *syslog)
{
	while (syslog->held.length) {
		uint32_t length;

		memcpy(&length, syslog->held.data, sizeof(length));
		if (!send_line(syslog, slice_of(syslog->held.data + sizeof(length), length)))
			return false;
		buffer_consume(&syslog->held, sizeof(length) + length);
	}
	return true;
}

static void retry_due(struct timer *timer)
{
	struct syslog *syslog = timer->context;

	if (send_held(syslog)) {
		logger_is_back(syslog);
		return;
	}
	if (loop_now(syslog->master->loop) - syslog->since > HOLD_MOST)
		watch_writers(syslog, EPOLLIN);
	loop_timer_start(syslog->master->loop, timer, RETRY);
}

static void hold(struct syslog *syslog, struct slice line)
{
	uint32_t length = (uint32_t)line.length;

	if (syslog->since < 0) {
		syslog->since = loop_now(syslog->master->loop);
		watch_writers(syslog, 0);
		syslog->retry = (struct timer){ .fire = retry_due, .context = syslog };
		loop_timer_start(syslog->master->loop, &syslog->retry, RETRY);
	}
	if (syslog->held.length + sizeof(length) + length > HELD_MOST) {
		syslog->lost++;
		return;
	}
	buffer_append(&syslog->held, &length, sizeof(length));
	buffer_append(&syslog->held, line.data, line.length);
}

/* One line of whomever; nothing is to overtake lines that wait. */
static void pass_on(struct syslog *syslog, struct slice line)
{
	if (syslog->since >= 0 || !send_line(syslog, line))
		hold(syslog, line);
}

static bool own_line(void *context, struct slice line)
{
	pass_on(context, line);
	return true;
}

/* "<22>": of its own facility, and no emergency, which would be shown on every terminal. */
static bool has_priority(const struct process *process, struct slice line)
{
	enum { ERROR = 3 };
	ptrdiff_t end = slice_find(slice_head(line, 5), '>');
	uint64_t priority;

	return end > 1 && line.data[0] == '<' &&
	       slice_to_u64(slice_of(line.data + 1, (size_t)end - 1), 200, &priority) &&
	       (int)priority / 8 == process->log_facility && priority % 8 >= ERROR;
}

/* What a library wrote to standard error has no priority; it gets that of a warning. */
static void pass_on_of(struct process *process, char *line, size_t length)
{
	char text[LINE_MOST + 200];

	while (length && line[length - 1] == '\n')
		length--;
	if (has_priority(process, slice_of(line, length))) {
		pass_on(&process->master->syslog, slice_of(line, length));
	} else if (length) {
		length = log_compose_syslog(text, sizeof(text), process->entry->config->command,
			process->pid, line, length);
		pass_on(&process->master->syslog, slice_of(text, length));
	}
}

/* False when there is nothing more to read just now. */
static bool read_line(struct process *process)
{
	char line[LINE_MOST];
	ssize_t length = recv(process->log.fd, line, sizeof(line), MSG_DONTWAIT);

	if (length == 0)
		loop_unwatch(&process->log); /* it has closed its end */
	if (length <= 0)
		return false;
	pass_on_of(process, line, (size_t)length);
	return true;
}

static void writer_ready(struct watch *watch, uint32_t events)
{
	struct process *process = watch->context;

	/* Not to be read now. Only a hang-up comes all the same: it has ended, and syslog_detach reads what is left. */
	if (!(watch->events & EPOLLIN) && !(events & EPOLLIN))
		loop_unwatch(watch);
	for (int i = 0; i < LINES_A_TURN && (watch->events & EPOLLIN); i++)
		if (!read_line(process))
			return;
}

static void make_ready(struct master *master)
{
	if (!master->syslog.master)
		master->syslog = (struct syslog){
			.master = master, .fd = -1, .since = -1, .held = buffer_limited(HELD_MOST)
		};
}

/* A candidate goes to the logger, and the present generation to a file. */
static void make_ready_for(struct master *master, const struct settings *settings)
{
	make_ready(master);
	if (master->log_fd < 0 || strcmp(master->syslog.path, settings->log_socket) == 0)
		return;
	snprintf(master->syslog.path, sizeof(master->syslog.path), "%s", settings->log_socket);
	os_close(&master->syslog.fd);
}

bool syslog_open(struct master *master)
{
	struct syslog *syslog = &master->syslog;

	make_ready(master);
	snprintf(syslog->path, sizeof(syslog->path), "%s", master->settings.log_socket);
	log_syslog(master->settings.log_facility, own_line, syslog);
	return reach_logger(syslog);
}

int syslog_attach(struct process *process)
{
	struct timeval patience = { WRITER_TIMEOUT, 0 };
	const struct settings *settings = &process->entry->generation->settings;
	int ends[2], room = 1 << 20;

	make_ready_for(process->master, settings);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	/* As much as the system lets us have. */
	(void)!setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	process->log_facility = settings->log_facility;
	process->log = (struct watch){ .fd = ends[0],
		.events = process->master->syslog.since < 0 ? EPOLLIN : 0,
		.ready = writer_ready,
		.context = process };
	if (setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
		!loop_watch(process->master->loop, &process->log)) {
		syslog_detach(process);
		os_close(&ends[1]);
	}
	return ends[1];
}

void syslog_detach(struct process *process)
{
	if (process->log.fd < 0)
		return;
	while (read_line(process))
		;
	loop_unwatch(&process->log);
	os_close(&process->log.fd);
}
