// SPDX-License-Identifier: ISC
/* What processes count: each in a file of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"
#include "service/figures.h"

static char folder_path[] = "/tmp/postern-figures-XXXXXX";
static int folder;

static int make_folder(void **state)
{
	if (!mkdtemp(folder_path))
		return -1;
	folder = os_open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return folder < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	os_close(&folder);
	return rmdir(folder_path);
}

static int make_file(const char *entry)
{
	int fd = figures_make(folder, "7", entry);

	assert_true(fd >= 0);
	assert_true(os_unlinkat(folder, "7", 0));
	return fd;
}

static void a_process_counts_in_its_own_file_and_master_says_whose_it_is(void **state)
{
	int mine = make_file("smtp"), others = make_file("imap");
	struct figures figures;

	assert_true(figures_set_pid(mine, 123));
	assert_true(figures_open(mine));
	figures_add(FIGURE_messages, 3);
	figures_add(FIGURE_messages, 4);
	figures_set(FIGURE_queue_now, 5);
	assert_true(figures_read(mine, &figures));
	assert_string_equal(figures.entry, "smtp");
	assert_int_equal(figures.pid, 123);
	assert_int_equal(figures.value[FIGURE_messages], 7);
	assert_int_equal(figures.value[FIGURE_queue_now], 5);
	assert_true(figures_read(others, &figures));
	assert_int_equal(figures.pid, 0);
	for (int f = 0; f < FIGURE_COUNT; f++)
		assert_int_equal(figures.value[f], 0);
	os_close(&mine);
	os_close(&others);
}

static void a_file_of_another_size_is_neither_mapped_nor_read(void **state)
{
	int fd = make_file("smtp");
	struct figures figures;

	assert_int_equal(ftruncate(fd, 100), 0);
	assert_false(figures_open(fd));
	assert_false(figures_read(fd, &figures));
	assert_false(figures_open(-1));
	os_close(&fd);
}

static void counters_of_the_ended_are_kept_and_what_was_of_the_moment_is_not(void **state)
{
	struct figures sum = { .value[FIGURE_messages] = INT64_MAX }, ended = { 0 };

	ended.value[FIGURE_messages] = INT64_MAX; /* whatever it claims, adding it is no fault */
	ended.value[FIGURE_logins] = 2;
	ended.value[FIGURE_sessions_now] = 9;
	figures_add_up(&sum, &ended);
	figures_add_up(&sum, &ended);
	assert_int_equal(sum.value[FIGURE_logins], 4);
	assert_int_equal(sum.value[FIGURE_sessions_now], 0);
}

int main(void)
{
	static const struct CMUnitTest TESTS[] = {
		cmocka_unit_test(a_process_counts_in_its_own_file_and_master_says_whose_it_is),
		cmocka_unit_test(a_file_of_another_size_is_neither_mapped_nor_read),
		cmocka_unit_test(counters_of_the_ended_are_kept_and_what_was_of_the_moment_is_not),
	};

	return cmocka_run_group_tests(TESTS, make_folder, remove_folder);
}
