// SPDX-License-Identifier: ISC
/*
 * The floor: what the work itself costs. Forty processes that accept, speak just enough SMTP for smtp-source, write the message to a
 * queue folder, fsync it, answer, copy it into a Maildir, fsync that, rename it into new/ and remove the queue file; no routing, no
 * checks, no other process. A mail system can approach this figure, not pass it.
 *
 *	floor PORT FOLDER [PROCESSES]     FOLDER/queue and FOLDER/Maildir/{tmp,new,cur} exist
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INPUT = 256 * 1024 };

static int queue_folder, maildir;

struct client {
	int fd;
	size_t length;
	char input[INPUT];
};

static int say(struct client *client, const char *text)
{
	return write(client->fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static int fill(struct client *client)
{
	ssize_t n = client->length < INPUT ? read(client->fd, client->input + client->length,
						     INPUT - client->length)
					   : 0;

	if (n <= 0)
		return 0;
	client->length += (size_t)n;
	return 1;
}

static void consume(struct client *client, size_t length)
{
	memmove(client->input, client->input + length, client->length - length);
	client->length -= length;
}

static int store(const char *data, size_t length)
{
	static unsigned long count;
	char name[64], to[80], from[80];
	int file, copy, ok;
	off64_t at = 0;

	snprintf(name, sizeof(name), "%d.%lu", (int)getpid(), count++);
	snprintf(from, sizeof(from), "tmp/%s", name);
	snprintf(to, sizeof(to), "new/%s", name);
	file = openat(queue_folder, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (file < 0 || write(file, data, length) != (ssize_t)length || fsync(file) < 0)
		return 0;
	copy = openat(maildir, from, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ok = copy >= 0 && copy_file_range(file, &at, copy, NULL, length, 0) == (ssize_t)length &&
	     fsync(copy) == 0 && renameat(maildir, from, maildir, to) == 0 &&
	     unlinkat(queue_folder, name, 0) == 0;
	close(file);
	if (copy >= 0)
		close(copy);
	return ok;
}

static int take_data(struct client *client)
{
	char *end;

	if (!say(client, "354 go on\r\n"))
		return 0;
	while (!(end = memmem(client->input, client->length, "\r\n.\r\n", 5))) {
		if (!fill(client))
			return 0;
	}
	if (!store(client->input, (size_t)(end - client->input) + 2))
		return 0;
	consume(client, (size_t)(end - client->input) + 5);
	return say(client, "250 stored\r\n");
}

static void serve(struct client *client)
{
	char *end;

	client->length = 0;
	if (!say(client, "220 floor\r\n"))
		return;
	for (;;) {
		while (!(end = memchr(client->input, '\n', client->length))) {
			if (!fill(client))
				return;
		}
		if (strncasecmp(client->input, "QUIT", 4) == 0) {
			say(client, "221 bye\r\n");
			return;
		}
		if (strncasecmp(client->input, "DATA", 4) == 0) {
			consume(client, (size_t)(end - client->input) + 1);
			if (!take_data(client))
				return;
			continue;
		}
		consume(client, (size_t)(end - client->input) + 1);
		if (!say(client, "250 ok\r\n"))
			return;
	}
}

static void work(int listener)
{
	static struct client client;
	int on = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		client.fd = accept(listener, NULL, NULL);
		if (client.fd < 0)
			continue;
		setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		serve(&client);
		close(client.fd);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in where = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	long processes = argc > 3 ? strtol(argv[3], NULL, 10) : 40;

	if (argc < 3 || chdir(argv[2]) < 0)
		return 64;
	where.sin_port = htons((unsigned short)strtoul(argv[1], NULL, 10));
	queue_folder = open("queue", O_RDONLY | O_DIRECTORY);
	maildir = open("Maildir", O_RDONLY | O_DIRECTORY);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (queue_folder < 0 || maildir < 0 ||
		bind(listener, (struct sockaddr *)&where, sizeof(where)) < 0 ||
		listen(listener, 1024) < 0) {
		perror("floor");
		return 71;
	}
	signal(SIGPIPE, SIG_IGN);
	for (long i = 0; i < processes; i++) {
		if (fork() == 0)
			work(listener);
	}
	pause();
	return 0;
}
