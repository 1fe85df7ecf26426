// SPDX-License-Identifier: ISC
/*
 * The headers of one message while it streams by: what is dropped, counted, noticed and added. Everything goes to a sink, so
 * that the tests need no queue.
 */
#ifndef CLEANUP_HEADERS_H
#define CLEANUP_HEADERS_H

#include "mail/header.h"

enum { HEADERS_MESSAGE_ID = 1000 /* bytes of a Message-ID that are kept for the log */ };

enum headers_status {
	HEADERS_FAILED = 0, /* the sink refused, or memory is out */
	HEADERS_GOOD,
	HEADERS_TOO_MANY_HOPS
};

/* What the headers are completed from. */
struct headers_facts {
	const char *id; /* queue id */
	const char *host; /* myhostname */
	const char *origin; /* domain of addresses without one (myorigin); NULL: leave them */
	struct slice sender, full_name;
	int64_t arrival; /* microseconds since 1970 */
	size_t size_limit; /* header_size_limit */
	int64_t hop_limit;
	void (*from)(void *context,
		struct slice value); /* gets the value of each From:; NULL: nobody wants it */
	bool complete; /* add Date:, Message-ID: and From: where they are missing */
};

struct headers {
	struct header_stream stream;
	struct buffer
		partial; /* a line that may turn out to be the body's, see header_stream.excess */
	struct headers_facts facts;
	bool (*write)(void *context, struct slice text);
	void *context;
	enum headers_status status;
	int64_t hops;
	unsigned seen; /* bits of the header table */
	char message_id[HEADERS_MESSAGE_ID];
	bool started;
};

void headers_begin(struct headers *headers, const struct headers_facts *facts,
	bool (*write)(void *context, struct slice text), void *context);
/* Content in order. What it answers stays the answer of all later calls. */
enum headers_status headers_feed(struct headers *headers, struct slice chunk);
enum headers_status headers_end(struct headers *headers);
void headers_free(struct headers *headers);

/* Who gave us the message, for its Received: header (RFC 5321 4.4). */
struct headers_origin {
	struct slice client_name, client_address, helo, protocol;
	struct slice tls; /* comments, separated by LF; may be empty */
	struct slice login; /* to be told; empty: nobody, or nobody's business */
	bool hidden; /* nothing of where the client is */
	struct slice recipient; /* empty: several, or none to be told */
};
/* Append the header in Postfix's layout. Text from outside is made harmless. */
bool headers_received(
	const struct headers_origin *origin, const struct headers_facts *facts, struct buffer *out);
/* Whole header lines and nothing else: what may stand before a message's own headers. Empty is good, too. */
bool headers_are_lines(struct slice text);

#endif
