// SPDX-License-Identifier: ISC
/* A peer within the suite that sends what it has no business to send: it is not argued with. */
#ifndef SERVICE_REFUSE_H
#define SERVICE_REFUSE_H

#include "ipc/channel.h"

/*
 * Log that `peer` ("qmgr") sent this message out of place, close the channel, and let its `closed` do what it does when the peer goes away.
 * The channel may be freed afterwards. For handlers of channel_receive, as their last word.
 */
void service_refuse(struct channel *channel, const char *peer, const struct message *message);

#endif
