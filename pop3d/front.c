// SPDX-License-Identifier: ISC
/* The AUTHORIZATION state of POP3, one struct a client, all in one loop. See front.h. */
#include "pop3d/front.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/base64.h"
#include "service/figures.h"
#include "service/log.h"

struct pop3_client {
	struct pop3_client *next, **at;
	struct pop3_front *front;
	struct login_client login;
	struct watch watch;
	struct timer timeout, pause;
	struct buffer input;
	char user[MAX_LOGIN + 1];
	unsigned failures;
	int64_t since; /* loop time of accept */
	const char *why; /* it ends, for the log */
	const char *refusal; /* to be said when the pause is over */
	bool in_exchange; /* the next line is a SASL response */
	bool plaintext; /* passwords may be sent */
	bool stls; /* the reply to STLS has gone: no more is read in clear */
	struct tls_handshake handshake;
	struct tls_info *tls; /* NULL: it speaks in clear */
	bool closing;
	char attempted[MAX_LOGIN + 1];
};

static const char *tls_words(const struct pop3_client *client)
{
	return client->stls ? ", TLS handshaking" : client->tls ? ", TLS" : "";
}

/* In the form that filters of logs know. */
static void log_end(const struct pop3_client *client)
{
	int64_t seconds = (loop_now(service_loop(client->front->service)) - client->since) / 1000;

	log_info("pop3-login: %s (auth failed, %u attempts in %lld secs): user=<%s>, method=%s, "
		 "rip=%s, lip=%s%s",
		client->why, client->failures, (long long)seconds, client->attempted,
		client->login.mechanism, client->login.peer.address,
		client->login.peer.local_address, tls_words(client));
}

static void client_free(struct pop3_client *client)
{
	struct pop3_front *front = client->front;

	if (client->failures && client->login.state != LOGIN_SERVED)
		log_end(client);
	login_cancel(front->login, &client->login);
	tls_cancel(&client->handshake);
	free(client->tls);
	loop_timer_stop(&client->timeout);
	loop_timer_stop(&client->pause);
	loop_unwatch(&client->watch);
	if (client->watch.fd >= 0)
		close(client->watch.fd);
	front_release(front->clients, client->login.peer.address);
	*client->at = client->next;
	if (client->next)
		client->next->at = client->at;
	buffer_free(&client->input);
	free(client);
	front->count--;
	if (front->draining && front->count == 0)
		service_end(front->service, EX_OK);
}

/* Replies are short and the socket is fresh: what does not go at once means a client that does not read, and is dropped. */
static void reply(struct pop3_client *client, const char *format, ...) PRINTF_LIKE(2, 3);
static void reply(struct pop3_client *client, const char *format, ...)
{
	char line[MAX_SASL * 2];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 2, format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= sizeof(line) - 2) {
		client->closing = true;
		return;
	}
	line[length] = '\r';
	line[length + 1] = '\n';
	if (send(client->watch.fd, line, (size_t)length + 2, MSG_NOSIGNAL | MSG_DONTWAIT) !=
		length + 2)
		client->closing = true;
}

static bool offers_tls(const struct pop3_client *client)
{
	return tls_offered(&client->front->settings.tls) && !client->login.peer.local &&
	       !client->tls;
}

static void capa(struct pop3_client *client, struct slice arguments)
{
	struct buffer offers = { 0 };
	bool any = login_offers(&client->login, client->front->settings.mechanisms,
			   client->plaintext, " ", &offers) &&
		   offers.length;

	reply(client,
		"+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n%s%s%"
		"s%s%s"
		"IMPLEMENTATION Postern\r\n.",
		offers_tls(client) ? "STLS\r\n" : "", client->plaintext ? "USER\r\n" : "",
		any ? "SASL" : "", any ? buffer_text(&offers) : "", any ? "\r\n" : "");
	buffer_free(&offers);
}

