// SPDX-License-Identifier: ISC
/* Attempts on processes, sockets and the kernel. See attempts.h. */
#include "tests/isolation/attempts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Somebody else's process, or our own parent. */
static pid_t pid_of(const struct target *target, const struct world *world, const char *key)
{
	const char *value = world_value(world, key, 0);
	char path[64], text[512];
	const char *at;
	long parent = 0;
	FILE *file;

	/* Oneself is nobody else. */
	if (strcmp(key, "pid-parent") != 0)
		return value && strtol(value, NULL, 10) != target->pid
			       ? (pid_t)strtol(value, NULL, 10)
			       : 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)target->pid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof(text), file) && (at = strrchr(text, ')')))
		parent = strtol(at + 4, NULL, 10);
	if (file)
		fclose(file);
	return (pid_t)parent;
}

static void attempt_proc(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	static const struct {
		const char *name;
		int flags;
	} FILES[] = { { "mem", O_RDWR }, { "maps", O_RDONLY }, { "environ", O_RDONLY },
		{ "fd", O_RDONLY | O_DIRECTORY }, { "root", O_RDONLY | O_DIRECTORY },
		{ "cmdline", O_RDONLY } };
	pid_t pid = pid_of(target, world, attempt->key);

	outcome->absent = pid == 0;
	for (size_t i = 0; pid && i < sizeof(FILES) / sizeof(FILES[0]); i++) {
		char path[64];
		uint64_t room = target_room(target, 16);
		long fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, FILES[i].name);
		fd = target_open_path(target, path, FILES[i].flags);
		/* The files of /proc look at rights when they are read, too. */
		if (fd >= 0 && strcmp(FILES[i].name, "mem") != 0 &&
			!(FILES[i].flags & O_DIRECTORY)) {
			long got = CALL3(target, SYS_read, fd, room, 16);

			CALL1(target, SYS_close, fd);
			fd = got;
		} else if (fd >= 0) {
			CALL1(target, SYS_close, fd);
		}
		outcome_add(outcome, FILES[i].name, fd);
	}
}

static void attempt_ptrace(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	pid_t pid = pid_of(target, world, attempt->key);
	long result;

	outcome->absent = pid == 0;
	if (!pid)
		return;
	result = CALL4(target, SYS_ptrace, PTRACE_SEIZE, pid, 0, 0);
	if (result == 0) {
		CALL4(target, SYS_ptrace, PTRACE_INTERRUPT, pid, 0, 0);
		CALL4(target, SYS_wait4, pid, 0, 0x40000000 /* __WALL */, 0);
		CALL4(target, SYS_ptrace, PTRACE_DETACH, pid, 0, 0);
	}
	outcome_add(outcome, "", result);
}

/* The address is not there in most processes: EFAULT says that the right was. */
static void attempt_memory(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	pid_t pid = pid_of(target, world, attempt->key);
	struct iovec there = { (void *)4096, 1 }, here = there;
	uint64_t local, remote;
	long result;

	outcome->absent = pid == 0;
	if (!pid)
		return;
	here.iov_base = (void *)target_room(target, 16);
	local = target_put(target, &here, sizeof(here));
	remote = target_put(target, &there, sizeof(there));
	result = CALL6(target, SYS_process_vm_readv, pid, local, 1, remote, 1, 0);
	outcome_add(outcome, "", result == -EFAULT ? 0 : result);
}

static void attempt_pidfd(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	pid_t pid = pid_of(target, world, attempt->key);
	long fd, got;

	outcome->absent = pid == 0;
	if (!pid)
		return;
	fd = CALL2(target, SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		outcome_add(outcome, "", fd);
		return;
	}
	/* Descriptor 0 may be closed there: EBADF comes after the look at rights. */
	got = CALL3(target, SYS_pidfd_getfd, fd, 0, 0);
	if (got > 0)
		CALL1(target, SYS_close, got);
	CALL1(target, SYS_close, fd);
	outcome_add(outcome, "", got == -EBADF ? 0 : got);
}

