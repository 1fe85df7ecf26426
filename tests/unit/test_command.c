// SPDX-License-Identifier: ISC
/* Running a program: what goes in, what comes out, and every way it can end. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/command.h"

enum { LONG = 20000, SHORT = 100 /* ms */ };

static struct loop *loop;
static struct watch children;
static struct command command;
static bool over;
static enum command_end how;

static void reap(struct watch *watch, uint32_t events)
{
	struct signalfd_siginfo info[16];

	(void)!read(watch->fd, info, sizeof(info));
	if (!over)
		(void)command_reap(&command);
}

static void ended(struct command *which, enum command_end end)
{
	assert_false(over);
	over = true;
	how = end;
}

static int setup(void **state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	loop = loop_new(NULL);
	children = (struct watch){ .fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
		.events = EPOLLIN,
		.ready = reap };
	return loop && loop_watch(loop, &children) ? 0 : -1;
}

static int teardown(void **state)
{
	loop_unwatch(&children);
	close(children.fd);
	loop_free(&loop);
	return 0;
}

static const char *run(char *const *arguments, const char *input, int64_t time)
{
	struct command_settings settings = { .arguments = arguments,
		.output_most = 10000,
		.null = open("/dev/null", O_WRONLY | O_CLOEXEC) };
	static char said[16384];

	over = false;
	command = (struct command){ .ended = ended };
	assert_true(command_start(&command, &settings, loop, slice_from(input), time));
	while (!over)
		loop_turn(loop, 1000);
	close(settings.null);
	assert_true(slice_to_string(buffer_slice(&command.output), said, sizeof(said)));
	buffer_free(&command.output);
	return said;
}

static const char *shell(const char *script, const char *input, int64_t time)
{
	char *arguments[] = { "/bin/sh", "-c", (char *)script, NULL };

	return run(arguments, input, time);
}

static void what_it_says_of_its_input_comes_back(void **state)
{
	assert_string_equal(
		shell("read line && echo \"<$line>\"", "a token\n", LONG), "<a token>\n");
	assert_int_equal(how, COMMAND_DONE);
}

static void it_inherits_nothing(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	setenv("SECRET", "value", 1);
	assert_true(fd > 2);
	assert_string_equal(
		shell("for i in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$i ] && echo $i; done;"
		      "env | grep -c SECRET; true",
			"", LONG),
		"0\n1\n2\n0\n");
	assert_string_equal(shell("cd /; pwd; echo $PATH", "", LONG), "/\n/usr/bin:/bin\n");
	close(fd);
}

static void another_status_is_a_failure(void **state)
{
	char what[100];

	shell("echo '{\"active\":true}'; exit 75", "", LONG);
	assert_int_equal(how, COMMAND_FAILED);
	command_describe(&command, what, sizeof(what));
	assert_string_equal(what, "exit status 75");
	shell("kill -9 $$", "", LONG);
	assert_int_equal(how, COMMAND_FAILED);
	command_describe(&command, what, sizeof(what));
	assert_string_equal(what, "signal 9");
}

static void what_hangs_is_killed_with_its_children(void **state)
{
	long child;
	const char *said = shell("sleep 1000 & echo $!; sleep 1000", "", SHORT);

	assert_int_equal(how, COMMAND_LATE);
	child = strtol(said, NULL, 10);
	assert_true(child > 1);
	/* Dead, be it that nobody has asked for its status yet. */
	for (int i = 0; i < 1000 && kill((pid_t)child, 0) == 0; i++) {
		char path[64], text[300] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%ld/stat", child);
		file = fopen(path, "re");
		if (file && fgets(text, sizeof(text), file) && strstr(text, ") Z ")) {
			fclose(file);
			return;
		}
		if (file)
			fclose(file);
		usleep(1000);
	}
	assert_int_equal(kill((pid_t)child, 0), -1);
}

static void what_says_too_much_is_killed(void **state)
{
	shell("yes", "", LONG);
	assert_int_equal(how, COMMAND_TOO_MUCH);
	assert_int_equal(strlen(shell("head -c 10000 /dev/zero | tr '\\0' x", "", LONG)), 10000);
	assert_int_equal(how, COMMAND_DONE);
	shell("head -c 10001 /dev/zero | tr '\\0' x", "", LONG);
	assert_int_equal(how, COMMAND_TOO_MUCH);
}

static void who_keeps_the_output_open_holds_up_nobody(void **state)
{
	assert_string_equal(shell("sleep 1000 & echo done", "", LONG), "done\n");
	assert_int_equal(how, COMMAND_DONE);
}

static void who_closes_its_output_is_waited_for(void **state)
{
	shell("exec >&-; sleep 0.05; exit 3", "", LONG);
	assert_int_equal(how, COMMAND_FAILED);
}

static void what_is_not_there_cannot_be_run(void **state)
{
	char *arguments[] = { "/nonexistent/command", NULL };
	char what[100];

	run(arguments, "", LONG);
	assert_int_equal(how, COMMAND_FAILED);
	command_describe(&command, what, sizeof(what));
	assert_non_null(strstr(what, "cannot be run"));
}

static void an_input_that_is_not_read_hurts_nobody(void **state)
{
	static char much[200000];

	memset(much, 'x', sizeof(much) - 1);
	assert_string_equal(shell("echo ok", much, LONG), "ok\n");
	assert_string_equal(shell("wc -c", much, LONG), "199999\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_of_its_input_comes_back),
		cmocka_unit_test(it_inherits_nothing),
		cmocka_unit_test(another_status_is_a_failure),
		cmocka_unit_test(what_hangs_is_killed_with_its_children),
		cmocka_unit_test(what_says_too_much_is_killed),
		cmocka_unit_test(who_keeps_the_output_open_holds_up_nobody),
		cmocka_unit_test(who_closes_its_output_is_waited_for),
		cmocka_unit_test(what_is_not_there_cannot_be_run),
		cmocka_unit_test(an_input_that_is_not_read_hurts_nobody),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
