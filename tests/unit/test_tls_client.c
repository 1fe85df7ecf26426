// SPDX-License-Identifier: ISC
/* TLS that a client of the suite has tlsd open, with a server of others: this test, on a thread of its own. */
#include "tests/unit/tls_world.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server of others, with tlsd's connection to it. */
struct server {
	SSL_CTX *context;
	SSL *ssl;
	int fd, plain;
	pthread_t thread;
	int accepted;
	struct message ready;
	struct buffer space;
};

static void file_of(const char *name, char path[200])
{
	snprintf(path, 200, "%s/%s.pem", world.folder, name);
}

static SSL_CTX *server_context(const char *certificate)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char path[200];

	file_of(certificate, path);
	assert_int_equal(SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
	return context;
}

static void *run_server(void *argument)
{
	struct server *server = argument;

	server->accepted = SSL_accept(server->ssl);
	/* The tickets of TLS 1.3 have gone out with that; the client reads them with the first bytes. */
	if (server->accepted == 1)
		server->accepted = SSL_write(server->ssl, "220 ready", 9) == 9;
	ERR_clear_error();
	return NULL;
}

static struct message_tls_connect usual(void)
{
	return (struct message_tls_connect){ .service = SLICE("smtp"),
		.certificates = buffer_slice(&world.client_set),
		.protocols = SLICE(">=TLSv1.2"),
		.ciphers = SLICE("HIGH:MEDIUM"),
		.timeout_ms = PATIENCE,
		.server_address = SLICE("127.0.0.1"),
		.server_port = 25,
		.host = SLICE("ec"),
		.names = SLICE("ec") };
}

/* One handshake from both sides; `context` stays the caller's. */
static void connect_server(
	struct server *server, SSL_CTX *context, const struct message_tls_connect *wanted)
{
	static uint32_t serial;
	struct message message = { .type = MESSAGE_TLS_CONNECT, .fd_count = 1 };
	int ends[2];

	*server = (struct server){ .context = context };
	tcp_pair(ends);
	server->fd = ends[1];
	server->ssl = SSL_new(context);
	SSL_set_fd(server->ssl, server->fd);
	message.tls_connect = *wanted;
	message.tls_connect.serial = ++serial;
	message.fds[0] = ends[0];
	assert_true(channel_sync_send(world.client, &message, deadline()));
	close(ends[0]);
	assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
	server->plain = take_ready_from(world.client, &server->ready, &server->space);
	assert_int_equal(server->ready.tls_ready.serial, serial);
	pthread_join(server->thread, NULL);
}

static void disconnect(struct server *server)
{
	SSL_free(server->ssl);
	close(server->fd);
	if (server->plain >= 0)
		close(server->plain);
	buffer_free(&server->space);
}

static void talk(struct server *server)
{
	char text[16] = "";

	assert_true(server->plain >= 0);
	fcntl(server->plain, F_SETFL, fcntl(server->plain, F_GETFL) & ~O_NONBLOCK);
	assert_int_equal(recv(server->plain, text, 9, MSG_WAITALL), 9);
	assert_string_equal(text, "220 ready");
	assert_int_equal(write(server->plain, "EHLO me", 7), 7);
	assert_int_equal(SSL_read(server->ssl, text, sizeof(text)), 7);
	assert_memory_equal(text, "EHLO me", 7);
}

static bool says(const struct server *server, const char *reason)
{
	return slice_equal(server->ready.tls_ready.reason, slice_from(reason));
}

static void a_server_is_spoken_with_whoever_it_is_when_nothing_is_to_be_checked(void **state)
{
	struct message_tls_connect wanted = usual();
	SSL_CTX *context = server_context("ec");
	struct server server;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	wanted.certificates = SLICE("");
	connect_server(&server, context, &wanted);
	assert_int_equal(server.ready.tls_ready.status, TLS_OK);
	assert_int_equal(server.accepted, 1);
	assert_false(server.ready.tls_ready.trusted);
	assert_true(server.ready.tls_ready.reason.length > 0);
	assert_true(slice_equal(server.ready.tls_ready.subject, SLICE("ec")));
	assert_true(slice_equal(server.ready.tls_ready.protocol, SLICE("TLSv1.3")));
	assert_int_equal(server.ready.tls_ready.seal.length, 0);
	assert_string_equal(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), "ec");
	talk(&server);
	disconnect(&server);
	SSL_CTX_free(context);
	stop_all();
}

