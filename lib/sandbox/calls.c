// SPDX-License-Identifier: ISC
/*
 * The seccomp allow-list. See calls.h.
 *
 * What is not allowed answers EPERM: a C library or SQLite that tries something new on another version gets an error it can handle,
 * and an attacker gets nothing either way. clone3 answers ENOSYS, because its flags cannot be looked at and the C library then
 * falls back to clone.
 */
#include "sandbox/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/seccomp.h>

static const int BASE[] = { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(close), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_create1),
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
	SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(dup),
	SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(futex),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
	SCMP_SYS(getrandom), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(eventfd2), SCMP_SYS(uname),
	SCMP_SYS(sysinfo), SCMP_SYS(membarrier), SCMP_SYS(fstat), SCMP_SYS(lseek),
	SCMP_SYS(getrusage), SCMP_SYS(times) };
static const int FILES[] = { SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(flock),
	SCMP_SYS(getcwd), SCMP_SYS(fadvise64), SCMP_SYS(statfs), SCMP_SYS(fstatfs) };
static const int SYNC[] = { SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range),
	SCMP_SYS(sync_file_range2), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(ftruncate), SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev), SCMP_SYS(copy_file_range), SCMP_SYS(sendfile) };
static const int FORK[] = { SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(close_range),
	SCMP_SYS(socketpair), SCMP_SYS(signalfd4) };
static const int LOCK_IN[] = { SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self), SCMP_SYS(seccomp), SCMP_SYS(close_range) };
static const int SOCKETS[] = { SCMP_SYS(accept4), SCMP_SYS(accept) };
static const int WATCH[] = { SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch) };
static const int ROOT_FOLDER[] = { SCMP_SYS(chroot), SCMP_SYS(chdir), SCMP_SYS(capget),
	SCMP_SYS(capset) };
static const int TOGETHER[] = { SCMP_SYS(io_setup), SCMP_SYS(io_submit), SCMP_SYS(io_getevents) };
static const int SESSION[] = { SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self), SCMP_SYS(close_range) };
static const int PAIR[] = { SCMP_SYS(socketpair) };
static const int STREAM[] = { SCMP_SYS(connect) };
static const int CONNECT[] = { SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind) };

/* What interpreters, C libraries and clients of servers call; nothing that reaches another process, the kernel's settings or its keys. */
static const int COMMAND[] = { SCMP_SYS(execve), SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address),
	SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(mlock),
	SCMP_SYS(munlock), SCMP_SYS(msync), SCMP_SYS(mincore), SCMP_SYS(fcntl), SCMP_SYS(select),
	SCMP_SYS(pselect6), SCMP_SYS(epoll_create), SCMP_SYS(eventfd), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(memfd_create),
	SCMP_SYS(ftruncate), SCMP_SYS(pwrite64), SCMP_SYS(sendfile), SCMP_SYS(splice),
	SCMP_SYS(getdents), SCMP_SYS(chdir), SCMP_SYS(fchdir), SCMP_SYS(umask), SCMP_SYS(getpgrp),
	SCMP_SYS(getpgid), SCMP_SYS(getsid), SCMP_SYS(getresuid), SCMP_SYS(getresgid),
	SCMP_SYS(getgroups), SCMP_SYS(getrlimit), SCMP_SYS(setrlimit), SCMP_SYS(getpriority),
	SCMP_SYS(setpriority), SCMP_SYS(alarm), SCMP_SYS(getitimer), SCMP_SYS(setitimer),
	SCMP_SYS(timer_create), SCMP_SYS(timer_settime), SCMP_SYS(timer_gettime),
	SCMP_SYS(timer_delete), SCMP_SYS(pause), SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(tkill),
	SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigpending),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(get_robust_list), SCMP_SYS(getcpu), SCMP_SYS(capget), SCMP_SYS(connect),
	SCMP_SYS(bind) };

/* Commands of fcntl; not F_SETFL. */
static const unsigned FCNTL[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK,
	F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_GET_SEALS };

