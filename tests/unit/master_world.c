// SPDX-License-Identifier: ISC
/* A daemon under a master that is a test. See master_world.h. */
#include "tests/unit/master_world.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "service/figures.h"

enum { NOBODY = 65534 };

char world_folder[64];
static pid_t daemon_pid;
static int control = -1;
static struct buffer space;

/* Daemons do not run as root. */
static uid_t own_uid(void)
{
	return geteuid() ? geteuid() : NOBODY;
}

void world_make_folder(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", world_folder, name);
	assert_true(name[0] == '\0' || mkdir(path, 0700) == 0);
	assert_int_equal(chown(path, own_uid(), (gid_t)-1), 0);
}

void world_make(void)
{
	snprintf(world_folder, sizeof(world_folder), "/tmp/postern-world-XXXXXX");
	assert_non_null(mkdtemp(world_folder));
	world_make_folder("");
}

static int page_of(size_t size, struct slice content)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content.data, content.length), content.length);
	if (size > content.length)
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static int make_snapshot(const char *settings)
{
	static struct config_report report;
	struct buffer text = { 0 }, snapshot = { 0 };
	struct config_source *source;
	int fd;

	buffer_printf(&text,
		"instance_directory = %s\ndata_directory = %s/data\nmyhostname = host.example.org\n"
		"%s",
		world_folder, world_folder, settings);
	source = config_parse("main.cf", buffer_slice(&text), &report);
	assert_non_null(source);
	assert_true(config_snapshot(source, &snapshot, &report));
	fd = page_of(0, buffer_slice(&snapshot));
	config_source_free(&source);
	buffer_free(&text);
	buffer_free(&snapshot);
	return fd;
}

static void run_daemon(const char *name, int end)
{
	char path[PATH_MAX] = "", program[PATH_MAX + 64];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0 || dup2(end, 3) < 0)
		_exit(99);
	snprintf(program, sizeof(program), "%s/../bin/%s", dirname(path), name);
	execl(program, program, NULL);
	_exit(98);
}

void say(int fd, const struct message *message)
{
	assert_true(channel_sync_send(fd, message, loop_monotonic() + WORLD_WAIT));
}

void hear(int fd, struct message *message, enum message_type type)
{
	assert_true(channel_sync_receive(fd, message, &space, loop_monotonic() + WORLD_WAIT));
	assert_int_equal(message->type, type);
}

void world_start(const char *program, const char *settings)
{
	struct message message = { .type = MESSAGE_MASTER_START, .fd_count = 3 };
	struct message_master_start *start = &message.master_start;
	char path[PATH_MAX];
	int ends[2];

	assert_true(channel_pair(ends));
	daemon_pid = fork();
	assert_true(daemon_pid >= 0);
	if (daemon_pid == 0)
		run_daemon(program, ends[1]);
	close(ends[1]);
	control = ends[0];
	start->entry = start->log_name = slice_from(program);
	start->root = slice_from(world_folder);
	start->host = SLICE("host");
	start->best_effort = 1;
	start->uid = own_uid();
	start->gid = own_uid() == NOBODY ? NOBODY : getegid();
	start->build = message_build();
	snprintf(path, sizeof(path), "%s/log", world_folder);
	message.fds[0] = make_snapshot(settings);
	message.fds[1] = page_of(2 * (size_t)sysconf(_SC_PAGESIZE), SLICE(""));
	message.fds[2] = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	say(control, &message);
	for (int i = 0; i < 3; i++)
		close(message.fds[i]);
	hear(control, &message, MESSAGE_MASTER_READY);
}

void world_end(const char *const *files, const char *const *folders)
{
	char path[PATH_MAX];

	close(control);
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	buffer_free(&space);
	for (; *files; files++) {
		snprintf(path, sizeof(path), "%s/%s", world_folder, *files);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/log", world_folder);
	unlink(path);
	for (; *folders; folders++) {
		snprintf(path, sizeof(path), "%s/%s", world_folder, *folders);
		rmdir(path);
	}
	rmdir(world_folder);
}

int introduce(enum service_id from, uint32_t pid)
{
	struct message message = { .type = MESSAGE_MASTER_PEER, .fd_count = 1 };
	int ends[2];

	assert_true(channel_pair(ends));
	message.master_peer.from = from;
	message.master_peer.pid = pid;
	message.fds[0] = ends[1];
	say(control, &message);
	close(ends[1]);
	return ends[0];
}

bool is_closed(int fd)
{
	struct message message;

	return !channel_sync_receive(fd, &message, &space, loop_monotonic() + WORLD_WAIT) &&
	       errno != ETIMEDOUT;
}