/* SIGWINCH does nothing to a program that did not ask for it; who may send it may send SIGKILL. */
static void attempt_signal(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	pid_t pid = pid_of(target, world, attempt->key);

	outcome->absent = pid == 0;
	if (!pid)
		return;
	outcome_add(outcome, "kill", CALL2(target, SYS_kill, pid, SIGWINCH));
	outcome_add(outcome, "tgkill", CALL3(target, SYS_tgkill, pid, pid, SIGWINCH));
}

static void attempt_limits(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	pid_t pid = pid_of(target, world, attempt->key);
	uint64_t room = target_room(target, sizeof(struct rlimit));

	outcome->absent = pid == 0;
	if (pid)
		outcome_add(outcome, "", CALL4(target, SYS_prlimit64, pid, RLIMIT_NOFILE, 0, room));
}

/* Each socket of the system that has a path. */
static void attempt_unix(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	static const int TYPES[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	const char *path;

	outcome->absent = !world_value(world, attempt->key, 0);
	for (unsigned n = 0; (path = world_value(world, attempt->key, n)); n++) {
		const char *slash = strrchr(path, '/');
		char what[64];

		snprintf(what, sizeof(what), "%.*s", 60, slash ? slash + 1 : path);
		for (unsigned type = 0; type < 3; type++) {
			struct sockaddr_un address = { .sun_family = AF_UNIX };
			long fd, result;

			snprintf(address.sun_path, sizeof(address.sun_path), "%s",
				target_path(target, path));
			target_forget(target);
			fd = CALL3(target, SYS_socket, AF_UNIX,
				TYPES[type] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
			result = fd < 0 ? fd
					: CALL3(target, SYS_connect, fd,
						  target_put(target, &address, sizeof(address)),
						  sizeof(address));
			if (fd >= 0)
				CALL1(target, SYS_close, fd);
			/* Of another type: ask again; full: it was allowed. */
			if (result == -EPROTOTYPE)
				continue;
			outcome_add(outcome, what, result == -EAGAIN ? 0 : result);
			break;
		}
	}
}

static void attempt_abstract(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(world->abstract);
	long fd = CALL3(target, SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path + 1, world->abstract, length);
	outcome_add(outcome, "",
		fd < 0 ? fd
		       : CALL3(target, SYS_connect, fd,
				 target_put(target, &address, sizeof(address)),
				 sizeof(sa_family_t) + 1 + length));
	if (fd >= 0)
		CALL1(target, SYS_close, fd);
}

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static void attempt_tcp(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	struct sockaddr_in address = loopback(world->tcp_port);
	long fd = CALL3(target, SYS_socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), result = fd;

	if (fd >= 0) {
		result = CALL3(target, SYS_connect, fd,
			target_put(target, &address, sizeof(address)), sizeof(address));
		CALL1(target, SYS_close, fd);
	}
	outcome_add(outcome, "", result == -EINPROGRESS ? 0 : result);
}

static void attempt_listen(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	struct sockaddr_in address = loopback(0);
	long fd = CALL3(target, SYS_socket, AF_INET, SOCK_STREAM, 0), result = fd;

	if (fd >= 0) {
		result = CALL3(target, SYS_bind, fd, target_put(target, &address, sizeof(address)),
			sizeof(address));
		if (result == 0)
			result = CALL2(target, SYS_listen, fd, 1);
		CALL1(target, SYS_close, fd);
	}
	outcome_add(outcome, "", result);
}

static void attempt_udp(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	struct sockaddr_in address = loopback(world->tcp_port);
	long fd = CALL3(target, SYS_socket, AF_INET, SOCK_DGRAM, 0), result = fd;

	if (fd >= 0) {
		result = CALL6(target, SYS_sendto, fd, target_text(target, "x"), 1, 0,
			target_put(target, &address, sizeof(address)), sizeof(address));
		CALL1(target, SYS_close, fd);
	}
	outcome_add(outcome, "", result);
}

static bool socket_option(struct target *target, long fd, int option, int *value)
{
	socklen_t size = sizeof(*value);
	uint64_t room = target_put(target, value, sizeof(*value)),
		 length = target_put(target, &size, sizeof(size));

	return CALL5(target, SYS_getsockopt, fd, SOL_SOCKET, option, room, length) == 0 &&
	       target_get(target, room, value, sizeof(*value));
}

/* Through sockets that it has: data to an address, by datagram or as the beginning of a connection. */
static void attempt_sockets_it_has(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	struct sockaddr_in address = loopback(world->tcp_port);
	struct sockaddr_un hidden = { .sun_family = AF_UNIX };
	char folder[64];
	struct dirent *entry;
	DIR *list;

	memcpy(hidden.sun_path + 1, world->abstract, strlen(world->abstract));
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)target->pid);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		long fd = strtol(entry->d_name, NULL, 10);
		socklen_t hidden_size =
			(socklen_t)(sizeof(sa_family_t) + 1 + strlen(world->abstract));
		int domain, type;
		uint64_t to;

		target_forget(target);
		if (entry->d_name[0] == '.' || !socket_option(target, fd, SO_DOMAIN, &domain) ||
			!socket_option(target, fd, SO_TYPE, &type))
			continue;
		/* Nothing is said to whoever is at the other end: the address is looked at first. */
		if (domain == AF_INET) {
			to = target_put(target, &address, sizeof(address));
			outcome_add(outcome, "fast open",
				CALL6(target, SYS_sendto, fd, to, 0,
					MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, to,
					sizeof(address)));
			outcome_add(outcome, "connect",
				CALL3(target, SYS_connect, fd, to, sizeof(address)));
		} else if (domain == AF_UNIX) {
			to = target_put(target, &hidden, sizeof(hidden));
			if (type == SOCK_DGRAM)
				outcome_add(outcome, "datagram",
					CALL6(target, SYS_sendto, fd, to, 1, MSG_DONTWAIT, to,
						hidden_size));
			outcome_add(outcome, "connect",
				CALL3(target, SYS_connect, fd, to, hidden_size));
		}
	}
	if (list)
		closedir(list);
}

