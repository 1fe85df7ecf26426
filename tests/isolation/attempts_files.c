// SPDX-License-Identifier: ISC
/* Attempts on files: another user's mail, the queue, passwords, keys, configuration, programs. See attempts.h. */
#include "tests/isolation/attempts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWN   "own-folder"
#define OTHER "other-folder"

const char *target_path(const struct target *target, const char *path)
{
	size_t length = strlen(target->root);

	if (length > 1 && strncmp(path, target->root, length) == 0 && path[length] == '/')
		return path + length;
	return path;
}

long target_open_path(struct target *target, const char *path, int flags)
{
	return CALL4(target, SYS_openat, AT_FDCWD, target_text(target, target_path(target, path)),
		flags | O_CLOEXEC | O_NONBLOCK, 0600);
}

/* Whether a descriptor of the process is really this file: in a chroot the name may belong to another. */
static bool is_file(const struct target *target, long fd, const char *path)
{
	char link[64];
	struct stat there, here;

	snprintf(link, sizeof(link), "/proc/%d/fd/%ld", (int)target->pid, fd);
	return stat(link, &there) == 0 && stat(path, &here) == 0 && there.st_dev == here.st_dev &&
	       there.st_ino == here.st_ino;
}

static void attempt_open(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *path = world_value(world, attempt->key, 0);
	long fd;

	if (!path) {
		outcome->absent = true;
		return;
	}
	fd = target_open_path(target, path, (int)attempt->number);
	if (fd >= 0 && !is_file(target, fd, path)) {
		CALL1(target, SYS_close, fd);
		fd = -ENOENT;
	} else if (fd >= 0) {
		CALL1(target, SYS_close, fd);
	}
	outcome_add(outcome, "", fd);
}

/* Size, times, owner of a file it may not open. */
static void attempt_stat(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *path = world_value(world, attempt->key, 0);
	uint64_t name, room;
	struct stat there, here;
	long result;

	if (!path || stat(path, &here) < 0) {
		outcome->absent = true;
		return;
	}
	name = target_text(target, target_path(target, path));
	room = target_room(target, sizeof(there));
	result = CALL4(target, SYS_newfstatat, AT_FDCWD, name, room, 0);
	if (result == 0 && target_get(target, room, &there, sizeof(there)) &&
		there.st_ino != here.st_ino)
		result = -ENOENT;
	outcome_add(outcome, "stat", result);
	result = CALL4(target, SYS_faccessat, AT_FDCWD, name, F_OK, 0);
	/* Some other file of that name, in a root folder of its own. */
	if (!outcome->worked && result == 0 && target_path(target, path) == path &&
		strlen(target->root) > 1)
		result = -ENOENT;
	outcome_add(outcome, "access", result);
	result = target_open_path(target, path, O_PATH);
	if (result >= 0 && !is_file(target, result, path)) {
		CALL1(target, SYS_close, result);
		result = -ENOENT;
	} else if (result >= 0) {
		CALL1(target, SYS_close, result);
	}
	outcome_add(outcome, "O_PATH", result);
}

/* A new file in a folder; gone again at once. */
static void attempt_create(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *folder = world_value(world, attempt->key, 0);
	char path[4200];
	long fd;

	if (!folder) {
		outcome->absent = true;
		return;
	}
	snprintf(path, sizeof(path), "%s/escape.%d", folder, (int)getpid());
	fd = target_open_path(target, path, O_WRONLY | O_CREAT | O_EXCL);
	if (fd >= 0)
		CALL1(target, SYS_close, fd);
	/* In a root folder of its own it was another folder of that name. */
	if (fd >= 0 && unlink(path) < 0) {
		CALL3(target, SYS_unlinkat, AT_FDCWD,
			target_text(target, target_path(target, path)), 0);
		fd = -ENOENT;
	}
	outcome_add(outcome, "", fd);
}

/* From one mailbox into the other and, when that worked, back: link or rename, whichever the number says. */
static void attempt_move(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *from = world_value(world, attempt->key, 0),
		   *to = world_value(world, strncmp(attempt->key, "own", 3) == 0 ? OTHER : OWN, 0);
	char path[4200];
	long result;

	if (!from || !to) {
		outcome->absent = true;
		return;
	}
	snprintf(path, sizeof(path), "%s/escape.%d", to, (int)getpid());
	if (attempt->number == SYS_linkat)
		result = CALL5(target, SYS_linkat, AT_FDCWD,
			target_text(target, target_path(target, from)), AT_FDCWD,
			target_text(target, target_path(target, path)), 0);
	else
		result = CALL5(target, SYS_renameat2, AT_FDCWD,
			target_text(target, target_path(target, from)), AT_FDCWD,
			target_text(target, target_path(target, path)), 0);
	if (result == 0 && attempt->number == SYS_linkat)
		unlink(path);
	else if (result == 0 && rename(path, from) < 0)
		result = -errno;
	outcome_add(outcome, "", result);
}

