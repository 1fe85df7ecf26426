// SPDX-License-Identifier: ISC
/*
 * tlsd and keyd as they are built, in their cells, with this test in the places of master, of the servers, and of the clients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "service/service.h"
#include "service/tls_seal.h"
#include "tests/unit/tls_world.h"

struct client {
	SSL_CTX *context;
	SSL *ssl;
	int fd, plain;
	struct message ready;
	struct buffer space;
};

/* A handshake from both sides. `prepare` may set what the client wants. */
static void connect_client(struct client *client, void (*prepare)(SSL_CTX *context, SSL *ssl))
{
	static uint32_t serial;

	*client = (struct client){ 0 };
	client->fd = begin(++serial, "", buffer_slice(&world.set));
	client->context = SSL_CTX_new(TLS_client_method());
	client->ssl = SSL_new(client->context);
	if (prepare)
		prepare(client->context, client->ssl);
	SSL_set_fd(client->ssl, client->fd);
	if (SSL_connect(client->ssl) != 1) {
		ERR_print_errors_fp(stderr);
		fail_msg("no handshake");
	}
	client->plain = take_ready(&client->ready, &client->space);
	assert_int_equal(client->ready.tls_ready.status, TLS_OK);
	assert_int_equal(client->ready.tls_ready.serial, serial);
	assert_true(client->plain >= 0);
	fcntl(client->plain, F_SETFL, fcntl(client->plain, F_GETFL) & ~O_NONBLOCK);
}

static void disconnect(struct client *client)
{
	SSL_free(client->ssl);
	SSL_CTX_free(client->context);
	close(client->fd);
	close(client->plain);
	buffer_free(&client->space);
}

static void talk(struct client *client)
{
	char text[16] = "";

	assert_int_equal(SSL_write(client->ssl, "hello", 5), 5);
	assert_int_equal(recv(client->plain, text, 5, MSG_WAITALL), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(write(client->plain, "world", 5), 5);
	assert_int_equal(SSL_read(client->ssl, text, sizeof(text)), 5);
	assert_string_equal(text, "world");
}

static void only_tls12(SSL_CTX *context, SSL *ssl)
{
	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
}

static void only_rsa(SSL_CTX *context, SSL *ssl)
{
	SSL_set1_sigalgs_list(ssl, "RSA-PSS+SHA256:RSA+SHA256");
}

static void only_rsa12(SSL_CTX *context, SSL *ssl)
{
	only_tls12(context, ssl);
	SSL_set_cipher_list(ssl, "ECDHE-RSA-AES256-GCM-SHA384");
	SSL_set1_sigalgs_list(ssl, "RSA+SHA256");
}

static const char *shown(struct client *client)
{
	static char name[100];
	X509 *certificate = SSL_get1_peer_certificate(client->ssl);

	assert_non_null(certificate);
	X509_NAME_get_text_by_NID(
		X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
	X509_free(certificate);
	return name;
}

/* --- tests --- */

static void every_kind_of_key_signs_in_both_versions_of_tls(void **state)
{
	static const struct {
		const char *file;
		void (*prepare)(SSL_CTX *context, SSL *ssl);
		const char *version;
	} CASES[] = { { "ec", NULL, "TLSv1.3" }, { "ec", only_tls12, "TLSv1.2" },
		{ "rsa", NULL, "TLSv1.3" }, { "rsa", only_rsa12, "TLSv1.2" },
		{ "rsa", only_tls12, "TLSv1.2" }, { "ed", NULL, "TLSv1.3" },
		{ "ed", only_tls12, "TLSv1.2" } };
	struct client client;
	char settings[200];

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		snprintf(settings, sizeof(settings), "smtpd_tls_chain_files=%s.pem\n",
			CASES[i].file);
		start_all(settings);
		connect_client(&client, CASES[i].prepare);
		assert_true(
			slice_equal(client.ready.tls_ready.protocol, slice_from(CASES[i].version)));
		assert_string_equal(shown(&client), CASES[i].file);
		talk(&client);
		disconnect(&client);
		stop_all();
	}
}

static void a_client_gets_the_certificate_it_can_check(void **state)
{
	struct client client;

	start_all("smtpd_tls_chain_files=ec.pem, rsa.pem\n");
	connect_client(&client, only_rsa);
	assert_string_equal(shown(&client), "rsa");
	disconnect(&client);
	connect_client(&client, NULL);
	assert_string_equal(shown(&client), "ec");
	disconnect(&client);
	stop_all();
}

static void the_end_of_one_side_is_the_end_of_file_of_the_other(void **state)
{
	struct client client;
	char text[8];

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, NULL);
	SSL_shutdown(client.ssl);
	assert_int_equal(read(client.plain, text, sizeof(text)), 0);
	assert_int_equal(write(client.plain, "still", 5), 5);
	assert_int_equal(SSL_read(client.ssl, text, sizeof(text)), 5);
	disconnect(&client);
	connect_client(&client, NULL);
	assert_int_equal(write(client.plain, "bye", 3), 3);
	close(client.plain);
	assert_int_equal(SSL_read(client.ssl, text, sizeof(text)), 3);
	assert_int_equal(SSL_read(client.ssl, text, sizeof(text)), 0);
	assert_int_equal(SSL_get_error(client.ssl, 0), SSL_ERROR_ZERO_RETURN);
	disconnect(&client);
	connect_client(&client, NULL);
	assert_int_equal(write(client.fd, "this is no TLS record at all", 28), 28);
	assert_int_equal(read(client.plain, text, sizeof(text)), 0);
	disconnect(&client);
	stop_all();
}

