// SPDX-License-Identifier: ISC
/* accounts.db: changes, questions, and who owns the files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "directory/accounts.h"

static char folder[64], path[128], error[300];
static struct accounts *accounts;

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-accounts-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/accounts.db", folder);
	if (!accounts_open(path, true, &accounts, error, sizeof(error)))
		return -1;
	return accounts_add_domain(accounts, "example.org", error, sizeof(error)) &&
			       accounts_add_mailbox(
				       accounts, "One@Example.org", 5000, error, sizeof(error))
		       ? 0
		       : -1;
}

static int teardown(void **state)
{
	char name[160];

	accounts_close(&accounts);
	for (const char *const *suffix = (const char *const[]){ "", "-wal", "-shm", NULL }; *suffix;
		suffix++) {
		snprintf(name, sizeof(name), "%s%s", path, *suffix);
		unlink(name);
	}
	return rmdir(folder);
}

static void mailbox_is_found_in_lower_case_with_its_path(void **state)
{
	struct accounts_mailbox mailbox;

	assert_int_equal(
		accounts_mailbox(accounts, SLICE("one@example.org"), &mailbox), ACCOUNTS_FOUND);
	assert_string_equal(mailbox.path, "example.org/one");
	assert_int_equal(mailbox.quota, 5000);
	assert_true(mailbox.enabled);
	assert_int_equal(
		accounts_mailbox(accounts, SLICE("two@example.org"), &mailbox), ACCOUNTS_NOT_FOUND);
}

static void mailbox_of_unknown_domain_is_refused(void **state)
{
	assert_false(accounts_add_mailbox(accounts, "a@example.net", 0, error, sizeof(error)));
	assert_string_equal(error, "no such domain: example.net");
}

static void mailbox_is_added_once(void **state)
{
	assert_false(accounts_add_mailbox(accounts, "one@example.org", 0, error, sizeof(error)));
	assert_string_equal(error, "mailbox one@example.org is there already");
}

static void names_that_leave_the_mail_directory_are_refused(void **state)
{
	const char *const bad[] = { "../x@example.org", "..@example.org", ".@example.org",
		"a/b@example.org", "@example.org", "a b@example.org", "a\n@example.org", "a@..",
		"a@/etc", "a@.example.org", "a", "a@", "a..b@example.org", "a@-x.org",
		"\"a\"@example.org" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(accounts_add_mailbox(accounts, bad[i], 0, error, sizeof(error)));
}

static void alias_has_several_destinations_in_order(void **state)
{
	struct buffer list = { 0 };

	assert_true(accounts_add_alias(
		accounts, "all@example.org", "one@example.org", error, sizeof(error)));
	assert_true(accounts_add_alias(
		accounts, "all@example.org", "x@example.net", error, sizeof(error)));
	assert_false(accounts_add_alias(
		accounts, "all@example.org", "x@example.net", error, sizeof(error)));
	assert_false(accounts_add_alias(
		accounts, "all@example.org", "x, y@example.net", error, sizeof(error)));
	assert_int_equal(accounts_alias(accounts, SLICE("all@example.org"), &list), ACCOUNTS_FOUND);
	assert_string_equal(buffer_text(&list), "one@example.org, x@example.net");
	assert_true(accounts_delete_alias(
		accounts, "all@example.org", "x@example.net", error, sizeof(error)));
	assert_int_equal(accounts_alias(accounts, SLICE("all@example.org"), &list), ACCOUNTS_FOUND);
	assert_string_equal(buffer_text(&list), "one@example.org");
	assert_true(accounts_delete_alias(accounts, "all@example.org", NULL, error, sizeof(error)));
	assert_int_equal(
		accounts_alias(accounts, SLICE("all@example.org"), &list), ACCOUNTS_NOT_FOUND);
	assert_false(
		accounts_delete_alias(accounts, "all@example.org", NULL, error, sizeof(error)));
	buffer_free(&list);
}

static void postmaster_falls_back_to_the_first_mailbox(void **state)
{
	struct buffer list = { 0 };

	assert_int_equal(accounts_postmaster(accounts, &list), ACCOUNTS_FOUND);
	assert_string_equal(buffer_text(&list), "one@example.org");
	assert_true(accounts_add_alias(
		accounts, "postmaster@example.org", "x@example.net", error, sizeof(error)));
	assert_int_equal(accounts_postmaster(accounts, &list), ACCOUNTS_FOUND);
	assert_string_equal(buffer_text(&list), "x@example.net");
	buffer_free(&list);
}

static void domain_with_mailboxes_cannot_be_deleted(void **state)
{
	assert_false(accounts_delete_domain(accounts, "example.org", error, sizeof(error)));
	assert_true(accounts_delete_mailbox(accounts, "one@example.org", error, sizeof(error)));
	assert_true(accounts_delete_domain(accounts, "example.org", error, sizeof(error)));
	assert_int_equal(accounts_domain(accounts, SLICE("example.org")), ACCOUNTS_NOT_FOUND);
}

static void change_by_another_connection_changes_the_version(void **state)
{
	struct accounts_mailbox mailbox;
	struct accounts *other;
	int64_t before, same, after;

	assert_true(accounts_version(accounts, &before));
	assert_true(accounts_version(accounts, &same));
	assert_int_equal(before, same);
	assert_true(accounts_open(path, false, &other, error, sizeof(error)));
	assert_true(accounts_enable(other, "one@example.org", false, error, sizeof(error)));
	assert_true(accounts_version(accounts, &after));
	assert_int_not_equal(before, after);
	assert_int_equal(
		accounts_mailbox(accounts, SLICE("one@example.org"), &mailbox), ACCOUNTS_FOUND);
	assert_false(mailbox.enabled);
	accounts_close(&other);
}

static void files_made_by_root_belong_to_the_owner_of_the_folder(void **state)
{
	const char *const suffixes[] = { "", "-wal", "-shm" };
	struct stat info;
	char name[200];

	if (geteuid() != 0)
		skip();
	accounts_close(&accounts);
	unlink(path);
	assert_int_equal(chown(folder, 65534, 65534), 0);
	assert_true(accounts_open(path, true, &accounts, error, sizeof(error)));
	assert_true(accounts_add_domain(accounts, "example.org", error, sizeof(error)));
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		assert_int_equal(stat(name, &info), 0);
		assert_int_equal(info.st_uid, 65534);
		assert_int_equal(info.st_mode & 07777, 0600);
	}
}

static void missing_file_is_an_error_without_create(void **state)
{
	struct accounts *none = NULL;

	assert_false(accounts_open("/nonexistent/accounts.db", false, &none, error, sizeof(error)));
	assert_null(none);
	assert_false(accounts_open("/nonexistent/accounts.db", true, &none, error, sizeof(error)));
}

static bool count_entry(void *context, const struct accounts_mailbox *mailbox)
{
	++*(int *)context;
	return true;
}

static void listing_holds_every_mailbox_of_the_domain(void **state)
{
	int count = 0;

	assert_true(accounts_add_domain(accounts, "example.net", error, sizeof(error)));
	assert_true(accounts_add_mailbox(accounts, "a@example.net", 0, error, sizeof(error)));
	assert_true(accounts_each_mailbox(accounts, NULL, count_entry, &count));
	assert_int_equal(count, 2);
	count = 0;
	assert_true(accounts_each_mailbox(accounts, "example.net", count_entry, &count));
	assert_int_equal(count, 1);
}

static void add_alias(const char *address, const char *destination)
{
	if (!accounts_add_alias(accounts, address, destination, error, sizeof(error)))
		fail_msg("%s", error);
}

static void assert_leads(const char *address, const char *expected)
{
	struct buffer list = { 0 };

	assert_int_equal(accounts_alias(accounts, slice_from(address), &list), ACCOUNTS_FOUND);
	assert_string_equal(buffer_text(&list), expected);
	buffer_free(&list);
}

static void aliases_of_a_renamed_mailbox_follow(void **state)
{
	unsigned count;

	assert_true(accounts_add_domain(accounts, "xn--bcher-kva.test", error, sizeof(error)));
	assert_true(accounts_add_mailbox(accounts, "one+own@example.org", 0, error, sizeof(error)));
	add_alias("all@example.org", "two@example.org");
	add_alias("all@example.org", "One@EXAMPLE.org");
	add_alias("all@example.org", "x@example.net");
	add_alias("ext@example.org", "one+Work@example.org");
	add_alias("own@example.org", "one+own@example.org");
	add_alias("near@example.org", "one1@example.org");
	add_alias("near@example.org", "one@example.net");
	add_alias("both@example.org", "one@example.org");
	add_alias("both@example.org", "uno@b\xc3\xbc"
				      "cher.test");
	assert_true(accounts_rename_mailbox(accounts, "one@example.org",
		"uno@b\xc3\xbc"
		"cher.test",
		"+", &count, error, sizeof(error)));
	assert_int_equal(count, 3);
	assert_leads("all@example.org", "two@example.org, uno@xn--bcher-kva.test, x@example.net");
	assert_leads("ext@example.org", "uno+Work@xn--bcher-kva.test");
	assert_leads("own@example.org", "one+own@example.org");
	assert_leads("near@example.org", "one1@example.org, one@example.net");
	/* However the domain is written; what leads there twice does so once. */
	assert_true(accounts_rename_mailbox(accounts, "uno@xn--bcher-kva.test", "one@example.org",
		"", &count, error, sizeof(error)));
	assert_int_equal(count, 3);
	assert_leads("both@example.org", "one@example.org");
	assert_leads("ext@example.org", "uno+Work@xn--bcher-kva.test");
}

