// SPDX-License-Identifier: ISC
/* Blocking reads and writes with deadlines. See session_io.h. */
#include "smtpd/session_io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "os/os.h"
#include "sandbox/cell.h"
#include "service/log.h"

enum {
	LINGER_TIME =
		200, /* ms a client gets to read the last reply of a session that ends in an error */
	LINGER_BYTES = 256 * 1024, /* of its input that are read and dropped meanwhile */
	RENEW_FIRST =
		50, /* ms before a connection to authd is asked for again, doubled each time */
	RENEW_LAST = 800,
	TELL_TIMEOUT = 10000, /* ms for the spawner to take a word */
	WAIT_STEP = 10 /* seconds that one read of the client's socket waits, at most */
};

/*
 * The client's socket, or -1; and whether he has to go. The spawner tells by SIGHUP, which it may know before we do that he is logged in;
 * the process serves nobody after him.
 */
static volatile sig_atomic_t client_socket = -1, dismissed;

/* A read that waits ends at once, and one that is about to begin does not wait. */
static void on_dismissal(int signal_number)
{
	int saved = errno;

	dismissed = 1;
	if (client_socket >= 0)
		shutdown(client_socket, SHUT_RD);
	errno = saved;
}

void session_sockets_catch_dismissal(void)
{
	struct sigaction action = { .sa_handler = on_dismissal };

	sigaction(SIGHUP, &action, NULL);
}

static bool wait_until(int fd, short events, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - loop_monotonic();
		int n;

		if (left <= 0) {
			errno = ETIMEDOUT;
			return false;
		}
		n = poll(&poll_fd, 1, left > 3600000 ? 3600000 : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

/* `fd` is the client's socket from now on. */
static void take_socket(struct session_sockets *sockets, int fd)
{
	const struct timeval step = { .tv_sec = WAIT_STEP };

	client_socket = sockets->client = fd;
	sockets->waits = os_set_blocking(fd, true) &&
			 setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step)) == 0;
}

void session_sockets_begin(struct session_sockets *sockets, int fd, uint32_t serial)
{
	sockets->serial = serial;
	sockets->leaving = false;
	take_socket(sockets, fd);
}

/*
 * A session reads when it has answered, so there is nearly never anything yet: it waits in the read itself, one call instead of two
 * for each line. Only the last seconds before the deadline need a wait of an exact length.
 */
static ssize_t socket_read(void *context, void *data, size_t size, int64_t deadline)
{
	const struct session_sockets *sockets = context;

	for (;;) {
		bool wait = sockets->waits && deadline - loop_monotonic() > WAIT_STEP * 1000;
		ssize_t n;

		if (!wait && !dismissed && !wait_until(sockets->client, POLLIN, deadline))
			return -1;
		n = dismissed ? -1 : recv(sockets->client, data, size, wait ? 0 : MSG_DONTWAIT);
		if (dismissed) {
			errno = ECANCELED;
			return -1;
		}
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return n;
	}
}

static bool socket_write(void *context, const void *data, size_t length, int64_t deadline)
{
	const struct session_sockets *sockets = context;
	const char *at = data;

	while (length) {
		ssize_t n = send(sockets->client, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			at += n;
			length -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return false;
		} else if (!wait_until(sockets->client, POLLOUT, deadline)) {
			return false;
		}
	}
	return true;
}

static bool outbox_flush(struct session_sockets *sockets, int64_t deadline)
{
	struct slice packets[OUTBOX_PACKETS];
	unsigned count = sockets->packet_count;
	size_t at = 0;
	bool ok;

	for (unsigned i = 0; i < count; at = sockets->packet_ends[i++])
		packets[i] = slice_of(sockets->outbox.data + at, sockets->packet_ends[i] - at);
	ok = count == 0 ||
	     channel_sync_send_packets(sockets->peers[TO_CLEANUP], packets, count, deadline);
	sockets->packet_count = 0;
	buffer_clear(&sockets->outbox);
	return ok;
}

static bool is_worth_gathering(const struct message *message)
{
	return message->type == MESSAGE_CLEANUP_BEGIN ||
	       message->type == MESSAGE_CLEANUP_RECIPIENT ||
	       (message->type == MESSAGE_CLEANUP_CONTENT &&
		       message->cleanup_content.chunk.length <= OUTBOX_CHUNK);
}

