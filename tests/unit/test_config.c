// SPDX-License-Identifier: ISC
/*
 * main.cf: what is read, what it evaluates to, what is told when it is wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "os/os.h"
#include "tests/unit/text_file.h"

static struct config_report report;
static struct config_source *source;
static struct buffer snapshot;

static void parse(const char *text)
{
	memset(&report, 0, sizeof(report));
	config_source_free(&source);
	source = config_parse("main.cf", slice_from(text), &report);
}

static int tear_down(void **state)
{
	config_source_free(&source);
	buffer_free(&snapshot);
	return 0;
}

/* `text` evaluated in the parsed source. */
static void expect(const char *text, const char *value)
{
	struct buffer out = { 0 };
	char error[200];

	assert_non_null(source);
	assert_true(config_expand(source, text, &out, error, sizeof(error)));
	assert_string_equal(buffer_text(&out), value);
	buffer_free(&out);
}

static void expect_error(const char *text, const char *part)
{
	struct buffer out = { 0 };
	char error[200];

	assert_false(config_expand(source, text, &out, error, sizeof(error)));
	if (!strstr(error, part))
		fail_msg("\"%s\" does not say \"%s\"", error, part);
	buffer_free(&out);
}

static struct config *evaluate(const char *text)
{
	struct config *config;

	parse(text);
	assert_non_null(source);
	buffer_clear(&snapshot);
	assert_true(config_snapshot(source, &snapshot, &report));
	config = config_open(buffer_slice(&snapshot));
	assert_non_null(config);
	return config;
}

static void expect_fault(const char *text, unsigned line, const char *parameter, const char *part)
{
	parse(text);
	buffer_clear(&snapshot);
	if (source)
		assert_false(config_snapshot(source, &snapshot, &report));
	assert_int_equal(report.errors, 1);
	assert_int_equal(report.faults[0].line, line);
	assert_string_equal(report.faults[0].parameter, parameter);
	if (!strstr(report.faults[0].text, part))
		fail_msg("\"%s\" does not say \"%s\"", report.faults[0].text, part);
}

static void continuation_lines_comments_and_blank_lines_are_joined(void **state)
{
	parse("# first\nmydestination = a,\n   # between\n\n\tb\n  c\nmyorigin=d\n");
	assert_string_equal(config_source_raw(source, "mydestination", NULL), "a, b c");
	assert_string_equal(config_source_raw(source, "myorigin", NULL), "d");
	assert_int_equal(report.count, 0);
}

static void a_setting_knows_its_line(void **state)
{
	unsigned line;

	parse("\n# x\nmyorigin =\n  a\nmydomain = b\n");
	config_source_raw(source, "myorigin", &line);
	assert_int_equal(line, 3);
	config_source_raw(source, "mydomain", &line);
	assert_int_equal(line, 5);
}

static void carriage_returns_at_line_ends_do_not_count(void **state)
{
	parse("myorigin = a\r\nmydomain = b\r\n");
	assert_string_equal(config_source_raw(source, "myorigin", NULL), "a");
}

static void the_last_of_two_settings_holds_and_is_told(void **state)
{
	parse("myorigin = a\nmyorigin = b\n");
	assert_string_equal(config_source_raw(source, "myorigin", NULL), "b");
	assert_int_equal(report.errors, 0);
	assert_int_equal(report.count, 1);
	assert_true(report.faults[0].warning);
	assert_int_equal(report.faults[0].line, 2);
}

static void names_are_expanded_in_every_form(void **state)
{
	parse("a = one\nb = $a two\nempty =\n");
	expect("$a ${a} $(a) $b", "one one one one two");
	expect("${a?yes}${empty?no}${nope?no}", "yes");
	expect("${a:no}${empty:yes}${nope:yes}", "yesyes");
	expect("${a?{x}:{y}} ${empty?{x}:{y}} ${empty ? {x} : {y} }", "x y y");
	expect("${empty?{x}:y}", "y");
	expect("$$a $$", "$a $");
	expect("${a?<$b>}", "<one two>");
	expect("$nope|", "|");
}

static void comparisons_are_of_numbers_when_both_are(void **state)
{
	parse("n = 9\n");
	expect("${{$n} == {9} ? {x} : {y}}", "x");
	expect("${{$n}<{11}?{x}:{y}} ${{a9}<{a11}?{x}:{y}}", "x y");
	expect("${{1}!={2}?{x}}${{1}>={2}?{x}}${{2}<={2}?{z}}${{3}>{2}:{q}}", "xz");
	expect("${{a}=={a}}${{a}=={b}}", "true");
}

