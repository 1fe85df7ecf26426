// SPDX-License-Identifier: ISC
/*
 * postern init: the system users and the folders of an instance. See init.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pwd.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/init.h"
#include "os/os.h"
#include "queue/queue.h"

static bool fail(const char *what)
{
	cli_complain("init", "%s: %s", what, strerror(errno));
	return false;
}

/* --- system users --- */

/* Those that have something to run in this version. */
static const enum cell_uid CLASSES[] = { UID_NET, UID_QUEUE, UID_DIRECTORY, UID_AUTH, UID_TLS,
	UID_KEYS, UID_VMAIL, UID_INTROSPECT };

static bool run_useradd(const char *name)
{
	char *arguments[] = { "useradd", "--system", "--user-group", "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", (char *)name, NULL };
	char *environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, "/usr/sbin/useradd", NULL, NULL, arguments, environment);
	if (errno)
		return fail("/usr/sbin/useradd");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("useradd");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		cli_complain("init", "useradd %s failed", name);
		return false;
	}
	printf("made the system user %s\n", name);
	return true;
}

bool init_system_users(void)
{
	for (size_t i = 0; geteuid() == 0 && i < sizeof(CLASSES) / sizeof(CLASSES[0]); i++)
		if (!getpwnam(cell_uid_name(CLASSES[i])) && !run_useradd(cell_uid_name(CLASSES[i])))
			return false;
	return true;
}

/* --- folders --- */

static bool make_parents(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (!os_mkdirat(AT_FDCWD, part, 0755) && errno != EEXIST)
			return fail(part);
		*slash = '/';
	}
	return true;
}

bool init_path(const char *path, char real[PATH_MAX])
{
	if (!make_parents(path))
		return false;
	if (!os_mkdirat(AT_FDCWD, path, 0755) && errno != EEXIST)
		return fail(path);
	return realpath(path, real) || fail(path);
}

/*
 * What is made below these is put in different parts of the disk where the file system knows how (ext4's "top of hierarchy"). The
 * queue makes and removes files all the time, and ext4 looks past every inode that was lately removed near a folder when it
 * makes a file there: mailboxes beside the queue would pay for that with each delivery.
 */
static void spread(int fd, const char *path)
{
	static const char *const TOPS[] = { "", "queue", "queue/incoming", "mail" };
	int flags;

	for (size_t i = 0; i < sizeof(TOPS) / sizeof(TOPS[0]); i++) {
		if (strcmp(path, TOPS[i]) == 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
			flags |= FS_TOPDIR_FL;
			/* Only speed is lost where this is not known. */
			if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
				errno = 0;
		}
	}
}

static bool make_folder(const struct config *config, const struct instance_folder *folder)
{
	char path[INSTANCE_PATH_SIZE];
	uid_t uid;
	gid_t gid;
	int fd;
	bool good;

	instance_folder_path(config, folder->path, path);
	if (!instance_owner(folder->uid, &uid, &gid)) {
		cli_complain("init", "there is no user %s", cell_uid_name(folder->uid));
		return false;
	}
	if (!make_parents(path))
		return false;
	if (!os_mkdirat(AT_FDCWD, path, 0700) && errno != EEXIST)
		return fail(path);
	fd = os_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fail(path);
	spread(fd, folder->path);
	good = fchown(fd, uid, gid) == 0 && fchmod(fd, folder->mode) == 0;
	if (!good)
		fail(path);
	os_close(&fd);
	return good;
}

bool init_folders(const struct config *config)
{
	for (unsigned i = 0; i < INSTANCE_FOLDER_COUNT; i++)
		if (!make_folder(config, &INSTANCE_FOLDERS[i]))
			return false;
	for (unsigned i = 0; i < QUEUE_SHARES; i++) {
		char path[32];
		struct instance_folder share = { path, 0700, UID_QUEUE };

		snprintf(path, sizeof(path), "queue/incoming/%x", i);
		if (!make_folder(config, &share))
			return false;
	}
	return true;
}
