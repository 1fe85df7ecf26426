// SPDX-License-Identifier: ISC
/*
 * A whole IMAP session on a store in a temporary folder: the client's words in, what it got out. For tests and for the bench of
 * one's own changes; included by the tests that need it.
 */
#ifndef TESTS_IMAP_TALK_H
#define TESTS_IMAP_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "imapd/session.h"

struct talk {
	char folder[64];
	struct buffer answer; /* of the last conversation */
	struct session_settings settings;
};

static inline struct talk *talk_new(void)
{
	struct talk *talk = calloc(1, sizeof(*talk));

	assert_non_null(talk);
	snprintf(talk->folder, sizeof(talk->folder), "/tmp/postern-imap-XXXXXX");
	assert_non_null(mkdtemp(talk->folder));
	talk->settings = (struct session_settings){ .command_limit = 65536,
		.literal_limit = 1 << 20,
		.timeout = 2000,
		.keepalive_interval = 60000 };
	return talk;
}

static inline int talk_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void talk_free(struct talk *talk)
{
	nftw(talk->folder, talk_remove, 16, FTW_DEPTH | FTW_PHYS);
	buffer_free(&talk->answer);
	free(talk);
}

/* Input in the socket, then end of file: the session says all it has to say and ends. */
static inline const char *talk_bytes(struct talk *talk, struct slice input)
{
	int ends[2], out = memfd_create("out", MFD_CLOEXEC), size = 1 << 20;
	struct session s;
	ssize_t n;

	assert_true(out >= 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(write(ends[0], input.data, input.length), (ssize_t)input.length);
	shutdown(ends[0], SHUT_WR);
	assert_true(session_init(&s, ends[1], out, -1, talk->folder, &talk->settings, SLICE("")));
	session_run(&s);
	session_free(&s);
	close(ends[0]);
	close(ends[1]);
	buffer_clear(&talk->answer);
	lseek(out, 0, SEEK_SET);
	do {
		char *to = buffer_reserve(&talk->answer, 65536);

		assert_non_null(to);
		n = read(out, to, 65536);
		talk->answer.length += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	close(out);
	assert_non_null(buffer_text(&talk->answer));
	return talk->answer.data;
}

static inline const char *talk(struct talk *t, const char *input)
{
	return talk_bytes(t, slice_from(input));
}

#define assert_says(talk, text) assert_says_at(talk, text, __FILE__, __LINE__)
static inline void assert_says_at(struct talk *t, const char *text, const char *file, int line)
{
	if (strstr(t->answer.data, text))
		return;
	fprintf(stderr, "%s:%d: not said: %s\n--- but\n%s---\n", file, line, text, t->answer.data);
	fail();
}
#define assert_silent(talk, text) assert_silent_at(talk, text, __FILE__, __LINE__)
static inline void assert_silent_at(struct talk *t, const char *text, const char *file, int line)
{
	if (!strstr(t->answer.data, text))
		return;
	fprintf(stderr, "%s:%d: said: %s\n--- in\n%s---\n", file, line, text, t->answer.data);
	fail();
}

/* APPEND with LITERAL+ as text for talk(). The result is the caller's to free. */
static inline char *talk_append(const char *mailbox, const char *options, const char *message)
{
	struct buffer b = { 0 };
	char *text;

	buffer_printf(
		&b, "a APPEND %s %s{%zu+}\r\n%s\r\n", mailbox, options, strlen(message), message);
	text = slice_dup(buffer_slice(&b));
	buffer_free(&b);
	return text;
}

#endif