static void attempt_socket(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	static const struct {
		const char *name;
		int family, type, protocol;
	} SOCKETS[] = { { "raw", AF_INET, SOCK_RAW, IPPROTO_ICMP },
		{ "packet", AF_PACKET, SOCK_RAW, 0 }, { "netlink", AF_NETLINK, SOCK_RAW, 0 },
		{ "alg", 38, SOCK_SEQPACKET, 0 }, { "vsock", 40, SOCK_STREAM, 0 } };

	for (size_t i = 0; i < sizeof(SOCKETS) / sizeof(SOCKETS[0]); i++) {
		long fd = CALL3(target, SYS_socket, SOCKETS[i].family, SOCKETS[i].type,
			SOCKETS[i].protocol);

		if (fd >= 0)
			CALL1(target, SYS_close, fd);
		/* What this kernel does not have is nobody's refusal, and no success. */
		outcome_add(outcome, SOCKETS[i].name, fd);
	}
}

/* Send itself one of its descriptors under another name: what SCM_RIGHTS could then carry elsewhere. */
static void attempt_socketpair(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	uint64_t room = target_room(target, 2 * sizeof(int));
	long result = CALL4(target, SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, room);
	int ends[2];

	if (result == 0 && target_get(target, room, ends, sizeof(ends))) {
		CALL1(target, SYS_close, ends[0]);
		CALL1(target, SYS_close, ends[1]);
	}
	outcome_add(outcome, "", result);
}

static void attempt_fork(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	outcome_add(outcome, "clone", CALL5(target, SYS_clone, SIGCHLD, 0, 0, 0, 0));
	target_bury(target);
	if (!outcome->worked)
		outcome_add(outcome, "fork", CALL0(target, SYS_fork));
	target_bury(target);
}

