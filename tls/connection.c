// SPDX-License-Identifier: ISC
/* Connections of tlsd: from TLS_ACCEPT to the end of the handshake. See connection.h. */
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

struct handshake {
	uint32_t serial;
	struct signing signing;
	struct certificate_set *set;
	char service[17], client_address[65];
	uint16_t client_port;
	bool waits_for_set;
};

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

static void close_watch(struct watch *watch)
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

void connection_end(struct tls_connection *connection)
{
	finish_job(connection);
	loop_timer_stop(&connection->timer);
	close_watch(&connection->tcp);
	close_watch(&connection->plain);
	*connection->at = connection->next;
	if (connection->next)
		connection->next->at = connection->at;
	connection->world->ended(connection);
	SSL_free(connection->ssl);
	free(connection->in.data);
	free(connection->out.data);
	free(connection->handshake);
	free(connection);
}

void connection_drop(struct tls_connection *connection)
{
	connection_end(connection);
}

/* --- the end of a handshake --- */

static void answer_failure(struct tls_connection *connection, const char *reason)
{
	struct message answer = { .type = MESSAGE_TLS_READY };

	figures_add(FIGURE_tls_failed, 1);
	answer.tls_ready.serial = connection->handshake->serial;
	answer.tls_ready.status = TLS_FAILED;
	answer.tls_ready.reason = slice_from(reason);
	connection->world->answer(connection, &answer);
	connection_end(connection);
}

static void set_up(struct tls_connection *connection)
{
	struct handshake *handshake = connection->handshake;
	struct message answer = { .type = MESSAGE_TLS_READY, .fd_count = 1 };
	struct facts_space space;
	struct facts_of of = { .service = slice_from(handshake->service),
		.client_address = slice_from(handshake->client_address),
		.client_port = handshake->client_port,
		.digest = handshake->set->digest,
		.seal_key = connection->world->seal_key };
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		answer_failure(connection, strerror(errno));
		return;
	}
	connection->plain.fd = ends[0];
	if (!facts_fill(connection->ssl, &of, &space, &answer.tls_ready)) {
		close(ends[1]);
		answer_failure(connection, "the connection's facts cannot be sealed");
		return;
	}
	answer.tls_ready.serial = handshake->serial;
	answer.tls_ready.status = TLS_OK;
	answer.fds[0] = ends[1];
	figures_add(FIGURE_tls_handshakes, 1);
	if (answer.tls_ready.resumed)
		figures_add(FIGURE_tls_resumed, 1);
	SSL_clear_mode(connection->ssl, SSL_MODE_ASYNC);
	connection->world->answer(connection, &answer);
	close(ends[1]);
	buffer_free(&space.seal);
	free(handshake);
	connection->handshake = NULL;
	SSL_set_app_data(connection->ssl, NULL);
	loop_timer_stop(&connection->timer);
	connection_pump(connection);
}

/* In words for the server's log; the client's own alert says most. */
static void failure_text(int error, char *text, size_t size)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (error == SSL_ERROR_SYSCALL && !code)
		snprintf(text, size, "%s", errno ? strerror(errno) : "lost connection");
	else if (error == SSL_ERROR_WANT_ASYNC_JOB)
		snprintf(text, size, "too many handshakes");
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
		failure_text(error, reason, sizeof(reason));
		answer_failure(connection, reason);
	}
}

static void tcp_ready(struct watch *watch, uint32_t events)
{
	struct tls_connection *connection = watch->context;

	if (connection->handshake)
		step(connection);
	else
		connection_pump(connection);
}

static void plain_ready(struct watch *watch, uint32_t events)
{
	connection_pump(watch->context);
}

static void signed_now(struct signing *signing)
{
	step(signing->context);
}

static void time_is_over(struct timer *timer)
{
	struct tls_connection *connection = timer->context;

	if (connection->handshake)
		answer_failure(connection, "timeout in the TLS handshake");
	else
		connection_end(connection);
}

/* --- certificates --- */

int connection_choose(SSL *ssl, void *unused)
{
	struct tls_connection *connection = SSL_get_app_data(ssl);
	const struct server_name *name;

	if (!connection || !connection->handshake)
		return 0;
	if (!connection->handshake->set->known)
		return -1;
	name = certificates_choose(
		connection->handshake->set, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	if (!name)
		return 0;
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

/* --- the beginning --- */

static struct handshake *handshake_new(struct tls_connection *connection,
	const struct message_tls_accept *accept, struct certificate_set *set)
{
	struct handshake *handshake = calloc(1, sizeof(*handshake));

	if (!handshake)
		return NULL;
	handshake->serial = accept->serial;
	handshake->set = set;
	handshake->signing = (struct signing){
		.signer = connection->world->signer, .resume = signed_now, .context = connection
	};
	handshake->client_port = accept->client_port;
	if (slice_to_string(accept->service, handshake->service, sizeof(handshake->service)) &&
		slice_to_string(accept->client_address, handshake->client_address,
			sizeof(handshake->client_address)))
		return handshake;
	free(handshake);
	return NULL;
}

static bool open_ssl(struct tls_connection *connection, SSL_CTX *context, int fd)
{
	if (!os_set_blocking(fd, false))
		return false;
	connection->ssl = SSL_new(context);
	if (!connection->ssl || !SSL_set_fd(connection->ssl, fd))
		return false;
	SSL_set_app_data(connection->ssl, connection);
	SSL_set_accept_state(connection->ssl);
	return true;
}

struct tls_connection *connection_new(struct tls_world *world, struct tls_connection **list,
	const struct message_tls_accept *accept, int fd, char *reason, size_t size)
{
	struct certificate_set *set = certificates_find(&world->certificates, accept->certificates);
	SSL_CTX *context = NULL;
	struct tls_connection *connection = NULL;

	if (!set)
		snprintf(reason, size, "no certificate is configured");
	else
		context = contexts_get(&world->contexts, accept, set, reason, size);
	if (context) {
		connection = calloc(1, sizeof(*connection));
		snprintf(reason, size, "out of memory");
	}
	if (!connection) {
		close(fd);
		return NULL;
	}
	connection->world = world;
	connection->tcp = (struct watch){ .fd = fd, .ready = tcp_ready, .context = connection };
	connection->plain = (struct watch){ .fd = -1, .ready = plain_ready, .context = connection };
	connection->timer = (struct timer){ .fire = time_is_over, .context = connection };
	connection->handshake = handshake_new(connection, accept, set);
	connection->tcp.events = EPOLLIN;
	if (!connection->handshake || !open_ssl(connection, context, fd) ||
		!loop_watch(world->loop, &connection->tcp) ||
		!loop_timer_start(world->loop, &connection->timer, accept->timeout_ms)) {
		close_watch(&connection->tcp);
		SSL_free(connection->ssl);
		free(connection->handshake);
		free(connection);
		ERR_clear_error();
		return NULL;
	}
	connection->next = *list;
	connection->at = list;
	if (connection->next)
		connection->next->at = &connection->next;
	*list = connection;
	return connection;
}
