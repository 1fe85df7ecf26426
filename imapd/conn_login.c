// SPDX-License-Identifier: ISC
/* Logging in: what authd and the session spawner answer, in IMAP's words. See front.h and service/login.h. */
#include "imapd/front.h"

#include <unistd.h>

#include "base/base64.h"
#include "service/log.h"

/* authd or the spawner cannot be asked, or cannot tell: nothing is known, nothing is counted. */
static void unavailable(struct conn *conn)
{
	conn->state = CONN_LOGIN;
	conn->pre->sasl = false;
	conn_reply(conn, "NO [UNAVAILABLE] Temporary authentication failure.");
}

/* The name for the log, as the client gave it. */
static void remember_user(struct conn *conn, struct slice user)
{
	login_name_for_log(user, conn->pre->user, sizeof(conn->pre->user));
}

static void begin(struct conn *conn, const char *mechanism, struct slice initial)
{
	conn->state = CONN_AUTH;
	conn->client.fd = conn->watch.fd;
	if (!login_begin(conn->front->login, &conn->client, mechanism, initial))
		unavailable(conn);
}

void conn_login(struct conn *conn, struct slice user, struct slice password)
{
	struct buffer initial = buffer_secret(CONN_INPUT_LIMIT + 2);

	buffer_add_byte(&initial, '\0');
	buffer_add(&initial, user);
	buffer_add_byte(&initial, '\0');
	buffer_add(&initial, password);
	remember_user(conn, user);
	begin(conn, "PLAIN", buffer_slice(&initial));
	buffer_free(&initial);
}

void conn_authenticate(struct conn *conn, struct slice mechanism, struct slice initial)
{
	char name[sizeof(conn->client.mechanism)];

	if (!slice_to_string(mechanism, name, sizeof(name))) {
		conn_reply(conn, "NO [CANNOT] Unsupported authentication mechanism.");
		return;
	}
	for (char *c = name; *c; c++)
		*c = ascii_upper(*c);
	conn->pre->user[0] = '\0';
	begin(conn, name, initial);
}

static void abort_exchange(struct conn *conn, const char *reply)
{
	login_cancel(conn->front->login, &conn->client);
	conn->pre->sasl = false;
	conn->pre->bad++;
	conn->state = CONN_LOGIN;
	conn_reply(conn, reply);
}

void conn_sasl_line(struct conn *conn, struct slice line)
{
	struct buffer response = buffer_secret(CONN_INPUT_LIMIT);

	if (slice_equal(line, SLICE("*"))) {
		abort_exchange(conn, "BAD Authentication aborted.");
	} else if (!base64_decode(line, &response)) {
		abort_exchange(conn, "BAD Invalid base64.");
	} else {
		conn->pre->sasl = false;
		conn->state = CONN_AUTH;
		login_continue(conn->front->login, &conn->client, buffer_slice(&response));
	}
	buffer_free(&response);
}

static void on_challenge(struct login_client *client, struct slice challenge)
{
	struct conn *conn = client->context;
	struct buffer line = { 0 };

	buffer_add_text(&line, "+ ");
	base64_encode(challenge, &line);
	buffer_add_text(&line, "\r\n");
	buffer_add(&conn->pre->out, buffer_slice(&line));
	buffer_free(&line);
	conn->pre->sasl = true;
	conn->state = CONN_LOGIN;
	conn_continue(conn);
}

static void on_accepted(struct login_client *client, struct slice final)
{
	struct conn *conn = client->context;

	remember_user(conn, slice_from(client->login));
	conn->state = CONN_HANDOVER;
	login_hand_over(conn->front->login, client, slice_from(conn->pre->tag),
		buffer_slice(&conn->pre->in));
}

/* Guessing is slow: the answer waits, and nothing is read meanwhile. */
static void refuse(struct conn *conn, const char *reply)
{
	struct prelogin *l = conn->pre;

	l->failures++;
	l->refusal = reply;
	conn->state = CONN_DELAY;
	log_info("imap-login: Login failed: user=<%s>, method=%s, rip=%s, lip=%s%s", l->user,
		conn->client.mechanism, conn->client.peer.address, conn->client.peer.local_address,
		conn_tls_words(conn));
	loop_timer_start(conn->front->loop, &conn->timer, conn->client.delay);
}

static void on_failed(struct login_client *client, enum auth_status status, const char *reason)
{
	struct conn *conn = client->context;

	conn->state = CONN_LOGIN;
	conn->pre->sasl = false;
	if (!conn->pre->user[0])
		remember_user(conn, slice_from(client->login));
	switch (status) {
	case AUTH_FAILED:
		refuse(conn, "NO [AUTHENTICATIONFAILED] Authentication failed.");
		break;
	case AUTH_REFUSED:
		refuse(conn, "NO [UNAVAILABLE] Too many failures, try again later.");
		break;
	case AUTH_NO_MECHANISM:
		conn->pre->bad++;
		conn_reply(conn, "NO [CANNOT] Unsupported authentication mechanism.");
		break;
	case AUTH_BAD:
		conn->pre->bad++;
		conn_reply(conn, "BAD Invalid authentication response.");
		break;
	default:
		unavailable(conn);
	}
	conn_continue(conn);
}

static void on_served(struct login_client *client)
{
	struct conn *conn = client->context;

	if (conn->state == CONN_RESUMING) {
		sleeper_resumed(conn);
		return;
	}
	log_info("imap-login: Login: user=<%s>, method=%s, rip=%s, lip=%s, mpid=%lld%s",
		client->login, client->mechanism, client->peer.address, client->peer.local_address,
		(long long)client->pid, conn_tls_words(conn));
	loop_timer_stop(&conn->timer);
	loop_unwatch(&conn->watch);
	close(conn->watch.fd);
	conn->watch.fd = -1;
	conn->state = CONN_SESSION;
	conn_forget_prelogin(conn);
}

static void on_refused(struct login_client *client, const char *reason)
{
	struct conn *conn = client->context;

	log_warning("imap-login: no session for user=<%s>: %s", client->login, reason);
	if (conn->state == CONN_RESUMING) {
		sleeper_end(conn, "Internal error, try again later.");
		return;
	}
	unavailable(conn);
	loop_timer_start(conn->front->loop, &conn->timer, conn->front->login_timeout);
	conn_continue(conn);
}

static void on_ended(struct login_client *client)
{
	struct conn *conn = client->context;

	/* A sleeper has no session that could end: its spawner went away, and the ticket with it. */
	if (conn->state == CONN_ASLEEP)
		sleeper_end(conn, "Server restarts.");
	else
		conn_close(conn);
}

const struct login_hooks CONN_LOGIN_HOOKS = {
	.challenge = on_challenge,
	.accepted = on_accepted,
	.failed = on_failed,
	.served = on_served,
	.refused = on_refused,
	.ended = on_ended,
	.spawner_says = sleeper_spawner_says,
};
