// SPDX-License-Identifier: ISC
/*
 * A front that lies gets nothing: tickets alone, and then the real authd, with this program in the roles of master, of fronts,
 * and of the spawner that redeems what fronts bring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "auth/credentials.h"
#include "auth/tickets.h"
#include "tests/unit/master_world.h"

/* --- tickets --- */

static const struct ticket_holder FIRST = { 1, 71 }, SECOND = { 2, 72 };

struct redeemed {
	struct tickets *tickets;
	struct ticket_user user;
};

static void issue(struct redeemed *by, int64_t now, const struct ticket_holder *holder,
	const char *login, const char *app, unsigned char ticket[TICKET_BYTES])
{
	struct ticket_user user;

	snprintf(user.login, sizeof(user.login), "%s", login);
	snprintf(user.app, sizeof(user.app), "%s", app);
	assert_true(tickets_issue(by->tickets, now, holder, "imap", &user, ticket));
}

static bool redeem(struct redeemed *by, int64_t now, uint32_t front, const char *service,
	const unsigned char ticket[TICKET_BYTES])
{
	return tickets_redeem(by->tickets, now, front, slice_from(service),
		slice_of(ticket, TICKET_BYTES), &by->user);
}

static void ticket_is_good_once_for_its_service_from_its_front(void **state)
{
	struct redeemed by = { tickets_new(1000), { "", "" } };
	unsigned char ticket[TICKET_BYTES];

	issue(&by, 0, &FIRST, "one@example.org", "", ticket);
	assert_true(redeem(&by, 10, 71, "imap", ticket));
	assert_string_equal(by.user.login, "one@example.org");
	assert_false(redeem(&by, 10, 71, "imap", ticket));
	issue(&by, 0, &FIRST, "one@example.org", "", ticket);
	assert_false(redeem(&by, 10, 71, "pop3", ticket));
	assert_false(redeem(&by, 10, 71, "imap", ticket));
	issue(&by, 0, &FIRST, "one@example.org", "", ticket);
	assert_false(redeem(&by, 10, 72, "imap", ticket));
	assert_false(redeem(&by, 10, 71, "imap", ticket));
	assert_int_equal(tickets_count(by.tickets), 0);
	tickets_free(&by.tickets);
}

static void ticket_ends_with_its_time_and_its_connection(void **state)
{
	struct redeemed by = { tickets_new(1000), { "", "" } };
	unsigned char one[TICKET_BYTES], two[TICKET_BYTES], three[TICKET_BYTES];

	issue(&by, 0, &FIRST, "one@example.org", "", one);
	issue(&by, 500, &FIRST, "two@example.org", "", two);
	issue(&by, 500, &SECOND, "three@example.org", "", three);
	assert_false(redeem(&by, 1000, 71, "imap", one));
	tickets_revoke(by.tickets, 1);
	assert_false(redeem(&by, 1000, 71, "imap", two));
	assert_true(redeem(&by, 1000, 72, "imap", three));
	assert_string_equal(by.user.login, "three@example.org");
	assert_false(tickets_redeem(by.tickets, 1000, 71, SLICE("imap"), SLICE(""), &by.user));
	tickets_free(&by.tickets);
}

static void tickets_of_users_who_have_to_go_are_worth_nothing(void **state)
{
	struct redeemed by = { tickets_new(1000), { "", "" } };
	const struct message_sessions_order order = {
		.logins = slice_of("none@example.org\0one@example.org\0", 33)
	};
	unsigned char one[TICKET_BYTES], two[TICKET_BYTES];

	issue(&by, 0, &FIRST, "one@example.org", "", one);
	issue(&by, 0, &FIRST, "two@example.org", "", two);
	tickets_dismiss(by.tickets, &order);
	assert_false(redeem(&by, 1, 71, "imap", one));
	assert_true(redeem(&by, 1, 71, "imap", two));
	tickets_free(&by.tickets);
}

