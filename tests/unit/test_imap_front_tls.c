// SPDX-License-Identifier: ISC
/* The IMAP front and TLS: what a client is told when, and that nothing said in clear counts under TLS. tlsd is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "imapd/front.h"
#include "service/log.h"

/* ---- The world ---------------------------------------------------------------------------------------------------------- */

struct tls_link {
	struct tls_handshake *handshake; /* under way */
	int fd; /* what the front gave */
	bool away;
};

static struct tls_link tlsd;
static struct imap_front front;
static struct conn *conn;
static bool closed;
static unsigned logins;
static int client; /* the client's end, later tlsd's */
static char text[8192];

bool tls_start(struct tls_link *link, struct tls_handshake *handshake, int fd,
	const struct front_client *peer, char *plaintext, size_t *unread)
{
	struct message message;

	tls_request(&front.tls, peer, plaintext, unread, &message);
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

void conn_close(struct conn *c)
{
	loop_timer_stop(&c->timer);
	loop_unwatch(&c->watch);
	if (c->watch.fd >= 0)
		close(c->watch.fd);
	conn_forget_prelogin(c);
	free(c);
	closed = true;
}

void conn_login(struct conn *c, struct slice user, struct slice password)
{
	logins++;
	assert_true(c->client.secured);
	conn_reply(c, "NO");
}

void conn_authenticate(struct conn *c, struct slice mechanism, struct slice initial)
{
	logins++;
	conn_reply(c, "NO");
}

void conn_sasl_line(struct conn *c, struct slice line)
{
}

static void turn(void)
{
	for (unsigned i = 0; i < 5; i++)
		loop_turn(front.loop, 0);
}

/* What the client got since the last call. */
static const char *got(void)
{
	ssize_t n;

	turn();
	n = recv(client, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *say(const char *line)
{
	assert_int_equal(send(client, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	return got();
}

static void handshake_succeeds(void)
{
	static const struct tls_info INFO = {
		.protocol = "TLSv1.3", .seal_length = 4, .seal = "seal"
	};
	struct tls_handshake *handshake = tlsd.handshake;
	int ends[2];

	assert_non_null(handshake);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	close(client);
	close(tlsd.fd);
	client = ends[0];
	tlsd.handshake = NULL;
	handshake->serial = 0;
	handshake->done(handshake, ends[1], &INFO, "");
}

static int setup(void **state)
{
	tlsd = (struct tls_link){ 0 };
	front = (struct imap_front){ .login_timeout = 60000,
		.max_failures = 3,
		.mechanisms = "plain, login",
		.disable_plaintext = true,
		.plaintext_networks = "127.0.0.0/8",
		.loop = loop_new(NULL),
		.tlsd = &tlsd,
		.tls = { .level = TLS_LEVEL_MAY,
			.service = "imap",
			.alpn = "imap",
			.protocols = "",
			.options = "" } };
	closed = false;
	logins = 0;
	conn = NULL;
	return buffer_add_text(&front.tls.certificates, "chain /x\n") && front.loop ? 0 : -1;
}

static int teardown(void **state)
{
	if (!closed && conn)
		conn_close(conn);
	close(client);
	tls_settings_free(&front.tls);
	loop_free(&front.loop);
	return 0;
}

static void connect_from(const char *address)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	client = ends[0];
	conn = calloc(1, sizeof(*conn));
	assert_non_null(conn);
	conn->front = &front;
	conn->watch.fd = ends[1];
	snprintf(conn->client.peer.address, sizeof(conn->client.peer.address), "%s", address);
	conn->plaintext = conn->client.secured = tls_plaintext_allowed(
		&front.tls, front.disable_plaintext, front.plaintext_networks, &conn->client.peer);
	conn_begin(conn);
}

/* ---- Tests -------------------------------------------------------------------------------------------------------------- */

static void from_afar_no_password_is_taken_in_clear(void **state)
{
	connect_from("192.0.2.1");
	got();
	assert_non_null(strstr(text, "STARTTLS LOGINDISABLED"));
	assert_null(strstr(text, "AUTH=PLAIN"));
	assert_non_null(strstr(say("a LOGIN one secret\r\n"), "a NO [PRIVACYREQUIRED]"));
	assert_non_null(strstr(say("b AUTHENTICATE PLAIN\r\n"), "b NO [PRIVACYREQUIRED]"));
	assert_int_equal(logins, 0);
}

static void this_machine_may_say_passwords_in_clear(void **state)
{
	connect_from("127.0.0.1");
	assert_non_null(strstr(got(), "STARTTLS AUTH=PLAIN"));
	say("a LOGIN one secret\r\n");
	assert_int_equal(logins, 1);
}

static void where_tls_must_be_nobody_says_passwords_in_clear(void **state)
{
	front.tls.level = TLS_LEVEL_ENCRYPT;
	connect_from("127.0.0.1");
	assert_non_null(strstr(got(), "LOGINDISABLED"));
	say("a LOGIN one secret\r\n");
	assert_int_equal(logins, 0);
}

static void under_tls_passwords_are_taken_and_starttls_is_not(void **state)
{
	connect_from("192.0.2.1");
	got();
	assert_string_equal(say("a STARTTLS\r\n"), "a OK Begin TLS negotiation now.\r\n");
	handshake_succeeds();
	assert_string_equal(got(), "");
	say("b CAPABILITY\r\n");
	assert_null(strstr(text, "STARTTLS"));
	assert_null(strstr(text, "LOGINDISABLED"));
	assert_non_null(strstr(text, "AUTH=PLAIN"));
	assert_non_null(strstr(say("c STARTTLS\r\n"), "c BAD TLS is already active"));
	say("d LOGIN one secret\r\n");
	assert_int_equal(logins, 1);
	assert_memory_equal(conn->client.seal.data, "seal", 4);
}

/* CVE-2021-33515 and its like elsewhere: commands behind STARTTLS in one packet. */
static void commands_sent_with_starttls_are_never_run(void **state)
{
	connect_from("192.0.2.1");
	got();
	assert_string_equal(say("a STARTTLS\r\nb LOGIN evil secret\r\nc LOG"),
		"a OK Begin TLS negotiation now.\r\n");
	handshake_succeeds();
	assert_string_equal(got(), "");
	assert_int_equal(logins, 0);
	assert_non_null(strstr(say("d NOOP\r\n"), "d OK"));
	assert_int_equal(logins, 0);
}

static void half_a_literal_is_dropped_too(void **state)
{
	connect_from("127.0.0.1");
	got();
	say("a STARTTLS\r\nb LOGIN {5}\r\nev");
	handshake_succeeds();
	assert_string_equal(
		say("il\r\nc NOOP\r\n"), "il BAD Missing argument.\r\nc OK NOOP completed.\r\n");
}

static void before_the_handshake_the_greeting_waits(void **state)
{
	front.tls.wrapper = true;
	connect_from("192.0.2.1");
	assert_string_equal(got(), "");
	handshake_succeeds();
	assert_non_null(strstr(got(), "* OK [CAPABILITY IMAP4rev1"));
	assert_null(strstr(text, "STARTTLS"));
	assert_non_null(strstr(text, "AUTH=PLAIN"));
}

static void a_failed_handshake_is_the_end(void **state)
{
	connect_from("192.0.2.1");
	say("a STARTTLS\r\n");
	tlsd.handshake->serial = 0;
	tlsd.handshake->done(tlsd.handshake, -1, NULL, "no shared cipher");
	assert_true(closed);
	close(tlsd.fd);
}

static void without_tlsd_the_client_is_let_go(void **state)
{
	tlsd.away = true;
	connect_from("192.0.2.1");
	say("a STARTTLS\r\n");
	assert_true(closed);
}

static void a_client_may_go_during_the_handshake(void **state)
{
	connect_from("192.0.2.1");
	say("a STARTTLS\r\n");
	assert_int_equal(tlsd.handshake->serial, 1);
	conn_end(conn, "Inactivity", "Disconnected for inactivity.");
	assert_true(closed);
	close(tlsd.fd);
}

static void without_a_certificate_there_is_no_starttls(void **state)
{
	buffer_clear(&front.tls.certificates);
	connect_from("192.0.2.1");
	assert_null(strstr(got(), "STARTTLS"));
	assert_non_null(strstr(say("a STARTTLS\r\n"), "a BAD TLS support isn't enabled"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(from_afar_no_password_is_taken_in_clear),
		T(this_machine_may_say_passwords_in_clear),
		T(where_tls_must_be_nobody_says_passwords_in_clear),
		T(under_tls_passwords_are_taken_and_starttls_is_not),
		T(commands_sent_with_starttls_are_never_run),
		T(half_a_literal_is_dropped_too),
		T(before_the_handshake_the_greeting_waits),
		T(a_failed_handshake_is_the_end),
		T(without_tlsd_the_client_is_let_go),
		T(a_client_may_go_during_the_handshake),
		T(without_a_certificate_there_is_no_starttls),
	};

	return cmocka_run_group_tests_name("imap_front_tls", tests, NULL, NULL);
}
