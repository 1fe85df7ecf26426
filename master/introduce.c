// SPDX-License-Identifier: ISC
/*
 * Introductions: a process asks for a connection to a service; both cells are looked at, and each gets one end of a socket pair.
 * This is the only way two daemons meet.
 */
#include <errno.h>
#include <signal.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/master.h"
#include "os/os.h"
#include "service/log.h"

struct entry *entry_of(struct generation *generation, enum service_id id)
{
	for (unsigned i = 0; generation && i < generation->count; i++) {
		if (generation->entries[i].id == id)
			return &generation->entries[i];
	}
	return NULL;
}

static void answer(struct process *asker, uint32_t serial, int fd, const char *reason)
{
	struct message message = { .type = MESSAGE_MASTER_CONNECTED };

	message.master_connected.serial = serial;
	message.master_connected.reason = slice_from(reason);
	if (fd >= 0) {
		message.fds[0] = fd;
		message.fd_count = 1;
	}
	channel_send(&asker->control, &message);
}

static struct introduced *knows(const struct process *process, pid_t pid)
{
	for (size_t i = 0; i < process->introduced.count; i++) {
		struct introduced *known = vector_at(&process->introduced, i);

		if (known->pid == pid)
			return known;
	}
	return NULL;
}

/*
 * False when the asker has had more connections to this one process than it can have use for: one that was taken over would fill
 * the other's descriptors with them. Spawners ask for each of their sessions, and no foreign byte reaches them.
 */
static bool remember(struct process *asked, const struct process *asker)
{
	struct introduced *known = knows(asked, asker->pid);

	if (!known) {
		known = vector_add(&asked->introduced);
		if (!known)
			return true;
		*known = (struct introduced){ .pid = asker->pid };
	}
	if (asker->entry->cell->calls & CELL_CALLS_FORK)
		return true;
	return ++known->times <= INTRODUCTIONS_MOST;
}

static void connect_both(struct process *asker, struct process *asked, uint32_t serial)
{
	struct message peer = { .type = MESSAGE_MASTER_PEER, .fd_count = 1 };
	int ends[2];

	if (!channel_pair(ends)) {
		answer(asker, serial, -1, strerror(errno));
		return;
	}
	peer.master_peer.from = (uint8_t)asker->entry->id;
	peer.master_peer.pid = (uint32_t)asker->pid;
	peer.fds[0] = ends[1];
	if (channel_send(&asked->control, &peer)) {
		answer(asker, serial, ends[0], "");
		asked->given++;
		figures_add(FIGURE_introductions, 1);
	} else {
		answer(asker, serial, -1, "it has just ended");
	}
	close(ends[0]);
	close(ends[1]);
}

/* Services of one process (and spawners) are shared by all; of the others, each asker gets each worker once. */
static bool is_shared(const struct entry *entry)
{
	unsigned most = entry->config->maxproc;

	return most == 1 || (most == 0 && entry->id == SERVICE_TLSD) ||
	       (entry->cell->calls & CELL_CALLS_FORK);
}

/* Of tlsd any process will do for any asker: those that maxproc allows take turns. */
static bool takes_turns(const struct entry *entry)
{
	return entry->id == SERVICE_TLSD && !is_shared(entry);
}

static bool is_better(const struct entry *entry, const struct process *a, const struct process *b)
{
	return takes_turns(entry) ? a->given < b->given : a->introduced.count < b->introduced.count;
}

static struct process *choose(struct entry *entry, const struct process *asker, bool *may_start)
{
	bool shared = is_shared(entry);
	/* 0 is no limit. */
	unsigned most = shared ? 1 : entry->config->maxproc ? entry->config->maxproc : UINT_MAX;
	struct process *best = NULL;
	unsigned running = 0;

	for (size_t i = 0; i < entry->processes.count; i++) {
		struct process *process = entry_process(entry, i);

		if (process->state == PROCESS_DRAINING)
			continue;
		running++;
		if (!shared && !takes_turns(entry) && knows(process, asker->pid))
			continue;
		if (!best || is_better(entry, process, best))
			best = process;
	}
	*may_start = running < most;
	return best;
}

