// SPDX-License-Identifier: ISC
/*
 * master.cf: entries, overrides, faults, ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/services.h"
#include "tests/unit/text_file.h"

static struct config_report report;
static struct services services;

static bool parse(const char *text)
{
	memset(&report, 0, sizeof(report));
	services_free(&services);
	return services_parse("master.cf", slice_from(text), 100, &services, &report);
}

static int tear_down(void **state)
{
	services_free(&services);
	return 0;
}

static void expect_fault(const char *text, unsigned line, const char *part)
{
	assert_false(parse(text));
	assert_int_equal(report.errors, 1);
	assert_int_equal(report.faults[0].line, line);
	if (!strstr(report.faults[0].text, part))
		fail_msg("\"%s\" does not say \"%s\"", report.faults[0].text, part);
}

static void an_entry_has_its_columns(void **state)
{
	assert_true(parse("# services\nsmtp inet n - y - 1 smtpd --also unix:public/smtp\n"
			  "flush unix - - - 1000? 0 flush\nqmgr unix n n n 300 - qmgr\n"));
	assert_int_equal(services.count, 3);
	assert_string_equal(services.entries[0].name, "smtp");
	assert_int_equal(services.entries[0].type, SERVICE_INET);
	assert_false(services.entries[0].is_private);
	assert_true(services.entries[0].chroot);
	assert_int_equal(services.entries[0].maxproc, 1);
	assert_int_equal(services.entries[0].wakeup, 0);
	assert_string_equal(services.entries[0].command, "smtpd");
	assert_string_equal(services.entries[0].arguments[0], "--also");
	assert_string_equal(services.entries[0].arguments[1], "unix:public/smtp");
	assert_null(services.entries[0].arguments[2]);
	assert_int_equal(services.entries[0].line, 2);
	assert_true(services.entries[1].is_private);
	assert_false(services.entries[1].chroot);
	assert_int_equal(services.entries[1].wakeup, 1000);
	assert_true(services.entries[1].wakeup_lazy);
	assert_int_equal(services.entries[1].maxproc, 0);
	assert_null(services.entries[1].arguments[0]);
	assert_int_equal(services.entries[2].maxproc, 100);
}

static void overrides_are_read_in_every_form(void **state)
{
	const struct service_entry *entry;

	assert_true(parse("submission inet n - y - - smtpd\n  -o syslog_name=postern/submission\n  "
			  "# between\n"
			  "  -o { smtpd_client_restrictions = permit_mynetworks, reject }\n"
			  "  -v -ohopcount_limit=3 -o empty=\n"));
	entry = &services.entries[0];
	assert_int_equal(entry->override_count, 4);
	assert_string_equal(entry->overrides[0].name, "syslog_name");
	assert_string_equal(entry->overrides[0].value, "postern/submission");
	assert_string_equal(entry->overrides[1].name, "smtpd_client_restrictions");
	assert_string_equal(entry->overrides[1].value, "permit_mynetworks, reject");
	assert_string_equal(entry->overrides[2].value, "3");
	assert_string_equal(entry->overrides[3].value, "");
	assert_string_equal(entry->arguments[0], "-v");
	assert_null(entry->arguments[1]);
}

static void faults_are_told_with_their_line(void **state)
{
	expect_fault("\nsmtp inet n - y - 1\n", 2, "7 columns");
	expect_fault("smtp pass n - y - 1 smtpd\n", 1, "type");
	expect_fault("smtp inet q - y - 1 smtpd\n", 1, "private");
	expect_fault("smtp inet n 1 y - 1 smtpd\n", 1, "unprivileged");
	expect_fault("smtp inet n - Y - 1 smtpd\n", 1, "chroot");
	expect_fault("smtp inet n - y x 1 smtpd\n", 1, "wakeup");
	expect_fault("smtp inet n - y - -1 smtpd\n", 1, "maxproc");
	expect_fault("smtp inet n - y - 1 /bin/sh\n", 1, "daemon_directory");
	expect_fault("smtp inet n - y - 1 smtpd -o\n", 1, "name=value");
	expect_fault("smtp inet n - y - 1 smtpd -o foo\n", 1, "name=value");
	expect_fault("smtp inet n - y - 1 smtpd -o =foo\n", 1, "name=value");
	expect_fault("smtp inet n - y - 1 smtpd -o { foo = 1\n", 1, "no \"}\"");
	expect_fault("nosuchport inet n - y - 1 smtpd\n", 1, "port");
	expect_fault("../x unix n - y - 1 smtpd\n", 1, "socket");
	expect_fault("smtp inet n - y - 1 smtpd\nsmtp inet n - y - 1 smtpd\n", 2, "line 1");
}

static void all_faults_of_a_line_and_a_file_are_told(void **state)
{
	assert_false(parse("smtp pass q - q x y smtpd\nx unix\n"));
	assert_int_equal(report.errors, 6);
}

static void the_same_name_may_stand_for_inet_and_unix(void **state)
{
	assert_true(parse("smtp inet n - y - 1 smtpd\nsmtp unix n - y - 1 smtp\n"));
}

static void ports_are_names_plus_base_or_numbers(void **state)
{
	assert_int_equal(services_port("smtp", 10000), 10025);
	assert_int_equal(services_port("imap", 0), 143);
	assert_int_equal(services_port("2525", 10000), 2525);
	assert_int_equal(services_port("127.0.0.1:smtp", 10000), 10025);
	assert_int_equal(services_port("[::1]:sieve", 10000), 14190);
	assert_int_equal(services_port("[::1]", 0), 0);
	assert_int_equal(services_port("0", 0), 0);
	assert_int_equal(services_port("65536", 0), 0);
	assert_int_equal(services_port("http", 0), 0);
	assert_int_equal(services_port("smtp", 65535), 0);
	assert_int_equal(services_port("", 0), 0);
}

static void hosts_stand_before_the_port(void **state)
{
	char host[64], small[4];

	assert_true(services_host("127.0.0.1:smtp", host, sizeof(host)));
	assert_string_equal(host, "127.0.0.1");
	assert_true(services_host("[::1]:25", host, sizeof(host)));
	assert_string_equal(host, "::1");
	assert_true(services_host("smtp", host, sizeof(host)));
	assert_string_equal(host, "");
	assert_false(services_host("127.0.0.1:smtp", small, sizeof(small)));
}

static char folder[64];

static struct config_source *load(const char *main_cf, const char *master_cf)
{
	memset(&report, 0, sizeof(report));
	services_free(&services);
	text_file_in(folder, "main.cf", main_cf);
	text_file_in(folder, "master.cf", master_cf);
	return services_load(folder, &services, &report);
}

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/test_services-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/main.cf", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/master.cf", folder);
	unlink(path);
	rmdir(folder);
	return 0;
}

static void an_entry_is_evaluated_with_its_overrides(void **state)
{
	struct config_source *source = load("base = b\nsyslog_name = a\n",
		"smtp inet n - y - 1 smtpd -o syslog_name=$base/$service_name\n");
	struct buffer snapshot = { 0 };
	struct config *config;

	assert_non_null(source);
	assert_int_equal(report.count, 0);
	assert_true(services_snapshot(source, &services, &services.entries[0], &snapshot, &report));
	config = config_open(buffer_slice(&snapshot));
	assert_string_equal(config_text(config, PARAM_syslog_name), "b/smtp");
	assert_string_equal(config_text(config, PARAM_config_directory), folder);
	config_free(&config);
	buffer_free(&snapshot);
	config_source_free(&source);
}

static void a_bad_override_is_told_with_the_line_in_master_cf(void **state)
{
	struct config_source *source =
		load("", "\nsmtp inet n - y - 1 smtpd -o hopcount_limit=many\n");

	assert_null(source);
	assert_int_equal(report.errors, 1);
	assert_int_equal(report.faults[0].line, 2);
	assert_non_null(strstr(report.faults[0].file, "master.cf"));
	assert_string_equal(report.faults[0].parameter, "hopcount_limit");
}

static void faults_of_both_files_are_told_at_once(void **state)
{
	assert_null(load("hopcount_limit = x\n", "smtp\n"));
	assert_int_equal(report.errors, 2);
}

static void names_used_in_master_cf_only_are_not_warned_of(void **state)
{
	struct config_source *source = load("mua = reject\n",
		"submission inet n - y - 1 smtpd -o smtpd_client_restrictions=$mua -o mua_local=1 "
		"-o myorigin=$mua_local\n");

	assert_non_null(source);
	assert_int_equal(report.count, 0);
	config_source_free(&source);
}

static void a_missing_file_is_told(void **state)
{
	memset(&report, 0, sizeof(report));
	services_free(&services);
	assert_null(services_load("/nonexistent", &services, &report));
	assert_int_equal(report.errors, 1);
	assert_non_null(strstr(report.faults[0].file, "/nonexistent/main.cf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_has_its_columns),
		cmocka_unit_test(overrides_are_read_in_every_form),
		cmocka_unit_test(faults_are_told_with_their_line),
		cmocka_unit_test(all_faults_of_a_line_and_a_file_are_told),
		cmocka_unit_test(the_same_name_may_stand_for_inet_and_unix),
		cmocka_unit_test(ports_are_names_plus_base_or_numbers),
		cmocka_unit_test(hosts_stand_before_the_port),
		cmocka_unit_test_setup_teardown(
			an_entry_is_evaluated_with_its_overrides, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_bad_override_is_told_with_the_line_in_master_cf,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			faults_of_both_files_are_told_at_once, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			names_used_in_master_cf_only_are_not_warned_of, make_folder, remove_folder),
		cmocka_unit_test(a_missing_file_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
