// SPDX-License-Identifier: ISC
/* What the unit tests of SMTP sessions share: a world for each test, and looks at what came of it. For cmocka. */
#ifndef TESTS_SMTP_TEST_H
#define TESTS_SMTP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/log.h"
#include "tests/unit/smtp_world.h"

static int log_fd = -1;

static inline int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || ftruncate(log_fd, 0) < 0)
		return -1;
	world_open(w);
	*state = w;
	return 0;
}

static inline int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

static inline struct world *connected(void **state)
{
	struct world *w = *state;

	world_connect(w, "192.0.2.1");
	return w;
}

/* Up to the state where content may come. */
static inline void envelope(struct world *w)
{
	world_say(w, "EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT "
		     "TO:<one@example.test>\r\n");
	assert_int_equal(session_state(&w->session), STATE_RCPT);
}

static inline void assert_content(struct world *w, const char *wanted)
{
	assert_int_equal(w->content.length, strlen(wanted));
	assert_memory_equal(w->content.data, wanted, strlen(wanted));
}

static inline void assert_logged(const char *wanted)
{
	char text[65536];
	ssize_t length = pread(log_fd, text, sizeof(text) - 1, 0);

	assert_true(length >= 0);
	text[length] = '\0';
	if (!strstr(text, wanted))
		fail_msg("not logged: %s\nbut:\n%s", wanted, text);
}

static inline const char *after_354(const struct world *w)
{
	assert_int_equal(strncmp(w->out.data, "354 ", 4), 0);
	return strchr(w->out.data, '\n') + 1;
}

static inline void open_log(void)
{
	log_fd = memfd_create("log", 0);
	fcntl(log_fd, F_SETFL, O_APPEND);
	log_open(log_fd, "postern/smtpd", "mail", false, false);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
