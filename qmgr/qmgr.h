// SPDX-License-Identifier: ISC
/*
 * The queue manager's own structs, and what its chapters offer each other; each calls those below it only:
 *
 *	qmgr.c      main, and what master says
 *	control.c   what operators ask for
 *	intake.c    how qmgr learns of messages: arrivals, and what stands on the agenda
 *	admit.c     a message comes into the active queue
 *	resolve.c   where its recipients go, asked of directoryd
 *	deliver.c   transports and their agents
 *	outcome.c   what becomes of it: results, reports, the end of a pass
 *	notify.c    reports to the sender, by bounce
 *	record.c    what of it is written down
 *	leftover.c  finished messages whose files could not be removed
 *	schedule.c  destinations: what goes next, how much at a time, when again
 *	message.c   one message in the active queue: found, opened, let go
 *	agenda.c    what is to be taken in, and when
 *
 * Times called `when` are loop time in milliseconds; those in envelopes are microseconds since 1970.
 */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include "base/map.h"
#include "config/config.h"
#include "queue/action.h"
#include "queue/queue.h"
#include "queue/scan.h"
#include "service/service.h"

enum {
	QMGR_LEFTOVER_LIMIT =
		10000, /* finished files whose removal is tried again; others wait for the next start */
	QMGR_OPEN_FILES =
		1024, /* queue files kept open; more are opened again when they are needed */
	QMGR_SETTLE =
		2, /* seconds after which a message that is still being delivered moves from incoming/ to active/ */
	QMGR_SETTLE_TURN = 1000, /* of them at a time */
	QMGR_TURN_FILES = 64, /* files looked at in one turn of the loop */
	QMGR_TURN_SYNCS = 8, /* of them, synced to disk */
	QMGR_RESOLVE_WINDOW = 512, /* questions to directoryd without an answer yet */
	QMGR_RESOLVE_TIMEOUT =
		60, /* seconds until a recipient whose question is not answered is deferred */
	QMGR_DEFERRED_LIMIT =
		1000000, /* deferred messages whose next try is kept in memory; others wait for the next scan */
	QMGR_AGENTS = 32, /* processes of one transport */
	QMGR_AGENT_DEPTH = 32, /* deliveries given to one agent at a time */
	QMGR_AGENT_BUSY = 12, /* from here on another agent is asked for */
	QMGR_AGENT_WAIT = 30, /* seconds without any agent until a transport's mail is deferred */
	QMGR_REFUSED_WAIT = 3000, /* ms until a refused further agent is asked for again */
	QMGR_REFUSED_FIRST = 200, /* likewise when there is none at all */
	QMGR_CRASHES = 3, /* agents that may die over one delivery before it is deferred */
	QMGR_FAILURES = 5, /* temporary failures in a row that suspend a destination */
	QMGR_REPORTS = 64, /* reports given to bounce at a time */
	QMGR_REPORT_TIMEOUT =
		120, /* seconds until a report that bounce does not confirm is given up for now */
	QMGR_CLIENTS = 64, /* operators' connections at a time */
	QMGR_MESSAGE_MEMORY = 256 << 20 /* bytes of one message's envelope and results */
};

struct qmgr_settings {
	int64_t active_limit, recipient_limit;
	int64_t run_delay; /* ms */
	int64_t minimal_backoff, maximal_backoff; /* microseconds, as those below */
	int64_t queue_lifetime, bounce_lifetime, delay_warning;
	int64_t max_idle; /* ms */
};

enum recipient_state {
	RECIPIENT_WAITING = 0, /* to be resolved, or in a delivery that waits */
	RECIPIENT_FLYING, /* with an agent */
	RECIPIENT_DEFERRED,
	RECIPIENT_SENT,
	RECIPIENT_BOUNCED, /* to be reported; done once that was confirmed */
	RECIPIENT_SETTLED /* nothing more to do: sent or reported, or was done before */
};
/* Where a recipient goes and how it went. Slices live in the message's arena. */
struct target {
	uint8_t state;
	bool marked; /* done on disk */
	bool fresh; /* marked in this pass */
	struct slice address, mailbox; /* as directoryd answered */
	int64_t quota;
	struct slice dsn, relay, reason;
};

struct destination;
struct transport;
struct qmgr;