static const struct {
	unsigned group; /* 0: always */
	const int *calls;
	size_t count;
} GROUPS[] = {
#define GROUP(bit, list) \
	{ \
		bit, list, sizeof(list) / sizeof((list)[0]) \
	}
	GROUP(0, BASE), GROUP(CELL_CALLS_FILE, FILES), GROUP(CELL_CALLS_SYNC, SYNC),
	GROUP(CELL_CALLS_FORK, FORK), GROUP(CELL_CALLS_LOCK_IN, LOCK_IN),
	GROUP(CELL_CALLS_SOCKET, SOCKETS), GROUP(CELL_CALLS_CONNECT, CONNECT),
	GROUP(CELL_CALLS_WATCH, WATCH), GROUP(CELL_CALLS_TOGETHER, TOGETHER),
	GROUP(CELL_CALLS_PAIR, PAIR), GROUP(CALLS_SESSION, SESSION),
	GROUP(CELL_CALLS_ROOT_FOLDER, ROOT_FOLDER), GROUP(CELL_CALLS_STREAM, STREAM),
	GROUP(CELL_CALLS_UNIX, STREAM), GROUP(CELL_CALLS_COMMAND, COMMAND)
#undef GROUP
};

struct calls_program {
	struct sock_fprog program;
};

static int add_groups(scmp_filter_ctx filter, unsigned calls)
{
	for (size_t g = 0; g < sizeof(GROUPS) / sizeof(GROUPS[0]); g++) {
		if (GROUPS[g].group && !(calls & GROUPS[g].group))
			continue;
		for (size_t i = 0; i < GROUPS[g].count; i++) {
			int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, GROUPS[g].calls[i], 0);

			if (error &&
				error !=
					-EDOM) /* EDOM: this library does not know the call on this machine */
				return error;
		}
	}
	return 0;
}

/* Sockets of TCP, of UNIX streams, or both; no datagrams, nothing raw. */
static int add_stream_sockets(scmp_filter_ctx filter, unsigned calls)
{
	static const struct {
		unsigned call;
		int family;
	} FAMILIES[] = { { CELL_CALLS_UNIX, AF_UNIX }, { CELL_CALLS_STREAM, AF_INET },
		{ CELL_CALLS_STREAM, AF_INET6 } };
	enum { KIND = 0xf }; /* the rest of the type are flags */
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(FAMILIES) / sizeof(FAMILIES[0]); i++)
		if (calls & FAMILIES[i].call)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)FAMILIES[i].family),
				SCMP_A1(SCMP_CMP_MASKED_EQ, KIND, SOCK_STREAM));
	return error;
}

/* A copy of the process, or one more thread: in no namespace of its own, where it would have capabilities. */
static int add_fork(scmp_filter_ctx filter)
{
	enum {
		SPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
			 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
	};

	return seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, SPACES, 0));
}

/* For a session, which is to have no processes; limits that are lowered stay so. */
static int add_process_limit(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
		SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A1(SCMP_CMP_EQ, RLIMIT_NPROC));
}

/* fork(2) as the C library does it, nothing else that clone can; the end of a session with its spawner; a limit of no processes. */
static int add_session(scmp_filter_ctx filter)
{
	enum { FORK_FLAGS = SIGCHLD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID };
	int error = seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_EQ, FORK_FLAGS));

	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 2,
				SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG),
				SCMP_A1(SCMP_CMP_EQ, SIGKILL));
	return error ? error : add_process_limit(filter);
}

/*
 * What programs need that the suite's own do not. Libraries are mapped to be run, but nothing that can be written at the same time;
 * nobody leaves his process group, by which all of it is killed; sockets of TCP, UDP and UNIX.
 */
static int add_command(scmp_filter_ctx filter)
{
	static const unsigned long IOCTLS[] = { TCGETS, TIOCGWINSZ, FIOCLEX, FIONCLEX };
	static const int PRCTLS[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG };
	static const int FAMILIES[] = { AF_UNIX, AF_INET, AF_INET6 };
	static const int KINDS[] = { SOCK_STREAM, SOCK_DGRAM };
	enum { KIND = 0xf };
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));

	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setpgid), 1,
				SCMP_A0(SCMP_CMP_NE, 0));
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				SCMP_A0(SCMP_CMP_EQ, 0));
	for (size_t i = 0; !error && i < sizeof(IOCTLS) / sizeof(IOCTLS[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_EQ, IOCTLS[i]));
	for (size_t i = 0; !error && i < sizeof(PRCTLS) / sizeof(PRCTLS[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)PRCTLS[i]));
	for (size_t i = 0; !error && i < 6; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)FAMILIES[i / 2]),
			SCMP_A1(SCMP_CMP_MASKED_EQ, KIND, (scmp_datum_t)KINDS[i % 2]));
	return error;
}