/* A symbolic link in its own folder, and through it. */
static void attempt_symlink(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *other = world_value(world, attempt->key, 0), *own = world_value(world, OWN, 0);
	char path[4200];
	long fd;

	if (!other || !own) {
		outcome->absent = true;
		return;
	}
	snprintf(path, sizeof(path), "%s/escape.%d", own, (int)getpid());
	/* The link itself may be there already: somebody else with a shell may have made it. */
	CALL3(target, SYS_symlinkat, target_text(target, target_path(target, other)), AT_FDCWD,
		target_text(target, target_path(target, path)));
	if (access(path, F_OK) < 0 && symlink(target_path(target, other), path) < 0)
		return;
	fd = target_open_path(target, path, O_RDONLY);
	if (fd >= 0 && !is_file(target, fd, other)) {
		CALL1(target, SYS_close, fd);
		fd = -ENOENT;
	} else if (fd >= 0) {
		CALL1(target, SYS_close, fd);
	}
	unlink(path);
	outcome_add(outcome, "", fd);
}

/* A file that stands there for the purpose: removed, emptied, its mode changed. */
static void attempt_harm(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *path = world_value(world, attempt->key, 0);
	uint64_t name;

	if (!path) {
		outcome->absent = true;
		return;
	}
	name = target_text(target, target_path(target, path));
	if (strlen(target->root) == 1 || target_path(target, path) != path) {
		outcome_add(outcome, "chmod", CALL4(target, SYS_fchmodat, AT_FDCWD, name, 0600, 0));
		outcome_add(outcome, "utimes", CALL4(target, SYS_utimensat, AT_FDCWD, name, 0, 0));
		outcome_add(outcome, "truncate", CALL2(target, SYS_truncate, name, 0));
		outcome_add(outcome, "unlink", CALL3(target, SYS_unlinkat, AT_FDCWD, name, 0));
	} else {
		outcome->error = ENOENT;
	}
}

/* One folder that the process holds open: up to the top, and from there by both names that the other folder may have. */
static void climb(struct target *target, long folder, const char *what, const char *other,
	struct outcome *outcome)
{
	enum { STEPS = 24 /* more than there are: "/.." is "/", of the process's own root */ };
	const char *names[] = { other, target_path(target, other) };

	for (unsigned i = 0; i < 2; i++) {
		char path[4200] = "";
		size_t used = 0;
		long fd;

		for (int step = 0; step < STEPS; step++)
			used += (size_t)snprintf(path + used, sizeof(path) - used, "../");
		snprintf(path + used, sizeof(path) - used, "%s", names[i] + 1);
		fd = CALL4(target, SYS_openat, folder, target_text(target, path),
			O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
		if (fd >= 0 && !is_file(target, fd, other)) {
			CALL1(target, SYS_close, fd);
			fd = -ENOENT;
		} else if (fd >= 0) {
			CALL1(target, SYS_close, fd);
		}
		outcome_add(outcome, what, fd);
	}
}

/* "../../other/cur" from any folder that the process holds open, and from where it stands. */
static void attempt_from_descriptors(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *other = world_value(world, attempt->key, 0);
	struct dirent *entry;
	char folder[64];
	DIR *list;

	if (!other) {
		outcome->absent = true;
		return;
	}
	climb(target, AT_FDCWD, "cwd", other, outcome);
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)target->pid);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		char path[400], what[40];
		struct stat info;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] == '.' || stat(path, &info) < 0 || !S_ISDIR(info.st_mode))
			continue;
		snprintf(what, sizeof(what), "descriptor %.20s", entry->d_name);
		target_forget(target);
		climb(target, strtol(entry->d_name, NULL, 10), what, other, outcome);
	}
	if (list)
		closedir(list);
}

static void attempt_watch(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *other = world_value(world, attempt->key, 0);
	long fd, result;

	if (!other) {
		outcome->absent = true;
		return;
	}
	fd = CALL1(target, SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK);
	result = CALL3(target, SYS_inotify_add_watch, fd < 0 ? 0 : fd,
		target_text(target, target_path(target, other)), IN_CREATE);
	if (fd >= 0)
		CALL1(target, SYS_close, fd);
	outcome_add(outcome, "", fd < 0 ? fd : result);
}

/* The log through the descriptor that every process has: not adding a line, but changing what stands there. */
static void attempt_log(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *log = world_value(world, attempt->key, 0);
	char folder[64], path[400];
	struct dirent *entry;
	struct stat here, there;
	DIR *list;

	if (!log || stat(log, &here) < 0) {
		outcome->absent = true;
		return;
	}
	outcome->error = ENOENT;
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)target->pid);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		long fd = strtol(entry->d_name, NULL, 10), flags;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] == '.' || stat(path, &there) < 0 ||
			there.st_ino != here.st_ino || there.st_dev != here.st_dev)
			continue;
		flags = CALL3(target, SYS_fcntl, fd, F_GETFL, 0);
		if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
			continue;
		/* To the size that it has: worked or not is all that counts. */
		outcome_add(outcome, "truncate", CALL2(target, SYS_ftruncate, fd, here.st_size));
		outcome_add(outcome, "punch a hole",
			CALL4(target, SYS_fallocate, fd, 3, here.st_size + (1 << 20), 4096));
		outcome_add(outcome, "take O_APPEND off",
			flags & O_APPEND ? CALL3(target, SYS_fcntl, fd, F_SETFL, flags & ~O_APPEND)
					 : 0);
		CALL3(target, SYS_fcntl, fd, F_SETFL, flags);
		break;
	}
	if (list)
		closedir(list);
}