/* To cleanup: beginning, recipients and small content wait for what follows. That cleanup is there is found out at the beginning. */
static bool cleanup_send(
	struct session_sockets *sockets, const struct message *message, int64_t deadline)
{
	bool wait = is_worth_gathering(message);

	if (message->type == MESSAGE_CLEANUP_BEGIN &&
		!channel_sync_peer_is_there(sockets->peers[TO_CLEANUP])) {
		errno = EPIPE;
		return false;
	}
	if (!wait && sockets->packet_count == 0)
		return channel_sync_send(sockets->peers[TO_CLEANUP], message, deadline);
	if (sockets->packet_count == OUTBOX_PACKETS && !outbox_flush(sockets, deadline))
		return false;
	if (!message_encode(message, &sockets->outbox)) {
		errno = EBADMSG;
		return false;
	}
	sockets->packet_ends[sockets->packet_count++] = sockets->outbox.length;
	return wait || outbox_flush(sockets, deadline);
}

static bool peer_send(
	void *context, enum session_peer peer, const struct message *message, int64_t deadline)
{
	struct session_sockets *sockets = context;

	if (peer == TO_CLEANUP)
		return cleanup_send(sockets, message, deadline);
	if (sockets->peers[peer] < 0) {
		errno = EPIPE;
		return false;
	}
	return channel_sync_send(sockets->peers[peer], message, deadline);
}

/* ---- The front's word that the client has to make room ----------------------------------------------------------------- */

static void hear_front(struct session_sockets *sockets, const struct message *message)
{
	if (message->type == MESSAGE_SESSION_LEAVE &&
		message->session_leave.serial == sockets->serial)
		sockets->leaving = true;
}