static void attempt_setuid(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	uint64_t room = target_room(target, 32);
	uint32_t ids[3];
	long result;

	if (CALL3(target, SYS_getresuid, room, room + 4, room + 8) == 0 &&
		target_get(target, room, ids, sizeof(ids)) && ids[1] == 0) {
		outcome_add(outcome, "it is root", 0);
		return;
	}
	result = CALL3(target, SYS_setresuid, -1, 0, -1);
	if (result == 0)
		CALL3(target, SYS_setresuid, -1, ids[1], -1);
	outcome_add(outcome, "", result);
}

/* Calls with arguments that change nothing when they are allowed. */
static void attempt_kernel(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	static const struct {
		const char *name;
		long number;
		uint64_t a, b, c;
		long harmless; /* an error that comes after the look at rights */
	} KERNEL[] = {
		{ "pivot_root", SYS_pivot_root, 0, 0, 0, -EFAULT },
		{ "io_uring", SYS_io_uring_setup, 1, 0, 0, -EFAULT },
		{ "keyctl", SYS_keyctl, 0, (uint64_t)-3, 0, -ENOKEY },
		{ "userfaultfd", SYS_userfaultfd, 1, 0, 0, 0 },
		{ "init_module", SYS_init_module, 0, 0, 0, -EFAULT },
		{ "kexec_load", SYS_kexec_load, 0, 1, 0, -EFAULT },
		{ "swapon", SYS_swapon, 0, 0, 0, -EFAULT },
		{ "reboot", SYS_reboot, 0, 0, 0, -EINVAL },
		{ "add_key", SYS_add_key, 0, 0, 0, -EFAULT },
	};
	const uint32_t map[4] = { BPF_MAP_TYPE_ARRAY, 4, 4, 1 }; /* type, sizes, entries */
	uint64_t type = target_text(target, "nosuchfs"), root = target_text(target, "/");
	long result = CALL5(target, SYS_mount, type, root, type, 0, 0);

	outcome_add(outcome, "mount", result == -ENODEV ? 0 : result);
	result = CALL3(target, SYS_bpf, BPF_MAP_CREATE, target_put(target, &map, sizeof(map)),
		sizeof(map));
	if (result >= 0)
		CALL1(target, SYS_close, result);
	outcome_add(outcome, "bpf", result);
	for (size_t i = 0; i < sizeof(KERNEL) / sizeof(KERNEL[0]); i++) {
		result = CALL3(target, KERNEL[i].number, KERNEL[i].a, KERNEL[i].b, KERNEL[i].c);
		if (result > 0 && KERNEL[i].number == SYS_userfaultfd)
			CALL1(target, SYS_close, result);
		outcome_add(outcome, KERNEL[i].name,
			KERNEL[i].harmless && result == KERNEL[i].harmless ? 0 : result);
	}
}

/* What it counts: cycles of itself, which is what side channels are measured with. */
static void attempt_perf(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	struct perf_event_attr counter = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(counter) };
	long fd;

	counter.exclude_kernel = counter.exclude_hv = 1;
	fd = CALL5(target, SYS_perf_event_open, target_put(target, &counter, sizeof(counter)), 0,
		-1, -1, 0);
	if (fd >= 0)
		CALL1(target, SYS_close, fd);
	outcome_add(outcome, "", fd);
}

