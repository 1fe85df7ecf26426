// SPDX-License-Identifier: ISC
/* How a connection of tlsd begins. See connection.h. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"
#include "tls/connection_impl.h"

static struct handshake *handshake_new(struct tls_connection *connection,
	const struct tls_wanted *wanted, struct certificate_set *set)
{
	struct handshake *handshake = calloc(1, sizeof(*handshake));

	if (!handshake)
		return NULL;
	handshake->serial = wanted->serial;
	handshake->set = set;
	handshake->signing = (struct signing){ .signer = connection->world->signer,
		.resume = connection_signed,
		.context = connection };
	handshake->port = wanted->port;
	handshake->opens = wanted->opens;
	handshake->needs_trusted = wanted->client_certificate == TLS_CERTIFICATE_REQUIRE;
	handshake->check = wanted->check;
	handshake->fingerprints = slice_dup(wanted->fingerprints);
	if (handshake->fingerprints &&
		slice_to_string(wanted->service, handshake->service, sizeof(handshake->service)) &&
		slice_to_string(wanted->address, handshake->address, sizeof(handshake->address)))
		return handshake;
	handshake_free(handshake);
	return NULL;
}

/* Names the certificate may be for: RFC 6125 6.4, wildcards for a whole label only. */
static bool set_names(SSL *ssl, struct slice names)
{
	char name[256];
	struct slice word;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	while (slice_word(&names, ", \t", &word))
		if (!slice_to_string(word, name, sizeof(name)) || !SSL_add1_host(ssl, name))
			return false;
	return true;
}

/* All that a session's trust depends on, and whom it is with. */
static bool set_session_key(struct tls_connection *connection, const struct tls_context *context,
	const struct tls_wanted *wanted)
{
	struct buffer *key = &connection->session_key;

	buffer_add(key, buffer_slice(&context->key));
	buffer_printf(key, "\n%.*s\n%.*s %u\n%.*s\n%u\n", SLICE_ARG(wanted->host),
		SLICE_ARG(wanted->address), wanted->port, SLICE_ARG(wanted->names), wanted->check);
	return buffer_add(key, wanted->fingerprints);
}

static bool prepare_client(struct tls_connection *connection, const struct tls_context *context,
	const struct tls_wanted *wanted)
{
	SSL *ssl = connection->ssl;
	SSL_SESSION *session;
	char host[256];
	bool good;

	SSL_set_connect_state(ssl);
	if (!slice_to_string(wanted->host, host, sizeof(host)) ||
		(host[0] && !SSL_set_tlsext_host_name(ssl, host)) ||
		!set_names(ssl, wanted->names) || !set_session_key(connection, context, wanted))
		return false;
	session =
		sessions_take(&connection->world->sessions, buffer_slice(&connection->session_key));
	good = !session || SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	return good;
}

static bool open_ssl(struct tls_connection *connection, const struct tls_context *context,
	const struct tls_wanted *wanted, int fd)
{
	if (!os_set_blocking(fd, false))
		return false;
	connection->ssl = SSL_new(context->ssl);
	if (!connection->ssl || !SSL_set_fd(connection->ssl, fd))
		return false;
	SSL_set_app_data(connection->ssl, connection);
	if (wanted->opens)
		return prepare_client(connection, context, wanted);
	SSL_set_accept_state(connection->ssl);
	return true;
}

/* A client needs no certificate, and one that checks names needs authorities. */
static bool is_set_enough(const struct tls_wanted *wanted, const struct certificate_set *set,
	char *reason, size_t size)
{
	bool known = set || (wanted->opens && !wanted->certificates.length);

	snprintf(reason, size, "%s",
		known ? "no certificates of authorities are configured"
		      : "no certificate is configured");
	return known && (wanted->check != TLS_CHECK_NAME || (set && set->trust));
}

static bool begin(struct tls_connection *connection, const struct tls_context *context,
	const struct tls_wanted *wanted, struct certificate_set *set)
{
	struct loop *loop = connection->world->loop;

	connection->handshake = handshake_new(connection, wanted, set);
	return connection->handshake && open_ssl(connection, context, wanted, connection->tcp.fd) &&
	       loop_watch(loop, &connection->tcp) &&
	       loop_timer_start(loop, &connection->timer, wanted->timeout_ms);
}

struct tls_connection *connection_new(struct tls_world *world, struct tls_connection **list,
	const struct tls_wanted *wanted, int fd, char *reason, size_t size)
{
	struct certificate_set *set = certificates_find(&world->certificates, wanted->certificates);
	const struct tls_context *context = NULL;
	struct tls_connection *connection = NULL;

	if (is_set_enough(wanted, set, reason, size))
		context = contexts_get(&world->contexts, wanted, set, reason, size);
	if (context) {
		connection = calloc(1, sizeof(*connection));
		snprintf(reason, size, "out of memory");
	}
	if (!connection) {
		close(fd);
		return NULL;
	}
	connection->world = world;
	connection->tcp = (struct watch){ .fd = fd,
		.events = wanted->opens ? EPOLLOUT : EPOLLIN,
		.ready = connection_tcp_ready,
		.context = connection };
	connection->plain =
		(struct watch){ .fd = -1, .ready = connection_plain_ready, .context = connection };
	connection->timer = (struct timer){ .fire = connection_time_over, .context = connection };
	if (!begin(connection, context, wanted, set)) {
		connection_close_watch(&connection->tcp);
		SSL_free(connection->ssl);
		handshake_free(connection->handshake);
		buffer_free(&connection->session_key);
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
