// SPDX-License-Identifier: ISC
/* The IMAP front and TLS: what a client is told when, and that nothing said in clear counts under TLS. tlsd is played here. */
#include "front_tls.h"

#include "imapd/front.h"
#include "service/log.h"

/* ---- The world ---------------------------------------------------------------------------------------------------------- */

static struct imap_front front;
static struct conn *conn;
static bool closed;

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

static int setup(void **state)
{
	front = (struct imap_front){ .login_timeout = 60000,
		.max_failures = 3,
		.mechanisms = "plain, login",
		.disable_plaintext = true,
		.plaintext_networks = "127.0.0.0/8",
		.loop = loop_new(NULL),
		.tlsd = &tlsd };
	closed = false;
	conn = NULL;
	return front_tls_offers(&front.tls, &front.loop, "imap") ? 0 : -1;
}

static int teardown(void **state)
{
	if (!closed && conn)
		conn_close(conn);
	front_tls_end();
	return 0;
}

static void connect_from(const char *address)
{
	conn = calloc(1, sizeof(*conn));
	assert_non_null(conn);
	conn->front = &front;
	conn->watch.fd = new_client();
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
	handshake_fails();
	assert_true(closed);
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