static void malformed_expressions_are_told(void **state)
{
	parse("a = $b\nb = $a\nc=$c\n");
	expect_error("$a", "refers to itself");
	expect_error("$c", "refers to itself");
	expect_error("${x", "not closed");
	expect_error("$-", "no name");
	expect_error("x $", "no name");
	expect_error("${}", "not a parameter name");
	expect_error("${a b}", "not a parameter name");
	expect_error("${{a}==b?{c}}", "not {a} == {b}");
	expect_error("${{a}={b}?{c}}", "not {a} == {b}");
	expect_error("${{a}=={b}!}", "neither ? nor :");
	expect_error("${x?{a}:{b} junk}", "behind");
}

static void expansion_that_doubles_without_end_is_stopped(void **state)
{
	struct buffer text = { 0 };

	for (int i = 0; i < 40; i++)
		buffer_printf(&text, "n%d = $n%d $n%d\n", i, i + 1, i + 1);
	buffer_add_text(&text, "n40 =\n");
	parse(buffer_text(&text));
	expect_error("$n0", "too long");
	buffer_clear(&text);
	for (int i = 0; i < 40; i++)
		buffer_printf(&text, "n%d = $n%d$n%d\n", i, i + 1, i + 1);
	parse(buffer_text(&text));
	expect_error("$n0", "takes too long");
	buffer_free(&text);
}

static void values_have_their_types_and_units(void **state)
{
	struct config *config = evaluate("message_size_limit = 5M\nsmtpd_helo_required = YES\n"
					 "queue_run_delay = 2m\nmaximal_queue_lifetime = 3\n"
					 "smtpd_hard_error_limit = 7\nmyorigin = x.test\n");

	assert_int_equal(config_int(config, PARAM_message_size_limit), 5 << 20);
	assert_true(config_bool(config, PARAM_smtpd_helo_required));
	assert_int_equal(config_time(config, PARAM_queue_run_delay), 120000);
	/* The default is "5d": a bare number counts days. */
	assert_int_equal(config_time(config, PARAM_maximal_queue_lifetime), 3 * 86400000ll);
	assert_int_equal(config_int(config, PARAM_smtpd_hard_error_limit), 7);
	assert_string_equal(config_text(config, PARAM_myorigin), "x.test");
	config_free(&config);
}

static void all_defaults_are_valid(void **state)
{
	struct config *config = evaluate("");

	assert_int_equal(report.count, 0);
	for (int p = 0; p < PARAM_COUNT; p++)
		assert_non_null(config_text(config, (enum parameter)p));
	config_free(&config);
}

static void host_and_domain_come_from_the_system_or_each_other(void **state)
{
	struct config *config = evaluate("");

	assert_non_null(strchr(config_text(config, PARAM_myhostname), '.'));
	config_free(&config);
	config = evaluate("myhostname = mail.example.test\n");
	assert_string_equal(config_text(config, PARAM_mydomain), "example.test");
	assert_string_equal(config_text(config, PARAM_mydestination),
		"mail.example.test, localhost.example.test, localhost");
	config_free(&config);
}

static void user_defined_and_transport_names_can_be_looked_up(void **state)
{
	struct config *config = evaluate(
		"zz = 1\nmy_checks = reject\naa = $my_checks\n"
		"virtual_destination_concurrency_limit = 3\nslow_destination_rate_delay = 5s\n");

	assert_string_equal(config_lookup(config, "my_checks"), "reject");
	assert_string_equal(config_lookup(config, "aa"), "reject");
	assert_string_equal(config_lookup(config, "zz"), "1");
	assert_null(config_lookup(config, "nothere"));
	assert_string_equal(config_lookup(config, "hopcount_limit"), "50");
	assert_string_equal(config_lookup(config, "virtual_destination_concurrency_limit"), "3");
	config_free(&config);
}