static void what_is_too_much_at_once_comes_whole(void **state)
{
	enum { SIZE = 4 << 20 };
	char *out = malloc(SIZE), *in = malloc(SIZE);
	struct client client;
	pid_t writer;
	int status, got;

	for (int i = 0; i < SIZE; i++)
		out[i] = (char)(i * 7 + i / 1000);
	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, NULL);
	writer = fork();
	if (writer == 0)
		_exit(os_write_all(client.plain, out, SIZE) ? 0 : 1);
	for (int done = 0; done < SIZE; done += got) {
		got = SSL_read(client.ssl, in + done, SIZE - done);
		assert_true(got > 0);
	}
	assert_memory_equal(in, out, SIZE);
	waitpid(writer, &status, 0);
	writer = fork();
	if (writer == 0)
		_exit(SSL_write(client.ssl, out, SIZE) == SIZE ? 0 : 1);
	memset(in, 0, SIZE);
	assert_int_equal(recv(client.plain, in, SIZE, MSG_WAITALL), SIZE);
	assert_memory_equal(in, out, SIZE);
	waitpid(writer, &status, 0);
	assert_int_equal(status, 0);
	disconnect(&client);
	stop_all();
	free(out);
	free(in);
}

/* Milliseconds of the processor that tlsd has had. */
static int64_t used_by_tlsd(void)
{
	struct timespec used;
	clockid_t clock;

	assert_int_equal(clock_getcpuclockid(world.tlsd.pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &used), 0);
	return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static void forget_what_came(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

/* Other keys, wanted from the other side as well, and a byte of data with each, as long as there is room for them. */
static void ask_for_keys(struct client *client, int64_t until)
{
	do {
		assert_true(loop_monotonic() < until);
		forget_what_came(client->plain);
		if (!SSL_want_write(client->ssl) &&
			SSL_get_key_update_type(client->ssl) == SSL_KEY_UPDATE_NONE)
			assert_int_equal(SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	} while (SSL_write(client->ssl, "x", 1) == 1);
}

static void who_asks_for_keys_and_takes_no_answer_is_not_heard_and_costs_nothing(void **state)
{
	enum { WHILE = 300 /* ms that are looked at */, IDLE = 60 };
	int64_t until = deadline(), before;
	struct client client;
	struct pollfd either[2];

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, NULL);
	fcntl(client.fd, F_SETFL, O_NONBLOCK);
	either[0] = (struct pollfd){ .fd = client.fd, .events = POLLOUT };
	either[1] = (struct pollfd){ .fd = client.plain, .events = POLLIN };
	/* tlsd reads no more when for a while nothing arrives, and there is no room for more. */
	do
		ask_for_keys(&client, until);
	while (poll(either, 2, WHILE) > 0);
	before = used_by_tlsd();
	assert_int_equal(poll(either, 2, WHILE), 0);
	assert_true(used_by_tlsd() - before < IDLE);
	/* It takes the answers, and is heard again. */
	while (poll(either, 1, 0) == 0) {
		assert_true(loop_monotonic() < until);
		forget_what_came(client.fd);
		forget_what_came(client.plain);
	}
	disconnect(&client);
	stop_all();
}

static void who_asks_for_keys_and_nothing_else_is_dropped(void **state)
{
	struct client client;
	char byte;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, NULL);
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(client.ssl), 1);
	}
	talk(&client);
	for (unsigned i = 0; i < 100; i++) {
		(void)SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
		(void)SSL_do_handshake(client.ssl);
	}
	assert_int_equal(recv(client.plain, &byte, 1, 0), 0);
	disconnect(&client);
	stop_all();
}

