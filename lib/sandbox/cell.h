// SPDX-License-Identifier: ISC
/*
 * A cell is what a process may touch, as data: a struct cell stands beside each daemon's main. cell_enter locks the process in
 * it, before it reads the first foreign byte; `postern explain` prints it in words; the escape tests read it.
 */
#ifndef SANDBOX_CELL_H
#define SANDBOX_CELL_H

#include <sys/types.h>

#include "base/slice.h"

/* Who is who. The order is the wire value of MASTER_CONNECT's service. */
/* clang-format off */
#define SERVICES(S) \
	S(MASTER, "master") \
	S(SMTPD, "smtpd") \
	S(SMTPD_SESSION, "smtpd-session") S(CLEANUP, "cleanup") S(PICKUP, "pickup") \
		S(QMGR, "qmgr") S(SHOWQ, "showq") S(VIRTUAL, "virtual") S(BOUNCE, "bounce") \
			S(DIRECTORY, "directoryd") S(AUTH, "authd") S(IMAPD, "imapd") S( \
				IMAPD_SESSION, "imapd-session") S(POP3D, "pop3d") \
				S(POP3D_SESSION, "pop3d-session") S(TLSD, "tlsd") S(KEYD, "keyd") \
					S(DNSD, "dnsd") S(SMTP, "smtp") S(LOCAL, "local") \
						S(LMTPD, "lmtpd") S(FILTERD, "filterd") \
							S(MANAGESIEVED, "managesieved") S(PROXYMAP, "proxymap") \
								S(INTROSPECT, "introspect")
/* clang-format on */
#define SERVICE_ENUM(NAME, text) SERVICE_##NAME,
enum service_id { SERVICES(SERVICE_ENUM) SERVICE_COUNT };
#undef SERVICE_ENUM
/* The bit of a service in a mask. */
#define PEER(NAME) (1ull << SERVICE_##NAME)

/* "cleanup"; and back, SERVICE_COUNT when there is none. */
const char *service_id_name(enum service_id id);
enum service_id service_id_of(struct slice name);

enum cell_uid {
	UID_KEEP,
	UID_NET,
	UID_QUEUE,
	UID_DIRECTORY,
	UID_AUTH,
	UID_TLS,
	UID_KEYS,
	UID_FILTER,
	UID_VMAIL,
	UID_INTROSPECT,
	UID_CLASSES
};
/* System user of a class: "postern-net"; NULL for UID_KEEP. */
const char *cell_uid_name(enum cell_uid uid);

/* Where a path of a cell begins. */
enum cell_base {
	CELL_INSTANCE,
	CELL_QUEUE,
	CELL_MAIL,
	CELL_DATA,
	CELL_RUN,
	CELL_ETC,
	CELL_SYSTEM /* "/" */
};
enum cell_right {
	CELL_READ = 1, /* read files, list folders */
	CELL_WRITE = 2, /* write to files that are there, truncate */
	CELL_CREATE = 4, /* make files and folders */
	CELL_REMOVE = 8, /* unlink */
	CELL_MOVE = 16, /* rename or link between folders of the cell (with CREATE and REMOVE) */
	CELL_EXECUTE = 32 /* run as a program (with CELL_CALLS_COMMAND) */
};
struct cell_file {
	enum cell_base base;
	const char *path; /* "" for the base itself; NULL ends the list */
	unsigned rights;
	bool optional; /* need not exist */
};

/* Groups of system calls, on top of what every process needs (memory, time, poll, read, write, close, sendmsg, recvmsg, exit). */
enum cell_calls {
	CELL_CALLS_FILE = 1, /* openat, stat, getdents, pread, lseek, fcntl locks */
	CELL_CALLS_SYNC =
		2, /* fsync, fdatasync, rename, unlink, link, mkdir, ftruncate, pwrite, copy_file_range */
	CELL_CALLS_THREAD = 4, /* clone with CLONE_THREAD */
	CELL_CALLS_FORK = 8, /* fork children, wait, kill its own children */
	CELL_CALLS_SOCKET = 16, /* accept4, getpeername, setsockopt on TCP sockets it was given */
	CELL_CALLS_LOCK_IN = 32, /* spawners: landlock and seccomp for the child they fork */
	CELL_CALLS_CONNECT = 64, /* socket, connect, bind to TCP and UDP (smtp, dnsd) */
	CELL_CALLS_ROOT_FOLDER =
		512, /* spawners: give the child a root folder of its own; keeps CAP_SYS_CHROOT */
	CELL_CALLS_TOGETHER = 1 << 19, /* fsync of several files at a time, by io_submit */
	CELL_CALLS_PAIR = 256, /* make pairs of sockets, to hand one end on */
	CELL_CALLS_WATCH = 128, /* watch folders by a descriptor that was opened before */
	CELL_CALLS_COMMAND = 1 << 17, /* run programs, and what programs of all kinds need to run */
	CELL_CALLS_STREAM = 1 << 16, /* connect by TCP to the cell's ports */
	CELL_CALLS_UNIX =
		1 << 18 /* connect to UNIX stream sockets by path, which Landlock does not govern */
};