static void faults_name_line_and_parameter(void **state)
{
	expect_fault("myorigin = x\nsmtpd_helo_required = maybe\n", 2, "smtpd_helo_required",
		"yes or no");
	expect_fault("message_size_limit = 10Q\n", 1, "message_size_limit", "number of bytes");
	expect_fault("message_size_limit = 99999999999999999999\n", 1, "message_size_limit",
		"number of bytes");
	expect_fault("message_size_limit =\n", 1, "message_size_limit", "number of bytes");
	expect_fault("queue_run_delay = 3x\n", 1, "queue_run_delay", "a time");
	expect_fault("queue_run_delay = 0\n", 1, "queue_run_delay", "between 1 and");
	expect_fault("smtpd_hard_error_limit = -1\n", 1, "smtpd_hard_error_limit", "between");
	expect_fault("virtual_destination_rate_delay = soon\n", 1, "virtual_destination_rate_delay",
		"a time");
	expect_fault("sandbox = off\n", 1, "sandbox", "required best-effort");
	expect_fault("sandbox =\n", 1, "sandbox", "choose one of");
	expect_fault("myorigin = $myorigin\n", 1, "myorigin", "refers to itself");
	expect_fault("myorigin = ${x\n", 1, "myorigin", "not closed");
	expect_fault("\nmyorigin\n", 2, "", "name = value");
	expect_fault("my origin = x\n", 1, "", "name = value");
	expect_fault("= x\n", 1, "", "name = value");
}

static void all_faults_of_a_file_are_told(void **state)
{
	parse("biff = x\nqueue_run_delay = x\nhopcount_limit = x\nsmtpd_banner = ${\n");
	assert_false(config_snapshot(source, &snapshot, &report));
	assert_int_equal(report.errors, 3);
}

static void nul_bytes_are_refused(void **state)
{
	memset(&report, 0, sizeof(report));
	config_source_free(&source);
	source = config_parse("main.cf", SLICE("myorigin = a\0b\n"), &report);
	assert_null(source);
	assert_int_equal(report.errors, 1);
}

static void edit(enum config_change change, struct config_edit_item *items, size_t count,
	const char *expected)
{
	static const char TEXT[] =
		"# top\na = 1\nlong = x,\n  # inside\n  y\n\nb=2\na = 3\nlast = 4";
	struct buffer out = { 0 };

	assert_true(config_edit_settings(slice_from(TEXT), change, items, count, &out));
	assert_string_equal(buffer_text(&out), expected);
	buffer_free(&out);
}

static void settings_are_changed_in_place_and_comments_stay(void **state)
{
	struct config_edit_item items[] = { { "a", "new", 0 }, { "long", "z", 0 },
		{ "more", "5", 0 } };

	edit(CONFIG_SET, items, 3,
		"# top\na = new\nlong = z\n  # inside\n\nb=2\nlast = 4\nmore = 5\n");
	assert_int_equal(items[0].found, 2);
	assert_int_equal(items[2].found, 0);
	edit(CONFIG_REMOVE, items, 2, "# top\n  # inside\n\nb=2\nlast = 4\n");
	edit(CONFIG_COMMENT_OUT, items + 1, 1,
		"# top\na = 1\n#long = x,\n  # inside\n#  y\n\nb=2\na = 3\nlast = 4\n");
	edit(CONFIG_SET, NULL, 0,
		"# top\na = 1\nlong = x,\n  # inside\n  y\n\nb=2\na = 3\nlast = 4\n");
}

static void a_replaced_file_keeps_its_mode_and_nothing_is_left_beside_it(void **state)
{
	char folder[] = "/tmp/test_config-XXXXXX", path[64], beside[80], error[200], text[16] = "";
	struct stat info;
	int fd;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/main.cf", folder);
	snprintf(beside, sizeof(beside), "%s.new", path);
	assert_false(config_replace_file(path, SLICE("new"), error, sizeof(error)));
	fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_int_equal(fchmod(fd, 0640), 0);
	close(fd);
	assert_true(config_replace_file(path, SLICE("new"), error, sizeof(error)));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0640);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 3);
	assert_string_equal(text, "new");
	close(fd);
	assert_int_not_equal(access(beside, F_OK), 0);
	/* Somebody else is changing it. */
	close(open(beside, O_CREAT | O_RDWR, 0600));
	assert_false(config_replace_file(path, SLICE("other"), error, sizeof(error)));
	assert_int_equal(access(beside, F_OK), 0);
	unlink(beside);
	unlink(path);
	rmdir(folder);
}

static enum os_call failing;

static int fail_call(enum os_call call, const char *path)
{
	return call == failing ? EIO : 0;
}

