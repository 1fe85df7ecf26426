// SPDX-License-Identifier: ISC
/* Connections between processes of the suite. See channel.h. */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/os.h"

enum {
	CHANNEL_BATCH = 8, /* messages read or sent in one call, and in one turn of a channel */
	CHANNEL_SOCKET_BUFFER = 1 << 20 /* bytes; the kernel may grant less */
};

struct channel_packet {
	struct channel_packet *next;
	unsigned fd_count;
	int fds[MESSAGE_FDS];
	bool secret;
	size_t length;
	char data[];
};

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
};

bool channel_pair(int ends[2])
{
	int size = CHANNEL_SOCKET_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return false;
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return true;
}

/* One packet; -1 with errno. */
static ssize_t packet_send(
	int fd, const void *data, size_t length, const int *fds, unsigned fd_count)
{
	union control control;
	struct iovec part = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	if (fd_count) {
		header.msg_control = control.space;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		memset(control.space, 0, header.msg_controllen);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
	}
	do
		n = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

static void take_descriptors(struct msghdr *header, struct message *message)
{
	message->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		unsigned count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (message->fd_count < MESSAGE_FDS)
				message->fds[message->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

/* What recvmsg gave, as a message. False (its descriptors closed) when it is none. */
static bool packet_decode(struct msghdr *header, size_t length, struct message *message)
{
	take_descriptors(header, message);
	/* MSG_CTRUNC: no descriptor is free here. That is no fault of the peer's, least of all of master: who wants one misses it. */
	if (!(header->msg_flags & MSG_TRUNC) &&
		message_decode(slice_of(header->msg_iov->iov_base, length), message) &&
		message->fd_count <= message_fd_limit(message->type))
		return true;
	message_close_fds(message);
	return false;
}

/*
 * One packet into `space` and decoded. 1 with a message, 0 at the end, -1 with errno (EAGAIN: nothing there; EBADMSG: what came
 * is no message, its descriptors are closed).
 */
static int packet_receive(int fd, char *space, struct message *message)
{
	union control control;
	struct iovec part = { .iov_base = space, .iov_len = MESSAGE_MAX + 1 };
	struct msghdr header = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space) };
	ssize_t n;

	do
		n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -1;
	if (n == 0 && header.msg_controllen == 0)
		return 0;
	if (packet_decode(&header, (size_t)n, message))
		return 1;
	errno = EBADMSG;
	return -1;
}

static void packet_free(struct channel_packet *packet)
{
	for (unsigned i = 0; i < packet->fd_count; i++)
		close(packet->fds[i]);
	if (packet->secret)
		explicit_bzero(packet->data, packet->length);
	free(packet);
}

static void channel_drop(struct channel *channel)
{
	struct channel_packet *next;

	for (struct channel_packet *p = channel->out_head; p; p = next) {
		next = p->next;
		packet_free(p);
	}
	channel->out_head = channel->out_tail = NULL;
	channel->out_bytes = 0;
	if (channel->loop)
		loop_cancel(channel->loop, &channel->flush);
	if (channel->gone)
		*channel->gone = true;
	channel->gone = NULL;
	if (channel->watch.fd >= 0) {
		loop_unwatch(&channel->watch);
		close(channel->watch.fd);
		channel->watch.fd = -1;
	}
}

static void channel_fail(struct channel *channel, const char *why)
{
	channel_drop(channel);
	if (channel->closed)
		channel->closed(channel, why);
}

static void channel_events(struct channel *channel)
{
	loop_rewatch(&channel->watch, (channel->paused ? 0u : (uint32_t)EPOLLIN) |
					      (channel->out_head ? (uint32_t)EPOLLOUT : 0u));
}

/* False when the peer is gone. */
static bool channel_write(struct channel *channel)
{
	while (channel->out_head) {
		struct channel_packet *packet = channel->out_head;

		if (packet_send(channel->watch.fd, packet->data, packet->length, packet->fds,
			    packet->fd_count) < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
		channel->out_head = packet->next;
		if (!channel->out_head)
			channel->out_tail = NULL;
		channel->out_bytes -= packet->length;
		packet_free(packet);
	}
	return true;
}

static void channel_flush(struct deferred *deferred)
{
	struct channel *channel = deferred->context;

	if (!channel_is_open(channel))
		return;
	if (channel->out_bytes > CHANNEL_OUT_LIMIT)
		channel_fail(channel, "peer does not read");
	else if (!channel_write(channel))
		channel_fail(channel, "peer went away");
	else
		channel_events(channel);
}

/* The packets that recvmmsg brings at once: one call for a burst, and no second one to learn that there is no more. */
struct batch {
	struct mmsghdr headers[CHANNEL_BATCH];
	struct iovec parts[CHANNEL_BATCH];
	union control controls[CHANNEL_BATCH];
	char space[CHANNEL_BATCH][MESSAGE_MAX + 1];
};

static int batch_receive(int fd, struct batch *batch)
{
	int n;

	for (unsigned i = 0; i < CHANNEL_BATCH; i++) {
		batch->parts[i] = (struct iovec){ batch->space[i], sizeof(batch->space[i]) };
		batch->headers[i].msg_hdr = (struct msghdr){ .msg_iov = &batch->parts[i],
			.msg_iovlen = 1,
			.msg_control = batch->controls[i].space,
			.msg_controllen = sizeof(batch->controls[i].space) };
	}
	do
		n = recvmmsg(
			fd, batch->headers, CHANNEL_BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno == ECONNRESET ? 0 : n;
}

static void packet_wipe(struct mmsghdr *packet)
{
	message_wipe(packet->msg_hdr.msg_iov->iov_base, packet->msg_len);
}

/* Hand one packet to the owner; what stays unread of its descriptors is closed. `why` says what ends the channel, or is NULL. */
static void batch_deliver(struct channel *channel, struct mmsghdr *packet, const char **why)
{
	struct message message;

	if (packet->msg_len == 0 && packet->msg_hdr.msg_controllen == 0) {
		*why = "peer went away";
	} else if (!packet_decode(&packet->msg_hdr, packet->msg_len, &message)) {
		*why = "peer sent what is no message";
	} else {
		channel->receive(channel, &message);
		message_close_fds(&message);
	}
	packet_wipe(packet);
}

static void batch_drop(struct mmsghdr *packet)
{
	struct message message;

	packet_wipe(packet);
	take_descriptors(&packet->msg_hdr, &message);
	message_close_fds(&message);
}

static void channel_read(struct channel *channel)
{
	static struct batch batch; /* of the one thread that runs loops */
	static bool batch_in_use;
	const char *why = NULL;
	bool gone = false;
	int count, i = 0;

	/* A handler that turns the loop again would overwrite the messages it holds: none does, and if one did it gets nothing. */
	if (batch_in_use)
		return;
	count = batch_receive(channel->watch.fd, &batch);
	if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (count <= 0) {
		channel_fail(channel, count == 0 ? "peer went away" : strerror(errno));
		return;
	}
	batch_in_use = true;
	channel->gone = &gone;
	for (; i < count && !gone && !why; i++)
		batch_deliver(channel, &batch.headers[i], &why);
	for (; i < count; i++)
		batch_drop(&batch.headers[i]);
	batch_in_use = false;
	if (gone)
		return;
	channel->gone = NULL;
	if (why)
		channel_fail(channel, why);
}

void channel_hear_out(struct channel *channel)
{
	char byte;

	while (channel_is_open(channel) &&
		recv(channel->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		channel_read(channel);
}

static void channel_ready(struct watch *watch, uint32_t events)
{
	struct channel *channel = watch->context;

	if (events & EPOLLOUT) {
		bool gone = false;

		channel->gone = &gone; /* `closed` may have freed the channel */
		channel_flush(&channel->flush);
		if (gone)
			return;
		channel->gone = NULL;
	}
	if ((events & EPOLLIN) && !channel->paused)
		channel_read(channel);
	else if (events & (EPOLLHUP | EPOLLERR))
		channel_fail(channel, "peer went away");
}

bool channel_open(struct channel *channel, struct loop *loop, int fd, channel_receive receive,
	channel_closed closed, void *context)
{
	*channel = (struct channel){
		.loop = loop, .receive = receive, .closed = closed, .context = context
	};
	channel->flush = (struct deferred){ .run = channel_flush, .context = channel };
	channel->watch = (struct watch){
		.fd = fd, .events = EPOLLIN, .ready = channel_ready, .context = channel
	};
	if (os_set_blocking(fd, false) && loop_watch(loop, &channel->watch))
		return true;
	close(fd);
	channel->watch.fd = -1;
	return false;
}

static struct channel_packet *packet_new(const struct message *message, struct buffer *encoded)
{
	struct channel_packet *packet = malloc(sizeof(*packet) + encoded->length);

	if (!packet)
		return NULL;
	*packet = (struct channel_packet){ .length = encoded->length, .secret = encoded->secret };
	memcpy(packet->data, encoded->data, encoded->length);
	for (; packet->fd_count < message->fd_count; packet->fd_count++) {
		int copy = fcntl(message->fds[packet->fd_count], F_DUPFD_CLOEXEC, 3);

		if (copy < 0) {
			packet_free(packet);
			return NULL;
		}
		packet->fds[packet->fd_count] = copy;
	}
	return packet;
}

/* Straight to the socket, without a copy, when nothing waits; what the socket does not take is queued. */
static bool send_or_queue(
	struct channel *channel, const struct message *message, struct buffer *encoded)
{
	struct channel_packet *packet;

	if (!channel->out_head && packet_send(channel->watch.fd, encoded->data, encoded->length,
					  message->fds, message->fd_count) >= 0)
		return true;
	packet = packet_new(message, encoded);
	if (!packet)
		return false;
	if (channel->out_tail)
		channel->out_tail->next = packet;
	else
		channel->out_head = packet;
	channel->out_tail = packet;
	channel->out_bytes += packet->length;
	loop_defer(channel->loop, &channel->flush);
	return true;
}

/* Where a message is encoded; emptied for this one. Behind it comes encoded_done. */
static struct buffer *encoded_begin(const struct message *message)
{
	static _Thread_local struct buffer encoded;

	buffer_clear(&encoded);
	encoded.secret = message_is_secret(message->type);
	return &encoded;
}

static void encoded_done(struct buffer *encoded)
{
	buffer_clear(encoded);
	encoded->secret = false;
}

bool channel_send(struct channel *channel, const struct message *message)
{
	struct buffer *encoded = encoded_begin(message);
	bool done = channel_is_open(channel) && message_encode(message, encoded) &&
		    send_or_queue(channel, message, encoded);

	encoded_done(encoded);
	return done;
}

void channel_push(struct channel *channel)
{
	if (channel_is_open(channel))
		channel_write(
			channel); /* a failure is found again, and told, by the flush that is queued */
}

void channel_pause(struct channel *channel, bool paused)
{
	channel->paused = paused;
	if (channel_is_open(channel))
		channel_events(channel);
}

void channel_close(struct channel *channel)
{
	if (!channel_is_open(channel))
		return;
	channel_write(channel);
	channel_drop(channel);
}

/* Wait for `events`; false with ETIMEDOUT at the deadline. */
static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - loop_monotonic();
		int n = left <= 0 ? 0 : poll(&poll_fd, 1, left > 3600000 ? 3600000 : (int)left);

		if (n > 0)
			return true;
		if (n == 0 && deadline - loop_monotonic() <= 0) {
			errno = ETIMEDOUT;
			return false;
		}
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static bool sync_send(
	int fd, const struct message *message, const struct buffer *encoded, int64_t deadline)
{
	while (packet_send(fd, encoded->data, encoded->length, message->fds, message->fd_count) <
		0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
			errno = EPIPE;
			return false;
		}
		if (!wait_for(fd, POLLOUT, deadline))
			return false;
	}
	return true;
}

bool channel_sync_send(int fd, const struct message *message, int64_t deadline)
{
	struct buffer *encoded = encoded_begin(message);
	bool done = message_encode(message, encoded);

	if (!done)
		errno = EBADMSG;
	done = done && sync_send(fd, message, encoded, deadline);
	encoded_done(encoded);
	return done;
}

bool channel_sync_send_packets(
	int fd, const struct slice *packets, unsigned count, int64_t deadline)
{
	struct mmsghdr headers[CHANNEL_BATCH] = { 0 };
	struct iovec parts[CHANNEL_BATCH];
	unsigned done = 0;

	while (done < count) {
		unsigned batch = count - done < CHANNEL_BATCH ? count - done : CHANNEL_BATCH;
		int sent;

		for (unsigned i = 0; i < batch; i++) {
			parts[i] = (struct iovec){ .iov_base = (void *)packets[done + i].data,
				.iov_len = packets[done + i].length };
			headers[i].msg_hdr =
				(struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
		}
		sent = sendmmsg(fd, headers, batch, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0) {
			done += (unsigned)sent;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			if (!wait_for(fd, POLLOUT, deadline))
				return false;
		} else if (errno != EINTR) {
			errno = EPIPE;
			return false;
		}
	}
	return true;
}

bool channel_sync_peer_is_there(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

bool channel_sync_receive(int fd, struct message *message, struct buffer *space, int64_t deadline)
{
	buffer_clear(space);
	if (!buffer_reserve(space, MESSAGE_MAX + 1)) {
		errno = ENOMEM;
		return false;
	}
	/* Wait first: who calls this has just asked, and there is nearly never an answer yet. */
	for (;;) {
		int got = wait_for(fd, POLLIN, deadline) ? packet_receive(fd, space->data, message)
							 : -1;

		if (got > 0)
			return true;
		if (got == 0)
			errno = EPIPE;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return false;
	}
}