/* Sockets of other programs that master connects a process to, by its word: it has no right to connect itself. */
enum cell_outside { CELL_OUTSIDE_SASLAUTHD = 1 /* auth_saslauthd_path */ };

enum { CELL_MAX_FILES = 24, CELL_MAX_PORTS = 16 };
struct cell {
	enum service_id service;
	enum cell_uid uid;
	struct cell_file files[CELL_MAX_FILES];
	uint64_t talk_to; /* PEER(...) | ...: whom it may ask master to introduce it to */
	uint64_t serve; /* who may be introduced to it */
	unsigned calls; /* enum cell_calls */
	unsigned outside; /* enum cell_outside */
	uint16_t ports
		[CELL_MAX_PORTS]; /* with CELL_CALLS_STREAM: TCP ports it may connect to; 0 ends the list */
	uint64_t memory; /* RLIMIT_AS, bytes (not applied under the address sanitizer) */
	unsigned descriptors; /* RLIMIT_NOFILE */
	unsigned
		processes; /* RLIMIT_NPROC beyond none: children it may fork, or threads it may start */
	const char *purpose; /* one sentence for `postern explain` */
};

#define MIB(n) ((uint64_t)(n) << 20)

/* The bases as absolute paths, without a final slash. */
struct cell_bases {
	const char *path[CELL_SYSTEM + 1];
};

/*
 * Lock this process in: groups, gid, uid (when root and cell->uid is not UID_KEEP), no_new_privs, all capabilities gone (with
 * CELL_CALLS_ROOT_FOLDER all but CAP_SYS_CHROOT), not dumpable, rlimits, Landlock, seccomp. Nothing can be undone, all threads started later inherit it. False when some part
 * cannot be applied, with `error` filled; with `best_effort` a missing Landlock or seccomp is only reported through `warn`.
 */
MUST_CHECK bool cell_enter(const struct cell *cell, const struct cell_bases *bases, uid_t uid,
	gid_t gid, bool best_effort, void (*warn)(const char *text), char *error,
	size_t error_size);

/*
 * For spawners: what confines a session on top of its parent's cell. Made before the parent enters its own.
 *
 * A seccomp program costs more to install than all else of a session's beginning: the kernel compiles it, and has every processor
 * look up from its work. So the thread that forks the sessions has it, once, and they inherit it: the calls of `cell` without
 * signals, waiting and watching, and with what a session needs until it is confined, which leads to less only. It could fork, and has
 * a limit of no processes instead.
 */
struct cell_session;
MUST_CHECK struct cell_session *cell_session_new(
	const struct cell *cell, char *error, size_t error_size);
/* To the calling thread, which forks sessions and does nothing else. */
MUST_CHECK bool cell_session_guard(
	const struct cell_session *session, bool best_effort, char *error, size_t error_size);
/*
 * In the child: no processes, and Landlock to `*folder` (absolute) with `rights` only, no other file. With CELL_CALLS_ROOT_FOLDER the
 * folder becomes the child's root folder, and `*folder` "/"; started without root where the kernel gives no user namespaces, it stays
 * what it is.
 */
MUST_CHECK bool cell_session_enter(const struct cell_session *session, const char **folder,
	unsigned rights, bool best_effort, char *error, size_t error_size);

/*
 * Every cell of the suite, for `postern explain`, the master's introductions and the tests. Each daemon's cell is a header of
 * its own beside its main (cleanup/cleanup_cell.h); master/cells.c gathers them. NULL when the service is not built.
 */
const struct cell *cell_of(enum service_id id);
/* In plain words, for people. */
struct buffer;
void cell_explain(const struct cell *cell, struct buffer *text);

#endif