static void names_are_checked_against_trusted_authorities(void **state)
{
	static const struct {
		const char *certificate, *names;
		bool good;
		const char *reason;
	} CASES[] = {
		{ "ec", "ec", true, "" },
		{ "ec", "other, EC", true, "" },
		{ "ec", "other.example.org", false, "hostname mismatch" },
		{ "rsa", "rsa", false, "self-signed certificate" },
	};
	struct message_tls_connect wanted;
	struct server server;

	start_all("smtpd_tls_cert_file=rsa.pem\nsmtp_tls_CAfile=ec.pem\n");
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			SSL_CTX *context = server_context(CASES[i].certificate);

			SSL_CTX_set_max_proto_version(context, version);
			wanted = usual();
			wanted.names = slice_from(CASES[i].names);
			connect_server(&server, context, &wanted);
			assert_int_equal(server.ready.tls_ready.status, TLS_OK);
			assert_int_equal(server.ready.tls_ready.trusted, CASES[i].good);
			assert_true(says(&server, CASES[i].reason));
			talk(&server);
			disconnect(&server);
			wanted.check = TLS_CHECK_NAME;
			connect_server(&server, context, &wanted);
			assert_int_equal(
				server.ready.tls_ready.status, CASES[i].good ? TLS_OK : TLS_FAILED);
			assert_int_equal(server.plain >= 0, CASES[i].good);
			assert_true(says(&server, CASES[i].reason));
			disconnect(&server);
			SSL_CTX_free(context);
		}
	stop_all();
}

static void a_fingerprint_is_enough_and_only_the_right_one(void **state)
{
	struct message_tls_connect wanted = usual();
	SSL_CTX *context = server_context("rsa"), *other = server_context("ed");
	struct server server;
	char certificate[200], key[200], list[500];

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_server(&server, context, &wanted);
	assert_true(slice_to_string(
		server.ready.tls_ready.fingerprint, certificate, sizeof(certificate)));
	assert_true(slice_to_string(server.ready.tls_ready.key_fingerprint, key, sizeof(key)));
	disconnect(&server);
	wanted.check = TLS_CHECK_FINGERPRINT;
	for (int i = 0; i < 2; i++) {
		snprintf(list, sizeof(list), "00:11, %s", i ? key : certificate);
		wanted.fingerprints = slice_from(list);
		connect_server(&server, context, &wanted);
		assert_int_equal(server.ready.tls_ready.status, TLS_OK);
		assert_true(server.ready.tls_ready.trusted);
		disconnect(&server);
		connect_server(&server, other, &wanted);
		assert_int_equal(server.ready.tls_ready.status, TLS_FAILED);
		assert_int_equal(server.plain, -1);
		disconnect(&server);
	}
	wanted.fingerprints = SLICE("");
	connect_server(&server, context, &wanted);
	assert_int_equal(server.ready.tls_ready.status, TLS_FAILED);
	disconnect(&server);
	SSL_CTX_free(context);
	SSL_CTX_free(other);
	stop_all();
}

/* Again with the same server: taken up; with another name, or where more is wanted: from the beginning. */
static void a_session_is_taken_up_only_where_the_same_was_asked(void **state)
{
	struct server server;

	start_all("smtpd_tls_cert_file=rsa.pem\nsmtp_tls_CAfile=ec.pem\n");
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *context = server_context("ec");
		struct message_tls_connect wanted = usual();

		SSL_CTX_set_max_proto_version(context, version);
		for (int round = 0; round < 3; round++) {
			connect_server(&server, context, &wanted);
			assert_int_equal(server.ready.tls_ready.resumed, round > 0);
			assert_true(server.ready.tls_ready.trusted);
			assert_true(slice_equal(server.ready.tls_ready.subject, SLICE("ec")));
			talk(&server);
			disconnect(&server);
		}
		wanted.check = TLS_CHECK_NAME;
		connect_server(&server, context, &wanted);
		assert_false(server.ready.tls_ready.resumed);
		disconnect(&server);
		wanted.server_port = 465;
		connect_server(&server, context, &wanted);
		assert_false(server.ready.tls_ready.resumed);
		disconnect(&server);
		SSL_CTX_free(context);
	}
	stop_all();
}

static int accept_any(int good, X509_STORE_CTX *context)
{
	return 1;
}

