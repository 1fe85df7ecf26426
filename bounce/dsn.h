// SPDX-License-Identifier: ISC
/*
 * The text of a delivery status notification (RFC 3464 in the multipart/report of RFC 6522): some words for people, the facts for
 * programs, and the message or its header. LF line ends.
 */
#ifndef BOUNCE_DSN_H
#define BOUNCE_DSN_H

#include "base/buffer.h"
#include "ipc/messages.h"

struct dsn_recipient {
	struct slice address, original, orcpt, dsn, relay, reason;
};
struct dsn {
	enum bounce_kind kind;
	const char *host; /* myhostname */
	const char *queue_id;
	const char *unique; /* makes boundary and Message-ID its own */
	struct slice sender, envid;
	int64_t arrival, give_up; /* microseconds since 1970 */
	int64_t now;
	const struct dsn_recipient *recipients;
	unsigned count;
	struct slice content; /* of the message, or its header alone */
	bool headers_only;
};

/* False when memory is out. */
bool dsn_write(const struct dsn *dsn, struct buffer *out);
/* Are there bytes over 127 in it? Then it needs 8BITMIME. */
bool dsn_is_8bit(struct slice text);

#endif
