// SPDX-License-Identifier: ISC
/*
 * bench_store FOLDER [MESSAGES]: rates of lib/store alone, one process, on the file system that FOLDER (made; must not exist) is
 * on. For comparison only with another run on the same machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"
#include "store/store.h"

static struct store *store;
static int64_t started;

static void begin(void)
{
	started = os_now();
}

static void tell(const char *what, double count, const char *unit)
{
	double seconds = (double)(os_now() - started) / 1e6;

	printf("%-34s %10.0f %s  (%.1f ms)\n", what, count / seconds, unit, seconds * 1000);
	fflush(stdout);
}

static void must(enum store_status status, const char *what)
{
	if (status == STORE_OK)
		return;
	fprintf(stderr, "%s: %d %s\n", what, status, store_error(store));
	exit(1);
}

static size_t make_message(char *text, size_t size, uint32_t number)
{
	int n = snprintf(text, size,
		"Return-Path: <sender@example.org>\r\nReceived: from mail.example.org "
		"(mail.example.org "
		"[192.0.2.1])\r\n\tby mx.example.test (Postern) with ESMTP id %08x;\r\n\tMon, 2 "
		"Nov 2026 "
		"10:00:00 +0000\r\nMessage-ID: <%u@example.org>\r\nDate: Mon, 2 Nov 2026 10:00:00 "
		"+0000\r\n"
		"From: \"Some Body\" <sender@example.org>\r\nTo: one@example.test\r\nSubject: "
		"Message number "
		"%u of the measurement\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
		"charset=utf-8\r\n\r\n",
		number, number, number);

	while ((size_t)n < 2450)
		n += snprintf(text + n, size - (size_t)n,
			"The quick brown fox jumps over the lazy dog, and the dog sleeps on.\r\n");
	return (size_t)n;
}

static void append_one_by_one(uint32_t count)
{
	struct store_append *append;
	char text[4096];
	uint32_t validity;

	begin();
	for (uint32_t i = 0; i < count; i++) {
		size_t length = make_message(text, sizeof(text), i);

		must(store_append_begin(store, SLICE("INBOX"), &append), "append");
		must(store_append_message(append, 0, NULL, 0, 1700000000, length), "append");
		must(store_append_data(append, slice_of(text, length)), "append");
		must(store_append_commit(&append, &validity, NULL), "append");
	}
	tell("APPEND one by one", count, "msg/s");
}

static void append_many(uint32_t count)
{
	struct store_append *append;
	char text[4096];
	uint32_t validity;

	begin();
	must(store_append_begin(store, SLICE("INBOX"), &append), "append");
	for (uint32_t i = 0; i < count; i++) {
		size_t length = make_message(text, sizeof(text), i);

		must(store_append_message(append, 0, NULL, 0, 1700000000, length), "append");
		must(store_append_data(append, slice_of(text, length)), "append");
	}
	must(store_append_commit(&append, &validity, NULL), "append");
	tell("MULTIAPPEND", count, "msg/s");
}

static struct mailbox *open_box(const char *name)
{
	struct mailbox *mailbox;

	must(mailbox_open(store, slice_from(name), false, &mailbox), "open");
	return mailbox;
}

static void measure_open(uint32_t count)
{
	for (int i = 0; i < 3; i++) {
		struct mailbox *m;

		begin();
		m = open_box("INBOX");
		tell(i ? "open, nothing changed" : "open after changes", 1, "/s");
		mailbox_close(&m);
	}
	begin();
	for (int i = 0; i < 1000; i++) {
		struct mailbox_counts counts;

		must(store_status(store, SLICE("INBOX"), &counts), "status");
	}
	tell("STATUS", 1000, "/s");
}

static void measure_read(struct mailbox *m, uint32_t count)
{
	static const char *const PARTS[] = { "envelope", "body", "bodystructure" };
	struct slice text;
	char what[64];
	size_t bytes = 0;

	for (int round = 0; round < 2; round++) {
		begin();
		mailbox_plan_read(m, 0, count - 1);
		for (uint32_t i = 0; i < count; i++) {
			for (int p = 0; p < 3; p += 2)
				must(mailbox_read_cached(m, i, p, &text), "cached");
		}
		mailbox_plan_end(m);
		snprintf(what, sizeof(what), "%s + %s, %s", PARTS[0], PARTS[2],
			round ? "again" : "first");
		tell(what, count, "msg/s");
	}
	for (int round = 0; round < 2; round++) {
		begin();
		mailbox_plan_read(m, 0, count - 1);
		for (uint32_t i = 0; i < count; i++)
			must(mailbox_read_headers(m, i, &text), "headers");
		mailbox_plan_end(m);
		tell(round ? "headers, again" : "headers, first", count, "msg/s");
	}
	begin();
	mailbox_plan_read(m, 0, count - 1);
	for (uint32_t i = 0; i < count; i++) {
		must(mailbox_read(m, i, &text), "read");
		bytes += text.length;
	}
	mailbox_plan_end(m);
	tell("read whole, in order", count, "msg/s");
	begin();
	for (uint32_t i = 0; i < count; i++)
		must(mailbox_read(m, (i * 7919u) % count, &text), "read");
	tell("read whole, at random", count, "msg/s");
	printf("%zu bytes a message\n", bytes / count);
}

static void measure_flags(struct mailbox *m, const uint32_t *all, uint32_t count)
{
	uint32_t single = count < 2000 ? count : 2000;

	begin();
	must(mailbox_store_flags(m, all, count, FLAGS_ADD, FLAG_SEEN, 0, 0, NULL), "flags");
	tell("STORE 1:* +FLAGS", count, "msg/s");
	begin();
	for (uint32_t i = 0; i < single; i++)
		must(mailbox_store_flags(m, all + i, 1, FLAGS_ADD, FLAG_FLAGGED, 0, 0, NULL),
			"flags");
	tell("STORE one by one", single, "/s");
}

static void measure_copy_and_expunge(struct mailbox *m, const uint32_t *all, uint32_t count)
{
	struct mailbox *copy;
	uint32_t validity, *half = calloc(count, sizeof(*half));

	must(store_create(store, SLICE("Copy"), SLICE("")), "create");
	begin();
	must(mailbox_copy(m, all, count, SLICE("Copy"), false, &validity, NULL), "copy");
	tell("COPY 1:*", count, "msg/s");
	copy = open_box("Copy");
	for (uint32_t i = 0; i < count / 2; i++)
		half[i] = 2 * i;
	must(mailbox_store_flags(copy, half, count / 2, FLAGS_ADD, FLAG_DELETED, 0, 0, NULL),
		"flags");
	begin();
	must(mailbox_expunge(copy, NULL, 0), "expunge");
	tell("EXPUNGE half", count / 2, "msg/s");
	mailbox_forget_expunged(copy, NULL, NULL);
	must(store_create(store, SLICE("Moved"), SLICE("")), "create");
	begin();
	must(mailbox_copy(copy, all, count / 2, SLICE("Moved"), true, &validity, NULL), "move");
	tell("MOVE half", count / 2, "msg/s");
	mailbox_close(&copy);
	free(half);
}

static void measure_delivery(const char *folder, uint32_t count)
{
	char text[4096];
	struct delivery_source source = { .prefix = SLICE("Delivered-To: one@example.test\n") };
	struct store_delivery delivery = { .folder = "delivered", .source = &source };
	FILE *file = tmpfile();
	int top = open(folder, O_RDONLY | O_DIRECTORY);

	source.size = (int64_t)make_message(text, sizeof(text), 1);
	for (int64_t i = 0; i < source.size; i++)
		source.lines += text[i] == '\n';
	if (!file || fwrite(text, 1, (size_t)source.size, file) != (size_t)source.size ||
		fflush(file))
		exit(1);
	source.fd = fileno(file);
	begin();
	for (uint32_t i = 0; i < count; i++) {
		store_deliver(top, &delivery, 1);
		must(delivery.status, "deliver");
	}
	tell("deliver", count, "msg/s");
	fclose(file);
	close(top);
}

static void measure_taking_over(const char *folder, uint32_t count)
{
	char path[600];
	struct mailbox *m;

	snprintf(path, sizeof(path), "%s/delivered", folder);
	store_close(&store);
	must(store_open(path, true, 0, &store), "open");
	begin();
	m = open_box("INBOX");
	tell("take over delivered mail", count, "msg/s");
	mailbox_close(&m);
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 5000, *all;
	struct mailbox *m;
	struct rusage usage;
	char path[500];

	if (argc < 2 || count < 10 || mkdir(argv[1], 0700) != 0) {
		fprintf(stderr, "usage: bench_store NEW-FOLDER [MESSAGES]\n");
		return 64;
	}
	snprintf(path, sizeof(path), "%s/user", argv[1]);
	if (store_open(path, true, 0, &store) != STORE_OK)
		return 75;
	all = calloc(count, sizeof(*all));
	for (uint32_t i = 0; i < count; i++)
		all[i] = i;
	append_one_by_one(count);
	measure_open(count);
	m = open_box("INBOX");
	measure_read(m, count);
	measure_flags(m, all, count);
	measure_copy_and_expunge(m, all, count);
	mailbox_close(&m);
	append_many(count / 5);
	measure_delivery(argv[1], count / 5);
	measure_taking_over(argv[1], count / 5);
	store_close(&store);
	free(all);
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld KB at most\n", usage.ru_maxrss);
	return 0;
}
