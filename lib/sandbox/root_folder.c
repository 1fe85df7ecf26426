// SPDX-License-Identifier: ISC
/* A root folder for each session. See root_folder.h. */
#include "sandbox/root_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint32_t CHROOT = 1u << CAP_SYS_CHROOT;

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Its one user is who the process was before. */
static void enter_user_namespace(void)
{
	char uid[64], gid[64];

	snprintf(uid, sizeof(uid), "%u %u 1", geteuid(), geteuid());
	snprintf(gid, sizeof(gid), "%u %u 1", getegid(), getegid());
	/* A namespace without its map would make the process nobody: what it takes is looked at first. */
	if (access("/proc/self/uid_map", W_OK) < 0 || unshare(CLONE_NEWUSER) < 0)
		return;
	if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", uid) ||
		!write_file("/proc/self/gid_map", gid))
		errno = 0; /* files are still its own: the kernel compares users, not their numbers here */
}

void root_folder_prepare(void)
{
	if (geteuid() == 0)
		prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	else
		enter_user_namespace();
}

static bool set_capabilities(uint32_t low)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = low, .permitted = low } };

	return syscall(SYS_capset, &header, data) == 0;
}

static uint32_t permitted(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	return syscall(SYS_capget, &header, data) == 0 ? data[0].permitted : 0;
}

bool root_folder_drop_capabilities(bool spawner)
{
	return set_capabilities(spawner ? permitted() & CHROOT : 0);
}

bool root_folder_enter(const char *folder, bool *done)
{
	*done = false;
	if (!(permitted() & CHROOT))
		return true;
	if (chroot(folder) < 0 || chdir("/") < 0 || !set_capabilities(0))
		return false;
	*done = true;
	return true;
}
