// SPDX-License-Identifier: ISC
/*
 * Bytes between client and server, after the handshake. What cannot be passed on is held, and nothing more is read that way until it
 * is gone. The same holds for what TLS itself has to answer: a client that asks for new keys on and on and takes no answer is not
 * heard, one that does nothing else is dropped.
 *
 * The client's end, in whatever way it comes (close_notify, FIN, reset, garbage), is the end of file for the server. The server's end
 * closes the connection: what it wrote is sent, then close_notify, then FIN.
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/os.h"
#include "tls/connection_impl.h"

static bool hold(struct held *held, const char *data, size_t length)
{
	held->data = malloc(length);
	if (!held->data)
		return false;
	memcpy(held->data, data, length);
	held->offset = 0;
	held->length = (uint32_t)length;
	return true;
}

void held_release(struct held *held)
{
	if (held->data)
		explicit_bzero(held->data, held->length);
	free(held->data);
	*held = (struct held){ 0 };
}

/* Nothing can be sent to or read from the client any more. */
static void client_gone(struct tls_connection *connection)
{
	connection->in_ended = connection->out_ended = true;
	held_release(&connection->out);
	ERR_clear_error();
}

/* What the library does by itself costs work and an answer: it is counted. */
static void told_of_message(
	int sent, int version, int type, const void *data, size_t length, SSL *ssl, void *argument)
{
	struct tls_connection *connection = argument;

	if (!sent && type == SSL3_RT_HANDSHAKE && length &&
		*(const unsigned char *)data == SSL3_MT_KEY_UPDATE)
		connection->key_updates++;
}

/*
 * At the beginning of a connection passwords come: nothing of that stays, neither here nor in the library's buffer. What comes later is
 * mail, where wiping would cost time.
 */
