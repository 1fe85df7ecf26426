// SPDX-License-Identifier: ISC
/*
 * One generation takes the place of another. The new one is a candidate first: its processes start and get ready, meet each other
 * and nobody else, and accept no client, while the present generation serves on with all it has. When all of them are ready, they
 * serve, and the former ones drain; when one of them ends or is not ready in time, the candidate is given up and nothing has
 * changed. Who may exist only once is started at last, when the former one has ended; qmgr and pickup open nothing that
 * cleanup has not opened before.
 */
#include <errno.h>
#include <signal.h>

#include "master/master.h"
#include "service/log.h"

/* What owns something that two processes cannot share: the successor starts when the former has ended. */
static bool is_exclusive(enum service_id id)
{
	return id == SERVICE_QMGR || id == SERVICE_PICKUP;
}

static void wakeup_due(struct timer *timer)
{
	struct entry *entry = timer->context;

	if (entry->replaced || entry->master->stopping)
		return;
	process_wakeup(entry, 0);
	loop_timer_start(entry->master->loop, timer, entry->config->wakeup * 1000);
}

static void begin_wakeups(struct generation *generation)
{
	for (unsigned i = 0; i < generation->count; i++) {
		struct entry *entry = &generation->entries[i];

		entry->wakeup = (struct timer){ .fire = wakeup_due, .context = entry };
		if (entry->config->wakeup > 0)
			loop_timer_start(
				entry->master->loop, &entry->wakeup, entry->config->wakeup * 1000);
	}
}

void generation_start(struct generation *generation)
{
	for (unsigned i = 0; i < generation->count; i++)
		process_start(&generation->entries[i]);
	begin_wakeups(generation);
}

static void drain_limit(struct timer *timer)
{
	struct generation *generation = timer->context;

	log_warning("processes of generation %u are %s: %s", generation->number,
		generation->overdue ? "killed" : "ended",
		generation->given_up ? "the reload was called off, and they do not end"
				     : "service_drain_timeout is over");
	for (unsigned i = 0; i < generation->count; i++) {
		for (size_t k = 0; k < generation->entries[i].processes.count; k++) {
			struct process *process = entry_process(&generation->entries[i], k);

			if (generation->overdue)
				kill(process->pid, SIGKILL);
			else
				process_drain(process, true);
		}
	}
	/* Who does not hear that, or does not end, has no more time than at a stop. */
	generation->overdue = true;
	loop_timer_start(generation->master->loop, timer, generation->stop_timeout);
}

static bool entry_ready(const struct entry *entry)
{
	for (size_t i = 0; i < entry->processes.count; i++) {
		if (entry_process(entry, i)->state == PROCESS_READY)
			return true;
	}
	return false;
}

bool generation_begin(struct generation *generation)
{
	struct master *master = generation->master;

	generation->former = master->current;
	master->candidate = generation;
	for (unsigned i = 0; i < generation->count; i++)
		generation->entries[i].waits_for_old = is_exclusive(generation->entries[i].id);
	for (unsigned i = 0; i < generation->count; i++) {
		if (!generation->entries[i].waits_for_old &&
			!process_start(&generation->entries[i]))
			return false;
	}
	return true;
}

bool generation_ready(const struct generation *generation)
{
	for (unsigned i = 0; i < generation->count; i++) {
		const struct entry *entry = &generation->entries[i];

		if (!entry->waits_for_old && !entry_ready(entry))
			return false;
	}
	return true;
}

static void retire(struct generation *generation, int64_t limit)
{
	for (unsigned i = 0; i < generation->count; i++) {
		struct entry *entry = &generation->entries[i];

		entry->replaced = true;
		loop_timer_stop(&entry->restart);
		loop_timer_stop(&entry->wakeup);
	}
	generation->drain_limit = (struct timer){ .fire = drain_limit, .context = generation };
	loop_timer_start(generation->master->loop, &generation->drain_limit, limit);
}

/* Whom it has taken in nobody has: they need no time but that of a stop. */
void generation_give_up(struct generation *generation)
{
	struct master *master = generation->master;

	master->candidate = NULL;
	generation->former = master->current->former;
	master->current->former = generation;
	generation->given_up = generation->overdue = true;
	retire(generation, generation->stop_timeout);
	for (unsigned i = 0; i < generation->count; i++) {
		struct entry *entry = &generation->entries[i];

		entry->waits_for_old = false;
		for (size_t k = 0; k < entry->processes.count; k++)
			process_drain(entry_process(entry, k), true);
	}
}

/* Has any generation before the present one a process of this service? */
static bool former_runs(const struct master *master, enum service_id id)
{
	for (const struct generation *g = master->current->former; g; g = g->former) {
		for (unsigned i = 0; i < g->count; i++) {
			if (g->entries[i].id == id && g->entries[i].processes.count > 0)
				return true;
		}
	}
	return false;
}

/* Clients may come, and who waited for nobody need not wait. */
static void serve(struct generation *generation)
{
	struct message message = { .type = MESSAGE_MASTER_SERVE };

	message.master_serve.generation = generation->number;
	for (unsigned i = 0; i < generation->count; i++) {
		struct entry *entry = &generation->entries[i];

		for (size_t k = 0; k < entry->processes.count; k++)
			channel_send(&entry_process(entry, k)->control, &message);
		if (entry->waits_for_old && !former_runs(generation->master, entry->id)) {
			entry->waits_for_old = false;
			process_start(entry);
		}
	}
	begin_wakeups(generation);
}

void generation_switch(struct generation *generation)
{
	struct master *master = generation->master;
	struct generation *old = master->current;

	master->candidate = NULL;
	master->current = generation;
	retire(old, old->drain_timeout);
	serve(generation);
	generation_sweep(master);
}

static void drain_entry(struct entry *entry, struct entry *successor)
{
	if (successor && !successor->waits_for_old && !entry_ready(successor))
		return;
	for (size_t i = 0; i < entry->processes.count; i++) {
		if (entry_process(entry, i)->state != PROCESS_DRAINING)
			process_drain(entry_process(entry, i), false);
	}
}

static unsigned sweep_one(struct master *master, struct generation *old)
{
	unsigned left = 0;

	for (unsigned i = 0; i < old->count; i++) {
		struct entry *entry = &old->entries[i],
			     *successor = entry_of(master->current, entry->id);

		drain_entry(entry, successor);
		left += (unsigned)entry->processes.count;
		if (successor && successor->waits_for_old && !master->stopping &&
			!former_runs(master, entry->id)) {
			successor->waits_for_old = false;
			process_start(successor);
		}
	}
	return left;
}

/* True when every service that need not wait for its predecessor is ready, and no old process takes anybody in. */
static bool is_in_force(const struct master *master)
{
	if (!generation_ready(master->current))
		return false;
	for (const struct generation *g = master->current->former; g; g = g->former) {
		for (unsigned i = 0; i < g->count; i++) {
			for (size_t k = 0; k < g->entries[i].processes.count; k++) {
				if (!entry_process(&g->entries[i], k)->closed_to_new)
					return false;
			}
		}
	}
	return true;
}

void generation_sweep(struct master *master)
{
	for (struct generation **at = master->current ? &master->current->former : NULL;
		at && *at;) {
		struct generation *old = *at;

		if (sweep_one(master, old) > 0) {
			at = &old->former;
			continue;
		}
		*at = old->former;
		generation_free(old);
	}
	if (master->current && is_in_force(master))
		reload_in_force(master);
}