static void a_set_nobody_configured_and_garbage_are_told_as_failures(void **state)
{
	struct buffer space = { 0 };
	struct message ready;
	int fd;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	close(begin(1, "", SLICE("chain /etc/shadow\n")));
	assert_int_equal(take_ready(&ready, &space), -1);
	assert_int_equal(ready.tls_ready.status, TLS_FAILED);
	fd = begin(2, "", buffer_slice(&world.set));
	assert_int_equal(write(fd, "a1 LOGIN x y\r\n", 14), 14);
	assert_int_equal(take_ready(&ready, &space), -1);
	assert_int_equal(ready.tls_ready.serial, 2);
	assert_true(ready.tls_ready.reason.length > 0);
	close(fd);
	close(begin(3, "", buffer_slice(&world.set)));
	assert_int_equal(take_ready(&ready, &space), -1);
	assert_true(slice_equal(ready.tls_ready.reason, SLICE("lost connection")));
	buffer_free(&space);
	stop_all();
}

static void the_facts_are_sealed_with_the_bindings_the_client_has(void **state)
{
	unsigned char exporter[TLS_EXPORTER_SIZE], end_point[32];
	struct client client;
	struct tls_facts facts;
	X509 *certificate;
	unsigned length;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, NULL);
	assert_true(tls_unseal(client.ready.tls_ready.seal, world.seal_key, SLICE("imap"),
		SLICE("127.0.0.1"), os_now(), 60000000, &facts));
	assert_int_equal(SSL_export_keying_material(client.ssl, exporter, sizeof(exporter),
				 "EXPORTER-Channel-Binding", 24, NULL, 0, 0),
		1);
	assert_true(slice_equal(facts.exporter, slice_of(exporter, sizeof(exporter))));
	certificate = SSL_get1_peer_certificate(client.ssl);
	X509_digest(certificate, EVP_sha256(), end_point, &length);
	assert_true(slice_equal(facts.end_point, slice_of(end_point, length)));
	X509_free(certificate);
	disconnect(&client);
	stop_all();
}

/* The same certificate of a client by name, fingerprint and trust: "ed" is in the file of authorities, "rsa" is not. */
static void use_ed(SSL_CTX *context, SSL *ssl)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/ed.pem", world.folder);
	assert_int_equal(SSL_use_certificate_file(ssl, path, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM), 1);
}

static void use_rsa(SSL_CTX *context, SSL *ssl)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/rsa.pem", world.folder);
	assert_int_equal(SSL_use_certificate_file(ssl, path, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM), 1);
}

static void clients_certificates_are_told_and_trusted_when_they_check_out(void **state)
{
	struct client client;
	struct tls_facts facts;

	start_all("smtpd_tls_cert_file=ec.pem\nsmtpd_tls_CAfile=ed.pem\n");
	connect_client(&client, use_ed);
	assert_true(slice_equal(client.ready.tls_ready.subject, SLICE("ed")));
	assert_true(client.ready.tls_ready.trusted);
	assert_int_equal(client.ready.tls_ready.fingerprint.length, 32 * 3 - 1);
	assert_int_equal(client.ready.tls_ready.key_fingerprint.length, 32 * 3 - 1);
	assert_true(tls_unseal(client.ready.tls_ready.seal, world.seal_key, SLICE("imap"),
		SLICE("127.0.0.1"), os_now(), 60000000, &facts));
	assert_true(facts.trusted && slice_equal(facts.subject, SLICE("ed")));
	disconnect(&client);
	connect_client(&client, use_rsa);
	assert_true(slice_equal(client.ready.tls_ready.subject, SLICE("rsa")));
	assert_false(client.ready.tls_ready.trusted);
	disconnect(&client);
	connect_client(&client, NULL);
	assert_int_equal(client.ready.tls_ready.subject.length, 0);
	assert_false(client.ready.tls_ready.trusted);
	disconnect(&client);
	stop_all();
}