/* In a child, where there can be one: the process itself must not change its namespace for good. */
static void attempt_unshare(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	long result = CALL5(target, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	target_bury(target);
	outcome_add(outcome, "", result);
}

/* "/" again: allowed or not is what counts. */
static void attempt_chroot(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	outcome_add(outcome, "", CALL1(target, SYS_chroot, target_text(target, "/")));
}

static void attempt_code(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	long page = CALL6(target, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	outcome_add(outcome, "mmap", page < 0 && page > -4096 ? page : 0);
	if (page >= 0 || page < -4095)
		CALL2(target, SYS_munmap, page, 4096);
	outcome_add(outcome, "mprotect",
		CALL3(target, SYS_mprotect, target->scratch + SCRATCH_BYTES - 4096, 4096,
			PROT_READ | PROT_EXEC));
	CALL3(target, SYS_mprotect, target->scratch + SCRATCH_BYTES - 4096, 4096,
		PROT_READ | PROT_WRITE);
}

static void attempt_dumpable(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	long before = CALL5(target, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0),
	     result = CALL5(target, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);

	if (before >= 0 && result == 0)
		CALL5(target, SYS_prctl, PR_SET_DUMPABLE, before, 0, 0, 0);
	outcome_add(outcome, "", result);
}

/* A mapping of terabytes is the address sanitizer's own (what it knows about each byte of the process, which is none of them). */
static bool is_in_memory(pid_t pid, const unsigned char *needle, size_t length)
{
	enum { PIECE = 1 << 20 };
	const uint64_t shadow = 1ull << 40;
	static unsigned char piece[PIECE];
	char path[64], line[4400];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		uint64_t from, to;
		char *rest;

		from = strtoul(line, &rest, 16);
		to = strtoul(rest + 1, &rest, 16);
		if (rest[2] != 'w' || to - from >= shadow)
			continue;
		for (; from < to && !found; from += PIECE - length) {
			struct iovec here = { piece, PIECE < to - from ? PIECE : to - from },
				     there = { (void *)from, here.iov_len };
			ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);

			found = got > 0 && memmem(piece, (size_t)got, needle, length);
		}
	}
	if (maps)
		fclose(maps);
	return found;
}

/* What needs no system call at all: the private key, as the library keeps it or as the file has it (values in hexadecimal). */
static void attempt_key_in_memory(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *hex;

	outcome->absent = !world_value(world, attempt->key, 0);
	for (unsigned n = 0; (hex = world_value(world, attempt->key, n)); n++) {
		unsigned char needle[64];
		size_t length = 0;

		for (; hex[0] && hex[1] && length < sizeof(needle); hex += 2) {
			char pair[3] = { hex[0], hex[1], '\0' };

			needle[length++] = (unsigned char)strtoul(pair, NULL, 16);
		}
		if (length && is_in_memory(target->pid, needle, length))
			outcome_add(outcome, n == 0 ? "the key" : "the key's file", 0);
	}
}

/* Open folders and files, and sockets with a name: what it should not have is for the reader of the list to say. */
static void attempt_descriptors(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	const char *allowed;
	struct dirent *entry;
	char folder[64];
	DIR *list;

	outcome->error = EPERM;
	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)target->pid);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		char path[400], link[4096];
		ssize_t length;
		bool known = false;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		length = readlink(path, link, sizeof(link) - 1);
		if (length <= 0)
			continue;
		link[length] = '\0';
		/* Sockets and pipes are tried by the other attempts; memory files have no name to reach. */
		if (link[0] != '/' || strncmp(link, "/dev/null", 9) == 0 ||
			strncmp(link, "/memfd:", 7) == 0)
			continue;
		for (unsigned n = 0; (allowed = world_value(world, attempt->key, n)); n++)
			known = known || strncmp(link, allowed, strlen(allowed)) == 0;
		if (!known)
			outcome_add(outcome, link, 0);
	}
	if (list)
		closedir(list);
}

/* A program that is not there: ENOENT says that only the file was missing. */
static void attempt_exec(struct target *target, const struct world *world,
	const struct attempt *attempt, struct outcome *outcome)
{
	uint64_t name = target_text(target, "/nonexistent/program"), arguments[2] = { name, 0 };
	uint64_t list = target_put(target, arguments, sizeof(arguments));
	long result = CALL3(target, SYS_execve, name, list, list + 8);

	outcome_add(outcome, strlen(target->root) > 1 ? "what stands in its root folder" : "",
		result == -ENOENT ? 0 : result);
}

