// SPDX-License-Identifier: ISC
/*
 * The escape attempts of test builds: what a taken-over process would try, run inside the real process's own cell. Not part of
 * a product build.
 */
#include "service/internal.h"

#ifndef POSTERN_TEST_HOOKS
void escape_arm(struct service *service)
{
}
#else
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/figures.h"
#include "service/log.h"

static struct service *escape_service;

/* Each attempt answers 0 when it was refused (errno says how), 1 when it worked. */
static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int try_socket(int family, int type)
{
	int fd = socket(family, type, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int try_exec(void)
{
	char *arguments[] = { "/bin/true", NULL };
	int status = 1;
	pid_t pid = fork();

	/* Who may not fork tries it himself: when it works this process becomes true(1) and its silence in the log is the failure
	 * the test sees. */
	if (pid <= 0)
		execv("/bin/true", arguments);
	if (pid == 0)
		_exit(1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0;
}

/* Refused by the kernel's look at the descriptor, it would have been allowed by the cell. */
static int try_watch(void)
{
	return inotify_add_watch(-1, "/", IN_CREATE) >= 0 || errno == EBADF;
}

static int try_read_memory(pid_t pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)&escape_service, 1 };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0;
}

static int try_write_exec(void)
{
	void *page = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page != MAP_FAILED)
		munmap(page, 4096);
	return page != MAP_FAILED;
}

static void report(const char *name, int worked)
{
	if (worked)
		log_info("escape: %s allowed", name);
	else
		log_info("escape: %s refused (%s)", name, strerror(errno));
}

/* Paths below the instance, as this process would name them. */
static const struct {
	const char *name, *path;
	int flags;
} INSTANCE_FILES[] = {
	{ "read-main-cf", "etc/main.cf", O_RDONLY },
	{ "write-main-cf", "etc/main.cf", O_WRONLY },
	{ "read-accounts", "data/directory/accounts.db", O_RDONLY },
	{ "read-credentials", "data/auth/credentials.db", O_RDONLY },
	{ "list-queue-incoming", "queue/incoming", O_RDONLY | O_DIRECTORY },
	{ "write-queue-incoming", "queue/incoming/escape", O_WRONLY | O_CREAT },
	{ "write-queue-hold", "queue/hold/escape", O_WRONLY | O_CREAT },
	{ "list-queue-active", "queue/active", O_RDONLY | O_DIRECTORY },
	{ "list-queue-deferred", "queue/deferred", O_RDONLY | O_DIRECTORY },
	{ "list-maildrop", "queue/maildrop", O_RDONLY | O_DIRECTORY },
	{ "list-mail", "mail", O_RDONLY | O_DIRECTORY },
	{ "list-mailbox-one", "mail/example.test/one/cur", O_RDONLY | O_DIRECTORY },
	{ "list-mailbox-two", "mail/example.test/two/cur", O_RDONLY | O_DIRECTORY },
	{ "read-index-two", "mail/example.test/two/postern.db", O_RDONLY },
	{ "write-mailbox-two", "mail/example.test/two/tmp/escape", O_WRONLY | O_CREAT },
	{ "write-log", "log/escape", O_WRONLY | O_CREAT },
	{ "write-run", "run/escape", O_WRONLY | O_CREAT },
	{ "write-figures", "run/figures/0", O_RDWR },
};