static void a_ticket_knows_the_application_password_that_it_is_worth(void **state)
{
	struct redeemed by = { tickets_new(1000), { "", "" } };
	const struct message_sessions_order order = { .logins = SLICE("one@example.org"),
		.app = SLICE("phone") };
	unsigned char own[TICKET_BYTES], phone[TICKET_BYTES], tablet[TICKET_BYTES];

	issue(&by, 0, &FIRST, "one@example.org", "", own);
	issue(&by, 0, &FIRST, "one@example.org", "phone", phone);
	issue(&by, 0, &FIRST, "one@example.org", "tablet", tablet);
	tickets_dismiss(by.tickets, &order);
	assert_false(redeem(&by, 1, 71, "imap", phone));
	assert_true(redeem(&by, 1, 71, "imap", own));
	assert_string_equal(by.user.app, "");
	assert_true(redeem(&by, 1, 71, "imap", tablet));
	assert_string_equal(by.user.app, "tablet");
	tickets_free(&by.tickets);
}

/* --- the real authd --- */

enum { LIFETIME = 1000 /* ms, what the configuration below says */ };

static int set_up_with(const char *settings)
{
	char path[PATH_MAX], error[300];
	struct credentials *credentials;

	world_make();
	world_make_folder("/data");
	world_make_folder("/data/auth");
	snprintf(path, sizeof(path), "%s/data/auth/credentials.db", world_folder);
	assert_true(credentials_open(path, true, &credentials, error, sizeof(error)));
	assert_true(credentials_set(
		credentials, "one@example.org", SLICE("secret"), 1, error, sizeof(error)));
	assert_true(credentials_set(
		credentials, "two@example.org", SLICE("other"), 1, error, sizeof(error)));
	credentials_close(&credentials);
	world_start("authd", settings);
	return 0;
}

static int set_up_authd(void **state)
{
	return set_up_with("auth_ticket_lifetime = 1s\n");
}

enum { NETWORK_LIMIT = 3, LONGEST_DELAY = 60000 /* ms */ }; /* as below */

static int set_up_network_limit(void **state)
{
	return set_up_with("auth_failure_network_limit = 3\nauth_failure_delay_limit = 60s\n"
			   "auth_failure_exempt_clients = 192.0.2.128/25\n");
}

static int tear_down_authd(void **state)
{
	static const char *const FILES[] = { "data/auth/credentials.db",
		"data/auth/credentials.db-wal", "data/auth/credentials.db-shm", NULL };
	static const char *const FOLDERS[] = { "data/auth", "data", NULL };

	world_end(FILES, FOLDERS);
	return 0;
}

struct held_ticket {
	unsigned char bytes[TICKET_BYTES];
};

static struct message_auth_result log_in(int front, const char *service, struct slice response)
{
	static struct message answer;
	struct message message = { .type = MESSAGE_AUTH_BEGIN };

	message.auth_begin.service = slice_from(service);
	message.auth_begin.mechanism = SLICE("PLAIN");
	message.auth_begin.has_initial = 1;
	message.auth_begin.initial = response;
	message.auth_begin.client_address = SLICE("192.0.2.1");
	say(front, &message);
	hear(front, &answer, MESSAGE_AUTH_RESULT);
	return answer.auth_result;
}

static struct held_ticket ticket_of(int front, const char *service, struct slice response)
{
	struct message_auth_result result = log_in(front, service, response);
	struct held_ticket ticket;

	assert_int_equal(result.status, AUTH_OK);
	assert_int_equal(result.ticket.length, TICKET_BYTES);
	memcpy(ticket.bytes, result.ticket.data, TICKET_BYTES);
	return ticket;
}

