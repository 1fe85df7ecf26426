// SPDX-License-Identifier: ISC
/* Handing a message to the suite. See submit.h; docs/queue-format.md describes maildrop files. */
#include "cli/submit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ipc/channel.h"
#include "os/os.h"

/* Where packets go: the socket, or a file with each packet's length before it. */
struct outlet {
	int fd;
	bool is_file;
	struct buffer packet;
};

int submit_connect(const struct submit_place *place, const char *name, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[4096];
	int folder, fd, error;

	/* By way of a descriptor: the path may be longer than a socket address. */
	snprintf(path, sizeof(path), "%s/run/public", place->instance);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, name);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	error = errno;
	close(folder);
	errno = error;
	return fd;
}

static bool put(struct outlet *out, const struct message *message)
{
	unsigned char length[4];

	if (!out->is_file)
		return channel_sync_send(
			out->fd, message, loop_monotonic() + SUBMIT_CONNECT_TIMEOUT);
	buffer_clear(&out->packet);
	if (!message_encode(message, &out->packet)) {
		errno = EINVAL;
		return false;
	}
	for (int i = 0; i < 4; i++)
		length[i] = (unsigned char)(out->packet.length >> (8 * i));
	return os_write_all(out->fd, length, sizeof(length)) &&
	       os_write_all(out->fd, out->packet.data, out->packet.length);
}

static bool put_all(struct outlet *out, const struct submission_text *text)
{
	struct message message = { .type = MESSAGE_SUBMIT_BEGIN };
	struct slice rest = text->content;
	bool ok;

	message.submit_begin.sender = text->sender;
	message.submit_begin.full_name = slice_head(text->full_name, 256);
	message.submit_begin.envid = text->envid;
	message.submit_begin.notify = text->notify;
	message.submit_begin.flags = text->flags;
	ok = put(out, &message);
	for (size_t i = 0; ok && i < text->recipients->count; i++) {
		message = (struct message){ .type = MESSAGE_SUBMIT_RECIPIENT };
		message.submit_recipient.address = *(struct slice *)vector_at(text->recipients, i);
		ok = put(out, &message);
	}
	while (ok && rest.length) {
		message = (struct message){ .type = MESSAGE_SUBMIT_CONTENT };
		message.submit_content.chunk = slice_head(rest, MAX_CHUNK);
		rest = slice_tail(rest, MAX_CHUNK);
		ok = put(out, &message);
	}
	message = (struct message){ .type = MESSAGE_SUBMIT_END };
	return ok && put(out, &message);
}

static int exit_code(unsigned code)
{
	return code >= 200 && code < 300 ? EX_OK
	       : code < 500              ? EX_TEMPFAIL
	       : code == 553             ? EX_NOUSER
					 : EX_DATAERR;
}

/* Exit code; EX_TEMPFAIL when it should go to maildrop instead. */
static int to_socket(
	const char *command, const struct submit_place *place, const struct submission_text *text)
{
	struct outlet out = { .fd = submit_connect(place, "pickup", SOCK_SEQPACKET) };
	struct buffer space = { 0 };
	struct message answer;
	int status = EX_TEMPFAIL;

	if (out.fd < 0)
		return EX_TEMPFAIL;
	if (put_all(&out, text) && channel_sync_receive(out.fd, &answer, &space,
					   loop_monotonic() + SUBMIT_ANSWER_TIMEOUT)) {
		if (answer.type == MESSAGE_CLEANUP_RESULT)
			status = exit_code(answer.cleanup_result.code);
		if (status != EX_OK && status != EX_TEMPFAIL)
			cli_complain(command, "%.*s %.*s", SLICE_ARG(answer.cleanup_result.dsn),
				SLICE_ARG(answer.cleanup_result.reason));
		message_close_fds(&answer);
	}
	buffer_free(&space);
	close(out.fd);
	return status;
}

/* The folder may be closed to listing, as it should be; then the file's own sync carries its name, too. */
static bool sync_folder(const char *path, int file)
{
	int folder = os_open(path, O_RDONLY | O_DIRECTORY, 0);
	bool ok;

	if (folder < 0)
		return os_fsync(file);
	ok = os_fsync(folder);
	os_close(&folder);
	return ok;
}

static bool write_file(
	int folder, const char *path, const char *name, const struct submission_text *text)
{
	struct outlet out = { .is_file = true };
	char temporary[64];
	bool ok;

	snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	/* Readable for pickup, which has a user of its own; the folder lists nothing, and nobody can guess the name. */
	out.fd = os_openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (out.fd < 0)
		return false;
	ok = put_all(&out, text) && fchmod(out.fd, 0644) == 0 && os_fsync(out.fd) &&
	     os_renameat(folder, temporary, folder, name) && sync_folder(path, out.fd);
	if (!ok) {
		int error = errno;

		if (!os_unlinkat(folder, temporary, 0) && !os_unlinkat(folder, name, 0))
			errno = 0;
		errno = error;
	}
	buffer_free(&out.packet);
	os_close(&out.fd);
	return ok;
}

static int to_maildrop(
	const char *command, const struct submit_place *place, const struct submission_text *text)
{
	char path[4096], name[40];
	uint64_t chance[2];
	int folder;
	bool ok;

	snprintf(path, sizeof(path), "%s/maildrop", place->queue);
	folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		cli_complain(command, "%s: %s", path, strerror(errno));
		return EX_UNAVAILABLE;
	}
	os_random(chance, sizeof(chance));
	snprintf(name, sizeof(name), "%016llx%016llx", (unsigned long long)chance[0],
		(unsigned long long)chance[1]);
	ok = write_file(folder, path, name, text);
	if (!ok)
		cli_complain(command, "mail cannot be left in %s: %s", path, strerror(errno));
	close(folder);
	return ok ? EX_OK : EX_TEMPFAIL;
}

int submit(
	const char *command, const struct submit_place *place, const struct submission_text *text)
{
	int status, poke;

	signal(SIGPIPE, SIG_IGN);
	status = to_socket(command, place, text);
	if (status != EX_TEMPFAIL)
		return status;
	status = to_maildrop(command, place, text);
	/* If somebody listens after all: a connection without a word says that there is something in maildrop. */
	poke = status == EX_OK ? submit_connect(place, "pickup", SOCK_SEQPACKET) : -1;
	if (poke >= 0)
		close(poke);
	return status;
}
