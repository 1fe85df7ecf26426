// SPDX-License-Identifier: ISC
/* tlsd and keyd as they are built, with the test in the place of master. See tls_world.h. */
#include "tests/unit/tls_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "config/tls_set.h"
#include "os/os.h"
#include "service/figures.h"
#include "service/service.h"

struct world world;

int64_t deadline(void)
{
	return loop_monotonic() + PATIENCE;
}

/* --- certificates --- */

static void write_pair(const char *name, EVP_PKEY *key, int days)
{
	X509 *certificate = X509_new();
	char path[200];
	FILE *file;

	assert_non_null(key);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), (long)(os_now() & 0x7fffffff));
	X509_gmtime_adj(X509_getm_notBefore(certificate), -86400L * 10);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
		(const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key,
			    EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	snprintf(path, sizeof(path), "%s/%s.pem", world.folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	assert_true(PEM_write_X509(file, certificate));
	fclose(file);
	chmod(path, 0600);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* --- the place of master --- */

static void find_programs(void)
{
	ssize_t length = readlink("/proc/self/exe", world.programs, sizeof(world.programs) - 20);

	assert_true(length > 0);
	world.programs[length] = 0;
	*strrchr(world.programs, '/') = 0;
	snprintf(strrchr(world.programs, '/'), 5, "/bin");
}

static int sealed(struct slice data)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_true(os_write_all(fd, data.data, data.length));
	return fd;
}

static void make_snapshot(const char *settings)
{
	struct config_report report = { 0 };
	struct buffer text = { 0 }, snapshot = { 0 }, set = { 0 };
	struct config_source *source;
	struct config *config;

	buffer_printf(&text, "config_directory=%s\nmyhostname=mail.example.org\n%s", world.folder,
		settings);
	source = config_parse("main.cf", buffer_slice(&text), &report);
	assert_non_null(source);
	assert_true(config_snapshot(source, &snapshot, &report));
	config = config_open(buffer_slice(&snapshot));
	assert_true(tls_set_of(config, "imap", &world.set));
	assert_true(tls_set_of(config, "smtp", &world.client_set));
	config_free(&config);
	assert_true(base64_encode(buffer_slice(&world.set), &set));
	buffer_add_byte(&set, ' ');
	assert_true(base64_encode(buffer_slice(&world.client_set), &set));
	assert_true(config_source_set(source, TLS_SETS_NAME, buffer_text(&set)));
	buffer_clear(&snapshot);
	assert_true(config_snapshot(source, &snapshot, &report));
	world.snapshot = sealed(buffer_slice(&snapshot));
	config_source_free(&source);
	buffer_free(&text);
	buffer_free(&set);
	buffer_free(&snapshot);
}

static void send_start(struct daemon *daemon, const char *name)
{
	struct passwd *nobody = getpwnam("nobody");
	struct message message = { .type = MESSAGE_MASTER_START, .fd_count = 3 };
	struct message_master_start *start = &message.master_start;

	start->entry = start->log_name = slice_from(name);
	start->root = slice_from(world.folder);
	start->host = SLICE("localhost");
	start->best_effort = true;
	start->uid = getuid() ? getuid() : nobody->pw_uid;
	start->gid = getuid() ? getgid() : nobody->pw_gid;
	start->max_sessions = 1;
	start->build = message_build();
	start->seal_key = slice_of(world.seal_key, sizeof(world.seal_key));
	message.fds[0] = world.snapshot;
	message.fds[1] = world.figures;
	message.fds[2] = world.log;
	assert_true(channel_sync_send(daemon->control, &message, deadline()));
}

static void start_daemon(struct daemon *daemon, const char *name)
{
	char path[500];
	int ends[2];

	snprintf(path, sizeof(path), "%s/%s", world.programs, name);
	assert_true(channel_pair(ends));
	daemon->pid = fork();
	if (daemon->pid == 0) {
		dup2(world.log, 1);
		dup2(world.log, 2);
		dup2(ends[1], 3);
		close_range(4, ~0U, 0);
		execl(path, name, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	daemon->control = ends[0];
	send_start(daemon, name);
}

static void introduce(int control, enum service_id from, int fd)
{
	struct message peer = { .type = MESSAGE_MASTER_PEER, .fd_count = 1 };

	peer.master_peer.from = (uint8_t)from;
	peer.fds[0] = fd;
	assert_true(channel_sync_send(control, &peer, deadline()));
	close(fd);
}

int server_of_tlsd(enum service_id service)
{
	int ends[2];

	assert_true(channel_pair(ends));
	introduce(world.tlsd.control, service, ends[1]);
	return ends[0];
}

/* What both say until they are ready, and until tlsd has its keyd. */
static void serve_daemon(struct daemon *daemon, bool *ready)
{
	static struct buffer space;
	struct message message, answer = { .type = MESSAGE_MASTER_CONNECTED, .fd_count = 1 };
	int ends[2];

	assert_true(channel_sync_receive(daemon->control, &message, &space, deadline()));
	if (message.type == MESSAGE_MASTER_READY) {
		*ready = true;
	} else if (message.type == MESSAGE_KEY_WATCH) {
		world.watched++;
	} else {
		assert_int_equal(message.type, MESSAGE_MASTER_CONNECT);
		assert_int_equal(message.master_connect.service, SERVICE_KEYD);
		assert_true(channel_pair(ends));
		answer.master_connected.serial = message.master_connect.serial;
		answer.fds[0] = ends[0];
		assert_true(channel_sync_send(daemon->control, &answer, deadline()));
		close(ends[0]);
		introduce(world.keyd.control, SERVICE_TLSD, ends[1]);
		world.introduced = true;
	}
}

static void start_keyd(void)
{
	bool ready = false;

	start_daemon(&world.keyd, "keyd");
	while (!ready)
		serve_daemon(&world.keyd, &ready);
}

void start_all(const char *settings)
{
	bool ready = false;

	make_snapshot(settings);
	world.watched = 0;
	world.introduced = false;
	start_keyd();
	start_daemon(&world.tlsd, "tlsd");
	while (!ready || !world.introduced)
		serve_daemon(&world.tlsd, &ready);
	world.server = server_of_tlsd(SERVICE_IMAPD);
	world.client = server_of_tlsd(SERVICE_SMTP);
}

static void stop_daemon(struct daemon *daemon)
{
	int status;

	close(daemon->control);
	kill(daemon->pid, SIGKILL);
	waitpid(daemon->pid, &status, 0);
}

void stop_all(void)
{
	close(world.server);
	close(world.client);
	stop_daemon(&world.tlsd);
	stop_daemon(&world.keyd);
	close(world.snapshot);
	buffer_free(&world.set);
	buffer_free(&world.client_set);
}

/* --- the places of server and client --- */

void tcp_pair(int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	struct timeval patience = { .tv_sec = PATIENCE / 1000 };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), space = 16384;

	/* Soon full, when somebody does not read. */
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &space, sizeof(space));
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&address, &length);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(ends[0], SOL_SOCKET, SO_RCVBUF, &space, sizeof(space));
	assert_int_equal(connect(ends[0], (struct sockaddr *)&address, sizeof(address)), 0);
	ends[1] = accept(listener, NULL, NULL);
	assert_true(ends[1] >= 0);
	for (unsigned i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &space, sizeof(space));
	close(listener);
}

