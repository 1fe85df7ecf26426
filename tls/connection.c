// SPDX-License-Identifier: ISC
/* Connections of tlsd: from TLS_ACCEPT or TLS_CONNECT to the end of the handshake. See connection.h. */
#include "tls/connection.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/os.h"
#include "service/figures.h"
#include "tls/connection_impl.h"
#include "tls/facts.h"

uint32_t connection_serial(const struct tls_connection *connection)
{
	return connection->handshake ? connection->handshake->serial : 0;
}

bool connection_wait(struct tls_connection *connection, struct watch *watch, uint32_t events)
{
	if (!events) {
		if (watch->loop)
			loop_unwatch(watch);
		return true;
	}
	if (watch->loop) {
		loop_rewatch(watch, events);
		return true;
	}
	watch->events = events;
	if (loop_watch(connection->world->loop, watch))
		return true;
	connection_end(connection);
	return false;
}

void connection_close_watch(struct watch *watch)
{
	if (watch->loop)
		loop_unwatch(watch);
	os_close(&watch->fd);
}

/* A handshake that waits for a signature is inside a job, which must come to its end before anything of it can be freed. */
static void finish_job(struct tls_connection *connection)
{
	struct handshake *handshake = connection->handshake;

	if (!handshake || !handshake->signing.serial)
		return;
	signer_cancel(&handshake->signing);
	signer_enter(connection->world->signer, &handshake->signing);
	(void)SSL_do_handshake(connection->ssl);
	signer_enter(connection->world->signer, NULL);
	ERR_clear_error();
}

void handshake_free(struct handshake *handshake)
{
	if (handshake)
		free(handshake->fingerprints);
	free(handshake);
}

void connection_end(struct tls_connection *connection)
{
	finish_job(connection);
	loop_timer_stop(&connection->timer);
	connection_close_watch(&connection->tcp);
	connection_close_watch(&connection->plain);
	*connection->at = connection->next;
	if (connection->next)
		connection->next->at = connection->at;
	connection->world->ended(connection);
	SSL_free(connection->ssl);
	held_release(&connection->in);
	held_release(&connection->out);
	handshake_free(connection->handshake);
	buffer_free(&connection->session_key);
	free(connection);
}

void connection_drop(struct tls_connection *connection)
{
	connection_end(connection);
}

/* --- the end of a handshake --- */

void connection_fail(struct tls_connection *connection, const char *reason)
{
	struct message answer = { .type = MESSAGE_TLS_READY };

	figures_add(FIGURE_tls_failed, 1);
	answer.tls_ready.serial = connection->handshake->serial;
	answer.tls_ready.status = TLS_FAILED;
	answer.tls_ready.reason = slice_from(reason);
	connection->world->answer(connection, &answer);
	connection_end(connection);
}

static bool has_fingerprint(const char *fingerprints, const struct message_tls_ready *ready)
{
	struct slice rest = slice_from(fingerprints), word;

	while (slice_word(&rest, ", \t", &word))
		if (slice_equal_nocase(word, ready->fingerprint) ||
			slice_equal_nocase(word, ready->key_fingerprint))
			return true;
	return false;
}

/* What a client of the suite wants of the server's certificate. False: `reason` says why it is not good enough. */
static bool check_server(const struct tls_connection *connection, struct message_tls_ready *ready,
	char *reason, size_t size)
{
	const struct handshake *handshake = connection->handshake;
	long result = SSL_get_verify_result(connection->ssl);

	if (handshake->check == TLS_CHECK_FINGERPRINT) {
		ready->trusted = ready->fingerprint.length != 0 &&
				 has_fingerprint(handshake->fingerprints, ready);
		snprintf(reason, size, "%s", "no fingerprint of the server's certificate matches");
	} else {
		snprintf(reason, size, "%s", X509_verify_cert_error_string(result));
	}
	if (ready->trusted)
		return true;
	ready->reason = slice_from(reason);
	return handshake->check == TLS_CHECK_NONE;
}

/* Whatever the handshake went by, a session that was taken up again above all: nobody is passed on who is not good enough. */
static bool check_peer(const struct tls_connection *connection, struct message_tls_ready *ready,
	char *reason, size_t size)
{
	if (connection->handshake->opens)
		return check_server(connection, ready, reason, size);
	snprintf(reason, size, "no trusted certificate of the client");
	return ready->trusted || !connection->handshake->needs_trusted;
}

/* A session of TLS 1.2 is there with the handshake, those of TLS 1.3 come later by themselves. */
static void keep_session(struct tls_connection *connection)
{
	if (SSL_version(connection->ssl) < TLS1_3_VERSION)
		sessions_keep(&connection->world->sessions, buffer_slice(&connection->session_key),
			SSL_get0_session(connection->ssl));
}

int connection_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_connection *connection = SSL_get_app_data(ssl);

	/* Not before the server's certificate was looked at. */
	if (connection && !connection->handshake && connection->session_key.length)
		sessions_keep(&connection->world->sessions, buffer_slice(&connection->session_key),
			session);
	return 0;
}