const struct attempt ATTEMPTS_ON_FILES[] = {
	{ "own-list", "list its own mailbox (shows that the attempts are real)", attempt_open, OWN,
		O_RDONLY | O_DIRECTORY, true },
	{ "own-read", "read its own message (likewise)", attempt_open, "own-message", O_RDONLY,
		true },
	{ "other-list", "list the other user's folder", attempt_open, OTHER, O_RDONLY | O_DIRECTORY,
		false },
	{ "other-read", "read the other user's message", attempt_open, "other-message", O_RDONLY,
		false },
	{ "other-write", "write to the other user's message", attempt_open, "other-message",
		O_WRONLY | O_APPEND, false },
	{ "other-index-read", "read the other user's index", attempt_open, "other-index", O_RDONLY,
		false },
	{ "other-index-write", "write to the other user's index", attempt_open, "other-index",
		O_RDWR, false },
	{ "other-create", "put a message into the other user's folder", attempt_create, OTHER, 0,
		false },
	{ "other-link", "link the other user's message into its own folder", attempt_move,
		"other-message", SYS_linkat, false },
	{ "other-rename", "move the other user's message into its own folder", attempt_move,
		"other-message", SYS_renameat2, false },
	{ "own-rename", "move its own message into the other user's folder", attempt_move,
		"own-message", SYS_renameat2, false },
	{ "other-symlink", "reach it through a symbolic link in its own folder", attempt_symlink,
		"other-message", 0, false },
	{ "other-harm", "remove, empty, chmod a file of the other user", attempt_harm,
		"other-victim", 0, false },
	{ "other-descriptors", "reach it by ../ from every folder that is open",
		attempt_from_descriptors, OTHER, 0, false },
	{ "other-watch", "watch the other user's folder (inotify)", attempt_watch, OTHER, 0,
		false },
	{ "other-stat", "size and times of the other user's message (stat, access, O_PATH)",
		attempt_stat, "other-message", 0, false },
	{ "queue-list", "list the queue (incoming)", attempt_open, "queue-incoming",
		O_RDONLY | O_DIRECTORY, false },
	{ "queue-list-deferred", "list the queue (deferred)", attempt_open, "queue-deferred",
		O_RDONLY | O_DIRECTORY, false },
	{ "queue-read", "read a queued message", attempt_open, "queue-message", O_RDONLY, false },
	{ "queue-write", "write to a queued message", attempt_open, "queue-message", O_RDWR,
		false },
	{ "queue-create", "put a file into the queue", attempt_create, "queue-incoming", 0, false },
	{ "queue-stat", "size and times of a queued message", attempt_stat, "queue-message", 0,
		false },
	{ "accounts-read", "read the list of accounts", attempt_open, "accounts", O_RDONLY, false },
	{ "accounts-write", "change the list of accounts", attempt_open, "accounts", O_RDWR,
		false },
	{ "credentials-read", "read the passwords' hashes", attempt_open, "credentials", O_RDONLY,
		false },
	{ "credentials-write", "change a password", attempt_open, "credentials", O_RDWR, false },
	{ "key-read", "read the TLS key's file", attempt_open, "key", O_RDONLY, false },
	{ "configuration-read", "read the configuration", attempt_open, "configuration", O_RDONLY,
		false },
	{ "configuration-write", "change the configuration", attempt_open, "configuration", O_RDWR,
		false },
	{ "log-read", "read the log", attempt_open, "log", O_RDONLY, false },
	{ "log-open", "open the log for writing", attempt_open, "log", O_WRONLY, false },
	{ "log-change", "change written log lines through the inherited descriptor", attempt_log,
		"log", 0, false },
	{ "run-create", "put a file where sockets and pid files are", attempt_create, "run", 0,
		false },
	{ "program-write", "write to the program it runs", attempt_open, "program", O_WRONLY,
		false },
	{ "passwd-read", "read /etc/passwd", attempt_open, "passwd", O_RDONLY, false },
	{ "shadow-read", "read /etc/shadow", attempt_open, "shadow", O_RDONLY, false },
	{ "root-list", "list /", attempt_open, "system-root", O_RDONLY | O_DIRECTORY, false },
	{ "tmp-create", "put a file into /tmp", attempt_create, "tmp", 0, false },
	{ NULL, NULL, NULL, NULL, 0, false },
};
