// SPDX-License-Identifier: ISC
/* Handshakes of fronts, with a tlsd that is played here at the other end of a real channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/tls.h"

/* ---- The world ---------------------------------------------------------------------------------------------------------- */

struct service {
	struct loop *loop;
};

static struct service service;
static struct link *link_of_front;
static struct channel tlsd;
static int64_t now;
static uint32_t asked, cancelled; /* serials tlsd heard of last */
static int asked_fd;
static struct tls_settings settings;
static struct tls_link *opened[16], *tls; /* they live as long as their front */
static unsigned opened_count;
static struct tls_handshake handshake;
static struct {
	unsigned calls;
	int fd;
	char protocol[32], reason[256];
} outcome;

static int64_t clock_now(void)
{
	return now;
}

struct loop *service_loop(struct service *s)
{
	return s->loop;
}

static void gone(struct channel *channel, const char *why)
{
	struct link *link = channel->context;

	link->down(link);
}

static void tlsd_receives(struct channel *channel, struct message *message)
{
	if (message->type == MESSAGE_TLS_CANCEL) {
		cancelled = message->tls_cancel.serial;
		return;
	}
	assert_int_equal(message->type, MESSAGE_TLS_ACCEPT);
	assert_true(slice_equal(message->tls_accept.certificates, SLICE("chain /x\n")));
	assert_true(slice_equal(message->tls_accept.client_address, SLICE("192.0.2.1")));
	asked = message->tls_accept.serial;
	asked_fd = message_take_fd(message, 0);
}

static void tlsd_gone(struct channel *channel, const char *why)
{
}

/* The standing connection, without a master to ask for it. */
void link_open(struct link *link, struct service *s, enum service_id to, channel_receive receive,
	void (*up)(struct link *), void (*down)(struct link *), void *context)
{
	int ends[2];

	*link = (struct link){ .service = s, .to = to, .down = down, .context = context };
	assert_int_equal(to, SERVICE_TLSD);
	assert_true(channel_pair(ends));
	assert_true(channel_open(&link->channel, s->loop, ends[0], receive, gone, link));
	assert_true(channel_open(&tlsd, s->loop, ends[1], tlsd_receives, tlsd_gone, NULL));
	link_of_front = link;
}

struct channel *link_channel(struct link *link)
{
	return channel_is_open(&link->channel) ? &link->channel : NULL;
}

bool link_send(struct link *link, const struct message *message)
{
	return channel_is_open(&link->channel) && channel_send(&link->channel, message);
}

static void turn(void)
{
	for (unsigned i = 0; i < 5; i++)
		loop_turn(service.loop, 0);
}

static void done(struct tls_handshake *h, int fd, const struct tls_info *info, const char *reason)
{
	assert_ptr_equal(h, &handshake);
	assert_int_equal(h->serial, 0);
	outcome.calls++;
	outcome.fd = fd;
	snprintf(outcome.protocol, sizeof(outcome.protocol), "%s", info ? info->protocol : "");
	snprintf(outcome.reason, sizeof(outcome.reason), "%s", reason);
}

static int setup(void **state)
{
	now = 1000;
	asked = cancelled = 0;
	asked_fd = -1;
	service.loop = loop_new(clock_now);
	settings = (struct tls_settings){ .level = TLS_LEVEL_MAY,
		.service = "imap",
		.alpn = "imap",
		.protocols = ">=TLSv1.2",
		.options = "",
		.timeout = 10000 };
	handshake = (struct tls_handshake){ .done = done };
	outcome.calls = 0;
	outcome.fd = -1;
	if (!buffer_add_text(&settings.certificates, "chain /x\n"))
		return -1;
	tls = opened[opened_count++] = tls_open(&service, &settings);
	return tls ? 0 : -1;
}

static int teardown(void **state)
{
	if (asked_fd >= 0)
		close(asked_fd);
	if (outcome.fd >= 0)
		close(outcome.fd);
	channel_close(&link_of_front->channel);
	channel_close(&tlsd);
	tls_settings_free(&settings);
	loop_free(&service.loop);
	return 0;
}

