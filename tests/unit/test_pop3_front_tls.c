// SPDX-License-Identifier: ISC
/* The POP3 front and TLS: what a client is told when, and that nothing said in clear counts under TLS. tlsd and authd are played here. */
#include "front_tls.h"

#include "pop3d/front.h"
#include "service/internal.h"

/* ---- The world ---------------------------------------------------------------------------------------------------------- */

static struct service service;
static struct pop3_front front;
static bool secured, authd_thinks;

bool login_begin(
	struct login *login, struct login_client *c, const char *mechanism, struct slice initial)
{
	logins++;
	secured = c->secured;
	if (authd_thinks)
		c->state = LOGIN_AUTHENTICATING;
	return authd_thinks;
}

void login_continue(struct login *login, struct login_client *c, struct slice response)
{
}

void login_cancel(struct login *login, struct login_client *c)
{
}

void login_hand_over(
	struct login *login, struct login_client *c, struct slice tag, struct slice input)
{
}

void login_name_for_log(struct slice name, char *to, size_t size)
{
	to[0] = '\0';
}

void front_release(struct front *f, const char *address)
{
}

static int setup(void **state)
{
	authd_thinks = false;
	service = (struct service){ .loop = loop_new(NULL) };
	front = (struct pop3_front){ .service = &service,
		.tlsd = &tlsd,
		.settings = { .host = "mail.example.test",
			.login_timeout = 60000,
			.max_failures = 3,
			.mechanisms = "plain, login",
			.no_plaintext = true,
			.plaintext_networks = "127.0.0.0/8" } };
	return front_tls_offers(&front.settings.tls, &service.loop, "pop3") ? 0 : -1;
}

static int teardown(void **state)
{
	pop3_close_all(&front);
	front_tls_end();
	return 0;
}

static void connect_from(const char *address)
{
	struct front_client peer = { .port = 1 };

	snprintf(peer.address, sizeof(peer.address), "%s", address);
	pop3_accepted(&front, new_client(), &peer, FRONT_ACCEPTED);
}

/* ---- Tests -------------------------------------------------------------------------------------------------------------- */

static void from_afar_no_password_is_taken_in_clear(void **state)
{
	connect_from("192.0.2.1");
	assert_non_null(strstr(got(), "+OK "));
	say("CAPA\r\n");
	assert_non_null(strstr(text, "STLS\r\n"));
	assert_null(strstr(text, "USER"));
	assert_null(strstr(text, "SASL"));
	assert_non_null(strstr(say("USER one\r\n"), "-ERR"));
	assert_non_null(strstr(say("AUTH PLAIN AG9uZQBzZWNyZXQ=\r\n"), "-ERR"));
	assert_int_equal(logins, 0);
}

static void this_machine_may_say_passwords_in_clear(void **state)
{
	connect_from("127.0.0.1");
	got();
	say("CAPA\r\n");
	assert_non_null(strstr(text, "STLS\r\nUSER\r\nSASL PLAIN LOGIN\r\n"));
	say("USER one\r\nPASS secret\r\n");
	assert_int_equal(logins, 1);
}

static void where_tls_must_be_nobody_says_passwords_in_clear(void **state)
{
	front.settings.tls.level = TLS_LEVEL_ENCRYPT;
	connect_from("127.0.0.1");
	got();
	assert_non_null(strstr(say("USER one\r\n"), "-ERR"));
}

static void under_tls_passwords_are_taken_and_stls_is_not(void **state)
{
	connect_from("192.0.2.1");
	got();
	assert_string_equal(say("STLS\r\n"), "+OK Begin TLS negotiation now.\r\n");
	handshake_succeeds();
	assert_string_equal(got(), "");
	say("CAPA\r\n");
	assert_null(strstr(text, "STLS"));
	assert_non_null(strstr(text, "USER"));
	assert_string_equal(say("STLS\r\n"), "-ERR TLS is already active\r\n");
	say("USER one\r\nPASS secret\r\n");
	assert_int_equal(logins, 1);
	assert_true(secured);
}

static void commands_sent_with_stls_are_never_run(void **state)
{
	connect_from("127.0.0.1");
	got();
	assert_string_equal(say("USER evil\r\nSTLS\r\nPASS secret\r\nUS"),
		"+OK\r\n+OK Begin TLS negotiation now.\r\n");
	handshake_succeeds();
	assert_string_equal(got(), "");
	assert_int_equal(logins, 0);
	/* The name given in clear is forgotten, too. */
	assert_string_equal(say("PASS secret\r\n"), "-ERR USER first\r\n");
}

static void before_the_handshake_the_greeting_waits(void **state)
{
	front.settings.tls.wrapper = true;
	connect_from("192.0.2.1");
	assert_string_equal(got(), "");
	handshake_succeeds();
	assert_non_null(strstr(got(), "+OK mail.example.test"));
}

static void a_failed_handshake_is_the_end(void **state)
{
	connect_from("192.0.2.1");
	say("STLS\r\n");
	handshake_fails();
	assert_int_equal(front.count, 0);
}

static void without_a_certificate_there_is_no_stls(void **state)
{
	buffer_clear(&front.settings.tls.certificates);
	connect_from("192.0.2.1");
	got();
	assert_null(strstr(say("CAPA\r\n"), "STLS"));
	assert_string_equal(say("STLS\r\n"), "-ERR TLS support isn't enabled\r\n");
}

/* What can be read no more and has gone would be told again in each turn. */
static void a_client_that_said_too_much_and_went_is_forgotten(void **state)
{
	char much[4097];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	authd_thinks = true;
	connect_from("127.0.0.1");
	got();
	say("USER one\r\nPASS secret\r\n");
	assert_int_equal(logins, 1);
	for (size_t sent = 0; sent < 2 * POP3_INPUT_MAX; sent += sizeof(much) - 1)
		say(much);
	assert_int_equal(front.count, 1);
	close(client);
	client = -1;
	got();
	assert_int_equal(front.count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(from_afar_no_password_is_taken_in_clear),
		T(this_machine_may_say_passwords_in_clear),
		T(where_tls_must_be_nobody_says_passwords_in_clear),
		T(under_tls_passwords_are_taken_and_stls_is_not),
		T(commands_sent_with_stls_are_never_run),
		T(before_the_handshake_the_greeting_waits),
		T(a_failed_handshake_is_the_end),
		T(a_client_that_said_too_much_and_went_is_forgotten),
		T(without_a_certificate_there_is_no_stls),
	};

	return cmocka_run_group_tests_name("pop3_front_tls", tests, NULL, NULL);
}