/* Whether a server that needs a trusted certificate gets this client. */
static bool is_let_in(void (*prepare)(SSL_CTX *context, SSL *ssl), int version)
{
	static uint32_t serial = 500;
	int fd = begin_wanting(++serial, "", buffer_slice(&world.set), TLS_CERTIFICATE_REQUIRE);
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	struct buffer space = { 0 };
	struct message ready;
	int plain;

	SSL_set_max_proto_version(ssl, version);
	if (prepare)
		prepare(context, ssl);
	SSL_set_fd(ssl, fd);
	(void)SSL_connect(
		ssl); /* in TLS 1.3 it is done before the server has seen the certificate */
	plain = take_ready(&ready, &space);
	assert_int_equal(ready.tls_ready.serial, serial);
	assert_int_equal(ready.tls_ready.status == TLS_OK, plain >= 0);
	assert_true(plain >= 0 ? ready.tls_ready.trusted : ready.tls_ready.reason.length > 0);
	if (plain >= 0)
		close(plain);
	buffer_free(&space);
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	return plain >= 0;
}

static void where_a_trusted_certificate_must_be_nobody_comes_in_without(void **state)
{
	static const int VERSIONS[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	start_all("smtpd_tls_cert_file=ec.pem\nsmtpd_tls_CAfile=ed.pem\n");
	for (size_t i = 0; i < 2; i++) {
		assert_true(is_let_in(use_ed, VERSIONS[i]));
		assert_false(is_let_in(use_rsa, VERSIONS[i]));
		assert_false(is_let_in(NULL, VERSIONS[i]));
	}
	stop_all();
	/* Without authorities there is none that could be trusted. */
	start_all("smtpd_tls_cert_file=ec.pem\n");
	assert_false(is_let_in(use_ed, TLS1_3_VERSION));
	stop_all();
}

static SSL_SESSION *kept_session;
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION_free(kept_session);
	kept_session = session;
	return 1;
}