static void stls(struct pop3_client *client, struct slice arguments)
{
	if (client->tls) {
		reply(client, "-ERR TLS is already active");
	} else if (!offers_tls(client)) {
		reply(client, "-ERR TLS support isn't enabled");
	} else {
		reply(client, "+OK Begin TLS negotiation now.");
		client->stls = true;
	}
}

static void quit(struct pop3_client *client, struct slice arguments)
{
	reply(client, "+OK Logging out");
	client->closing = true;
}

static bool refuse_plaintext(struct pop3_client *client)
{
	if (client->plaintext)
		return false;
	reply(client, "-ERR [AUTH] Plaintext authentication is not allowed on this connection");
	return true;
}

static void user(struct pop3_client *client, struct slice name)
{
	if (refuse_plaintext(client))
		return;
	if (name.length == 0 || !slice_to_string(name, client->user, sizeof(client->user)))
		reply(client, "-ERR Bad user name");
	else
		reply(client, "+OK");
}

static void begin(struct pop3_client *client, const char *mechanism, struct slice initial)
{
	if (!login_begin(client->front->login, &client->login, mechanism, initial))
		reply(client,
			"-ERR [SYS/TEMP] Authentication is not available now, try again later");
}

/* USER and PASS are SASL PLAIN in other words (RFC 4616): "\0name\0password". */
static void pass(struct pop3_client *client, struct slice password)
{
	char text[MAX_LOGIN + POP3_LINE_MAX + 2];
	struct buffer plain = { .data = text, .capacity = sizeof(text), .limit = sizeof(text) };

	if (client->user[0] == '\0') {
		reply(client, "-ERR USER first");
		return;
	}
	buffer_add_byte(&plain, '\0');
	buffer_add_text(&plain, client->user);
	buffer_add_byte(&plain, '\0');
	buffer_add(&plain, password);
	login_name_for_log(slice_from(client->user), client->attempted, sizeof(client->attempted));
	client->user[0] = '\0';
	if (slice_find(password, '\0') >= 0)
		reply(client, "-ERR Bad password");
	else
		begin(client, "PLAIN", buffer_slice(&plain));
	explicit_bzero(text, sizeof(text));
}

/* AUTH alone: the list, one a line (as some clients ask for it). */
static void list_mechanisms(struct pop3_client *client)
{
	struct buffer offers = { 0 };

	if (login_offers(&client->login, client->front->settings.mechanisms, client->plaintext,
		    "\r\n", &offers))
		reply(client, "+OK%s\r\n.", buffer_text(&offers));
	buffer_free(&offers);
}

static void auth(struct pop3_client *client, struct slice arguments)
{
	struct slice mechanism, rest = arguments;
	struct buffer initial = buffer_secret(MAX_SASL);
	char name[33];

	if (!slice_word(&rest, " ", &mechanism)) {
		list_mechanisms(client);
		return;
	}
	if (login_shows_password(mechanism) && refuse_plaintext(client))
		return;
	rest = slice_trim(rest);
	if (!slice_to_string(mechanism, name, sizeof(name))) {
		reply(client, "-ERR Unknown mechanism");
	} else if (rest.length && !slice_equal(rest, SLICE("=")) &&
		   !base64_decode(rest, &initial)) {
		reply(client, "-ERR Bad base64");
	} else {
		snprintf(client->attempted, sizeof(client->attempted), "%s", "");
		begin(client, name,
			rest.length ? slice_of(initial.data ? initial.data : "", initial.length)
				    : slice_of(NULL, 0));
	}
	buffer_free(&initial);
}

static const struct {
	const char *name;
	void (*run)(struct pop3_client *client, struct slice arguments);
} COMMANDS[] = { { "CAPA", capa }, { "USER", user }, { "PASS", pass }, { "AUTH", auth },
	{ "STLS", stls }, { "QUIT", quit } };

