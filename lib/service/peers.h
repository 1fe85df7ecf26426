// SPDX-License-Identifier: ISC
/* Peers of a daemon that keeps something for each: what its hooks.peer begins with. */
#ifndef SERVICE_PEERS_H
#define SERVICE_PEERS_H

#include "service/service.h"

/* How many there are, and may be; `count` is the daemon's to lower when it forgets one. */
struct peers {
	unsigned count, most;
	size_t size; /* of what is kept for one: a struct that begins with its struct channel */
	channel_receive receive;
	channel_closed closed;
};

/* Such a struct, zeroed, with the channel open and itself as the channel's context. NULL: turned away; when for want of room, logged. */
void *peers_take(struct peers *peers, struct service *service, int fd, const struct peer *who);

/* A peer whose questions take longer than a turn of the loop: it is kept until the last of them is done, even when it has gone meanwhile. */
struct asker {
	struct channel channel;
	struct peers *peers;
	void *daemon;
	enum service_id from;
	unsigned jobs; /* questions under way: the daemon counts them up */
	bool gone; /* nobody hears the answers */
};
/* Peers of that kind, at most so many, each of a struct of `size` that begins with its struct asker; a new one, NULL as peers_take. */
void askers_open(struct peers *peers, unsigned most, size_t size, channel_receive receive);
struct asker *askers_take(
	struct peers *peers, struct service *service, int fd, const struct peer *who, void *daemon);
/* One of its questions is done; the asker may be freed. */
void asker_done(struct asker *asker);

#endif