/* A copy is shown: that of TLS 1.3 is spoilt by its use, and a client who ignores that is one to expect. */
static void give_tickets(SSL_CTX *context, SSL *ssl)
{
	SSL_SESSION *copy = kept_session ? SSL_SESSION_dup(kept_session) : NULL;

	SSL_CTX_set_session_cache_mode(
		context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	if (copy)
		SSL_set_session(ssl, copy);
	SSL_SESSION_free(copy);
}

static void give_tickets12(SSL_CTX *context, SSL *ssl)
{
	only_tls12(context, ssl);
	give_tickets(context, ssl);
}

/* By another tlsd, too; and the certificate shown in the first handshake is what the session is bound to. */
static void a_session_goes_on_with_another_tlsd(void **state)
{
	static void (*const PREPARE[])(SSL_CTX *, SSL *) = { give_tickets, give_tickets12 };
	char end_point[64];
	size_t length;
	struct client client;
	struct tls_facts facts;

	for (int i = 0; i < 2; i++) {
		kept_session = NULL;
		for (int round = 0; round < 2; round++) {
			start_all("smtpd_tls_cert_file=ec.pem\n");
			connect_client(&client, PREPARE[i]);
			talk(&client);
			assert_int_equal(client.ready.tls_ready.resumed, round);
			assert_true(tls_unseal(client.ready.tls_ready.seal, world.seal_key,
				SLICE("imap"), SLICE("127.0.0.1"), os_now(), 60000000, &facts));
			assert_int_equal(facts.end_point.length, 32);
			assert_int_equal(facts.unique.length, i ? 12 : 0);
			if (round == 0) {
				length = facts.end_point.length;
				memcpy(end_point, facts.end_point.data, length);
			} else {
				assert_memory_equal(end_point, facts.end_point.data, length);
			}
			/* A session that was not closed is not to be gone on with. */
			SSL_shutdown(client.ssl);
			disconnect(&client);
			stop_all();
		}
		SSL_SESSION_free(kept_session);
	}
}

/* "short.pem": the certificate "ed", but it ends in so many seconds. */
static void write_short(long seconds)
{
	char path[200];
	X509 *certificate;
	EVP_PKEY *key;
	FILE *file;

	snprintf(path, sizeof(path), "%s/ed.pem", world.folder);
	file = fopen(path, "r");
	assert_non_null(file);
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(certificate);
	X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
	assert_true(X509_sign(certificate, key, NULL) > 0);
	snprintf(path, sizeof(path), "%s/short.pem", world.folder);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	assert_true(PEM_write_X509(file, certificate));
	fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void use_short(SSL_CTX *context, SSL *ssl)
{
	char path[200];

	give_tickets(context, ssl);
	snprintf(path, sizeof(path), "%s/short.pem", world.folder);
	assert_int_equal(SSL_use_certificate_file(ssl, path, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM), 1);
}

static void use_short12(SSL_CTX *context, SSL *ssl)
{
	only_tls12(context, ssl);
	use_short(context, ssl);
}

/* Whether tlsd takes the client's session up, and trusts him. */
static bool is_resumed(void (*prepare)(SSL_CTX *context, SSL *ssl), bool *trusted)
{
	struct client client;
	bool resumed;

	connect_client(&client, prepare);
	talk(&client);
	resumed = client.ready.tls_ready.resumed;
	*trusted = client.ready.tls_ready.trusted;
	SSL_shutdown(client.ssl);
	disconnect(&client);
	return resumed;
}

static void a_session_ends_with_the_certificate_of_its_client(void **state)
{
	static void (*const PREPARE[])(SSL_CTX *, SSL *) = { use_short, use_short12 };
	bool trusted;

	for (int i = 0; i < 2; i++) {
		int64_t until = loop_monotonic() + 2 * PATIENCE;

		kept_session = NULL;
		write_short(4);
		start_all("smtpd_tls_cert_file=ec.pem\nsmtpd_tls_CAfile=short.pem\n");
		assert_false(is_resumed(PREPARE[i], &trusted));
		assert_true(trusted);
		while (is_resumed(PREPARE[i], &trusted)) {
			assert_true(loop_monotonic() < until);
			poll(NULL, 0, 20);
		}
		stop_all();
		SSL_SESSION_free(kept_session);
	}
}

static void ask_for_imap(SSL_CTX *context, SSL *ssl)
{
	SSL_set_alpn_protos(ssl, (const unsigned char *)"\4smtp\4imap", 10);
}

static void a_protocol_is_agreed_on_or_the_client_turned_away(void **state)
{
	struct client client;
	struct buffer space = { 0 };
	struct message ready;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int fd;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, ask_for_imap);
	assert_int_equal(client.ready.tls_ready.alpn.length, 0);
	disconnect(&client);
	fd = begin(70, "pop3", buffer_slice(&world.set));
	ask_for_imap(context, ssl);
	SSL_set_fd(ssl, fd);
	assert_int_not_equal(SSL_connect(ssl), 1);
	assert_int_equal(take_ready(&ready, &space), -1);
	SSL_free(ssl);
	close(fd);
	ssl = SSL_new(context);
	fd = begin(71, "imap", buffer_slice(&world.set));
	ask_for_imap(context, ssl);
	SSL_set_fd(ssl, fd);
	assert_int_equal(SSL_connect(ssl), 1);
	close(take_ready(&ready, &space));
	assert_true(slice_equal(ready.tls_ready.alpn, SLICE("imap")));
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	buffer_free(&space);
	stop_all();
}

/* A front that is taken over sends what it likes: it is told no, and the others are served. */
static void settings_that_make_no_sense_are_refused_and_nothing_ends(void **state)
{
	struct message message = { .type = MESSAGE_TLS_ACCEPT, .fd_count = 1 }, ready;
	struct buffer space = { 0 };
	struct client client;
	int ends[2];

	start_all("smtpd_tls_cert_file=ec.pem\n");
	tcp_pair(ends);
	message.tls_accept.serial = 9;
	message.tls_accept.service = SLICE("imap");
	message.tls_accept.certificates = buffer_slice(&world.set);
	message.tls_accept.protocols = SLICE("nonsense");
	message.fds[0] = ends[1];
	assert_true(channel_sync_send(world.server, &message, deadline()));
	assert_int_equal(take_ready(&ready, &space), -1);
	assert_int_equal(ready.tls_ready.serial, 9);
	close(ends[0]);
	close(ends[1]);
	connect_client(&client, NULL);
	talk(&client);
	disconnect(&client);
	buffer_free(&space);
	stop_all();
}

/* keyd is stopped, so the handshake waits for its signature: it can be cancelled, and the next one works. */
static void a_handshake_that_waits_for_a_signature_can_be_given_up(void **state)
{
	struct message cancel = { .type = MESSAGE_TLS_CANCEL };
	struct client client;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int fd;

	start_all("smtpd_tls_cert_file=ec.pem\n");
	connect_client(&client, NULL);
	disconnect(&client);
	kill(world.keyd.pid, SIGSTOP);
	fd = begin(80, "", buffer_slice(&world.set));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	SSL_set_fd(ssl, fd);
	assert_int_not_equal(SSL_connect(ssl), 1);
	cancel.tls_cancel.serial = 80;
	assert_true(channel_sync_send(world.server, &cancel, deadline()));
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	kill(world.keyd.pid, SIGCONT);
	connect_client(&client, NULL);
	talk(&client);
	disconnect(&client);
	stop_all();
}

static void next_failure_is_of(uint32_t serial)
{
	struct buffer space = { 0 };
	struct message ready;

	assert_int_equal(take_ready(&ready, &space), -1);
	assert_int_equal(ready.tls_ready.status, TLS_FAILED);
	assert_int_equal(ready.tls_ready.serial, serial);
	assert_true(slice_ends_nocase(ready.tls_ready.reason, SLICE("took longest")));
	buffer_free(&space);
}

/* A crowd that connects and says nothing would otherwise keep everybody out until its time is over. */
static void whoever_stalls_longest_makes_room(void **state)
{
	enum { PLACES = 5 /* two of the server's own, and three quarters of the limit */ };
	int stalled[PLACES + 4], first;
	struct client client;

	start_all("smtpd_tls_cert_file=ec.pem\ntls_handshake_limit=4\n");
	first = world.server;
	for (uint32_t i = 0; i < PLACES + 1; i++)
		stalled[i] = begin(1000 + i, "", buffer_slice(&world.set));
	next_failure_is_of(1000);
	/* Another server has two places of its own and one of the pool; the fourth is taken from whoever has most of it, and not one of his own. */
	world.server = server_of_tlsd(SERVICE_POP3D);
	for (uint32_t i = PLACES + 1; i < PLACES + 4; i++)
		stalled[i] = begin(1000 + i, "", buffer_slice(&world.set));
	connect_client(&client, NULL);
	talk(&client);
	disconnect(&client);
	close(world.server);
	world.server = first;
	next_failure_is_of(1002);
	for (uint32_t i = 0; i < PLACES + 4; i++)
		close(stalled[i]);
	stop_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_key_signs_in_both_versions_of_tls),
		cmocka_unit_test(a_client_gets_the_certificate_it_can_check),
		cmocka_unit_test(the_end_of_one_side_is_the_end_of_file_of_the_other),
		cmocka_unit_test(what_is_too_much_at_once_comes_whole),
		cmocka_unit_test(
			who_asks_for_keys_and_takes_no_answer_is_not_heard_and_costs_nothing),
		cmocka_unit_test(who_asks_for_keys_and_nothing_else_is_dropped),
		cmocka_unit_test(a_set_nobody_configured_and_garbage_are_told_as_failures),
		cmocka_unit_test(the_facts_are_sealed_with_the_bindings_the_client_has),
		cmocka_unit_test(clients_certificates_are_told_and_trusted_when_they_check_out),
		cmocka_unit_test(where_a_trusted_certificate_must_be_nobody_comes_in_without),
		cmocka_unit_test(a_session_goes_on_with_another_tlsd),
		cmocka_unit_test(a_session_ends_with_the_certificate_of_its_client),
		cmocka_unit_test(a_protocol_is_agreed_on_or_the_client_turned_away),
		cmocka_unit_test(settings_that_make_no_sense_are_refused_and_nothing_ends),
		cmocka_unit_test(a_handshake_that_waits_for_a_signature_can_be_given_up),
		cmocka_unit_test(whoever_stalls_longest_makes_room),
	};

	return cmocka_run_group_tests(tests, make_world, remove_world);
}