/* A message in the active queue. */
struct mail {
	struct qmgr *qmgr;
	char id[QUEUE_ID_SIZE];
	struct arena arena;
	struct queue_envelope envelope;
	struct target *targets; /* one for each recipient of the envelope */
	enum queue_name place; /* where its file stands: incoming/, active/, or hold/ already */
	int fd; /* read-only, or -1: opened when needed */
	int64_t active; /* microseconds since 1970 */
	uint32_t left; /* recipients that were not done when it came */
	uint32_t resolve_next; /* first recipient not asked about yet */
	uint32_t resolving; /* asked, not answered */
	uint32_t deliveries; /* waiting or flying */
	uint32_t flying; /* with an agent */
	bool known; /* in the map of messages */
	bool vanished; /* the file was removed under us: forget it */
	bool hold; /* was put on hold: no more of it goes out in this pass */
	bool soon; /* try again shortly: the failure was our own */
	bool dirty; /* results not marked on disk yet; on the dirty list */
	bool expired;
	unsigned reports; /* bits 1 << enum bounce_kind still to be sent */
	uint32_t report_serial; /* 0: none under way */
	int64_t report_deadline;
	struct mail_list
		*list; /* the one list it is on: to resolve, to report, to retire; or NULL */
	struct mail *next, *before;
	struct mail *dirty_next;
	struct mail *fresh_next, *fresh_before; /* among those in incoming/ */
};
struct mail_list {
	struct mail *head, *tail;
	size_t count;
};
void mail_list_add(struct mail_list *list, struct mail *mail);
struct mail *mail_list_take(struct mail_list *list);
/* Off the list it is on, if any. */
void mail_list_leave(struct mail *mail);

/* Recipients of one message that go to one destination together. */
struct delivery {
	struct mail *mail;
	struct destination *destination;
	struct delivery *next;
	uint32_t *recipients; /* indexes into the envelope, in the message's arena */
	uint32_t count, capacity, answered;
	uint32_t serial;
	uint8_t crashes;
	int64_t begun; /* microseconds since 1970 */
};

/* A transport with a next hop; for mailboxes each mailbox. */
struct destination {
	struct transport *transport;
	char *key; /* its name in the transport's map */
	struct delivery *head, *tail;
	uint32_t waiting, flying, limit;
	struct destination *ready_next;
	bool ready; /* on the transport's list of those that may send */
	unsigned failures; /* in a row */
	int64_t last_failure; /* loop time */
	int64_t suspended; /* loop time until which nothing is sent; 0: not */
	int64_t suspension; /* how long the last one was, ms */
	char *reason, *dsn; /* why */
};

struct agent {
	struct transport *transport;
	struct channel channel;
	struct delivery *flying[QMGR_AGENT_DEPTH];
	unsigned count;
	int64_t idle_since;
};
enum transport_kind {
	TRANSPORT_AGENT,
	TRANSPORT_UNAVAILABLE,
	TRANSPORT_ERROR,
	TRANSPORT_RETRY,
	TRANSPORT_DISCARD
};
struct transport {
	struct qmgr *qmgr;
	char *name;
	enum transport_kind kind;
	enum service_id service;
	bool by_mailbox;
	uint32_t concurrency_limit, delivery_recipients;
	struct map destinations; /* key -> struct destination */
	struct destination *ready_head, *ready_tail;
	struct agent *agents[QMGR_AGENTS];
	unsigned agent_count;
	bool connecting;
	int64_t refused_until, without_agent; /* loop time; 0 */
	uint32_t serial;
	struct deferred pump;
	struct timer pump_more;
};

/* A message in deferred/, and when it is due. */
struct later {
	struct qmgr *qmgr;
	struct timer timer;
	char id[QUEUE_ID_SIZE];
	bool due; /* on the due list */
	bool gone; /* forgotten while on it: freed when its turn comes */
	struct later *next;
};

/* One question to directoryd. */
struct question {
	struct mail *mail; /* NULL: free */
	uint32_t recipient, serial;
	int64_t asked; /* loop time */
};

struct control;
struct qmgr {
	struct service *service;
	struct config *config;
	struct loop *loop;
	struct queue queue;
	struct qmgr_settings settings;
	int lock; /* only one queue manager works on a queue */
	bool locked, draining;

	struct map mails; /* id -> struct mail */
	int64_t recipients; /* of all of them */
	unsigned open_files;
	struct mail_list retiring;
	/* Messages whose files stand in incoming/, oldest first. Most are delivered before a move would be worth its cost. */
	struct mail *fresh_head, *fresh_tail;
	struct mail *dirty;
	struct deferred mark, retire;
	struct timer retire_more;
	struct map leftovers; /* id -> struct leftover */

