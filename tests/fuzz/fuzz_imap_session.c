// SPDX-License-Identifier: ISC
/* A whole IMAP session on a real store: any bytes after login. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imapd/session.h"
#include "tests/fuzz/mail_folder.h"

enum { ROUNDS = 500, INPUT_MAX = 60000 };

static const struct session_settings SETTINGS = {
	.command_limit = 16384, .literal_limit = 32768, .timeout = 1000, .keepalive_interval = 60000
};
static const char SEED[] = "a APPEND INBOX (\\Seen $One) {97+}\r\nFrom: a@b.test\r\nTo: "
			   "c@d.test\r\nSubject: =?utf-8?q?x=C3=BC?=\r\n"
			   "Date: Thu, 1 Feb 2024 10:00:00 +0000\r\n\r\nxy\r\n"
			   "b APPEND INBOX {146+}\r\nContent-Type: multipart/mixed; "
			   "boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
			   "Content-Type: message/rfc822\r\n\r\nSubject: "
			   "in\r\n\r\nbody\r\n--b--\r\nxxxxxxxxxxxxxxxxxxxx\r\n"
			   "c CREATE Box/Sub\r\nd COPY 1 Box\r\n";

static int nowhere = -1;

static void run(const char *data, size_t size)
{
	struct session s;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	if (write(ends[0], data, size) != (ssize_t)size)
		abort();
	shutdown(ends[0], SHUT_WR);
	if (!session_init(&s, ends[1], nowhere, -1, mail_folder, &SETTINGS, SLICE("")))
		abort();
	session_run(&s);
	session_free(&s);
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned round;

	if (nowhere < 0)
		nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (round++ % ROUNDS == 0) {
		mail_folder_new();
		run(SEED, sizeof(SEED) - 1);
	}
	if (size <= INPUT_MAX)
		run((const char *)data, size);
	return 0;
}
