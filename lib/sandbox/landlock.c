// SPDX-License-Identifier: ISC
/* Landlock. See landlock.h; the numbers are the kernel's user-space ABI. */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	LL_EXECUTE = 1 << 0,
	LL_WRITE_FILE = 1 << 1,
	LL_READ_FILE = 1 << 2,
	LL_READ_DIR = 1 << 3,
	LL_REMOVE_DIR = 1 << 4,
	LL_REMOVE_FILE = 1 << 5,
	LL_MAKE_CHAR = 1 << 6,
	LL_MAKE_DIR = 1 << 7,
	LL_MAKE_REG = 1 << 8,
	LL_MAKE_SOCK = 1 << 9,
	LL_MAKE_FIFO = 1 << 10,
	LL_MAKE_BLOCK = 1 << 11,
	LL_MAKE_SYM = 1 << 12,
	LL_REFER = 1 << 13,
	LL_TRUNCATE = 1 << 14,
	LL_IOCTL_DEV = 1 << 15,
	LL_FILE_RIGHTS = LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV,
	LL_NET_BIND = 1 << 0,
	LL_NET_CONNECT = 1 << 1,
	LL_SCOPE_ABSTRACT_UNIX = 1 << 0,
	LL_SCOPE_SIGNAL = 1 << 1,
	LL_CREATE_VERSION = 1,
	LL_RULE_PATH = 1,
	LL_RULE_PORT = 2,
	LL_ABI_REFER = 2,
	LL_ABI_TRUNCATE = 3,
	LL_ABI_NET = 4,
	LL_ABI_IOCTL = 5,
	LL_ABI_SCOPE = 6
};

struct ll_ruleset {
	uint64_t fs, net, scoped;
};
struct ll_port {
	uint64_t access, port;
};
struct ll_path {
	uint64_t access;
	int32_t parent;
} __attribute__((packed));

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

static long landlock_abi(void)
{
#ifdef POSTERN_TEST_HOOKS
	const char *without = getenv("POSTERN_WITHOUT");

	if (without && strcmp(without, "landlock") == 0) {
		errno = ENOSYS;
		return -1;
	}
#endif
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_VERSION);
}

static uint64_t handled(long abi)
{
	uint64_t all = (LL_MAKE_SYM << 1) - 1;

	if (abi >= LL_ABI_REFER)
		all |= LL_REFER;
	if (abi >= LL_ABI_TRUNCATE)
		all |= LL_TRUNCATE;
	if (abi >= LL_ABI_IOCTL)
		all |= LL_IOCTL_DEV;
	return all;
}

int landlock_begin(bool network)
{
	long abi = landlock_abi();
	struct ll_ruleset ruleset = { 0 };
	size_t size = sizeof(uint64_t);

	if (abi < 0)
		return -1;
	if (abi < LL_ABI_REFER) {
		errno = EOPNOTSUPP;
		return -1;
	}
	ruleset.fs = handled(abi);
	if (abi >= LL_ABI_NET) {
		ruleset.net = network ? 0 : LL_NET_BIND | LL_NET_CONNECT;
		size = 2 * sizeof(uint64_t);
	}
	if (abi >= LL_ABI_SCOPE) {
		ruleset.scoped = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL;
		size = sizeof(ruleset);
	}
	return (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
}

static uint64_t access_of(unsigned rights)
{
	static const struct {
		unsigned right;
		uint64_t access;
	} MAP[] = {
		{ CELL_READ, LL_READ_FILE | LL_READ_DIR },
		{ CELL_WRITE, LL_WRITE_FILE | LL_TRUNCATE },
		{ CELL_CREATE, LL_MAKE_REG | LL_MAKE_DIR | LL_WRITE_FILE | LL_TRUNCATE },
		{ CELL_REMOVE, LL_REMOVE_FILE | LL_REMOVE_DIR },
		{ CELL_MOVE, LL_REFER },
		{ CELL_EXECUTE, LL_EXECUTE },
	};
	uint64_t access = 0;

	for (size_t i = 0; i < sizeof(MAP) / sizeof(MAP[0]); i++) {
		if (rights & MAP[i].right)
			access |= MAP[i].access;
	}
	return access;
}

bool landlock_allow(int ruleset, const char *path, unsigned rights)
{
	struct ll_path rule = { .access = access_of(rights) & handled(landlock_abi()) };
	struct stat info;
	bool ok;
	int error;

	rule.parent = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent < 0)
		return false;
	/* The kernel refuses folder rights on a file. */
	if (fstat(rule.parent, &info) == 0 && !S_ISDIR(info.st_mode))
		rule.access &= LL_FILE_RIGHTS;
	ok = rule.access == 0 ||
	     syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH, &rule, 0) == 0;
	error = errno;
	close(rule.parent);
	errno = error;
	return ok;
}

bool landlock_allow_port(int ruleset, uint16_t port)
{
	const struct ll_port rule = { .access = LL_NET_CONNECT, .port = port };

	return landlock_abi() < LL_ABI_NET ||
	       syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PORT, &rule, 0) == 0;
}

bool landlock_apply(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

struct log_open {
	const char *path;
	mode_t mode;
	bool confine;
	int fd, error;
};

/* Whether a descriptor may truncate is settled when it is opened, by what the opener may: here a thread that may not. */
static void *open_log_thread(void *context)
{
	struct log_open *log = context;
	const struct ll_ruleset no_truncate = { .fs = LL_TRUNCATE };
	int ruleset = -1;

	if (log->confine) {
		ruleset = (int)syscall(
			SYS_landlock_create_ruleset, &no_truncate, sizeof(uint64_t), 0);
		if (ruleset < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			!landlock_apply(ruleset))
			log->error = errno;
	}
	if (!log->error) {
		log->fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, log->mode);
		log->error = log->fd < 0 ? errno : 0;
	}
	if (ruleset >= 0)
		close(ruleset);
	return NULL;
}

int landlock_open_log(const char *path, mode_t mode)
{
	struct log_open log = {
		.path = path, .mode = mode, .confine = landlock_abi() >= LL_ABI_TRUNCATE, .fd = -1
	};
	pthread_t thread;

	/* Without Landlock there is nothing that must stay behind in another thread. */
	if (!log.confine) {
		open_log_thread(&log);
	} else {
		log.error = pthread_create(&thread, NULL, open_log_thread, &log);
		if (!log.error)
			pthread_join(thread, NULL);
	}
	errno = log.error;
	return log.fd;
}