	/* agenda */
	bool scan_wanted[QUEUE_NAMES], scan_soon[QUEUE_NAMES];
	struct map laters; /* id -> struct later */
	struct later *due_head, *due_tail;
	struct timer soon;
	struct deferred wake; /* intake's */

	/* intake */
	struct queue_scan *scan;
	enum queue_name scan_folder;
	bool backlog; /* something stayed in incoming/ */
	char scan_kept[QUEUE_ID_SIZE];
	unsigned strange[QUEUE_NAMES]; /* things that are no files, as the log knows */
	struct timer intake_more, run;

	/* resolve */
	struct link directory;
	struct question questions[QMGR_RESOLVE_WINDOW];
	unsigned free_questions[QMGR_RESOLVE_WINDOW], free_count;
	struct mail_list to_resolve;
	struct deferred ask;

	struct map transports; /* name -> struct transport */
	uint64_t agents_allowed; /* PEER bits of the services the cell lets qmgr talk to */
	unsigned flying; /* deliveries with agents */

	/* notify */
	struct link bounce;
	struct mail_list to_report;
	struct mail *reporting[QMGR_REPORTS];
	unsigned reporting_count;
	uint32_t report_serial;
	void (*reported)(struct mail *mail, unsigned kind, bool done);

	struct control *controls;
	unsigned
		sweeps; /* operators' sweeps under way: nothing is taken in meanwhile, so that they miss nothing */
	unsigned client_count;
	struct timer housekeeping;
};

/* --- intake.c --- */
void intake_open(struct qmgr *q);
/* The queue is this process's now. */
void intake_start(struct qmgr *q);
/* A peer (cleanup) was introduced. */
void intake_peer(struct qmgr *q, int fd);

/* --- agenda.c --- */
/* `wake` runs at the end of a turn in which something was added. */
void agenda_open(struct qmgr *q, void (*wake)(struct deferred *deferred));
/* There is room again for what waits. */
void agenda_wake(struct qmgr *q);
/* Look through a folder. */
void agenda_scan(struct qmgr *q, enum queue_name name);
/* Look through a folder in a moment: something was found there that is not finished yet. On a busy machine that is so whenever
 * it is looked through, so the others, of which deferred/ may be long, are left out. */
void agenda_soon(struct qmgr *q, enum queue_name name);
/* Message `id` is in deferred/ and due in `delay` ms. */
void agenda_later(struct qmgr *q, const char *id, int64_t delay);
void agenda_forget(struct qmgr *q, const char *id);
/* Make one deferred message due now; false when it is not known. */
bool agenda_due(struct qmgr *q, const char *id);
/* Make all due; how many. */
size_t agenda_due_all(struct qmgr *q);
/* The first of those that are due is done with. */
void agenda_drop_due(struct qmgr *q);

/* --- admit.c --- */
enum mail_taken {
	MAIL_NO_ROOM = 0,
	MAIL_TAKEN,
	MAIL_UNFINISHED, /* its writer is at it */
	MAIL_GONE /* known, vanished, corrupt, or not to be had now */
};
/* Take message `id` from a folder into the active queue, if it is still there. `told`: cleanup said that it is durable. */
enum mail_taken mail_take(struct qmgr *q, const char *id, enum queue_name from, bool told);

/* --- message.c --- */
/* Takes `fd` over, a read-only descriptor of its file; NULL (fd stays the caller's): no memory. */
struct mail *mail_new(struct qmgr *q, const char *id, int fd);
/* Into the map, and counted with the recipients that are left. False when memory is out. */
MUST_CHECK bool mail_enter(struct mail *mail);
/* Out of the map, so that the id may come again; the struct stays while something refers to it. */
void mail_forget(struct mail *mail);
struct mail *mail_find(struct qmgr *q, struct slice id);
bool mail_room(const struct qmgr *q);
/* A read-only descriptor of its file; -1 with errno. Stays the message's. */
int mail_fd(struct mail *mail);
/* mail_fd will open it again. */
void mail_close(struct mail *mail);
/* Its file stands in incoming/. */
void mail_fresh(struct mail *mail);
/* Its file goes to another folder; false with errno. */
MUST_CHECK bool mail_move(struct mail *mail, enum queue_name to);
/* Off the list of those with results that are not written yet. */
void mail_undirty(struct mail *mail);
/* Forgotten, its descriptor closed, its memory free. */
void mail_free(struct mail *mail);
/* Once a second: what takes longer than a moment moves to active/. */
void mail_settle_some(struct qmgr *q);