static void a_rename_that_is_refused_leaves_the_aliases_alone(void **state)
{
	unsigned count;

	add_alias("all@example.org", "one@example.org");
	assert_false(accounts_rename_mailbox(accounts, "one@example.org", "one@unknown.example", "",
		&count, error, sizeof(error)));
	assert_string_equal(error, "no such domain: unknown.example");
	assert_true(accounts_begin(accounts, error, sizeof(error)));
	assert_false(accounts_rename_mailbox(accounts, "nobody@example.org", "two@example.org", "",
		&count, error, sizeof(error)));
	assert_true(accounts_rename_mailbox(
		accounts, "one@example.org", "two@example.org", "", &count, error, sizeof(error)));
	assert_int_equal(count, 1);
	accounts_rollback(accounts);
	assert_leads("all@example.org", "one@example.org");
}

static bool note(void *context, const struct accounts_alias_entry *alias)
{
	buffer_printf(
		context, "%.*s>%.*s ", SLICE_ARG(alias->address), SLICE_ARG(alias->destination));
	return true;
}

static void assert_dangling(const char *expected)
{
	struct buffer list = { 0 };

	assert_true(accounts_each_dangling(
		accounts, "one@example.org", "+", note, &list, error, sizeof(error)));
	assert_string_equal(list.length ? buffer_text(&list) : "", expected);
	buffer_free(&list);
}

