// SPDX-License-Identifier: ISC
/*
 * Clients that connect, hear the greeting, say one line if one is given, hear its answer, and go; again and again, several at a time,
 * each in a process of its own. For bench.py.
 *
 *	clients PORT CLIENTS SECONDS clear|full|resumed [SIGNATURES [LINE ANSWER]]
 *
 * "full" and "resumed" are TLS 1.3 with one cipher and one curve, so that everybody who is measured does the same work; SIGNATURES (as of
 * SSL_CTX_set1_sigalgs_list(3)) picks the server's key. ANSWER is how the line begins that ends the answer to LINE. Prints rounds,
 * how many of them took up an earlier session, seconds, and the clients' own processor time in seconds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	atomic_ulong rounds, resumed;
};
static struct shared *shared;

struct wish {
	struct sockaddr_in server;
	int clients;
	double seconds;
	bool tls, resume;
	const char *signatures, *line, *answer;
};

struct client {
	int fd;
	SSL *ssl;
	SSL_SESSION *session; /* of the connection before */
	size_t length;
	char input[4096];
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	ERR_print_errors_fp(stderr);
	_exit(1);
}

static int hear(struct client *client)
{
	size_t room = sizeof(client->input) - client->length;
	char *to = client->input + client->length;
	ssize_t got =
		client->ssl ? SSL_read(client->ssl, to, (int)room) : read(client->fd, to, room);

	if (got > 0)
		client->length += (size_t)got;
	return got > 0;
}

/* Up to a line that begins with `start`; that line is heard to its end. */
static int hear_line(struct client *client, const char *start)
{
	size_t length = strlen(start), at = 0;

	for (;;) {
		char *end = memchr(client->input + at, '\n', client->length - at);

		if (end && (size_t)(end - client->input) - at >= length &&
			memcmp(client->input + at, start, length) == 0)
			return 1;
		if (end)
			at = (size_t)(end + 1 - client->input);
		else if (!hear(client))
			return 0;
	}
}

static int say(struct client *client, const char *line)
{
	char text[1024];
	int length = snprintf(text, sizeof(text), "%s\r\n", line);

	client->length = 0;
	return (client->ssl ? SSL_write(client->ssl, text, length)
			    : (int)write(client->fd, text, (size_t)length)) == length;
}

static void open_tls(struct client *client, SSL_CTX *context, const struct wish *wish)
{
	client->ssl = SSL_new(context);
	if (!client->ssl || !SSL_set_fd(client->ssl, client->fd) ||
		(wish->resume && client->session && !SSL_set_session(client->ssl, client->session)))
		fail("SSL_new");
	if (SSL_connect(client->ssl) != 1)
		fail("SSL_connect");
	if (SSL_session_reused(client->ssl))
		atomic_fetch_add(&shared->resumed, 1);
}

/* Said to the end properly, or OpenSSL would not take the session up again. */
static void close_tls(struct client *client, const struct wish *wish)
{
	(void)SSL_shutdown(client->ssl);
	if (wish->resume) {
		SSL_SESSION_free(client->session);
		client->session = SSL_get1_session(client->ssl);
	}
	SSL_free(client->ssl);
	client->ssl = NULL;
}

static void go_round(struct client *client, SSL_CTX *context, const struct wish *wish)
{
	int on = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
		connect(client->fd, (const struct sockaddr *)&wish->server, sizeof(wish->server)))
		fail("connect");
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (wish->tls)
		open_tls(client, context, wish);
	client->length = 0;
	if (!hear_line(client, ""))
		fail("no greeting");
	if (wish->line && (!say(client, wish->line) || !hear_line(client, wish->answer)))
		fail("not the answer");
	if (wish->tls)
		close_tls(client, wish);
	close(client->fd);
	atomic_fetch_add(&shared->rounds, 1);
}

static SSL_CTX *context_new(const struct wish *wish)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
		!SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") ||
		!SSL_CTX_set1_groups_list(context, "X25519") ||
		(wish->signatures && !SSL_CTX_set1_sigalgs_list(context, wish->signatures)))
		fail("SSL_CTX_new");
	return context;
}

static void be_client(const struct wish *wish, double end)
{
	struct client client = { 0 };
	SSL_CTX *context = wish->tls ? context_new(wish) : NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (now() < end)
		go_round(&client, context, wish);
	_exit(0);
}

static int run(const struct wish *wish)
{
	double begin = now(), used;
	int status, bad = 0;
	struct rusage usage;

	for (int i = 0; i < wish->clients; i++)
		if (fork() == 0)
			be_client(wish, begin + wish->seconds);
	while (wait(&status) > 0)
		bad |= status;
	getrusage(RUSAGE_CHILDREN, &usage);
	used = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("%lu %lu %.6f %.6f\n", (unsigned long)shared->rounds, (unsigned long)shared->resumed,
		now() - begin, used);
	return bad != 0;
}

int main(int argc, char **argv)
{
	struct wish wish = { .server = { .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };

	if (argc < 5 || argc == 7) {
		fputs("usage: clients PORT CLIENTS SECONDS clear|full|resumed [SIGNATURES [LINE "
		      "ANSWER]]\n",
			stderr);
		return 64;
	}
	wish.server.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
	wish.clients = (int)strtol(argv[2], NULL, 10);
	wish.seconds = strtod(argv[3], NULL);
	wish.resume = strcmp(argv[4], "resumed") == 0;
	wish.tls = wish.resume || strcmp(argv[4], "full") == 0;
	wish.signatures = argc > 5 && argv[5][0] ? argv[5] : NULL;
	wish.line = argc > 7 ? argv[6] : NULL;
	wish.answer = argc > 7 ? argv[7] : NULL;
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("mmap");
	return run(&wish);
}