static void every_failing_call_leaves_the_old_file(void **state)
{
	static const enum os_call CALLS[] = { OS_OPEN, OS_WRITE, OS_FSYNC, OS_RENAME, OS_STAT };
	char folder[] = "/tmp/test_config-XXXXXX", path[64], beside[80], error[200];
	struct stat info;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/main.cf", folder);
	snprintf(beside, sizeof(beside), "%s.new", path);
	close(open(path, O_CREAT | O_RDWR, 0600));
	for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]); i++) {
		failing = CALLS[i];
		os_fault_hook = fail_call;
		assert_false(config_replace_file(path, SLICE("new"), error, sizeof(error)));
		os_fault_hook = NULL;
		assert_int_equal(stat(path, &info), 0);
		assert_int_equal(info.st_size, 0);
		assert_int_not_equal(access(beside, F_OK), 0);
	}
	unlink(path);
	rmdir(folder);
}

static const struct config_fault *warning_of(const char *parameter)
{
	for (unsigned i = 0; i < report.count; i++)
		if (strcmp(report.faults[i].parameter, parameter) == 0)
			return &report.faults[i];
	return NULL;
}

static void unknown_names_are_a_warning_with_the_nearest_known_one(void **state)
{
	parse("mydestnation = x\nqqqqqq = y\n");
	config_warn(source, true, &report);
	assert_int_equal(report.errors, 0);
	assert_non_null(strstr(warning_of("mydestnation")->text, "\"mydestination\""));
	assert_null(strstr(warning_of("qqqqqq")->text, "meant"));
}

static void names_that_something_refers_to_are_not_warned_of(void **state)
{
	parse("mua_checks = reject\nsmtpd_client_restrictions = "
	      "$mua_checks\nsmtpd_restriction_classes = strict, lax\n"
	      "strict = reject\nlax = permit\nviaif = 1\nmyorigin = ${viaif?x}\n"
	      "dovecot_destination_recipient_limit = 1\nfrom_master = x\n");
	config_source_use(source, "a $from_master");
	config_warn(source, true, &report);
	for (unsigned i = 0; i < report.count; i++)
		assert_string_equal(report.faults[i].parameter, "smtpd_restriction_classes");
}

static void undefined_obsolete_and_effectless_ones_are_told(void **state)
{
	parse("smtpd_banner = $nothere ${maybe?x}\nsmtpd_use_tls = yes\nsmtpd_milters = "
	      "inet:localhost:1\n"
	      "mailbox_command = /usr/bin/x \"$EXTENSION\"\n");
	config_warn(source, true, &report);
	assert_non_null(strstr(warning_of("smtpd_banner")->text, "$nothere"));
	assert_non_null(strstr(warning_of("smtpd_use_tls")->text, "obsolete"));
	assert_non_null(strstr(warning_of("smtpd_milters")->text, "no effect in this version"));
	assert_int_equal(report.count, 4);
	assert_int_equal(report.errors, 0);
}

static void an_overlay_changes_nothing_in_its_parent(void **state)
{
	struct config_source *overlay;
	struct config *config;

	parse("myorigin = a\nuser = 1\nsmtpd_banner = $myorigin $user\n");
	overlay = config_source_overlay(source);
	assert_true(config_source_set(overlay, "myorigin", "b"));
	assert_true(config_source_set(overlay, "user", "2"));
	buffer_clear(&snapshot);
	assert_true(config_snapshot(overlay, &snapshot, &report));
	config = config_open(buffer_slice(&snapshot));
	assert_string_equal(config_text(config, PARAM_smtpd_banner), "b 2");
	assert_string_equal(config_lookup(config, "user"), "2");
	config_free(&config);
	config_source_free(&overlay);
	expect("$smtpd_banner", "a 1");
}

static void myorigin_may_name_a_file_that_holds_it(void **state)
{
	char path[] = "/tmp/postern-test-mailname-XXXXXX", text[200];
	int fd = mkstemp(path);
	struct config *config;

	assert_true(fd >= 0);
	os_close(&fd);
	snprintf(text, sizeof(text), "name = %s\nmyorigin = $name\nmydestination = a, $myorigin\n",
		path);
	text_file(path, " example.test \nsecond.test\n");
	config = evaluate(text);
	assert_string_equal(config_text(config, PARAM_myorigin), "example.test");
	assert_string_equal(config_text(config, PARAM_mydestination), "a, example.test");
	config_free(&config);
	text_file(path, "$name");
	config = evaluate(text);
	assert_string_equal(config_text(config, PARAM_myorigin), "$name");
	config_free(&config);
	snprintf(text, sizeof(text), "myorigin = %s\n", path);
	text_file(path, "\nsecond.test\n");
	expect_fault(text, 1, "myorigin", "first line");
	text_file(path, "");
	expect_fault(text, 1, "myorigin", "first line");
	unlink(path);
	expect_fault(text, 1, "myorigin", "cannot read the file");
	expect_fault("myorigin = /tmp\n", 1, "myorigin", "cannot read the file");
}

