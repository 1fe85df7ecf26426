// SPDX-License-Identifier: ISC
/* Refusing a peer. See refuse.h. */
#include "service/refuse.h"

#include "service/log.h"

void service_refuse(struct channel *channel, const char *peer, const struct message *message)
{
	log_warning(
		"%s sent %s out of place; connection closed", peer, message_name(message->type));
	channel_close(channel);
	channel->closed(channel, "what it sent was out of place");
}