static void set_up(struct tls_connection *connection)
{
	struct handshake *handshake = connection->handshake;
	struct message answer = { .type = MESSAGE_TLS_READY, .fd_count = 1 };
	struct facts_space space;
	struct facts_of of = { .service = slice_from(handshake->service),
		.client_address = slice_from(handshake->address),
		.client_port = handshake->port,
		.digest = handshake->set ? handshake->set->digest : EVP_sha256(),
		.seal_key = handshake->opens ? NULL : connection->world->seal_key };
	char reason[200] = "";
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		connection_fail(connection, strerror(errno));
		return;
	}
	connection->plain.fd = ends[0];
	if (!facts_fill(connection->ssl, &of, &space, &answer.tls_ready)) {
		close(ends[1]);
		connection_fail(connection, "the connection's facts cannot be sealed");
		return;
	}
	if (!check_peer(connection, &answer.tls_ready, reason, sizeof(reason))) {
		close(ends[1]);
		buffer_free(&space.seal);
		(void)SSL_shutdown(connection->ssl);
		connection_fail(connection, reason);
		return;
	}
	answer.tls_ready.serial = handshake->serial;
	answer.tls_ready.status = TLS_OK;
	answer.fds[0] = ends[1];
	figures_add(FIGURE_tls_handshakes, 1);
	if (answer.tls_ready.resumed)
		figures_add(FIGURE_tls_resumed, 1);
	connection->world->answer(connection, &answer);
	close(ends[1]);
	buffer_free(&space.seal);
	if (handshake->opens)
		keep_session(connection);
	else
		SSL_set_app_data(connection->ssl, NULL);
	handshake_free(handshake);
	connection->handshake = NULL;
	loop_timer_stop(&connection->timer);
	connection_pump_begin(connection);
}

/* In words for the server's log; the client's own alert says most. */
static void failure_text(const SSL *ssl, int error, char *text, size_t size)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (error == SSL_ERROR_SYSCALL && !code)
		snprintf(text, size, "%s", errno ? strerror(errno) : "lost connection");
	else if (error == SSL_ERROR_WANT_ASYNC_JOB)
		snprintf(text, size, "too many handshakes");
	else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		snprintf(text, size, "%s: %s", reason,
			X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		snprintf(text, size, "lost connection");
	else
		snprintf(text, size, "%s", reason ? reason : "TLS handshake failed");
	ERR_clear_error();
}

static void step(struct tls_connection *connection)
{
	struct handshake *handshake = connection->handshake;
	char reason[200];
	int result, error;

	ERR_clear_error();
	errno = 0;
	signer_enter(connection->world->signer, &handshake->signing);
	result = SSL_do_handshake(connection->ssl);
	signer_enter(connection->world->signer, NULL);
	if (result == 1) {
		set_up(connection);
		return;
	}
	error = SSL_get_error(connection->ssl, result);
	handshake->waits_for_set = error == SSL_ERROR_WANT_X509_LOOKUP;
	switch (error) {
	case SSL_ERROR_WANT_READ:
		connection_wait(connection, &connection->tcp, EPOLLIN);
		return;
	case SSL_ERROR_WANT_WRITE:
		connection_wait(connection, &connection->tcp, EPOLLOUT);
		return;
	case SSL_ERROR_WANT_ASYNC:
	case SSL_ERROR_WANT_X509_LOOKUP:
		connection_wait(connection, &connection->tcp, 0);
		return;
	default:
		failure_text(connection->ssl, error, reason, sizeof(reason));
		connection_fail(connection, reason);
	}
}

void connection_tcp_ready(struct watch *watch, uint32_t events)
{
	struct tls_connection *connection = watch->context;

	if (connection->handshake)
		step(connection);
	else
		connection_pump(connection);
}

void connection_plain_ready(struct watch *watch, uint32_t events)
{
	connection_pump(watch->context);
}

void connection_signed(struct signing *signing)
{
	step(signing->context);
}

void connection_time_over(struct timer *timer)
{
	struct tls_connection *connection = timer->context;

	if (connection->handshake)
		connection_fail(connection, "timeout in the TLS handshake");
	else
		connection_end(connection);
}

/* --- certificates --- */

/*
 * A client's certificate is shown in TLS 1.3 only: in TLS 1.2 it would sign all that was said before, which keyd cannot tell from other
 * things.
 */
static bool shows_none(SSL *ssl, const struct handshake *handshake)
{
	return handshake->opens && (!handshake->set || SSL_version(ssl) < TLS1_3_VERSION);
}

int connection_choose(SSL *ssl, void *unused)
{
	struct tls_connection *connection = SSL_get_app_data(ssl);
	struct handshake *handshake = connection ? connection->handshake : NULL;
	const struct server_name *name;

	if (!handshake)
		return 0;
	if (shows_none(ssl, handshake))
		return 1;
	if (!handshake->set->known)
		return -1;
	name = certificates_choose(handshake->set,
		handshake->opens ? NULL : SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	if (!name)
		return handshake->opens;
	SSL_certs_clear(ssl);
	for (unsigned i = 0; i < name->count; i++)
		if (SSL_use_cert_and_key(ssl, name->chains[i].leaf, name->chains[i].key,
			    name->chains[i].rest, 1) != 1)
			return 0;
	return name->count > 0;
}

void connections_wake(struct tls_connection *list)
{
	struct tls_connection *next;

	for (struct tls_connection *connection = list; connection; connection = next) {
		next = connection->next;
		if (connection->handshake && connection->handshake->waits_for_set)
			step(connection);
	}
}