int begin(uint32_t serial, const char *alpn, struct slice set)
{
	return begin_wanting(serial, alpn, set, TLS_CERTIFICATE_ASK);
}

int begin_wanting(uint32_t serial, const char *alpn, struct slice set,
	enum tls_client_certificate certificate)
{
	struct message message = { .type = MESSAGE_TLS_ACCEPT, .fd_count = 1 };
	int ends[2];

	tcp_pair(ends);
	message.tls_accept.serial = serial;
	message.tls_accept.service = SLICE("imap");
	message.tls_accept.alpn = slice_from(alpn);
	message.tls_accept.certificates = set;
	message.tls_accept.protocols = SLICE(">=TLSv1.2");
	message.tls_accept.ciphers = SLICE("HIGH:MEDIUM");
	message.tls_accept.client_certificate = (uint8_t)certificate;
	message.tls_accept.timeout_ms = PATIENCE;
	message.tls_accept.client_address = SLICE("127.0.0.1");
	message.fds[0] = ends[1];
	assert_true(channel_sync_send(world.server, &message, deadline()));
	close(ends[1]);
	return ends[0];
}

int take_ready_from(int channel, struct message *ready, struct buffer *space)
{
	assert_true(channel_sync_receive(channel, ready, space, deadline()));
	assert_int_equal(ready->type, MESSAGE_TLS_READY);
	return message_take_fd(ready, 0);
}

int take_ready(struct message *ready, struct buffer *space)
{
	return take_ready_from(world.server, ready, space);
}

/* --- the whole --- */

int make_world(void **state)
{
	char log[120];

	snprintf(world.folder, sizeof(world.folder), "/tmp/postern-tls-XXXXXX");
	assert_non_null(mkdtemp(world.folder));
	find_programs();
	write_pair("rsa", EVP_RSA_gen(2048), 100);
	write_pair("ec", EVP_EC_gen("P-256"), 100);
	write_pair("ed", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), 100);
	world.figures = memfd_create("figures", MFD_CLOEXEC);
	assert_int_equal(ftruncate(world.figures, 2 * sysconf(_SC_PAGESIZE)), 0);
	snprintf(log, sizeof(log), "%s/log", world.folder);
	world.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	os_random(world.seal_key, sizeof(world.seal_key));
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int remove_world(void **state)
{
	static const char *const FILES[] = { "rsa.pem", "ec.pem", "ed.pem", "short.pem", "log" };
	char path[120];

	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", world.folder, FILES[i]);
		unlink(path);
	}
	return rmdir(world.folder);
}