/* Wait for `fd`, or (-1) for the time alone, which a dismissal ends as well, or for that word. True: `fd` has something. */
static bool wait_or_leave(struct session_sockets *sockets, int fd, int64_t deadline)
{
	struct pollfd polls[2] = { { .fd = sockets->peers[TO_FRONT], .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };
	struct message message;

	while (!sockets->leaving && (fd >= 0 || !dismissed)) {
		int64_t left = deadline - loop_monotonic();

		if (left <= 0) {
			errno = ETIMEDOUT;
			return false;
		}
		if (poll(polls, 2, left > 3600000 ? 3600000 : (int)left) < 0 && errno != EINTR)
			return false;
		if (polls[1].revents)
			return true;
		if (!polls[0].revents)
			continue;
		/* Without its front a session serves nobody. */
		sockets->leaving = !channel_sync_receive(
			sockets->peers[TO_FRONT], &message, &sockets->space[TO_FRONT], deadline);
		if (!sockets->leaving)
			hear_front(sockets, &message);
	}
	errno = ECANCELED;
	return false;
}

static bool receive_once(struct session_sockets *sockets, enum session_peer peer,
	struct message *message, int64_t deadline)
{
	/* authd takes its time with those who guess. */
	if (peer == TO_AUTH && !wait_or_leave(sockets, sockets->peers[peer], deadline))
		return false;
	if (!channel_sync_receive(sockets->peers[peer], message, &sockets->space[peer], deadline))
		return false;
	message_close_fds(message);
	return true;
}

static bool peer_receive(
	void *context, enum session_peer peer, struct message *message, int64_t deadline)
{
	struct session_sockets *sockets = context;

	if (sockets->peers[peer] < 0) {
		errno = EPIPE;
		return false;
	}
	while (receive_once(sockets, peer, message, deadline)) {
		if (message->type != MESSAGE_SESSION_LEAVE)
			return true;
		hear_front(sockets, message);
	}
	return false;
}

/* One connection instead of another; false when there is none to be had now. */
static bool renew_once(struct session_sockets *sockets, enum session_peer peer, int64_t deadline)
{
	struct message message = { .type = MESSAGE_POOL_PEER };
	uint8_t service = peer == TO_DIRECTORY ? SERVICE_DIRECTORY
			  : peer == TO_CLEANUP ? SERVICE_CLEANUP
			  : peer == TO_AUTH    ? SERVICE_AUTH
					       : SERVICE_TLSD;
	int fd;

	message.pool_peer.service = service;
	if (peer == TO_FRONT || !channel_sync_send(sockets->spawner, &message, deadline) ||
		!channel_sync_receive(sockets->spawner, &message, &sockets->space[peer], deadline))
		return false;
	fd = message.type == MESSAGE_POOL_PEER_ANSWER && message.pool_peer_answer.service == service
		     ? message_take_fd(&message, 0)
		     : -1;
	message_close_fds(&message);
	if (fd < 0)
		return false;
	os_close(&sockets->peers[peer]);
	sockets->peers[peer] = fd;
	if (peer == TO_CLEANUP) {
		sockets->packet_count = 0;
		buffer_clear(&sockets->outbox);
	}
	return true;
}

/*
 * The peer was restarted, or replaced by a reload. A client that logs in at the very moment when authd ended would hear of it: it
 * takes a little until master knows, and starts another.
 */
static bool peer_renew(void *context, enum session_peer peer, int64_t deadline)
{
	int wait = RENEW_FIRST;

	while (!renew_once(context, peer, deadline)) {
		if (peer != TO_AUTH || wait > RENEW_LAST || loop_monotonic() + wait >= deadline)
			return false;
		(void)!poll(NULL, 0, wait);
		wait *= 2;
	}
	return true;
}

/* Most sessions never need it: the first connection to tlsd is asked for when there is use for it, as another is for a lost one. */
static bool reach_tls(void *context, int64_t deadline)
{
	struct session_sockets *sockets = context;
	int fd = sockets->peers[TO_TLS];

	return (fd >= 0 && channel_sync_peer_is_there(fd)) || peer_renew(context, TO_TLS, deadline);
}

static bool hand_to_tls(struct session_sockets *sockets, struct message *accept,
	struct message *ready, int64_t deadline)
{
	int fd;

	/* Its new owner waits for nothing, and the mode is the connection's, not the descriptor's. */
	if (!os_set_blocking(sockets->client, false))
		return false;
	accept->fd_count = 1;
	accept->fds[0] = sockets->client;
	if (!channel_sync_send(sockets->peers[TO_TLS], accept, deadline))
		return false;
	/* An answer to somebody before, which came too late, is not ours. */
	do {
		if (!channel_sync_receive(
			    sockets->peers[TO_TLS], ready, &sockets->space[TO_TLS], deadline))
			return false;
		fd = ready->type == MESSAGE_TLS_READY &&
				     ready->tls_ready.serial == accept->tls_accept.serial
			     ? message_take_fd(ready, 0)
			     : -1;
		message_close_fds(ready);
		if (ready->type != MESSAGE_TLS_READY)
			return false;
	} while (ready->tls_ready.serial != accept->tls_accept.serial);
	if (fd >= 0) {
		client_socket = -1;
		close(sockets->client);
		take_socket(sockets, fd);
	} else {
		ready->tls_ready.status = TLS_FAILED;
	}
	return true;
}

static bool start_tls(
	void *context, struct message *accept, struct message *ready, int64_t deadline)
{
	struct session_sockets *sockets = context;

	if (hand_to_tls(sockets, accept, ready, deadline))
		return true;
	/* A tlsd that does not answer is not asked again. */
	os_close(&sockets->peers[TO_TLS]);
	return false;
}

static int64_t socket_now(void *context)
{
	return loop_monotonic();
}

static void socket_sleep(void *context, int64_t milliseconds)
{
	struct session_sockets *sockets = context;

	(void)wait_or_leave(sockets, -1, loop_monotonic() + milliseconds);
}

static void tell_standing(void *context, enum client_standing standing)
{
	const struct session_sockets *sockets = context;
	struct message message = { .type = MESSAGE_SESSION_STANDING };

	message.session_standing.standing = (uint8_t)standing;
	if (!channel_sync_send(sockets->peers[TO_FRONT], &message, loop_monotonic() + TELL_TIMEOUT))
		log_warning("the front does not hear what its client is: %s", strerror(errno));
}

const struct session_io SESSION_SOCKETS = { socket_read, socket_write, peer_send, peer_receive,
	peer_renew, reach_tls, start_tls, socket_now, socket_sleep, tell_standing };

void session_sockets_close_client(struct session_sockets *sockets, bool in_error)
{
	int64_t deadline = loop_monotonic() + LINGER_TIME;
	char dropped[8192];
	size_t left = LINGER_BYTES;

	/* Closing a socket with unread input resets the connection, and the client may lose the reply that says why. */
	if (in_error && shutdown(sockets->client, SHUT_WR) == 0) {
		while (left > sizeof(dropped)) {
			ssize_t n = socket_read(sockets, dropped, sizeof(dropped), deadline);

			if (n <= 0)
				break;
			left -= (size_t)n;
		}
	}
	client_socket = -1;
	close(sockets->client);
	sockets->client = -1;
}