/* What the spawner learns that got this ticket from that front; NULL when it is refused. */
static const char *redeem_at(
	int spawner, const char *service, uint32_t front, const struct held_ticket *ticket)
{
	static char login[MAX_LOGIN + 1];
	struct message message = { .type = MESSAGE_AUTH_REDEEM };

	message.auth_redeem.service = slice_from(service);
	message.auth_redeem.front = front;
	message.auth_redeem.ticket = slice_of(ticket->bytes, TICKET_BYTES);
	say(spawner, &message);
	hear(spawner, &message, MESSAGE_AUTH_REDEEMED);
	if (message.auth_redeemed.status != AUTH_OK) {
		assert_int_equal(message.auth_redeemed.login.length, 0);
		return NULL;
	}
	assert_true(slice_to_string(message.auth_redeemed.login, login, sizeof(login)));
	return login;
}

static const struct slice ONE = SLICE("\0one@example.org\0secret"),
			  TWO = SLICE("\0two@example.org\0other");

static void front_gets_what_its_clients_proved_and_nothing_else(void **state)
{
	int front = introduce(SERVICE_IMAPD, 71), other = introduce(SERVICE_IMAPD, 72);
	int spawner = introduce(SERVICE_IMAPD_SESSION, 73);
	struct held_ticket one = ticket_of(front, "imap", ONE), two, made_up;

	/* What it knows, it cannot change: the name is authd's word, not the front's. */
	assert_string_equal(redeem_at(spawner, "imap", 71, &one), "one@example.org");
	/* Twice. */
	assert_null(redeem_at(spawner, "imap", 71, &one));
	/* Made up: at random, and near to a real one. */
	memset(&made_up, 0, sizeof(made_up));
	assert_null(redeem_at(spawner, "imap", 71, &made_up));
	two = made_up = ticket_of(front, "imap", TWO);
	made_up.bytes[TICKET_BYTES - 1] ^= 1;
	assert_null(redeem_at(spawner, "imap", 71, &made_up));
	assert_string_equal(redeem_at(spawner, "imap", 71, &two), "two@example.org");
	/* Somebody else's: another front's, found out somehow. It is spent by that, too. */
	one = ticket_of(other, "imap", ONE);
	assert_null(redeem_at(spawner, "imap", 71, &one));
	assert_null(redeem_at(spawner, "imap", 72, &one));
	/* Of a front that has gone. */
	one = ticket_of(other, "imap", ONE);
	close(other);
	assert_int_equal(log_in(front, "imap", SLICE("\0one@example.org\0no")).status, AUTH_FAILED);
	assert_null(redeem_at(spawner, "imap", 72, &one));
	close(front);
	close(spawner);
}

static void ticket_of_one_service_opens_no_other(void **state)
{
	int imap = introduce(SERVICE_IMAPD, 71), pop3 = introduce(SERVICE_POP3D, 72);
	int imap_spawner = introduce(SERVICE_IMAPD_SESSION, 73);
	int pop3_spawner = introduce(SERVICE_POP3D_SESSION, 74);
	struct held_ticket ticket = ticket_of(imap, "imap", ONE);

	assert_null(redeem_at(pop3_spawner, "pop3", 71, &ticket));
	assert_null(redeem_at(imap_spawner, "imap", 71, &ticket));
	ticket = ticket_of(pop3, "pop3", ONE);
	assert_string_equal(redeem_at(pop3_spawner, "pop3", 72, &ticket), "one@example.org");
	close(imap);
	close(pop3);
	close(imap_spawner);
	close(pop3_spawner);
}

/* Whoever steps out of his role loses his connection, and with it what he holds. */
static void nobody_asks_in_anothers_name(void **state)
{
	int front = introduce(SERVICE_IMAPD, 71), spawner = introduce(SERVICE_IMAPD_SESSION, 73);
	struct held_ticket ticket = ticket_of(front, "imap", ONE);
	struct message redeem = { .type = MESSAGE_AUTH_REDEEM };
	struct message begin = { .type = MESSAGE_AUTH_BEGIN };

	redeem.auth_redeem.service = SLICE("imap");
	redeem.auth_redeem.front = 71;
	redeem.auth_redeem.ticket = slice_of(ticket.bytes, TICKET_BYTES);
	say(front, &redeem);
	assert_true(is_closed(front));
	assert_null(redeem_at(spawner, "imap", 71, &ticket));
	close(front);
	front = introduce(SERVICE_IMAPD, 71);
	begin.auth_begin.service = SLICE("pop3");
	begin.auth_begin.mechanism = SLICE("PLAIN");
	say(front, &begin);
	assert_true(is_closed(front));
	redeem.auth_redeem.service = SLICE("pop3");
	say(spawner, &redeem);
	assert_true(is_closed(spawner));
	close(front);
	close(spawner);
}

