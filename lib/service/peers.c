// SPDX-License-Identifier: ISC
/* Peers of a daemon. See peers.h. */
#include "service/peers.h"

#include <stdlib.h>
#include <unistd.h>

#include "service/log.h"

void *peers_take(struct peers *peers, struct service *service, int fd, const struct peer *who)
{
	struct channel *peer = peers->count < peers->most ? calloc(1, peers->size) : NULL;

	if (!peer) {
		log_warning("no room for another connection from %s", service_id_name(who->from));
		close(fd);
		return NULL;
	}
	if (!channel_open(peer, service_loop(service), fd, peers->receive, peers->closed, peer)) {
		free(peer);
		return NULL;
	}
	peers->count++;
	return peer;
}

static void asker_closed(struct channel *channel, const char *why)
{
	struct asker *asker = channel->context;

	asker->peers->count--;
	asker->gone = true;
	if (asker->jobs == 0)
		free(asker);
}

void askers_open(struct peers *peers, unsigned most, size_t size, channel_receive receive)
{
	*peers = (struct peers){
		.most = most, .size = size, .receive = receive, .closed = asker_closed
	};
}

struct asker *askers_take(
	struct peers *peers, struct service *service, int fd, const struct peer *who, void *daemon)
{
	struct asker *asker = peers_take(peers, service, fd, who);

	if (asker) {
		asker->peers = peers;
		asker->daemon = daemon;
		asker->from = who->from;
	}
	return asker;
}

void asker_done(struct asker *asker)
{
	if (--asker->jobs == 0 && asker->gone)
		free(asker);
}
