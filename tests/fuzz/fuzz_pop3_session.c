// SPDX-License-Identifier: ISC
/* A whole POP3 session on a real store: any bytes after login. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pop3d/session.h"
#include "service/log.h"
#include "tests/fuzz/mail_folder.h"

enum { ROUNDS = 200, INPUT_MAX = 20000, TIMEOUT = 50, OUT_MAX = 4 << 20 };

static const char *const MESSAGES[] = { "Subject: a\n\n.\n..dots\nlast", "Subject: b\n", "",
	"\n\nno header\r\n\0x" };

static int nowhere = -1, channel[2];

/* As other programs put messages there. */
static void put_message(unsigned n)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/new/1700000000.M%uP1.host", mail_folder, n);
	file = fopen(path, "w");
	if (!file || fputs(MESSAGES[n], file) < 0 || fclose(file) != 0)
		abort();
}

static void fill_folder(void)
{
	struct store *store;

	mail_folder_new();
	if (store_open(mail_folder, true, 0, &store) != STORE_OK)
		abort();
	store_close(&store);
	for (unsigned i = 0; i < sizeof(MESSAGES) / sizeof(MESSAGES[0]); i++)
		put_message(i);
}

static void run(const uint8_t *data, size_t size)
{
	struct pop3_session s = { .channel = channel[0], .timeout = TIMEOUT };
	int ends[2];

	s.out = buffer_limited(OUT_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0 ||
		write(ends[0], data, size) != (ssize_t)size || shutdown(ends[0], SHUT_WR) < 0 ||
		store_open(mail_folder, true, 0, &s.store) != STORE_OK ||
		mailbox_open(s.store, SLICE("INBOX"), false, &s.mailbox) != STORE_OK)
		abort();
	s.client = ends[1];
	s.entries = mailbox_entries(s.mailbox, &s.count);
	s.marks = calloc(s.count + 1, 1);
	pop3_serve(&s);
	free(s.marks);
	buffer_free(&s.in);
	buffer_free(&s.out);
	mailbox_close(&s.mailbox);
	store_close(&s.store);
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned round;

	if (nowhere < 0) {
		nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
		log_open(nowhere, "fuzz", "fuzz", false, false);
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, channel) <
			0)
			abort();
	}
	/* QUIT takes messages away. */
	if (round++ % ROUNDS == 0)
		fill_folder();
	if (size <= INPUT_MAX)
		run(data, size);
	return 0;
}