/* --- sessions of SMTP --- */

static int session_of(uint32_t spawner, uint32_t number)
{
	struct message message = { .type = MESSAGE_AUTH_SESSION };
	int fd = introduce(SERVICE_SMTPD_SESSION, spawner);

	message.auth_session.number = number;
	say(fd, &message);
	return fd;
}

static int watch_of(uint32_t spawner)
{
	struct message message = { .type = MESSAGE_AUTH_WATCH };
	int fd = introduce(SERVICE_SMTPD_SESSION, spawner);

	say(fd, &message);
	return fd;
}

static void spawner_hears_who_logs_in_whatever_the_session_says(void **state)
{
	int other = watch_of(74), watch = watch_of(75);
	int first = session_of(75, 7), second = session_of(75, 8);
	struct message heard;

	assert_int_equal(log_in(first, "smtp", SLICE("\0one@example.org\0no")).status, AUTH_FAILED);
	assert_int_equal(log_in(second, "smtp", TWO).status, AUTH_OK);
	hear(watch, &heard, MESSAGE_AUTH_LOGIN);
	assert_int_equal(heard.auth_login.number, 8);
	assert_true(slice_equal(heard.auth_login.login, SLICE("two@example.org")));
	assert_true(slice_equal(heard.auth_login.client_address, SLICE("192.0.2.1")));
	/* One of several, and once more on the same connection. */
	assert_int_equal(log_in(second, "smtp", ONE).status, AUTH_OK);
	hear(watch, &heard, MESSAGE_AUTH_LOGIN);
	assert_int_equal(heard.auth_login.number, 8);
	assert_true(slice_equal(heard.auth_login.login, SLICE("one@example.org")));
	/* Who is not heard of does not log in; another spawner is no help. */
	close(watch);
	watch = watch_of(76);
	assert_int_equal(log_in(first, "smtp", ONE).status, AUTH_TEMPORARY);
	close(watch);
	close(other);
	close(first);
	close(second);
}

static void session_has_the_name_that_its_spawner_gave_it(void **state)
{
	struct message begin = { .type = MESSAGE_AUTH_BEGIN },
		       name = { .type = MESSAGE_AUTH_SESSION },
		       watch = { .type = MESSAGE_AUTH_WATCH };
	int fd = introduce(SERVICE_SMTPD_SESSION, 75);

	begin.auth_begin.service = SLICE("smtp");
	begin.auth_begin.mechanism = SLICE("PLAIN");
	say(fd, &begin);
	assert_true(is_closed(fd));
	close(fd);
	/* Not another's, and not its spawner's place. */
	fd = session_of(75, 7);
	name.auth_session.number = 8;
	say(fd, &name);
	assert_true(is_closed(fd));
	close(fd);
	fd = session_of(75, 7);
	say(fd, &watch);
	assert_true(is_closed(fd));
	close(fd);
	fd = session_of(75, 0);
	assert_true(is_closed(fd));
	close(fd);
	fd = introduce(SERVICE_IMAPD, 71);
	say(fd, &watch);
	assert_true(is_closed(fd));
	close(fd);
}

