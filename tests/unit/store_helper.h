// SPDX-License-Identifier: ISC
/* What the store's tests share: a user's folder of its own for each test, and short forms of the everyday calls. */
#ifndef TESTS_STORE_HELPER_H
#define TESTS_STORE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "store/store.h"

#ifndef STORE_TEST_IN_MEMORY
#define STORE_TEST_IN_MEMORY false
#endif
#define UNUSED_HELPER    __attribute__((unused))
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, world_make, world_end)
enum { APPEND_DATE = 1000000000 };

struct world {
	char top[64], folder[96];
	int dir; /* the user's folder */
	struct store *store;
};

UNUSED_HELPER static struct store *open_store_quota(struct world *w, int64_t quota)
{
	struct store *store;

	assert_int_equal(store_open(w->folder, true, quota, &store), STORE_OK);
	return store;
}

UNUSED_HELPER static struct store *open_store(struct world *w)
{
	return open_store_quota(w, 0);
}

UNUSED_HELPER static int world_make(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	/* A test that makes thousands of stores asks for memory; what it tries does not depend on the disk. */
	snprintf(w->top, sizeof(w->top), "%s/store-test-XXXXXX",
		STORE_TEST_IN_MEMORY && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(w->top))
		return -1;
	snprintf(w->folder, sizeof(w->folder), "%s/user", w->top);
	w->store = open_store(w);
	w->dir = open(w->folder, O_RDONLY | O_DIRECTORY);
	*state = w;
	return w->dir < 0;
}

static void remove_tree(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type == DT_DIR)
			remove_tree(dirfd(list), entry->d_name);
		else
			unlinkat(dirfd(list), entry->d_name, 0);
	}
	if (list)
		closedir(list);
	unlinkat(dir, name, AT_REMOVEDIR);
}

UNUSED_HELPER static int world_end(void **state)
{
	struct world *w = *state;

	os_fault_hook = NULL;
	os_clock_hook = NULL;
	store_close(&w->store);
	close(w->dir);
	remove_tree(AT_FDCWD, w->top);
	free(w);
	return 0;
}

UNUSED_HELPER static bool exists(struct world *w, const char *path)
{
	return faccessat(w->dir, path, F_OK, 0) == 0;
}

#define assert_slice(s, text) \
	do { \
		assert_int_equal((s).length, strlen(text)); \
		assert_memory_equal((s).data, text, (s).length); \
	} while (0)

/* Files of a folder whose names end so; the last one's name in `found`. */
UNUSED_HELPER static int find_files(
	struct world *w, const char *folder, const char *end, char *found)
{
	int fd = openat(w->dir, folder, O_RDONLY | O_DIRECTORY), count = 0;
	DIR *list = fdopendir(fd);
	struct dirent *entry;

	while ((entry = readdir(list))) {
		size_t length = strlen(entry->d_name), want = strlen(end);

		if (entry->d_name[0] == '.' || length < want ||
			strcmp(entry->d_name + length - want, end) != 0)
			continue;
		count++;
		if (found)
			snprintf(found, 256, "%s", entry->d_name);
	}
	closedir(list);
	return count;
}

UNUSED_HELPER static int files_ending(struct world *w, const char *folder, const char *end)
{
	return find_files(w, folder, end, NULL);
}

UNUSED_HELPER static void write_file(struct world *w, const char *path, const char *text)
{
	int fd = openat(w->dir, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* UID of the new message, 0 when it failed. */
UNUSED_HELPER static uint32_t append(
	struct store *store, const char *name, const char *text, uint8_t flags)
{
	struct vector uids = vector_of(sizeof(uint32_t), 0);
	struct store_append *append;
	uint32_t validity, uid = 0;

	if (store_append_begin(store, slice_from(name), &append) != STORE_OK)
		return 0;
	if (store_append_message(append, flags, NULL, 0, APPEND_DATE, strlen(text)) == STORE_OK)
		(void)!store_append_data(append, slice_from(text));
	if (store_append_commit(&append, &validity, &uids) == STORE_OK && uids.count == 1)
		uid = *(uint32_t *)vector_at(&uids, 0);
	vector_free(&uids);
	return uid;
}

UNUSED_HELPER static struct mailbox *open_box(struct store *store, const char *name)
{
	struct mailbox *mailbox;

	assert_int_equal(mailbox_open(store, slice_from(name), false, &mailbox), STORE_OK);
	return mailbox;
}

/* `who` keeps the sources of processes apart. */
UNUSED_HELPER static enum store_status deliver_as(
	struct world *w, const char *text, int64_t quota, unsigned who)
{
	struct delivery_source source = { .size = (int64_t)strlen(text),
		.prefix = SLICE("Delivered-To: one\n") };
	struct store_delivery delivery = { .folder = "user", .source = &source, .quota = quota };
	char path[128];
	int top = open(w->top, O_RDONLY | O_DIRECTORY);

	for (const char *p = text; *p; p++)
		source.lines += *p == '\n';
	snprintf(path, sizeof(path), "%s/source-%u", w->top, who);
	source.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(source.fd, text, strlen(text)), strlen(text));
	store_deliver(top, &delivery, 1);
	close(source.fd);
	close(top);
	unlink(path);
	return delivery.status;
}

UNUSED_HELPER static enum store_status deliver_quota(
	struct world *w, const char *text, int64_t quota)
{
	return deliver_as(w, text, quota, 0);
}

UNUSED_HELPER static void deliver(struct world *w, const char *text)
{
	assert_int_equal(deliver_quota(w, text, 0), STORE_OK);
}

#endif
