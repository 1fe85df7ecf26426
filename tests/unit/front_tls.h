// SPDX-License-Identifier: ISC
/*
 * A front that has its clients speak TLS, with tlsd and the client played by the test. For the tests of each front, which say first where
 * its settings are and how its loop is turned; included by them alone.
 */
#ifndef TESTS_FRONT_TLS_H
#define TESTS_FRONT_TLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/tls.h"

struct tls_link {
	struct tls_handshake *handshake; /* under way */
	int fd; /* what the front gave */
	bool away;
};

static struct tls_link tlsd;
static struct tls_settings *front_tls; /* the front's */
static struct loop **front_loop; /* likewise */
static unsigned logins; /* that the front tried */
static int client; /* the client's end, later tlsd's */
static char text[8192]; /* what it got last */

bool tls_start(struct tls_link *link, struct tls_handshake *handshake, int fd,
	const struct front_client *peer, char *plaintext, size_t *unread)
{
	struct message message;

	tls_request(front_tls, peer, plaintext, unread, &message);
	if (link->away)
		return false;
	handshake->serial = 1;
	link->handshake = handshake;
	link->fd = dup(fd);
	return true;
}

void tls_cancel(struct tls_handshake *handshake)
{
	handshake->serial = 0;
}

/* What the client got since the last call. */
static const char *got(void)
{
	ssize_t n;

	for (unsigned i = 0; i < 5; i++)
		loop_turn(*front_loop, 0);
	n = recv(client, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *say(const char *line)
{
	assert_int_equal(send(client, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	return got();
}

/* A connected pair: `client` is one end, the other is returned. */
static int new_client(void)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	client = ends[0];
	return ends[1];
}

static struct tls_handshake *end_of_handshake(void)
{
	struct tls_handshake *handshake = tlsd.handshake;

	assert_non_null(handshake);
	close(tlsd.fd);
	tlsd.handshake = NULL;
	handshake->serial = 0;
	return handshake;
}

static void handshake_succeeds(void)
{
	static const struct tls_info INFO = {
		.protocol = "TLSv1.3", .seal_length = 4, .seal = "seal"
	};
	struct tls_handshake *handshake = end_of_handshake();

	close(client);
	handshake->done(handshake, new_client(), &INFO, "");
}

static void handshake_fails(void)
{
	struct tls_handshake *handshake = end_of_handshake();

	handshake->done(handshake, -1, NULL, "no shared cipher");
}

/* Settings of a front that offers TLS and has a certificate. False: out of memory. */
static bool front_tls_offers(struct tls_settings *settings, struct loop **loop, const char *service)
{
	tlsd = (struct tls_link){ 0 };
	logins = 0;
	front_tls = settings;
	front_loop = loop;
	*settings = (struct tls_settings){ .level = TLS_LEVEL_MAY,
		.service = service,
		.alpn = service,
		.protocols = "",
		.options = "" };
	return *loop && buffer_add_text(&settings->certificates, "chain /x\n");
}

static void front_tls_end(void)
{
	close(client);
	tls_settings_free(front_tls);
	loop_free(front_loop);
}

#endif