static void aliases_of_a_deleted_mailbox_are_found(void **state)
{
	add_alias("a@example.org", "ONE@example.org");
	add_alias("a@example.org", "x@example.net");
	add_alias("b@example.org", "one+x@example.org");
	add_alias("one@example.org", "one@example.org");
	assert_true(accounts_delete_mailbox(accounts, "one@example.org", error, sizeof(error)));
	assert_dangling("one@example.org>one@example.org ");
	assert_true(accounts_delete_alias(accounts, "one@example.org", NULL, error, sizeof(error)));
	assert_dangling("a@example.org>ONE@example.org b@example.org>one+x@example.org ");
	add_alias("@example.org", "x@example.net");
	assert_dangling("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mailbox_is_found_in_lower_case_with_its_path),
		TEST(mailbox_of_unknown_domain_is_refused),
		TEST(mailbox_is_added_once),
		TEST(names_that_leave_the_mail_directory_are_refused),
		TEST(alias_has_several_destinations_in_order),
		TEST(postmaster_falls_back_to_the_first_mailbox),
		TEST(domain_with_mailboxes_cannot_be_deleted),
		TEST(change_by_another_connection_changes_the_version),
		TEST(files_made_by_root_belong_to_the_owner_of_the_folder),
		TEST(missing_file_is_an_error_without_create),
		TEST(listing_holds_every_mailbox_of_the_domain),
		TEST(aliases_of_a_renamed_mailbox_follow),
		TEST(a_rename_that_is_refused_leaves_the_aliases_alone),
		TEST(aliases_of_a_deleted_mailbox_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