/* keyd signs for the client's key, too; in TLS 1.2 none is shown. */
static void a_server_that_asks_for_a_certificate_gets_the_clients_in_tls_13(void **state)
{
	static const char *const KINDS[] = { "rsa", "ed" };
	struct server server;
	char settings[300], name[20];

	for (size_t i = 0; i < 2; i++) {
		snprintf(settings, sizeof(settings),
			"smtpd_tls_cert_file=ec.pem\nsmtp_tls_cert_file=%s.pem\n", KINDS[i]);
		start_all(settings);
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			SSL_CTX *context = server_context("ec");
			struct message_tls_connect wanted = usual();
			X509 *shown;

			SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
			SSL_CTX_set_max_proto_version(context, version);
			connect_server(&server, context, &wanted);
			assert_int_equal(server.ready.tls_ready.status, TLS_OK);
			talk(&server);
			shown = SSL_get1_peer_certificate(server.ssl);
			assert_int_equal(shown != NULL, version == TLS1_3_VERSION);
			if (shown) {
				X509_NAME_get_text_by_NID(X509_get_subject_name(shown),
					NID_commonName, name, sizeof(name));
				assert_string_equal(name, KINDS[i]);
			}
			X509_free(shown);
			disconnect(&server);
			SSL_CTX_free(context);
		}
		stop_all();
	}
}

static void a_peer_that_does_not_speak_tls_is_told_as_a_failure(void **state)
{
	struct message message = { .type = MESSAGE_TLS_CONNECT, .fd_count = 1 }, ready;
	struct buffer space = { 0 };
	int ends[2];

	start_all("smtpd_tls_cert_file=ec.pem\n");
	for (int i = 0; i < 2; i++) {
		tcp_pair(ends);
		message.tls_connect = usual();
		message.tls_connect.serial = 7;
		message.fds[0] = ends[0];
		assert_true(channel_sync_send(world.client, &message, deadline()));
		close(ends[0]);
		if (i)
			assert_int_equal(write(ends[1], "220 hello there\r\n", 17), 17);
		else
			close(ends[1]);
		assert_int_equal(take_ready_from(world.client, &ready, &space), -1);
		assert_int_equal(ready.tls_ready.status, TLS_FAILED);
		assert_true(ready.tls_ready.reason.length > 0);
		if (i)
			close(ends[1]);
	}
	buffer_free(&space);
	stop_all();
}

static void what_cannot_be_checked_is_refused_at_once(void **state)
{
	struct message message = { .type = MESSAGE_TLS_CONNECT, .fd_count = 1 }, ready;
	struct buffer space = { 0 };
	int ends[2];

	start_all("smtpd_tls_cert_file=ec.pem\n");
	tcp_pair(ends);
	message.tls_connect = usual();
	message.tls_connect.check = TLS_CHECK_NAME;
	message.fds[0] = ends[0];
	assert_true(channel_sync_send(world.client, &message, deadline()));
	assert_int_equal(take_ready_from(world.client, &ready, &space), -1);
	assert_true(slice_equal(
		ready.tls_ready.reason, SLICE("no certificates of authorities are configured")));
	close(ends[0]);
	close(ends[1]);
	buffer_free(&space);
	stop_all();
}

/* A front that was taken over gets no client's certificate shown for it. */
static void servers_of_the_suite_cannot_open_tls(void **state)
{
	struct message message = { .type = MESSAGE_TLS_CONNECT, .fd_count = 1 };
	int ends[2];
	char byte;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	tcp_pair(ends);
	message.tls_connect = usual();
	message.fds[0] = ends[0];
	assert_true(channel_sync_send(world.server, &message, deadline()));
	assert_true(recv(world.server, &byte, 1, 0) <= 0);
	close(ends[0]);
	assert_int_equal(recv(ends[1], &byte, 1, 0), 0);
	close(ends[1]);
	stop_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_server_is_spoken_with_whoever_it_is_when_nothing_is_to_be_checked),
		cmocka_unit_test(names_are_checked_against_trusted_authorities),
		cmocka_unit_test(a_fingerprint_is_enough_and_only_the_right_one),
		cmocka_unit_test(a_session_is_taken_up_only_where_the_same_was_asked),
		cmocka_unit_test(a_server_that_asks_for_a_certificate_gets_the_clients_in_tls_13),
		cmocka_unit_test(a_peer_that_does_not_speak_tls_is_told_as_a_failure),
		cmocka_unit_test(what_cannot_be_checked_is_refused_at_once),
		cmocka_unit_test(servers_of_the_suite_cannot_open_tls),
	};

	return cmocka_run_group_tests(tests, make_world, remove_world);
}
