// SPDX-License-Identifier: ISC
/*
 * The master's own structures: generations of services, their processes, and the introductions between them. Used by the files of
 * master/ only.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "base/buffer.h"
#include "base/vector.h"
#include "config/config.h"
#include "config/services.h"
#include "ipc/channel.h"
#include "sandbox/cell.h"
#include "service/acceptor.h"
#include "service/figures.h"

enum {
	LISTENERS_MAX = MESSAGE_FDS - 3, /* of one entry: they travel with START */
	PENDING_MAX = 10000, /* introductions that wait for one process */
	QUICK_DEATH = 5000, /* ms: who lives shorter than this is restarted with back-off */
	RESTART_MOST = 60000, /* ms */
	TIMERS = 4096, /* that must not fail to start when memory is short */
	INTRODUCTIONS_MOST = 256, /* of one process to the same other one */
};

struct master;
struct process;

/* A listening socket, shared by the generations that use it. */
struct listen_socket {
	char name[160]; /* "inet:10025", "unix:public/pickup": as the daemon sees it */
	char address[1400]; /* what it is bound to: the key at reload */
	int fd;
	unsigned users; /* entries that have it */
};

/* Somebody who waits to be introduced to a process that is still starting. */
struct pending {
	struct process *asker; /* NULL when it has gone meanwhile */
	uint32_t serial;
};

/* Who was given a connection to a process, and how often; not counted for spawners. */
struct introduced {
	pid_t pid;
	unsigned times;
};

enum process_state { PROCESS_STARTING, PROCESS_READY, PROCESS_DRAINING };
struct process {
	struct master *master;
	struct entry *entry;
	pid_t pid;
	enum process_state state;
	bool closed_to_new; /* it has heard DRAIN */
	bool overdue; /* it was not ready in service_start_timeout */
	char *failure; /* why it was never ready, in its own words; NULL: it has said nothing */
	struct channel control;
	struct watch log; /* its lines for syslog; fd -1 when it writes a file */
	unsigned figures; /* the name of its file */
	int figures_fd; /* -1: it counts for nobody */
	int log_facility; /* that it was told to use */
	struct vector watched; /* of struct watched_file (keys.c) */
	struct timer watch_timer;
	int64_t started; /* loop time, ms */
	struct timer start_limit;
	struct vector
		introduced; /* of struct introduced: those that have a connection to this one */
	struct vector pending; /* of struct pending */
	unsigned given; /* connections to it, in all */
};

/* One line of master.cf in one generation. */
struct entry {
	struct master *master;
	struct generation *generation;
	const struct service_entry *config;
	const struct cell *cell;
	enum service_id id;
	int snapshot; /* memfd, sealed */
	char log_name[128]; /* syslog_name, which -o may change */
	char saslauthd[108]; /* auth_saslauthd_path, as long as the name of a socket may be */
	struct listen_socket *listeners[LISTENERS_MAX];
	unsigned listener_count;
	struct vector processes; /* of struct process * */
	struct timer restart, wakeup;
	int64_t delay; /* ms before the next restart; 0: the last process lived well */
	unsigned quick_deaths; /* one after another */
	bool waits_for_old; /* exclusive: starts when the former generation's process has ended */
	bool replaced; /* its processes drain; none is started any more */
};

/* What main.cf says of master itself. Those of a generation become master's own when it is taken up, and not before. */
struct settings {
	char instance[1024];
	char daemons[1024]; /* daemon_directory, or where master's own program stands */
	char host[256], log_name[128];
	char log_file[1024]; /* empty: syslog */
	char log_socket[256];
	int log_facility; /* LOG_MAIL and so on */
	bool best_effort, log_json;
	int64_t key_interval; /* ms between looks at files of keys */
};

struct generation {
	struct master *master;
	struct settings settings;
	int log_fd; /* maillog_file, until it is taken up; -1: syslog */
	unsigned number;
	struct config_source *source;
	struct services services;
	struct entry *entries;
	struct buffer tls_sets; /* of certificates, of all entries: keyd and tlsd know them */
	unsigned count;
	int64_t restart_delay, start_timeout, stop_timeout, drain_timeout; /* ms */
	struct timer drain_limit;
	bool overdue; /* drain_timeout is over, and all were told */
	bool given_up; /* it has never been the present one */
	struct generation *former; /* still draining; of a candidate: the present one */
};

/* The way to the system's logger. */
struct syslog {
	struct master *master; /* NULL: never used */
	char path[256];
	int fd; /* connected; -1: it is away */
	int64_t since; /* loop time since when it takes nothing; -1: it does */
	struct buffer held; /* lines that could not be sent */
	uint64_t lost; /* lines thrown away meanwhile */
	struct timer retry;
};

struct master {
	struct loop *loop;
	char config_directory[1024];
	char own_folder[1024]; /* of master's program */
	struct settings settings; /* in force */
	struct syslog syslog;
	bool root; /* started by root: uids are taken on */
	int log_fd; /* -1: syslog */
	int null_fd, lock_fd, ready_fd;
	int figures_folder, ended_fd;
	unsigned next_figures;
	struct figures figures_ended; /* what processes counted that are no more */
	struct vector sockets; /* of struct listen_socket * */
	struct generation *current;
	struct generation *
		candidate; /* is to take its place when all its processes are ready; NULL: no reload is under way */
	struct watch signals;
	struct acceptor control; /* run/control */
	struct sessions_client *sessions_clients;
	unsigned sessions_client_count;
	uint32_t orders; /* about sessions, so far */
	bool stopping, ended;
	unsigned stop_phase;
	struct timer stop_timer;
	unsigned char seal_key[32]; /* of this master's life: facts and tickets outlive a reload */
	bool checking; /* a configuration is looked at, and nothing else is done */
	bool starting; /* nobody has been told yet that the suite runs */
	bool reload_wanted; /* when it does, or when the reload under way is over */
	struct timer reload_again;
	unsigned reloads;
	bool reload_open; /* somebody may wait for the present generation to be in force */
};

