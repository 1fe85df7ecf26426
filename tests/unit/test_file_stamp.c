// SPDX-License-Identifier: ISC
/* A file that was read, and whether its name means another one now. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file_stamp.h"
#include "tests/unit/text_file.h"

static char home[] = "/tmp/postern-stamp-XXXXXX", before[4096];

/* As `ln -sfn`: under its name there is always one. */
static void link_to(const char *target, const char *name)
{
	assert_int_equal(symlink(target, "new"), 0);
	assert_int_equal(rename("new", name), 0);
}

static int setup(void **state)
{
	memcpy(strrchr(home, '-') + 1, "XXXXXX", 6);
	if (!getcwd(before, sizeof(before)) || !mkdtemp(home) || chdir(home) != 0)
		return -1;
	mkdir("a", 0700);
	mkdir("b", 0700);
	text_file("a/file", "one\n");
	text_file("b/file", "one\n");
	return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	return remove(path);
}

static int teardown(void **state)
{
	return chdir(before) == 0 ? nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS) : -1;
}

static void expect_change_by(const char *name, const char *link, const char *other)
{
	struct file_stamp stamp;
	char path[200];

	/* By its whole path and by one from here. */
	for (int i = 0; i < 2; i++) {
		char was[100];
		ssize_t length = readlink(link, was, sizeof(was) - 1);

		assert_true(length > 0);
		was[length] = '\0';
		snprintf(path, sizeof(path), "%s%s%s", i ? home : "", i ? "/" : "", name);
		assert_true(file_stamp_take(&stamp, path));
		assert_false(file_stamp_changed(&stamp) || file_stamp_replaced(&stamp));
		link_to(other, link);
		if (!file_stamp_changed(&stamp) || !file_stamp_replaced(&stamp))
			fail_msg("%s: %s was switched", path, link);
		file_stamp_free(&stamp);
		assert_false(file_stamp_changed(&stamp));
		link_to(was, link);
	}
}

static void a_switched_link_is_a_change(void **state)
{
	link_to("a/file", "name");
	expect_change_by("name", "name", "b/file");
}

static void each_link_on_the_way_counts(void **state)
{
	char whole[100];

	link_to("a", "current");
	expect_change_by("current/file", "current", "b");
	snprintf(whole, sizeof(whole), "%s/current/../b//file", home);
	link_to(whole, "second");
	link_to("./second", "first");
	link_to(home, "away");
	expect_change_by("away/first", "first", "a/file");
	expect_change_by("away/first", "second", "a/file");
	expect_change_by("away/first", "current", "b");
	expect_change_by("away/first", "away", "/tmp/..");
}

static void a_file_that_is_written_to_has_changed_but_is_the_same(void **state)
{
	struct file_stamp stamp;

	link_to("a/file", "name");
	assert_true(file_stamp_take(&stamp, "name"));
	text_file("a/file", "another\n");
	assert_true(file_stamp_changed(&stamp));
	assert_false(file_stamp_replaced(&stamp));
	text_file("a/new", "third\n");
	assert_int_equal(rename("a/new", "a/file"), 0);
	assert_true(file_stamp_replaced(&stamp));
	file_stamp_free(&stamp);
}

static void what_is_not_there_has_no_stamp(void **state)
{
	struct file_stamp stamp;

	assert_false(file_stamp_take(&stamp, "a/none"));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(stamp.file.fd, -1);
	link_to("loop", "loop");
	assert_false(file_stamp_take(&stamp, "loop"));
	assert_int_equal(errno, ELOOP);
	assert_false(file_stamp_changed(&stamp));
	file_stamp_free(&stamp);
}

/* Whoever ended for it would end again and again. */
static void what_cannot_be_found_out_is_no_change(void **state)
{
	struct file_stamp stamp;
	int held;

	link_to("a/file", "name");
	assert_true(file_stamp_take(&stamp, "name"));
	held = stamp.file.fd;
	stamp.file.fd = stamp.links[0].fd;
	close(stamp.links[0].fd);
	assert_false(file_stamp_changed(&stamp) || file_stamp_replaced(&stamp));
	stamp.file.fd = held;
	stamp.link_count = 0;
	file_stamp_free(&stamp);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_switched_link_is_a_change),
		TEST(each_link_on_the_way_counts),
		TEST(a_file_that_is_written_to_has_changed_but_is_the_same),
		TEST(what_is_not_there_has_no_stamp),
		TEST(what_cannot_be_found_out_is_no_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