/* With `said` read of the client already. The front's descriptor is closed, as fronts do. */
static void begin(char *said)
{
	const struct front_client peer = { .address = "192.0.2.1", .port = 4711 };
	size_t unread = strlen(said);
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_true(tls_start(tls, &handshake, ends[0], &peer, said, &unread));
	assert_int_equal(unread, 0);
	close(ends[0]);
	close(ends[1]);
	turn();
}

static void answer(uint32_t serial, enum tls_status status, bool with_fd)
{
	struct message message = { .type = MESSAGE_TLS_READY };
	int ends[2] = { -1, -1 };

	if (with_fd) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		message.fd_count = 1;
		message.fds[0] = ends[0];
	}
	message.tls_ready.serial = serial;
	message.tls_ready.status = (uint8_t)status;
	message.tls_ready.protocol = SLICE("TLSv1.3");
	message.tls_ready.reason = status == TLS_OK ? SLICE("") : SLICE("no shared cipher");
	assert_true(channel_send(&tlsd, &message));
	turn();
	close(ends[0]);
	close(ends[1]);
}

/* ---- Tests -------------------------------------------------------------------------------------------------------------- */

static void the_client_comes_back_with_what_is_known_of_it(void **state)
{
	char said[] = "";

	begin(said);
	assert_true(asked != 0 && asked_fd >= 0);
	answer(asked, TLS_OK, true);
	assert_int_equal(outcome.calls, 1);
	assert_true(outcome.fd >= 0);
	assert_string_equal(outcome.protocol, "TLSv1.3");
}

static void what_was_read_in_clear_is_wiped(void **state)
{
	char said[] = "b LOGIN evil secret";

	begin(said);
	for (size_t i = 0; i < sizeof(said); i++)
		assert_int_equal(said[i], 0);
}

static void a_failure_comes_with_its_reason(void **state)
{
	char said[] = "";

	begin(said);
	answer(asked, TLS_FAILED, false);
	assert_int_equal(outcome.calls, 1);
	assert_int_equal(outcome.fd, -1);
	assert_string_equal(outcome.reason, "no shared cipher");
}

static void success_without_a_connection_is_a_failure(void **state)
{
	char said[] = "";

	begin(said);
	answer(asked, TLS_OK, false);
	assert_int_equal(outcome.fd, -1);
	assert_int_equal(outcome.calls, 1);
}

static void an_answer_to_nobody_is_passed_over(void **state)
{
	char said[] = "";

	begin(said);
	answer(asked + 1, TLS_OK, true);
	assert_int_equal(outcome.calls, 0);
	answer(asked, TLS_OK, true);
	answer(asked, TLS_OK, true);
	assert_int_equal(outcome.calls, 1);
}

static void who_is_cancelled_hears_nothing(void **state)
{
	char said[] = "";

	begin(said);
	tls_cancel(&handshake);
	turn();
	assert_int_equal(cancelled, asked);
	answer(asked, TLS_OK, true);
	assert_int_equal(outcome.calls, 0);
	tls_cancel(&handshake);
}

static void a_tlsd_that_says_nothing_is_waited_for_in_vain(void **state)
{
	char said[] = "";

	begin(said);
	now += settings.timeout + 60000;
	turn();
	assert_int_equal(outcome.calls, 1);
	assert_string_equal(outcome.reason, "timeout");
	assert_int_equal(cancelled, asked);
}

static void when_tlsd_goes_all_handshakes_fail(void **state)
{
	char said[] = "";

	begin(said);
	channel_close(&tlsd);
	turn();
	assert_int_equal(outcome.calls, 1);
	assert_int_equal(outcome.fd, -1);
	assert_string_equal(outcome.reason, "TLS service went away");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_client_comes_back_with_what_is_known_of_it),
		T(what_was_read_in_clear_is_wiped),
		T(a_failure_comes_with_its_reason),
		T(success_without_a_connection_is_a_failure),
		T(an_answer_to_nobody_is_passed_over),
		T(who_is_cancelled_hears_nothing),
		T(a_tlsd_that_says_nothing_is_waited_for_in_vain),
		T(when_tlsd_goes_all_handshakes_fail),
	};

	return cmocka_run_group_tests_name("tls_handshakes", tests, NULL, NULL);
}