static void ticket_is_good_for_its_seconds_only(void **state)
{
	int front = introduce(SERVICE_IMAPD, 71), spawner = introduce(SERVICE_IMAPD_SESSION, 73);
	struct held_ticket ticket = ticket_of(front, "imap", ONE);
	int64_t end = loop_monotonic() + LIFETIME + 10;

	while (loop_monotonic() < end)
		usleep(10000);
	assert_null(redeem_at(spawner, "imap", 71, &ticket));
	close(front);
	close(spawner);
}

/* --- limits of failures --- */

enum { AT_ONCE = 12 /* more than run at the same time */ };

/* An exchange of PLAIN from there, up to the challenge. */
static void begin_plain(int front, uint32_t serial, const char *client)
{
	struct message message = { .type = MESSAGE_AUTH_BEGIN };

	message.auth_begin.serial = serial;
	message.auth_begin.service = SLICE("imap");
	message.auth_begin.mechanism = SLICE("PLAIN");
	message.auth_begin.client_address = slice_from(client);
	say(front, &message);
	hear(front, &message, MESSAGE_AUTH_CHALLENGE);
}

static void go_on(int front, uint32_t serial, struct slice response)
{
	struct message message = { .type = MESSAGE_AUTH_CONTINUE };

	message.auth_continue.serial = serial;
	message.auth_continue.response = response;
	say(front, &message);
}

/* They are begun before any of them fails, and answered all at once, the good password last; how many hear how theirs ended. */
static unsigned answered_at_once(int front, const char *client)
{
	static const struct slice WRONG = SLICE("\0one@example.org\0no");
	unsigned counts[AUTH_REFUSED + 1] = { 0 };
	struct message message;

	for (uint32_t i = 1; i <= AT_ONCE; i++)
		begin_plain(front, i, client);
	for (uint32_t i = 1; i <= AT_ONCE; i++)
		go_on(front, i, i < AT_ONCE ? WRONG : ONE);
	for (uint32_t i = 1; i <= AT_ONCE; i++) {
		hear(front, &message, MESSAGE_AUTH_RESULT);
		counts[message.auth_result.status]++;
		/* Whether it was hashed or not, it is answered at the same time. */
		if (message.auth_result.status == AUTH_REFUSED)
			assert_in_range(message.auth_result.delay, 30000, LONGEST_DELAY);
	}
	assert_int_equal(counts[AUTH_OK] + counts[AUTH_FAILED] + counts[AUTH_REFUSED], AT_ONCE);
	return counts[AUTH_OK] + counts[AUTH_FAILED];
}

static void limit_of_a_network_holds_for_what_began_before_it_was_reached(void **state)
{
	int front = introduce(SERVICE_IMAPD, 71);

	assert_int_equal(answered_at_once(front, "192.0.2.1"), NETWORK_LIMIT);
	assert_int_equal(log_in(front, "imap", ONE).status, AUTH_REFUSED);
	/* The exempt are not counted. */
	assert_int_equal(answered_at_once(front, "192.0.2.200"), AT_ONCE);
	close(front);
}

#define WITH_AUTHD(name) cmocka_unit_test_setup_teardown(name, set_up_authd, tear_down_authd)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticket_is_good_once_for_its_service_from_its_front),
		cmocka_unit_test(ticket_ends_with_its_time_and_its_connection),
		cmocka_unit_test(tickets_of_users_who_have_to_go_are_worth_nothing),
		cmocka_unit_test(a_ticket_knows_the_application_password_that_it_is_worth),
		WITH_AUTHD(front_gets_what_its_clients_proved_and_nothing_else),
		WITH_AUTHD(ticket_of_one_service_opens_no_other),
		WITH_AUTHD(nobody_asks_in_anothers_name),
		WITH_AUTHD(spawner_hears_who_logs_in_whatever_the_session_says),
		WITH_AUTHD(session_has_the_name_that_its_spawner_gave_it),
		WITH_AUTHD(ticket_is_good_for_its_seconds_only),
		cmocka_unit_test_setup_teardown(
			limit_of_a_network_holds_for_what_began_before_it_was_reached,
			set_up_network_limit, tear_down_authd),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
