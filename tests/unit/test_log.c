// SPDX-License-Identifier: ISC
/* Log lines: in a file, and for syslog. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "service/log.h"

static int ends[2];
static char line[20000];

static int setup(void **state)
{
	struct timeval patience = { 0, 10000 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(
		setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	return 0;
}

static int teardown(void **state)
{
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static const char *next(void)
{
	ssize_t length = recv(ends[0], line, sizeof(line) - 1, MSG_DONTWAIT);

	line[length > 0 ? length : 0] = '\0';
	return line;
}

/* The head with time and pid cut out: "<22>postern/smtpd: text". */
static const char *next_without_time(void)
{
	static char rest[sizeof(line)];
	int priority = 0, stamp = 0, pid = 0;
	char name[100] = "";

	next();
	assert_int_equal(
		sscanf(line, "<%d>%*3c %*2c %*8c%n %99[^[][%d]", &priority, &stamp, name, &pid), 3);
	assert_int_equal(pid, getpid());
	snprintf(rest, sizeof(rest), "<%d>%s%s", priority, name, strstr(line, "]: ") + 1);
	return rest;
}

static void a_line_for_syslog_has_priority_time_and_tag_and_no_end(void **state)
{
	log_open(ends[1], "postern/smtpd", "mail", false, true);
	log_syslog(2, NULL, NULL);
	log_info("%s", "connect from a[192.0.2.1]");
	assert_string_equal(next_without_time(), "<22>postern/smtpd: connect from a[192.0.2.1]");
	log_warning("two\nlines");
	assert_string_equal(next_without_time(), "<20>postern/smtpd: warning: two?lines");
	log_error("bad");
	assert_string_equal(next_without_time(), "<19>postern/smtpd: error: bad");
	log_debug("detail");
	assert_string_equal(next_without_time(), "<23>postern/smtpd: debug: detail");
}

/* A limit on the size of files stands in for a full disk: the kernel takes what fits. */
static void lines_that_a_full_disk_does_not_take_are_counted_and_the_next_one_stands_alone(
	void **state)
{
	char path[] = "/tmp/postern-log-XXXXXX";
	struct rlimit before, limit;
	int fd = mkstemp(path);
	ssize_t length;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	signal(SIGXFSZ, SIG_IGN);
	log_open(fd, "postern/smtpd", "mail", false, false);
	log_info("the first");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)lseek(fd, 0, SEEK_END) + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	log_info("torn");
	log_info("not taken at all");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	log_info("there is room again");
	length = pread(fd, line, sizeof(line) - 1, 0);
	assert_true(length > 0);
	line[length] = '\0';
	assert_null(strstr(line, "torn"));
	assert_null(strstr(line, "not taken"));
	assert_non_null(strstr(line, "]: the first\n"));
	assert_non_null(strstr(line, "]: there is room again\n"));
	assert_non_null(strstr(line, "]: warning: 2 log lines were lost\n"));
	/* The whole first line, what is left of the second, and two more, each on a line of its own. */
	length = 0;
	for (const char *at = line; (at = strchr(at, '\n')); at++)
		length++;
	assert_int_equal(length, 4);
	close(fd);
	log_open(ends[1], "postern/smtpd", "mail", false, false);
}

static void json_for_syslog_stands_behind_the_tag(void **state)
{
	log_open(ends[1], "postern/qmgr", "mail", true, false);
	log_syslog(19, NULL, NULL);
	log_info("hello");
	assert_non_null(strstr(next_without_time(), "<158>postern/qmgr: {\"time\":\""));
	assert_non_null(strstr(line, "\"message\":\"hello\"}"));
}

static void lines_nobody_reads_are_dropped_and_counted(void **state)
{
	unsigned written = 0, read = 0;
	char expected[100];

	log_open(ends[1], "postern/smtpd", "mail", false, false);
	log_syslog(2, NULL, NULL);
	for (; written < 5000; written++)
		log_info("line %u", written);
	while (*next() && read < written)
		read++;
	assert_true(read > 10 && read < written);
	log_info("again");
	assert_string_equal(next_without_time(), "<22>postern/smtpd: again");
	snprintf(expected, sizeof(expected), "<20>postern/smtpd: warning: %u log lines were lost",
		written - read);
	assert_string_equal(next_without_time(), expected);
}

static void text_of_others_becomes_a_line_and_cannot_forge_one(void **state)
{
	char text[] = "library: oops\n<8>kernel: panic", out[300];
	size_t length;

	log_open(ends[1], "postern", "mail", false, false);
	log_syslog(2, NULL, NULL);
	length = log_compose_syslog(out, sizeof(out), "authd", 77, text, strlen(text));
	assert_true(length < sizeof(out));
	out[length] = '\0';
	assert_non_null(strstr(out, " postern/authd[77]: warning: library: oops?<8>kernel: panic"));
	assert_int_equal(strncmp(out, "<20>", 4), 0);
}

static void facilities_have_the_numbers_of_rfc_3164(void **state)
{
	assert_int_equal(log_facility_of("mail"), 2);
	assert_int_equal(log_facility_of("user"), 1);
	assert_int_equal(log_facility_of("cron"), 9);
	assert_int_equal(log_facility_of("local0"), 16);
	assert_int_equal(log_facility_of("local7"), 23);
	assert_int_equal(log_facility_of("local8"), 2);
}

static void a_file_gets_the_host_and_line_ends(void **state)
{
	log_open(ends[1], "postern/smtpd", "mail", false, false);
	log_info("hello");
	assert_non_null(strstr(next(), " mail postern/smtpd["));
	assert_non_null(strstr(line, "]: hello\n"));
}

static void the_last_error_is_kept_for_whoever_wants_to_tell_it(void **state)
{
	char kept[12] = "";

	log_open(ends[1], "postern/authd", "mail", false, false);
	log_keep_errors(kept, sizeof(kept));
	log_warning("only a warning");
	assert_string_equal(kept, "");
	log_error("first");
	log_error("no\nsuch file, and more");
	assert_string_equal(kept, "no?such fil");
	log_keep_errors(NULL, 0);
	log_error("later");
	assert_string_equal(kept, "no?such fil");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_line_for_syslog_has_priority_time_and_tag_and_no_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			json_for_syslog_stands_behind_the_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(
			lines_nobody_reads_are_dropped_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			text_of_others_becomes_a_line_and_cannot_forge_one, setup, teardown),
		cmocka_unit_test(facilities_have_the_numbers_of_rfc_3164),
		cmocka_unit_test_setup_teardown(
			a_file_gets_the_host_and_line_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_last_error_is_kept_for_whoever_wants_to_tell_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			lines_that_a_full_disk_does_not_take_are_counted_and_the_next_one_stands_alone,
			setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