static void introduce_to(struct entry *entry, struct process *asker, uint32_t serial)
{
	bool may_start;
	struct process *asked = choose(entry, asker, &may_start);
	struct pending *pending;

	if ((!asked || (takes_turns(entry) && asked->given)) && may_start &&
		!entry->waits_for_old && !entry->restart.place && process_start(entry))
		asked = choose(entry, asker, &may_start);
	if (!asked) {
		answer(asker, serial, -1, may_start ? "it does not run yet" : "no more of them");
		return;
	}
	if (!remember(asked, asker)) {
		log_error("%s[%d] asked for %d connections to %s: ended",
			service_id_name(asker->entry->id), (int)asker->pid, INTRODUCTIONS_MOST,
			service_id_name(entry->id));
		kill(asker->pid, SIGKILL);
		return;
	}
	if (asked->state == PROCESS_READY) {
		connect_both(asker, asked, serial);
		return;
	}
	pending = vector_add(&asked->pending);
	if (!pending) {
		answer(asker, serial, -1, "too many wait for it");
		return;
	}
	*pending = (struct pending){ asker, serial };
}

void introduce(struct process *asker, const struct message_master_connect *request)
{
	const struct cell *own = asker->entry->cell;
	bool known = request->service < SERVICE_COUNT;
	/* A candidate is by itself: what it is told holds for it, and nobody else may wait for it. */
	struct generation *of =
		is_candidate(asker->entry) ? asker->entry->generation : asker->master->current;
	struct entry *entry = known ? entry_of(of, request->service) : NULL;

	if (!known || !(own->talk_to & (1ull << request->service))) {
		log_warning("refused: %s[%d] may not talk to %s", service_id_name(own->service),
			(int)asker->pid,
			known ? service_id_name(request->service) : "what does not exist");
		answer(asker, request->serial, -1, "not allowed");
	} else if (!entry) {
		answer(asker, request->serial, -1, "no such service in master.cf");
	} else if (!(entry->cell->serve & (1ull << own->service))) {
		log_warning("refused: %s does not serve %s[%d]", service_id_name(entry->id),
			service_id_name(own->service), (int)asker->pid);
		answer(asker, request->serial, -1, "not allowed");
	} else {
		introduce_to(entry, asker, request->serial);
	}
}

/* A connection in the making would hold master up: a socket whose queue is full is one that is not there. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
		slice_to_string(slice_from(path), address.sun_path, sizeof(address.sun_path)) &&
		connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		os_close(&fd);
	return -1;
}

void introduce_outside(struct process *asker, const struct message_master_outside *request)
{
	const char *path = asker->entry->saslauthd;
	char reason[200];
	int fd;

	if (request->what != CELL_OUTSIDE_SASLAUTHD ||
		!(asker->entry->cell->outside & CELL_OUTSIDE_SASLAUTHD)) {
		log_warning("refused: %s[%d] may not be connected to what is outside",
			service_id_name(asker->entry->id), (int)asker->pid);
		answer(asker, request->serial, -1, "not allowed");
		return;
	}
	fd = connect_to(path);
	snprintf(reason, sizeof(reason), "%s: %s", path, strerror(errno));
	answer(asker, request->serial, fd, fd < 0 ? reason : "");
	if (fd >= 0)
		close(fd);
}

void introduce_pending(struct process *ready)
{
	struct vector pending = ready->pending;

	ready->pending = vector_of(sizeof(struct pending), PENDING_MAX);
	for (size_t i = 0; i < pending.count; i++) {
		struct pending *p = vector_at(&pending, i);

		if (p->asker)
			connect_both(p->asker, ready, p->serial);
	}
	vector_free(&pending);
}

static void forget_in(struct entry *entry, const struct process *gone)
{
	for (size_t i = 0; i < entry->processes.count; i++) {
		struct process *process = entry_process(entry, i);

		for (size_t k = 0; k < process->pending.count; k++) {
			struct pending *p = vector_at(&process->pending, k);

			if (p->asker == gone)
				p->asker = NULL;
		}
		for (size_t k = process->introduced.count; k-- > 0;) {
			if (((struct introduced *)vector_at(&process->introduced, k))->pid ==
				gone->pid)
				vector_swap_out(&process->introduced, k);
		}
	}
}

void introduce_forget(struct process *gone)
{
	struct vector pending = gone->pending;

	gone->pending = vector_of(sizeof(struct pending), PENDING_MAX);
	for (struct generation *g = generation_newest(gone->master); g; g = g->former) {
		for (unsigned i = 0; i < g->count; i++)
			forget_in(&g->entries[i], gone);
	}
	for (size_t i = 0; i < pending.count; i++) {
		struct pending *p = vector_at(&pending, i);

		if (p->asker && p->asker != gone)
			answer(p->asker, p->serial, -1, "it ended while it started");
	}
	vector_free(&pending);
}
