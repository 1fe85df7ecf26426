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
