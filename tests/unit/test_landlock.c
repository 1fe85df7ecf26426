// SPDX-License-Identifier: ISC
/* What a descriptor of the log is good for, a root folder for a session, and files without the right to name them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "sandbox/calls.h"
#include "sandbox/landlock.h"
#include "sandbox/root_folder.h"

static char folder[] = "/tmp/test-landlock-XXXXXX";

static int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/log", folder);
	unlink(path);
	return rmdir(folder);
}

static void the_log_can_be_added_to_and_not_truncated(void **state)
{
	char path[200];
	struct stat info;
	int ruleset = landlock_begin(false), log, again;

	if (ruleset < 0)
		skip();
	close(ruleset);
	snprintf(path, sizeof(path), "%s/log", folder);
	log = landlock_open_log(path, 0640);
	assert_true(log >= 0);
	assert_int_equal(write(log, "a line\n", 7), 7);
	assert_int_equal(ftruncate(log, 0), -1);
	assert_int_equal(errno, EACCES);
	/* The process that opened it is not confined itself. */
	again = open(path, O_WRONLY);
	assert_int_equal(ftruncate(again, 3), 0);
	assert_int_equal(write(log, "more\n", 5), 5);
	assert_int_equal(fstat(log, &info), 0);
	assert_int_equal(info.st_size, 8);
	close(again);
	close(log);
}

static void a_log_that_cannot_be_made_says_why(void **state)
{
	assert_int_equal(landlock_open_log("/nonexistent/log", 0640), -1);
	assert_int_equal(errno, ENOENT);
}

static uint32_t capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	syscall(SYS_capget, &header, data);
	return data[0].permitted | data[1].permitted | data[0].effective;
}

/* As a spawner and its session do it; the steps that failed as bits. */
static int become_session(void)
{
	bool done = false;
	int failed = 0;

	root_folder_prepare();
	failed |= root_folder_drop_capabilities(true) ? 0 : 1;
	failed |= (capabilities() & ~(1u << CAP_SYS_CHROOT)) == 0 ? 0 : 2;
	failed |= root_folder_enter(folder, &done) ? 0 : 4;
	failed |= capabilities() == 0 ? 0 : 8;
	/* Where there is neither root nor a user namespace, it goes on with the root folder that it has. */
	failed |= !done || (access("/etc/passwd", F_OK) < 0 && errno == ENOENT) ? 0 : 16;
	failed |= done || geteuid() != 0 ? 0 : 32;
	failed |= !done || chroot("/") < 0 ? 0 : 64;
	return failed;
}

static void a_session_has_its_folder_as_root_and_no_capability(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(become_session());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void waiting_is_switched_on_and_off(void **state)
{
	char byte;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_true(os_set_blocking(ends[0], false));
	assert_int_equal(read(ends[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(os_set_blocking(ends[0], true));
	assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
	assert_false(os_set_blocking(-1, true));
	close(ends[0]);
	close(ends[1]);
}

/* The steps that failed as bits. */
static int look_at_files(const struct calls_program *program, int fd)
{
	struct stat info;
	int failed = 0;

	failed |= prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : 1;
	failed |= calls_apply(program) ? 0 : 2;
	failed |= os_fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size == 5 ? 0 : 4;
	failed |= !os_fstatat(AT_FDCWD, "/", &info, 0) && errno == EPERM ? 0 : 8;
	return failed;
}

static void who_may_not_name_files_still_looks_at_those_it_holds(void **state)
{
	char error[100];
	struct calls_program *program = calls_compile(0, error, sizeof(error));
	int status, fd = memfd_create("file", MFD_CLOEXEC);
	pid_t pid;

	assert_non_null(program);
	assert_int_equal(write(fd, "hello", 5), 5);
	pid = fork();
	if (pid == 0)
		_exit(look_at_files(program, fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	calls_free(&program);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_can_be_added_to_and_not_truncated),
		cmocka_unit_test(a_log_that_cannot_be_made_says_why),
		cmocka_unit_test(a_session_has_its_folder_as_root_and_no_capability),
		cmocka_unit_test(who_may_not_name_files_still_looks_at_those_it_holds),
		cmocka_unit_test(waiting_is_switched_on_and_off),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