const struct attempt ATTEMPTS_ON_PROCESSES[] = {
	{ "session-proc", "the other session's /proc (memory, maps, environment, descriptors)",
		attempt_proc, "pid-session", 0, false },
	{ "session-ptrace", "ptrace the other session", attempt_ptrace, "pid-session", 0, false },
	{ "session-memory", "process_vm_readv of the other session", attempt_memory, "pid-session",
		0, false },
	{ "session-pidfd", "take a descriptor of the other session (pidfd_getfd)", attempt_pidfd,
		"pid-session", 0, false },
	{ "session-signal", "signal the other session", attempt_signal, "pid-session", 0, false },
	{ "session-limits", "read the other session's limits (prlimit)", attempt_limits,
		"pid-session", 0, false },
	{ "auth-proc", "the authentication service's /proc", attempt_proc, "pid-auth", 0, false },
	{ "auth-ptrace", "ptrace the authentication service", attempt_ptrace, "pid-auth", 0,
		false },
	{ "auth-memory", "process_vm_readv of the authentication service", attempt_memory,
		"pid-auth", 0, false },
	{ "auth-pidfd", "take a descriptor of the authentication service", attempt_pidfd,
		"pid-auth", 0, false },
	{ "auth-signal", "signal the authentication service", attempt_signal, "pid-auth", 0,
		false },
	{ "parent-proc", "its parent's /proc", attempt_proc, "pid-parent", 0, false },
	{ "parent-ptrace", "ptrace its parent", attempt_ptrace, "pid-parent", 0, false },
	{ "parent-memory", "process_vm_readv of its parent", attempt_memory, "pid-parent", 0,
		false },
	{ "parent-pidfd", "take a descriptor of its parent", attempt_pidfd, "pid-parent", 0,
		false },
	{ "parent-signal", "signal its parent", attempt_signal, "pid-parent", 0, false },
	{ "master-proc", "the master process's /proc", attempt_proc, "pid-master", 0, false },
	{ "master-ptrace", "ptrace the master process", attempt_ptrace, "pid-master", 0, false },
	{ "master-signal", "signal the master process", attempt_signal, "pid-master", 0, false },
	{ "key-memory", "the TLS key in its own memory", attempt_key_in_memory, "key-needle", 0,
		false },
	{ "descriptors", "files and folders it holds open and should not", attempt_descriptors,
		"known-file", 0, false },
	{ "sockets", "connect to the system's UNIX sockets", attempt_unix, "socket", 0, false },
	{ "abstract", "connect to another program's abstract socket", attempt_abstract, NULL, 0,
		false },
	{ "tcp", "connect by TCP to a port on loopback", attempt_tcp, NULL, 0, false },
	{ "udp", "send by UDP", attempt_udp, NULL, 0, false },
	{ "listen", "listen on a TCP port", attempt_listen, NULL, 0, false },
	{ "rare-sockets", "raw, packet, netlink, alg, vsock sockets", attempt_socket, NULL, 0,
		false },
	{ "sockets-it-has", "new connections through sockets that it has", attempt_sockets_it_has,
		NULL, 0, false },
	{ "socketpair", "make a channel to pass descriptors on", attempt_socketpair, NULL, 0,
		false },
	{ "fork", "fork", attempt_fork, NULL, 0, false },
	{ "setuid", "become root", attempt_setuid, NULL, 0, false },
	{ "user-namespace", "a user namespace of its own", attempt_unshare, NULL, 0, false },
	{ "chroot", "chroot", attempt_chroot, NULL, 0, false },
	{ "code", "memory that is written and then run (mmap, mprotect)", attempt_code, NULL, 0,
		false },
	{ "dumpable", "make itself dumpable", attempt_dumpable, NULL, 0, false },
	{ "perf", "performance counters (perf_event_open)", attempt_perf, NULL, 0, false },
	{ "kernel", "mount, bpf, io_uring, keyctl, userfaultfd and other rare calls",
		attempt_kernel, NULL, 0, false },
	{ "exec", "exec a program", attempt_exec, NULL, 0, false },
	{ NULL, NULL, NULL, NULL, 0, false },
};