/* generation.c: read, check and evaluate the configuration; NULL with faults in `report`. Opens listeners, starts nothing. */
struct generation *generation_load(struct master *master, struct config_report *report);
/* Only what main.cf says of master itself (instance_directory and so on), into master's settings. */
MUST_CHECK bool generation_settings(struct master *master, struct config_report *report);
void generation_free(struct generation *generation);
/* Faults, one line each: to the log, and to `fd` when it is not -1 as "error: ..." or "warning: ...". */
void report_faults(const struct config_report *report, int fd);

/* switch.c: start the processes of the first generation. */
void generation_start(struct generation *generation);
/* Start those of a candidate; false when one cannot be started: it is to be given up. */
MUST_CHECK bool generation_begin(struct generation *generation);
/* Are all of its processes ready, but for those that wait for their predecessors? */
bool generation_ready(const struct generation *generation);
/* End all of a candidate; the present generation has not noticed it. */
void generation_give_up(struct generation *generation);
/* The candidate takes the place of the present generation, whose processes drain. */
void generation_switch(struct generation *generation);
/* Drain processes that have a ready successor, free generations whose processes have all gone. */
void generation_sweep(struct master *master);

/* master.c: what a generation says of master itself holds from now on. */
void take_settings(struct master *master, struct generation *generation);

/* reload.c: begin to take up the configuration as it is now; at once, or when the suite runs and no other reload is under way. */
void reload(struct master *master);
/* A process of the candidate is ready. */
void reload_step(struct master *master);
/* One has ended, with the status that waitpid gave: nothing of the candidate holds. */
void reload_failed(struct process *process, int status);
/* One of the present generation has ended before it was ready, when there was no way back any more: it is tried again, and told. */
void reload_incomplete(struct process *process);
/* The present generation serves, the former takes nobody in any more. */
void reload_in_force(struct master *master);

/* process.c: fork and execute one process; false when that fails (it is tried again later). */
bool process_start(struct entry *entry);
void process_drain(struct process *process, bool fast);
void process_exited(struct master *master, pid_t pid, int status);
void process_wakeup(struct entry *entry, unsigned reason);

/* introduce.c */
void introduce(struct process *asker, const struct message_master_connect *request);
/* To a socket of another program, by the path that the configuration has for it. */
void introduce_outside(struct process *asker, const struct message_master_outside *request);
void introduce_pending(struct process *ready);
/* A process has gone: those who wait for it are answered, its own requests forgotten. */
void introduce_forget(struct process *gone);
/* The entry of a service in a generation, or NULL. */
struct entry *entry_of(struct generation *generation, enum service_id id);

/* listen.c: open (or take over) the sockets of an entry; false with a fault in the report. */
MUST_CHECK bool listen_open(struct master *master, struct entry *entry, const struct config *config,
	struct config_report *report);
/* Give up an entry's sockets; those that nobody has any more are closed. */
void listen_release(struct entry *entry);

/* figures.c: the folder, and the files of master and of those that have ended; false with errno and the folder's path. */
MUST_CHECK bool figures_start(struct master *master, char *path, size_t size);
/* A file for a process that is being started; what is in it when it has ended is added to the sum. */
void figures_begin(struct process *process);
void figures_end(struct process *process);

/* keys.c: files of keys and certificates. */
void keys_watch(struct process *process, const struct message_key_watch *message);
/* keyd is ready: look at its files from now on. */
void keys_begin(struct process *process);
void keys_end(struct process *process);

/* check.c: what the daemons say of what a configuration names: keys, tables, back ends, TLS. Faults go into the report. */
MUST_CHECK bool generation_check(struct generation *generation, struct config_report *report);

/* notify.c: a service manager is told that all services are ready, if one asked for it. */
void notify_ready(void);

/* syslog.c: master's own lines go to the logger from now on; false with errno when it cannot be reached yet. */
MUST_CHECK bool syslog_open(struct master *master);
/* The end for a new process to write lines to, the caller's to close; -1 with errno. */
int syslog_attach(struct process *process);
/* The process has ended: what it has written is passed on. */
void syslog_detach(struct process *process);

/* sessions.c: take orders about sessions; false with errno and the socket's path. */
MUST_CHECK bool sessions_open(struct master *master, char *path, size_t size);
/* SESSIONS_ROW or SESSIONS_DONE; false when that process has no business with it. */
MUST_CHECK bool sessions_said(struct process *process, const struct message *message);
/* The process has ended: nobody waits for its answer any more. */
void sessions_forget(struct process *process);

/* stop.c */
void master_stop(struct master *master);
void master_abort(struct master *master);
/* A process has ended: go on with the stop when its phase is over. */
void master_stop_step(struct master *master);

/* The first of all that there are, each with those before it as `former`. */
static inline struct generation *generation_newest(const struct master *master)
{
	return master->candidate ? master->candidate : master->current;
}

static inline bool is_candidate(const struct entry *entry)
{
	return entry->master->candidate && entry->generation == entry->master->candidate;
}

static inline struct process *entry_process(const struct entry *entry, size_t i)
{
	return *(struct process **)vector_at(&entry->processes, i);
}

#endif