static void try_files(void)
{
	char path[2048];
	const char *root = escape_service->root;

	for (size_t i = 0; i < sizeof(INSTANCE_FILES) / sizeof(INSTANCE_FILES[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", strcmp(root, "/") == 0 ? "" : root,
			INSTANCE_FILES[i].path);
		report(INSTANCE_FILES[i].name, try_open(path, INSTANCE_FILES[i].flags));
	}
	if (escape_service->session_folder) {
		snprintf(path, sizeof(path), "%s/cur", escape_service->session_folder);
		report("list-own-mailbox", try_open(path, O_RDONLY | O_DIRECTORY));
	}
	report("read-passwd", try_open("/etc/passwd", O_RDONLY));
	report("read-shadow", try_open("/etc/shadow", O_RDONLY));
	report("list-root", try_open("/", O_RDONLY | O_DIRECTORY));
	report("write-tmp", try_open("/tmp/postern-escape", O_WRONLY | O_CREAT));
	report("read-proc-mem", try_open("/proc/1/mem", O_RDONLY));
	report("read-proc-parent", try_open("/proc/self/../1/environ", O_RDONLY));
}

static int try_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *root = escape_service->root;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), worked;

	if (fd < 0)
		return 0;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/%s",
		strcmp(root, "/") == 0 ? "" : root, path);
	worked = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return worked;
}

static void try_network(void)
{
	report("socket-tcp", try_socket(AF_INET, SOCK_STREAM));
	report("socket-udp", try_socket(AF_INET, SOCK_DGRAM));
	report("socket-tcp6", try_socket(AF_INET6, SOCK_STREAM));
	report("socket-unix", try_socket(AF_UNIX, SOCK_STREAM));
	report("socket-raw", try_socket(AF_INET, SOCK_RAW));
	report("socket-netlink", try_socket(AF_NETLINK, SOCK_RAW));
	report("connect-public", try_connect("public/qmgr"));
	report("connect-control", try_connect("control"));
}

static void try_processes(void)
{
	pid_t parent = getppid();

	report("exec", try_exec());
	report("fork", try_fork());
	report("ptrace-parent", ptrace(PTRACE_ATTACH, parent, NULL, NULL) == 0);
	report("read-parent-memory", try_read_memory(parent));
	report("signal-parent", kill(parent, SIGCONT) == 0);
	report("signal-init", kill(1, SIGCONT) == 0);
	report("signal-all", kill(-1, SIGCONT) == 0);
}

static void try_privileges(void)
{
	report("setuid-root", geteuid() != 0 && setuid(0) == 0);
	report("unshare", unshare(CLONE_NEWUSER) == 0);
	report("mount", mount("none", "/", "tmpfs", 0, NULL) == 0);
	report("chmod", chmod("/", 0777) == 0);
	report("write-exec-memory", try_write_exec());
	report("watch", try_watch());
	report("figures-behind", figures_try_behind());
	report("figures-before", figures_try_before());
	report("bpf", syscall(SYS_bpf, 0, NULL, 0) >= 0);
	report("io-uring", syscall(SYS_io_uring_setup, 1, NULL) >= 0);
	report("perf-event", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0);
	report("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0) >= 0);
	report("userfaultfd", syscall(SYS_userfaultfd, 0) >= 0);
	report("set-dumpable", syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0) == 0);
}

/* Ask master for every service that the cell does not name: master must refuse each and say so in the log. */
static void try_introductions(void)
{
	uint64_t allowed = escape_service->cell ? escape_service->cell->talk_to : 0;

	for (unsigned id = 0; id < SERVICE_COUNT && escape_service->loop; id++) {
		struct message message = { .type = MESSAGE_MASTER_CONNECT };

		if (allowed & (1ull << id))
			continue;
		message.master_connect.serial = 0xffff0000u | id;
		message.master_connect.service = (uint8_t)id;
		channel_send(&escape_service->control, &message);
	}
}

static void escape_signal(int signal_number)
{
	int kept = errno;

	/* exec comes last of the harmful ones: were it allowed, nothing after it would be tried. */
	try_files();
	try_network();
	try_privileges();
	try_introductions();
	try_processes();
	log_info("escape: done");
	errno = kept;
}

void escape_arm(struct service *service)
{
	struct sigaction action = { .sa_handler = escape_signal, .sa_flags = SA_RESTART };

	escape_service = service;
	sigaction(SIGUSR1, &action, NULL);
}
#endif
