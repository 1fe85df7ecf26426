// SPDX-License-Identifier: ISC
/*
 * The log line of one recipient's delivery, in the form that log analysers count. Written by whoever decided the outcome: a
 * delivery agent, or qmgr itself when no agent was asked.
 */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include "base/buffer.h"

struct queue_report {
	const char *queue_id;
	struct slice address;
	struct slice original; /* shown as orig_to= when it differs; or empty */
	struct slice relay; /* "virtual", "none", "mx.example.org[192.0.2.1]:25" */
	/* Microseconds since 1970: arrival, taken into the active queue, given to the agent; 0: as the one before. */
	int64_t arrival, active, begun;
	int64_t connect, transfer; /* microseconds it took to connect, and to send */
	int64_t now;
	struct slice dsn; /* "2.0.0" */
	const char *status; /* sent, deferred, bounced, expired */
	struct slice reason;
};

/* The whole line behind the program's name. False when it does not fit. */
bool queue_report_write(const struct queue_report *report, struct buffer *out);
/* Write and log it. */
void queue_report_log(const struct queue_report *report);
/* Seconds with two significant digits and without useless zeros, as Postfix logs delays: "0.03", "1.2", "47". */
bool queue_delay_write(int64_t microseconds, struct buffer *out);

#endif