/* --- outcome.c --- */
/* One recipient's outcome. `log`: qmgr decided, so it writes the log line (an agent has written its own). */
void mail_result(struct mail *mail, uint32_t recipient, enum recipient_state state,
	struct slice dsn, struct slice relay, struct slice reason, bool log);
/* Something of it is over: go on to reports and retirement when nothing is under way any more. */
void mail_advance(struct mail *mail);
/* The bounce report of `kind` was written (or could not be, for now). */
void mail_reported(struct mail *mail, unsigned kind, bool done);
bool mail_idle(const struct qmgr *q);

/* --- record.c --- */
/* Sent, or reported: nothing more is to be done for this recipient. */
bool mail_is_done(const struct target *target);
/* Its file was found missing: forget it as soon as nothing refers to it (mail_advance). */
void mail_lost(struct mail *mail);
/* Mark on disk who has it already. */
void mail_mark(struct mail *mail);
/* At the end of a turn: messages that were finished meanwhile are off the list, and cost no write. */
void mail_mark_dirty(struct qmgr *q);
/* What cannot be delivered in this pass is returned. */
void mail_expire(struct mail *mail);
/* Write down how far it came, and move it to deferred/ unless it is in hold/. */
void mail_record(struct mail *mail);
void mail_retire_some(struct qmgr *q);

/* --- leftover.c --- */
/* The file of a finished message could not be removed: try again, first in a second, then less and less often. */
void leftover_add(struct qmgr *q, const char *id, enum queue_name place);
/* Is that message one of these? */
bool leftover_is(const struct qmgr *q, const char *id);

/* --- resolve.c --- */
void resolve_open(struct qmgr *q);
void resolve_add(struct mail *mail);
/* Forget what a message asked. */
void resolve_cancel(struct mail *mail);
/* Defer the recipients whose questions have waited too long. */
void resolve_expire(struct qmgr *q);

/* --- schedule.c --- */
/* When a message that arrived at `arrival` is tried again: its age, within the bounds, 10 % more or less by `random`. */
int64_t schedule_backoff(
	const struct qmgr_settings *settings, int64_t now, int64_t arrival, uint32_t random);
struct transport *schedule_transport(struct qmgr *q, struct slice name);
/* The destination of a recipient; NULL when memory is out. */
struct destination *schedule_destination(struct transport *transport, struct slice key);
/* Put a recipient into a delivery of its message to that destination. False when memory is out. */
bool schedule_add(struct destination *destination, struct mail *mail, uint32_t recipient);
/* The destination whose turn it is, or NULL: its first waiting delivery is what schedule_next will give. */
struct destination *schedule_ready(const struct transport *transport);
/* The next delivery that may go out, in turns over the destinations; NULL: none. It counts as flying. */
struct delivery *schedule_next(struct transport *transport);
/* A delivery that schedule_next gave is over, and freed; its destination too when it is idle. `now` is loop time. */
enum schedule_outcome {
	SCHEDULE_NEUTRAL = 0 /* tells nothing about the destination */,
	SCHEDULE_WORKED,
	SCHEDULE_FAILED
};
void schedule_over(struct delivery *delivery, enum schedule_outcome outcome, struct slice dsn,
	struct slice reason, int64_t now);
/* A delivery that is to be tried again in this pass (its agent died). */
void schedule_again(struct delivery *delivery);
/* End suspensions: all, or those that are over. Frees what is idle. */
void schedule_resume(struct qmgr *q, int64_t now, bool all);

/* --- deliver.c --- */
/* What is to be done with a transport's deliveries, at the end of this turn. */
void deliver_soon(struct transport *transport);
/* Once a second: agents that do not come, agents that are idle. */
void deliver_housekeeping(struct qmgr *q);

/* --- notify.c --- */
/* `reported` hears of each report that was written, or could not be for now. */
void notify_open(struct qmgr *q, void (*reported)(struct mail *mail, unsigned kind, bool done));
/* Does the report of `kind` (enum bounce_kind) tell about this recipient? */
bool notify_concerns(const struct mail *mail, uint32_t recipient, unsigned kind);
/* Send the reports that `mail->reports` names, one after another. */
void notify_add(struct mail *mail);
void notify_expire(struct qmgr *q);

/* --- control.c --- */
void control_client(struct qmgr *q, int fd, const struct peer *peer);
void control_close_all(struct qmgr *q);

#endif