static void a_damaged_snapshot_is_not_opened(void **state)
{
	struct config *config = evaluate("user = 1\n");
	struct slice good = buffer_slice(&snapshot);
	uint32_t offset;

	config_free(&config);
	for (size_t length = 0; length < good.length; length += 7)
		assert_null(config_open(slice_head(good, length)));
	for (size_t i = 0; i < 20; i++) {
		snapshot.data[i] ^= 1;
		assert_null(config_open(good));
		snapshot.data[i] ^= 1;
	}
	memcpy(&offset, snapshot.data + 24, sizeof(offset));
	memset(snapshot.data + 24, 0x7f, sizeof(offset));
	assert_null(config_open(good));
	memcpy(snapshot.data + 24, &offset, sizeof(offset));
	config = config_open(good);
	assert_non_null(config);
	config_free(&config);
}

static bool join(void *context, struct slice item)
{
	struct buffer *out = context;

	buffer_printf(out, "<%.*s>", SLICE_ARG(item));
	return !slice_equal(item, SLICE("stop"));
}

static void list_items_are_split_but_groups_are_kept(void **state)
{
	struct buffer out = { 0 };

	assert_true(config_each(" a, b\tc,,{ d, e {f} } inline:{x=y, z}", join, &out));
	assert_string_equal(buffer_text(&out), "<a><b><c><{ d, e {f} }><inline:{x=y, z}>");
	assert_false(config_each("stop a", join, &out));
	buffer_free(&out);
}

static void errors_take_the_place_of_warnings_when_there_is_no_room(void **state)
{
	memset(&report, 0, sizeof(report));
	for (int i = 0; i < 100; i++)
		config_fault_add(&report, true, "f", 1, "p", "w");
	config_fault_add(&report, false, "f", 2, "p", "e");
	assert_int_equal(report.errors, 1);
	assert_false(report.faults[report.count - 1].warning);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(continuation_lines_comments_and_blank_lines_are_joined),
		cmocka_unit_test(a_setting_knows_its_line),
		cmocka_unit_test(carriage_returns_at_line_ends_do_not_count),
		cmocka_unit_test(the_last_of_two_settings_holds_and_is_told),
		cmocka_unit_test(names_are_expanded_in_every_form),
		cmocka_unit_test(comparisons_are_of_numbers_when_both_are),
		cmocka_unit_test(malformed_expressions_are_told),
		cmocka_unit_test(expansion_that_doubles_without_end_is_stopped),
		cmocka_unit_test(values_have_their_types_and_units),
		cmocka_unit_test(all_defaults_are_valid),
		cmocka_unit_test(host_and_domain_come_from_the_system_or_each_other),
		cmocka_unit_test(user_defined_and_transport_names_can_be_looked_up),
		cmocka_unit_test(faults_name_line_and_parameter),
		cmocka_unit_test(all_faults_of_a_file_are_told),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(settings_are_changed_in_place_and_comments_stay),
		cmocka_unit_test(a_replaced_file_keeps_its_mode_and_nothing_is_left_beside_it),
		cmocka_unit_test(every_failing_call_leaves_the_old_file),
		cmocka_unit_test(unknown_names_are_a_warning_with_the_nearest_known_one),
		cmocka_unit_test(names_that_something_refers_to_are_not_warned_of),
		cmocka_unit_test(undefined_obsolete_and_effectless_ones_are_told),
		cmocka_unit_test(an_overlay_changes_nothing_in_its_parent),
		cmocka_unit_test(myorigin_may_name_a_file_that_holds_it),
		cmocka_unit_test(a_damaged_snapshot_is_not_opened),
		cmocka_unit_test(list_items_are_split_but_groups_are_kept),
		cmocka_unit_test(errors_take_the_place_of_warnings_when_there_is_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
