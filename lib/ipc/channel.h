// SPDX-License-Identifier: ISC
/*
 * A connection to another process of the suite: UNIX SOCK_SEQPACKET, one packet a message, descriptors with it.
 *
 * Two ways of use: in a loop (channel_open; messages come to `receive`, sending queues and never blocks), or blocking with a
 * deadline (channel_sync_*), for session processes that serve one client.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "base/loop.h"
#include "ipc/message.h"

struct channel;
/* The message and what it points to are valid during the call; the handler may close the channel. */
typedef void (*channel_receive)(struct channel *channel, struct message *message);
/* The peer went away, sent what does not decode, or does not read: `why` for the log. The channel is closed already. */
typedef void (*channel_closed)(struct channel *channel, const char *why);

struct channel_packet;
struct channel {
	struct watch watch; /* watch.fd is the socket, -1 when closed */
	struct loop *loop;
	channel_receive receive;
	channel_closed closed;
	void *context;
	struct channel_packet *out_head, *out_tail;
	size_t out_bytes; /* queued */
	struct deferred flush;
	bool *gone; /* set while a handler runs, to notice that it closed the channel */
	bool paused;
};

enum {
	CHANNEL_OUT_LIMIT = 16 << 20
}; /* bytes queued to a peer that does not read, before it is given up */

/* Two connected ends, close-on-exec, non-blocking. */
MUST_CHECK bool channel_pair(int ends[2]);
/* Takes `fd` over. False (fd closed) when the loop cannot watch it. */
MUST_CHECK bool channel_open(struct channel *channel, struct loop *loop, int fd,
	channel_receive receive, channel_closed closed, void *context);
/* Queue; sent at the end of the turn. Descriptors in the message stay the caller's (they are duplicated). False when the
 * message does not encode or the channel is closed; a peer that does not read gets `closed` later. */
bool channel_send(struct channel *channel, const struct message *message);
/* Send what can be sent now, instead of at the end of the turn: for handlers that take long. */
void channel_push(struct channel *channel);
/* The peer has ended: receive what it said before, up to its end, which comes to `closed`. Handlers must not
 * free the channel. */
void channel_hear_out(struct channel *channel);
/* Stop and go on reading (back-pressure). */
void channel_pause(struct channel *channel, bool paused);
/* Send what can be sent now, and close; safe when closed already and inside handlers. `closed` is not called. */
void channel_close(struct channel *channel);
static inline bool channel_is_open(const struct channel *channel)
{
	return channel->watch.fd >= 0;
}

/* Blocking, until `deadline` (loop_monotonic ms). False with errno: ETIMEDOUT, EPIPE (peer gone), EBADMSG (did not decode). */
MUST_CHECK bool channel_sync_send(int fd, const struct message *message, int64_t deadline);
/* Several encoded messages without descriptors (message_encode's packets), in as few system calls as can be. */
MUST_CHECK bool channel_sync_send_packets(
	int fd, const struct slice *packets, unsigned count, int64_t deadline);
/* True when the peer still holds its end. */
bool channel_sync_peer_is_there(int fd);
/* `space` holds the packet while the message is used (none with a SECRET field comes to anybody this way). */
MUST_CHECK bool channel_sync_receive(
	int fd, struct message *message, struct buffer *space, int64_t deadline);

#endif
