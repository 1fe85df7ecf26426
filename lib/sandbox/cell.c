// SPDX-License-Identifier: ISC
/* Locking a process in. See cell.h. */
#include "sandbox/cell.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/calls.h"
#include "sandbox/landlock.h"
#include "sandbox/root_folder.h"

#define SERVICE_TEXT(NAME, text) text,
static const char *const SERVICE_NAMES[] = { SERVICES(SERVICE_TEXT) };

const char *service_id_name(enum service_id id)
{
	return id < SERVICE_COUNT ? SERVICE_NAMES[id] : "client";
}

enum service_id service_id_of(struct slice name)
{
	for (unsigned id = 0; id < SERVICE_COUNT; id++) {
		if (slice_equal(name, slice_from(SERVICE_NAMES[id])))
			return id;
	}
	return SERVICE_COUNT;
}

const char *cell_uid_name(enum cell_uid uid)
{
	static const char *const NAMES[UID_CLASSES] = { NULL, "postern-net", "postern-queue",
		"postern-directory", "postern-auth", "postern-tls", "postern-keys",
		"postern-filter", "postern-vmail", "postern-introspect" };

	return uid < UID_CLASSES ? NAMES[uid] : NULL;
}

static bool say(char *error, size_t size, const char *what)
{
	snprintf(error, size, "%s: %s", what, strerror(errno));
	return false;
}

static bool join_path(
	const struct cell_bases *bases, const struct cell_file *file, char *path, size_t size)
{
	const char *base = bases->path[file->base];
	int length = snprintf(path, size, "%s%s%s", base,
		file->path[0] && strcmp(base, "/") != 0 ? "/" : "", file->path);

	return length > 0 && (size_t)length < size;
}

/* What any process may read: randomness and nothing; a chroot has neither. */
static void allow_devices(int ruleset)
{
	if (!landlock_allow(ruleset, "/dev/urandom", CELL_READ) ||
		!landlock_allow(ruleset, "/dev/null", CELL_READ | CELL_WRITE))
		errno = 0;
}

static int build_ruleset(
	const struct cell *cell, const struct cell_bases *bases, char *error, size_t size)
{
	char path[4096], what[4200];
	int ruleset = landlock_begin(cell->calls & (CELL_CALLS_CONNECT | CELL_CALLS_COMMAND));

	if (ruleset < 0) {
		say(error, size, "Landlock");
		return -1;
	}
	allow_devices(ruleset);
	for (unsigned i = 0; i < CELL_MAX_PORTS && cell->ports[i]; i++)
		if (!landlock_allow_port(ruleset, cell->ports[i])) {
			say(error, size, "Landlock rule for a port");
			close(ruleset);
			return -1;
		}
	for (unsigned i = 0; i < CELL_MAX_FILES && cell->files[i].path; i++) {
		if (!join_path(bases, &cell->files[i], path, sizeof(path)))
			continue;
		if (landlock_allow(ruleset, path, cell->files[i].rights) ||
			(errno == ENOENT && cell->files[i].optional))
			continue;
		snprintf(what, sizeof(what), "Landlock rule for %s", path);
		say(error, size, what);
		close(ruleset);
		return -1;
	}
	return ruleset;
}

static bool drop_ids(const struct cell *cell, uid_t uid, gid_t gid, char *error, size_t size)
{
	if (geteuid() != 0 || cell->uid == UID_KEEP)
		return true;
	if (uid == 0 || gid == 0) {
		snprintf(error, size, "no user for this service: expected %s",
			cell_uid_name(cell->uid));
		return false;
	}
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return say(error, size, "user and group");
	if (setuid(0) == 0) {
		snprintf(error, size, "root could be taken back");
		return false;
	}
	return true;
}

static bool drop_capabilities(const struct cell *cell, char *error, size_t size)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return say(error, size, "ambient capabilities");
	if (!root_folder_drop_capabilities(cell->calls & CELL_CALLS_ROOT_FOLDER) ||
		prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return say(error, size, "capabilities");
	return true;
}

static bool set_limit(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return false;
	if (limit.rlim_max != RLIM_INFINITY && value > limit.rlim_max)
		value = limit.rlim_max;
	limit.rlim_cur = limit.rlim_max = value;
	return setrlimit(resource, &limit) == 0;
}