static void command(struct pop3_client *client, struct slice line)
{
	ptrdiff_t space = slice_find(line, ' ');
	struct slice name = space < 0 ? line : slice_head(line, (size_t)space);
	struct slice arguments =
		space < 0 ? slice_tail(line, line.length) : slice_tail(line, (size_t)space + 1);

	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (slice_equal_nocase(name, slice_from(COMMANDS[i].name))) {
			COMMANDS[i].run(client, arguments);
			return;
		}
	}
	if (++client->failures > client->front->settings.max_failures + 10)
		client->closing = true;
	reply(client, "-ERR Unknown command, or not before login");
}

static void response(struct pop3_client *client, struct slice line)
{
	struct buffer raw = buffer_secret(MAX_SASL);

	client->in_exchange = false;
	if (slice_equal(line, SLICE("*"))) {
		login_cancel(client->front->login, &client->login);
		reply(client, "-ERR Authentication cancelled");
	} else if (!base64_decode(line, &raw)) {
		login_cancel(client->front->login, &client->login);
		reply(client, "-ERR Bad base64");
	} else {
		login_continue(client->front->login, &client->login,
			slice_of(raw.data ? raw.data : "", raw.length));
	}
	buffer_free(&raw);
}

/* A client may speak when nothing of it is in the hands of authd or the spawner, and no failure delay runs. */
static bool may_speak(const struct pop3_client *client)
{
	return !client->closing && !client->stls && !client->pause.place &&
	       (client->login.state == LOGIN_NONE ||
		       (client->login.state == LOGIN_AUTHENTICATING && client->in_exchange));
}

/* Handles one line; false when there is none yet. */
static bool one_line(struct pop3_client *client)
{
	ptrdiff_t end = slice_find(buffer_slice(&client->input), '\n');
	size_t most = client->in_exchange ? POP3_RESPONSE_MAX : POP3_LINE_MAX;
	struct slice line;

	if (end < 0 && client->input.length <= POP3_RESPONSE_MAX)
		return false;
	line = slice_head(buffer_slice(&client->input), end < 0 ? 0 : (size_t)end);
	if (line.length && line.data[line.length - 1] == '\r')
		line.length--;
	/* AUTH may bring its initial response along. */
	if (!client->in_exchange && slice_starts_nocase(line, SLICE("AUTH ")))
		most = POP3_RESPONSE_MAX;
	if (end < 0 || line.length > most) {
		reply(client, "-ERR Line too long");
		client->closing = true;
		return false;
	}
	if (client->in_exchange)
		response(client, line);
	else
		command(client, line);
	buffer_consume(&client->input, (size_t)end + 1);
	return true;
}

static void start_tls(struct pop3_client *client);

/* Ends with the client freed when it is closing. */
static void serve(struct pop3_client *client)
{
	while (may_speak(client) && one_line(client))
		continue;
	if (client->closing && client->login.state != LOGIN_SERVED)
		client_free(client);
	else if (client->stls && !client->handshake.serial)
		start_tls(client);
}

static void readable(struct watch *watch, uint32_t events);

/* ---- TLS (RFC 2595, RFC 8314) --------------------------------------------------------------------------------------- */

static void tls_failed(struct pop3_client *client, const char *reason)
{
	log_info("pop3-login: Disconnected: Connection closed: SSL_accept() failed: %s: user=<>, "
		 "rip=%s, lip=%s%s",
		reason, client->login.peer.address, client->login.peer.local_address,
		tls_words(client));
	client_free(client);
}

static void greet(struct pop3_client *client)
{
	reply(client, "+OK %s Postern ready.", client->front->settings.host);
	if (client->closing)
		client_free(client);
}

static bool listen_to(struct pop3_client *client, int fd)
{
	client->watch =
		(struct watch){ .fd = fd, .events = EPOLLIN, .ready = readable, .context = client };
	return loop_watch(service_loop(client->front->service), &client->watch);
}

static void tls_done(
	struct tls_handshake *handshake, int fd, const struct tls_info *info, const char *reason)
{
	struct pop3_client *client = handshake->context;