/* Calls of which only some arguments are harmless. */
static int add_special(scmp_filter_ctx filter, unsigned calls)
{
	int error = 0;

	/* No memory that can be both written and run, now or later. */
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_EQ, FIONREAD));
	/* What does not wait is said here, never by F_SETFL: that could take O_APPEND off the log. */
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_EQ, FIONBIO));
	for (size_t i = 0; i < sizeof(FCNTL) / sizeof(FCNTL[0]); i++)
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
					SCMP_A1(SCMP_CMP_EQ, FCNTL[i]));
	/* Reading a limit of its own is harmless, setting one is for cell_enter. */
	error = error ? error
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
				SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	/* Room at the end of a file, never holes; times of an open file, never by name: Landlock does not look at either. */
	if (calls & CELL_CALLS_SYNC) {
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fallocate), 1,
					SCMP_A1(SCMP_CMP_EQ, 0));
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(utimensat), 1,
					SCMP_A1(SCMP_CMP_EQ, 0));
	}
	error = error ? error : add_stream_sockets(filter, calls);
	if (calls & CELL_CALLS_COMMAND)
		error = error ? error : add_command(filter);
	if (calls & CELL_CALLS_FORK)
		error = error ? error : add_fork(filter);
	if (calls & CALLS_SESSION)
		error = error ? error : add_session(filter);
	if (calls & CELL_CALLS_LOCK_IN)
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
					SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
	/* One process at a time, never "all" or a group; which ones, Landlock's scope says. */
	if (calls & CELL_CALLS_FORK)
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
					SCMP_A0(SCMP_CMP_MASKED_EQ, 0x80000000u, 0));
	if (calls & CELL_CALLS_LOCK_IN)
		error = error ? error : add_process_limit(filter);
	/* A session ends with its spawner. */
	if (calls & CELL_CALLS_LOCK_IN)
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 2,
					SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG),
					SCMP_A1(SCMP_CMP_EQ, SIGKILL));
	if (!(calls & CELL_CALLS_FORK) && (calls & CELL_CALLS_THREAD))
		error = error ? error
			      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
					SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (calls & (CELL_CALLS_FORK | CELL_CALLS_THREAD | CALLS_SESSION))
		error = error ? error
			      : seccomp_rule_add(
					filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return error;
}

/* libseccomp writes the program to a descriptor; keep it in memory to apply it without the library. */
static struct calls_program *export_program(scmp_filter_ctx filter)
{
	struct calls_program *program = calloc(1, sizeof(*program));
	int fd = memfd_create("calls", MFD_CLOEXEC);
	struct stat info;

	if (!program || fd < 0 || seccomp_export_bpf(filter, fd) < 0 || fstat(fd, &info) < 0)
		goto failed;
	program->program.len = (unsigned short)((size_t)info.st_size / sizeof(struct sock_filter));
	program->program.filter = malloc((size_t)info.st_size);
	if (!program->program.filter ||
		pread(fd, program->program.filter, (size_t)info.st_size, 0) != info.st_size)
		goto failed;
	close(fd);
	return program;
failed:
	if (fd >= 0)
		close(fd);
	calls_free(&program);
	return NULL;
}

struct calls_program *calls_compile(unsigned calls, char *error, size_t error_size)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	struct calls_program *program = NULL;
	int failed = filter ? add_groups(filter, calls) : -ENOMEM;

	if (!failed)
		failed = add_special(filter, calls);
	/* A balanced tree instead of a list: tens of comparisons less for each system call. */
	if (!failed)
		failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!failed)
		program = export_program(filter);
	if (!program)
		snprintf(error, error_size, "seccomp program: %s",
			strerror(failed ? -failed : errno));
	if (filter)
		seccomp_release(filter);
	return program;
}

bool calls_apply(const struct calls_program *program)
{
#ifdef POSTERN_TEST_HOOKS
	const char *without = getenv("POSTERN_WITHOUT");

	if (without && strcmp(without, "seccomp") == 0) {
		errno = ENOSYS;
		return false;
	}
#endif
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program->program) == 0;
}

void calls_free(struct calls_program **program)
{
	if (*program)
		free((*program)->program.filter);
	free(*program);
	*program = NULL;
}