static bool set_limits(const struct cell *cell, char *error, size_t size)
{
	bool ok = set_limit(RLIMIT_CORE, 0) && set_limit(RLIMIT_NOFILE, cell->descriptors);

#ifndef __SANITIZE_ADDRESS__
	ok = ok && set_limit(RLIMIT_AS, cell->memory);
#endif
	/* The kernel counts all processes of a uid, so the limit can only say "none"; how many children is the spawner's bound. */
	if (cell->processes == 0)
		ok = ok && set_limit(RLIMIT_NPROC, 0);
	return ok || say(error, size, "resource limits");
}

/* Landlock and seccomp: the two that a kernel may lack. */
static bool lock_files(
	int ruleset, bool best_effort, void (*warn)(const char *text), char *error, size_t size)
{
	if (ruleset < 0 || landlock_apply(ruleset))
		return true;
	say(error, size, "Landlock");
	if (best_effort)
		warn(error);
	return best_effort;
}

static bool lock_calls(const struct calls_program *program, bool best_effort,
	void (*warn)(const char *text), char *error, size_t size)
{
	if (calls_apply(program))
		return true;
	say(error, size, "seccomp");
	if (best_effort)
		warn(error);
	return best_effort;
}

bool cell_enter(const struct cell *cell, const struct cell_bases *bases, uid_t uid, gid_t gid,
	bool best_effort, void (*warn)(const char *text), char *error, size_t error_size)
{
	struct calls_program *program = calls_compile(cell->calls, error, error_size);
	int ruleset;
	bool ok;

	if (!program)
		return false;
	/* Paths are opened while this process still may reach them, and stay what they were. */
	ruleset = build_ruleset(cell, bases, error, error_size);
	if (ruleset < 0) {
		if (!best_effort) {
			calls_free(&program);
			return false;
		}
		warn(error);
	}
	if (cell->calls & CELL_CALLS_ROOT_FOLDER)
		root_folder_prepare();
	ok = drop_ids(cell, uid, gid, error, error_size) &&
	     drop_capabilities(cell, error, error_size);
	if (ok && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		ok = say(error, error_size, "no_new_privs");
	ok = ok && set_limits(cell, error, error_size);
	ok = ok && lock_files(ruleset, best_effort, warn, error, error_size) &&
	     lock_calls(program, best_effort, warn, error, error_size);
	if (ruleset >= 0)
		close(ruleset);
	calls_free(&program);
	return ok;
}

struct cell_session {
	struct calls_program *program;
	bool network;
};

struct cell_session *cell_session_new(const struct cell *cell, char *error, size_t error_size)
{
	struct cell_session *session = calloc(1, sizeof(*session));
	unsigned calls =
		cell->calls & ~(unsigned)(CELL_CALLS_FORK | CELL_CALLS_LOCK_IN | CELL_CALLS_WATCH);

	if (!session) {
		say(error, error_size, "session cell");
		return NULL;
	}
	session->network = calls & CELL_CALLS_CONNECT;
	session->program = calls_compile(calls | CALLS_SESSION, error, error_size);
	if (!session->program) {
		free(session);
		return NULL;
	}
	return session;
}

static void no_warning(const char *text)
{
}

bool cell_session_guard(
	const struct cell_session *session, bool best_effort, char *error, size_t error_size)
{
	return lock_calls(session->program, best_effort, no_warning, error, error_size);
}

bool cell_session_enter(const struct cell_session *session, const char **folder, unsigned rights,
	bool best_effort, char *error, size_t error_size)
{
	int ruleset = landlock_begin(session->network);
	bool ok = true, is_root = false;

	if (!set_limit(RLIMIT_NPROC, 0)) {
		say(error, error_size, "resource limits");
		if (ruleset >= 0)
			close(ruleset);
		return false;
	}
	if (ruleset < 0) {
		say(error, error_size, "Landlock");
		if (!best_effort)
			return false;
	} else {
		allow_devices(ruleset);
		if (*folder && !landlock_allow(ruleset, *folder, rights)) {
			say(error, error_size, *folder);
			close(ruleset);
			return false;
		}
	}
	if (*folder && !root_folder_enter(*folder, &is_root))
		ok = say(error, error_size, "root folder of the session");
	if (is_root)
		*folder = "/";
	ok = ok && lock_files(ruleset, best_effort, no_warning, error, error_size);
	if (ruleset >= 0)
		close(ruleset);
	return ok;
}