	if (fd < 0) {
		tls_failed(client, reason);
		return;
	}
	client->tls = malloc(sizeof(*client->tls));
	if (!client->tls || !listen_to(client, fd)) {
		client->watch.fd = fd;
		client_free(client);
		return;
	}
	*client->tls = *info;
	client->login.certificate = client->tls->fingerprint[0] != 0;
	client->login.seal = slice_of(client->tls->seal, client->tls->seal_length);
	client->login.secured = client->plaintext = true;
	client->stls = false;
	tls_log_established(&client->front->settings.tls, client->login.peer.address, info);
	if (client->front->settings.tls.wrapper)
		greet(client);
}

/* Nothing that was said in clear counts any more, a name given by USER neither. */
static void start_tls(struct pop3_client *client)
{
	struct pop3_front *front = client->front;
	bool good;

	client->stls = true;
	client->user[0] = '\0';
	client->handshake.done = tls_done;
	client->handshake.context = client;
	loop_unwatch(&client->watch);
	good = front->tlsd &&
	       tls_start(front->tlsd, &client->handshake, client->watch.fd, &client->login.peer,
		       client->input.data, &client->input.length);
	close(client->watch.fd);
	client->watch.fd = -1;
	if (!good)
		tls_failed(client, "not available");
}

static void readable(struct watch *watch, uint32_t events)
{
	struct pop3_client *client = watch->context;
	char *to =
		client->input.length < POP3_INPUT_MAX ? buffer_reserve(&client->input, 4096) : NULL;
	ssize_t n;

	if (!to && (events & (EPOLLHUP | EPOLLERR))) {
		client_free(client);
		return;
	}
	if (!to) {
		/* It sends on and on while it may not: the rest waits in the socket. */
		loop_rewatch(watch, 0);
		return;
	}
	n = recv(watch->fd, to, 4096, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(client);
		return;
	}
	client->input.length += (size_t)n;
	serve(client);
}

static void timed_out(struct timer *timer)
{
	struct pop3_client *client = timer->context;

	reply(client, "-ERR Disconnected for inactivity");
	client->why = "Disconnected: Inactivity";
	client_free(client);
}

static void pause_over(struct timer *timer)
{
	struct pop3_client *client = timer->context;

	if (client->refusal)
		reply(client, "%s", client->refusal);
	client->refusal = NULL;
	if (client->failures >= client->front->settings.max_failures) {
		client->why = "Aborted login";
		client->closing = true;
	}
	loop_rewatch(&client->watch, EPOLLIN);
	serve(client);
}

static void challenge(struct login_client *login, struct slice raw)
{
	struct pop3_client *client = login->context;
	struct buffer text = buffer_limited(MAX_SASL * 2);

	client->in_exchange = true;
	if (!base64_encode(raw, &text))
		client->closing = true;
	else
		reply(client, "+ %.*s", (int)text.length, text.data ? text.data : "");
	buffer_free(&text);
	loop_rewatch(&client->watch, EPOLLIN);
	serve(client);
}

static void accepted(struct login_client *login, struct slice final)
{
	struct pop3_client *client = login->context;

	loop_unwatch(&client->watch);
	loop_timer_stop(&client->timeout);
	login->fd = client->watch.fd;
	login_hand_over(client->front->login, login, slice_from(""), buffer_slice(&client->input));
}

/* Guessing costs time: the answer waits, and so does whatever the client sends meanwhile. */
static void refuse(struct pop3_client *client, const char *answer)
{
	client->failures++;
	client->refusal = answer;
	log_info("pop3-login: Login failed: user=<%s>, method=%s, rip=%s, lip=%s%s",
		client->attempted, client->login.mechanism, client->login.peer.address,
		client->login.peer.local_address, tls_words(client));
	client->pause = (struct timer){ .fire = pause_over, .context = client };
	loop_timer_start(service_loop(client->front->service), &client->pause, client->login.delay);
}

