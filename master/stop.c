// SPDX-License-Identifier: ISC
/*
 * The end: fronts and whatever lets work in go first, then those who carry it, then those whom all ask. Each phase has a third of
 * service_stop_timeout; what is left over then is killed.
 */
#include <signal.h>

#include "master/master.h"
#include "service/log.h"

enum { PHASES = 3 };

static unsigned phase_of(enum service_id id)
{
	switch (id) {
	case SERVICE_SMTPD:
	case SERVICE_SMTPD_SESSION:
	case SERVICE_IMAPD:
	case SERVICE_IMAPD_SESSION:
	case SERVICE_POP3D:
	case SERVICE_POP3D_SESSION:
	case SERVICE_PICKUP:
		return 0;
	case SERVICE_DIRECTORY:
	case SERVICE_PROXYMAP:
	case SERVICE_AUTH:
	case SERVICE_INTROSPECT:
		return 2;
	default:
		return 1;
	}
}

/* Calls `each` for every process up to a phase; how many there are. */
static unsigned each_process(
	struct master *master, unsigned phase, void (*each)(struct process *process))
{
	unsigned count = 0;

	for (struct generation *g = generation_newest(master); g; g = g->former) {
		for (unsigned i = 0; i < g->count; i++) {
			if (phase_of(g->entries[i].id) > phase)
				continue;
			for (size_t k = 0; k < g->entries[i].processes.count; k++, count++) {
				if (each)
					each(entry_process(&g->entries[i], k));
			}
		}
	}
	return count;
}

static void drain_fast(struct process *process)
{
	process_drain(process, true);
}

static void kill_now(struct process *process)
{
	kill(process->pid, SIGKILL);
}

static void stop_overdue(struct timer *timer)
{
	struct master *master = timer->context;

	each_process(master, master->stop_phase, kill_now);
	loop_timer_start(master->loop, timer, 1000);
}

static void begin_phase(struct master *master)
{
	each_process(master, master->stop_phase, drain_fast);
	master->stop_timer.fire = stop_overdue;
	master->stop_timer.context = master;
	loop_timer_start(master->loop, &master->stop_timer, master->current->stop_timeout / PHASES);
}

void master_stop_step(struct master *master)
{
	while (each_process(master, master->stop_phase, NULL) == 0) {
		if (++master->stop_phase >= PHASES) {
			master->ended = true;
			loop_stop(master->loop);
			return;
		}
		begin_phase(master);
	}
}

void master_stop(struct master *master)
{
	if (master->stopping)
		return;
	log_info("stopping the Postern mail system");
	master->stopping = true;
	master->stop_phase = 0;
	begin_phase(master);
	master_stop_step(master);
}

void master_abort(struct master *master)
{
	log_info("aborting the Postern mail system");
	master->stopping = true;
	master->stop_phase = PHASES - 1;
	each_process(master, PHASES - 1, kill_now);
	master_stop_step(master);
}
