// SPDX-License-Identifier: ISC
/*
 * What every daemon's main shares: start-up under master, the loop, introductions to peers, log, figures, drain and end.
 *
 *	service = service_start("cleanup", argc, argv);   START message read, chroot done, log open; still with the start's rights
 *	config  = config_open(service_snapshot(service)); the daemon opens everything that needs a path
 *	service_enter(service, &CELL_CLEANUP);            from here on nothing else can be touched
 *	return service_run(service, &HOOKS, context);     READY is said; returns the exit status for main
 *
 * Run by hand (no master at descriptor 3) a daemon says so and exits 64; with --help it prints one line.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/loop.h"
#include "ipc/channel.h"
#include "sandbox/cell.h"
#include "service/acceptor.h"

struct service;

/* Who is at the other end of a descriptor that master (or a public socket) brought. */
struct peer {
	enum service_id from; /* SERVICE_COUNT for a public socket's client */
	uid_t uid;
	pid_t pid;
};

struct service_hooks {
	/* A peer was introduced: `fd` is a SEQPACKET socket, the hook's to keep or close. NULL: none is served. */
	void (*peer)(struct service *service, void *context, int fd, const struct peer *peer);
	/* A public UNIX listener of this entry accepted a client (SEQPACKET); credentials by SO_PEERCRED. */
	void (*client)(struct service *service, void *context, int fd, const struct peer *peer);
	/* wakeup time of master.cf, or flush (reason 1). */
	void (*wakeup)(struct service *service, void *context, unsigned reason);
	/* A file named by service_watch_file has changed; the descriptor is the hook's. */
	void (*file)(struct service *service, void *context, unsigned number, int fd);
	/* Master wants sessions of users listed or ended: answer with service_tell_session and service_sessions_done. NULL: there are
	 * none here. */
	void (*sessions)(
		struct service *service, void *context, const struct message_sessions_order *order);
	/* Take nothing new, finish what is in hand, then call service_end. NULL: service_end at once. `fast`: give up what is slow. */
	void (*drain)(struct service *service, void *context, bool fast);
};

/* Does not return on failure (message on stderr and in the log, exit 69..78). */
struct service *service_start(const char *name, int argc, char **argv);
void service_enter(struct service *service, const struct cell *cell);
int service_run(struct service *service, const struct service_hooks *hooks, void *context);
/* The same start without the loop's hooks, for processes that serve in blocking style (session children of spawners). */
void service_end(struct service *service, int status);

/* keyd only, before service_run: master looks now and then whether the file at `path` has changed, and brings it to hooks.file. */
void service_watch_file(struct service *service, unsigned number, const char *path);

/* Answers of hooks.sessions: a row of a list, and the end of any order, at once or later. */
void service_tell_session(struct service *service, const struct message_sessions_row *row);
void service_sessions_done(struct service *service, uint32_t order, unsigned count);
/* The last such order before this process was started. */
uint32_t service_first_order(const struct service *service);

struct loop *service_loop(struct service *service);
/* The sealed snapshot, mapped read-only; for config_open. */
struct slice service_snapshot(const struct service *service);
/* Its descriptor, to pass on to a process that works by this configuration; stays the service's. */
int service_snapshot_fd(const struct service *service);
/* Absolute path of a base: service_path(s, CELL_QUEUE) is "/queue" in a chroot, else "INSTANCE/queue". */
const char *service_path(const struct service *service, enum cell_base base);
/* In a session that was given a folder: what that is called from inside, "/" when it is its root folder. Else NULL. */
const char *service_session_folder(const struct service *service);
/* Tell the bases that configuration moved away from the instance (queue_directory and so on), before service_enter. */
void service_set_path(struct service *service, enum cell_base base, const char *path);
const char *service_entry(const struct service *service);
unsigned service_max_sessions(const struct service *service);
/* What facts about TLS connections are sealed with (TLS_SEAL_KEY bytes, lib/service/tls_seal.h); NULL but for tlsd and authd. */
const unsigned char *service_seal_key(const struct service *service);
bool service_draining(const struct service *service);

/* The listeners of this entry: descriptor and "inet:10025" or "unix:public/pickup". Public UNIX ones are accepted by service_run
 * when hooks.client is set; inet ones are the daemon's (the front's) to watch. */
unsigned service_listener_count(const struct service *service);
int service_listener(const struct service *service, unsigned i, const char **name);
/* Take clients in at that listener: from now on, or, while the generation before this one still serves, from when master says that it
 * does no more. Beforehand, with service_run still to come. See acceptor_start; acceptor_stop ends it in either case. */
MUST_CHECK bool service_accept(struct service *service, unsigned i, struct acceptor *acceptor,
	void (*accepted)(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from),
	void *context);

/*
 * Ask master for a connection to one process of `to`. `connected` runs later with the descriptor (the caller's), or -1 and a
 * reason (no such service, it does not start, not allowed by the cell): try again later.
 */
typedef void (*service_connected)(
	struct service *service, void *context, int fd, const char *reason);
void service_connect(
	struct service *service, enum service_id to, service_connected connected, void *context);

/* Likewise for a socket of another program, which master connects to when the cell says so: the descriptor is a stream, and does not
 * block. */
void service_connect_outside(struct service *service, enum cell_outside what,
	service_connected connected, void *context);

/*
 * A standing connection that mends itself: opened on first use, asked for again (with back-off) when it breaks.
 * In `receive`, channel->context is the link. link_channel is NULL while there is none. `up` runs at each new connection; `down` when it broke (the requests in flight on
 * it will not be answered).
 */
struct link {
	struct service *service;
	enum service_id to;
	struct channel channel;
	channel_receive receive;
	void (*up)(struct link *link);
	void (*down)(struct link *link);
	void *context;
	struct timer retry;
	unsigned failures;
	bool connecting, closed;
	struct link_waiting *waiting_head,
		*waiting_tail; /* for link_send while there is no connection */
	unsigned waiting;
};
enum { LINK_WAITING_MOST = 1000 /* messages that wait for a connection */ };
void link_open(struct link *link, struct service *service, enum service_id to,
	channel_receive receive, void (*up)(struct link *), void (*down)(struct link *),
	void *context);
struct channel *link_channel(struct link *link);
/*
 * Now, or as soon as there is a connection: for questions whose asker has a deadline of its own. False when it cannot be kept.
 * What waits is forgotten at link_close.
 */
MUST_CHECK bool link_send(struct link *link, const struct message *message);
void link_close(struct link *link);

#endif