static void failed(struct login_client *login, enum auth_status status, const char *reason)
{
	struct pop3_client *client = login->context;

	client->in_exchange = false;
	if (!client->attempted[0])
		login_name_for_log(
			slice_from(login->login), client->attempted, sizeof(client->attempted));
	switch (status) {
	case AUTH_FAILED:
		refuse(client, "-ERR [AUTH] Authentication failed");
		return;
	case AUTH_REFUSED:
		refuse(client, "-ERR [SYS/TEMP] Too many failures, try again later");
		return;
	case AUTH_NO_MECHANISM:
		reply(client, "-ERR Unknown mechanism");
		break;
	case AUTH_BAD:
		client->login.delay = 0;
		refuse(client, "-ERR [AUTH] Authentication failed");
		return;
	default:
		reply(client, "-ERR [SYS/TEMP] Temporary authentication failure");
	}
	/* What it sent ahead is handled from the loop, not from here. */
	client->pause = (struct timer){ .fire = pause_over, .context = client };
	loop_timer_start(service_loop(client->front->service), &client->pause, 0);
}

static void served(struct login_client *login)
{
	struct pop3_client *client = login->context;

	log_info("pop3-login: Login: user=<%s>, method=%s, rip=%s, lip=%s, mpid=%lld%s",
		login->login, login->mechanism, login->peer.address, login->peer.local_address,
		(long long)login->pid, tls_words(client));
	close(client->watch.fd);
	client->watch.fd = -1;
	buffer_free(&client->input);
}

static void refused(struct login_client *login, const char *reason)
{
	struct pop3_client *client = login->context;

	log_warning("pop3-login: user=<%s>, rip=%s: %s", login->login, login->peer.address, reason);
	reply(client, "-ERR [SYS/TEMP] Mailbox is not available now, try again later");
	client_free(client);
}

static void ended(struct login_client *login)
{
	client_free(login->context);
}

const struct login_hooks POP3_LOGIN_HOOKS = { .challenge = challenge,
	.accepted = accepted,
	.failed = failed,
	.served = served,
	.refused = refused,
	.ended = ended };

static void turn_away(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("refused client does not read");
	close(fd);
}

void pop3_accepted(
	void *context, int fd, const struct front_client *peer, enum front_refusal refusal)
{
	struct pop3_front *front = context;
	struct pop3_client *client;

	figures_add(refusal == FRONT_ACCEPTED ? FIGURE_connections : FIGURE_connections_refused, 1);
	if (refusal != FRONT_ACCEPTED) {
		turn_away(fd, "-ERR [SYS/TEMP] Too many connections\r\n");
		return;
	}
	client = calloc(1, sizeof(*client));
	if (!client) {
		turn_away(fd, "-ERR [SYS/TEMP] Try again later\r\n");
		front_release(front->clients, peer->address);
		return;
	}
	client->front = front;
	client->since = loop_now(service_loop(front->service));
	client->why = "Disconnected";
	client->input = buffer_secret(POP3_INPUT_MAX + 4096);
	client->login = (struct login_client){ .fd = fd, .peer = *peer, .context = client };
	client->next = front->first;
	client->at = &front->first;
	if (client->next)
		client->next->at = &client->next;
	front->first = client;
	front->count++;
	client->timeout = (struct timer){ .fire = timed_out, .context = client };
	loop_timer_start(
		service_loop(front->service), &client->timeout, front->settings.login_timeout);
	client->plaintext = client->login.secured = tls_plaintext_allowed(&front->settings.tls,
		front->settings.no_plaintext, front->settings.plaintext_networks, peer);
	client->watch.fd = fd;
	if (front->settings.tls.wrapper && !peer->local)
		start_tls(client);
	else if (listen_to(client, fd))
		greet(client);
	else
		client_free(client);
}

void pop3_close_all(struct pop3_front *front)
{
	for (struct pop3_client *client = front->first, *next; client; client = next) {
		next = client->next;
		if (client->login.state == LOGIN_SERVED ||
			client->login.state == LOGIN_HANDING_OVER)
			continue;
		reply(client, "-ERR [SYS/TEMP] Server is shutting down");
		client_free(client);
	}
}
