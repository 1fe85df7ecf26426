// SPDX-License-Identifier: ISC
/* What a running server shows. See tls_probe.h. */
#include "cli/tls_probe.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/os.h"

enum { PATIENCE = 5 /* seconds for each step */ };

static const struct protocol {
	const char *service, *ask,
		*good; /* nothing is asked before the greeting, which begins as `greeting` */
	const char *greeting;
} PROTOCOLS[] = { { "smtp", "EHLO localhost\r\nSTARTTLS\r\n", "220 ", "220 " },
	{ "imap", "a STARTTLS\r\n", "a OK", "* OK" }, { "pop3", "STLS\r\n", "+OK", "+OK" } };

static int connect_to(const char *host, uint16_t port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*found = NULL;
	struct timeval patience = { .tv_sec = PATIENCE };
	char number[8];
	int fd = -1;

	snprintf(number, sizeof(number), "%u", port);
	if (getaddrinfo(host, number, &hints, &found) != 0)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
		(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
			connect(fd, found->ai_addr, found->ai_addrlen) < 0))
		os_close(&fd);
	freeaddrinfo(found);
	return fd;
}

/* Reads a line; bytes behind it must stay in the socket for the handshake. */
static bool read_line(int fd, char *line, size_t size)
{
	size_t length = 0;

	while (length + 1 < size && os_read(fd, line + length, 1) == 1)
		if (line[length++] == '\n') {
			line[length] = 0;
			return true;
		}
	return false;
}

/* SMTP's answers have several lines ("250-..."), IMAP may say things without being asked ("* ..."). */
static bool wait_for(int fd, const char *beginning)
{
	char line[2048];

	for (int i = 0; i < 60 && read_line(fd, line, sizeof(line)); i++)
		if (strncmp(line, beginning, strlen(beginning)) == 0)
			return true;
	return false;
}

static bool start_tls(int fd, const char *service)
{
	for (size_t i = 0; i < sizeof(PROTOCOLS) / sizeof(PROTOCOLS[0]); i++) {
		const struct protocol *protocol = &PROTOCOLS[i];
		const char *last = strstr(protocol->ask, "STARTTLS");

		if (strcmp(protocol->service, service) != 0)
			continue;
		if (!wait_for(fd, protocol->greeting))
			return false;
		/* Commands of SMTP one after the other: what follows STARTTLS must not come with it, nor it with what was before. */
		if (last && last != protocol->ask && strchr(protocol->ask, '\n') < last)
			return os_write_all(fd, protocol->ask, (size_t)(last - protocol->ask)) &&
			       wait_for(fd, "250 ") && os_write_all(fd, last, strlen(last)) &&
			       wait_for(fd, protocol->good);
		return os_write_all(fd, protocol->ask, strlen(protocol->ask)) &&
		       wait_for(fd, protocol->good);
	}
	return false;
}

static void want_kind(SSL *ssl, const char *kind)
{
	static const char *const SIGNATURES[][2] = { { "RSA", "RSA-PSS+SHA256:RSA+SHA256" },
		{ "EC", "ECDSA+SHA256:ECDSA+SHA384" }, { "ED25519", "ed25519" } };

	for (size_t i = 0; i < sizeof(SIGNATURES) / sizeof(SIGNATURES[0]); i++)
		if (strcmp(SIGNATURES[i][0], kind) == 0)
			SSL_set1_sigalgs_list(ssl, SIGNATURES[i][1]);
}

X509 *tls_probe(const char *host, uint16_t port, const char *service, bool wrapper,
	const char *name, const char *kind)
{
	int fd = connect_to(host, port);
	SSL_CTX *context = fd >= 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
	SSL *ssl = context ? SSL_new(context) : NULL;
	X509 *shown = NULL;

	if (ssl && (wrapper || start_tls(fd, service))) {
		want_kind(ssl, kind);
		if (name[0])
			SSL_set_tlsext_host_name(ssl, name);
		if (SSL_set_fd(ssl, fd) && SSL_connect(ssl) == 1) {
			shown = SSL_get1_peer_certificate(ssl);
			SSL_shutdown(ssl);
		}
	}
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(context);
	os_close(&fd);
	return shown;
}