static void forget_read(struct tls_connection *connection, size_t length)
{
	if (connection->forgotten >= CONNECTION_LOGIN)
		return;
	explicit_bzero(connection->world->chunk, length);
	connection->forgotten += (unsigned)length;
	if (connection->forgotten >= CONNECTION_LOGIN)
		SSL_clear_options(connection->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

void connection_pump_begin(struct tls_connection *connection)
{
	SSL_set_options(connection->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_clear_mode(connection->ssl, SSL_MODE_ASYNC | SSL_MODE_AUTO_RETRY);
	SSL_set_msg_callback(connection->ssl, told_of_message);
	SSL_set_msg_callback_arg(connection->ssl, connection);
	connection_pump(connection);
}

/* --- client to server --- */

/* How much of it the server's socket took; -1: the server has gone. */
static ssize_t to_server(struct tls_connection *connection, const char *data, size_t length)
{
	ssize_t sent = send(connection->plain.fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}

static void server_gone(struct tls_connection *connection)
{
	connection->out_ended = true;
	held_release(&connection->in);
}

static bool flush_in(struct tls_connection *connection)
{
	struct held *held = &connection->in;
	ssize_t sent;

	if (!held->data)
		return true;
	sent = to_server(connection, held->data + held->offset, held->length - held->offset);
	if (sent < 0) {
		server_gone(connection);
		return false;
	}
	held->offset += (uint32_t)sent;
	if (held->offset < held->length)
		return false;
	held_release(held);
	return true;
}

static void read_failed(struct tls_connection *connection, int result)
{
	switch (SSL_get_error(connection->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		if (connection->key_updates > CONNECTION_KEY_UPDATES)
			client_gone(connection);
		break;
	case SSL_ERROR_WANT_WRITE:
		connection->in_stalled = true;
		break;
	case SSL_ERROR_ZERO_RETURN:
		connection->in_ended = true;
		break;
	default:
		/* FIN without close_notify: the server may still answer what came before. */
		if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			connection->in_ended = true;
		else
			client_gone(connection);
	}
	ERR_clear_error();
	if (connection->in_ended && !connection->in.data)
		shutdown(connection->plain.fd, SHUT_WR);
}

static void pump_in(struct tls_connection *connection)
{
	struct tls_world *world = connection->world;

	connection->in_stalled = false;
	for (int i = 0; i < CONNECTION_BURST && flush_in(connection) && !connection->in_ended;
		i++) {
		int got = SSL_read(connection->ssl, world->chunk, sizeof(world->chunk));
		ssize_t sent;

		if (got <= 0) {
			read_failed(connection, got);
			return;
		}
		connection->key_updates = 0;
		sent = to_server(connection, world->chunk, (size_t)got);
		if (sent >= 0 && sent < got &&
			!hold(&connection->in, world->chunk + sent, (size_t)(got - sent)))
			sent = -1;
		forget_read(connection, (size_t)got);
		if (sent < 0) {
			server_gone(connection);
			return;
		}
	}
	if (connection->in_ended && !connection->in.data)
		shutdown(connection->plain.fd, SHUT_WR);
}

/* --- server to client --- */

/* How much was sent; -1: the client has gone. */
static int to_client(struct tls_connection *connection, const char *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		int sent = SSL_write(connection->ssl, data + done, (int)(length - done)), error;

		if (sent > 0) {
			done += (size_t)sent;
			continue;
		}
		error = SSL_get_error(connection->ssl, sent);
		if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
			break;
		client_gone(connection);
		return -1;
	}
	return (int)done;
}

static bool flush_out(struct tls_connection *connection)
{
	struct held *held = &connection->out;
	int sent;

	if (!held->data)
		return true;
	sent = to_client(connection, held->data + held->offset, held->length - held->offset);
	if (sent < 0)
		return false;
	held->offset += (uint32_t)sent;
	if (held->offset < held->length)
		return false;
	held_release(held);
	return true;
}

static void pump_out(struct tls_connection *connection)
{
	struct tls_world *world = connection->world;

	for (int i = 0; i < CONNECTION_BURST && flush_out(connection) && !connection->out_ended;
		i++) {
		ssize_t got = recv(
			connection->plain.fd, world->chunk, sizeof(world->chunk), MSG_DONTWAIT);
		int sent;

		if (got <= 0) {
			if (got == 0 || (errno != EAGAIN && errno != EINTR))
				connection->out_ended = true;
			return;
		}
		sent = to_client(connection, world->chunk, (size_t)got);
		if (sent < 0)
			return;
		if (sent < got &&
			!hold(&connection->out, world->chunk + sent, (size_t)(got - sent))) {
			client_gone(connection);
			return;
		}
	}
}

/* --- the end --- */

/* What the client still sends is read and forgotten: closed over unread bytes, the socket would take back what we sent last. */
static bool lingered(struct tls_connection *connection)
{
	struct tls_world *world = connection->world;

	for (int i = 0; i < CONNECTION_BURST; i++) {
		ssize_t got =
			recv(connection->tcp.fd, world->chunk, sizeof(world->chunk), MSG_DONTWAIT);

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (got < 0)
			return false;
	}
	return false;
}

static void say_good_bye(struct tls_connection *connection)
{
	(void)SSL_shutdown(connection->ssl);
	ERR_clear_error();
	shutdown(connection->tcp.fd, SHUT_WR);
	if (connection->plain.loop)
		loop_unwatch(&connection->plain);
	os_close(&connection->plain.fd);
	held_release(&connection->in);
	connection->lingering = true;
}

/* False: it is over and freed. */
static bool go_to_end(struct tls_connection *connection)
{
	if (connection->in_ended && connection->out_ended && !connection->out.data &&
		!connection->in.data && !connection->lingering) {
		/* Both have ended, or the client has gone. */
		say_good_bye(connection);
		connection_end(connection);
		return false;
	}
	if (connection->out_ended && !connection->out.data && !connection->in.data &&
		!connection->lingering) {
		say_good_bye(connection);
		loop_timer_start(connection->world->loop, &connection->timer, CONNECTION_LINGER);
	}
	if (connection->lingering && lingered(connection)) {
		connection_end(connection);
		return false;
	}
	/* The side that is still there has some time to take what is held for it. */
	if (connection->out_ended && !connection->timer.place)
		loop_timer_start(connection->world->loop, &connection->timer, CONNECTION_FLUSH);
	return true;
}

void connection_pump(struct tls_connection *connection)
{
	uint32_t tcp = 0, plain = 0;

	if (!connection->lingering) {
		pump_out(connection);
		pump_in(connection);
	}
	if (!go_to_end(connection))
		return;
	if (connection->lingering) {
		connection_wait(connection, &connection->tcp, EPOLLIN);
		return;
	}
	if (!connection->in_ended && !connection->in.data && !connection->in_stalled)
		tcp |= EPOLLIN;
	if (connection->out.data || connection->in_stalled)
		tcp |= EPOLLOUT;
	if (!connection->out_ended && !connection->out.data)
		plain |= EPOLLIN;
	if (connection->in.data)
		plain |= EPOLLOUT;
	if (connection_wait(connection, &connection->tcp, tcp))
		connection_wait(connection, &connection->plain, plain);
}
