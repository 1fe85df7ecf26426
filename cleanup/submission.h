// SPDX-License-Identifier: ISC
/*
 * A local submission on its way from SUBMIT packets to CLEANUP packets: the order is checked, addresses are completed and
 * checked, line ends become LF. The same for the socket and for maildrop files.
 */
#ifndef CLEANUP_SUBMISSION_H
#define CLEANUP_SUBMISSION_H

#include <sys/types.h>

#include "ipc/message.h"

enum { SUBMISSION_RECIPIENTS = 100000 };

/* How addresses without a domain, or without its dot, are completed. */
struct submission_rules {
	const char *origin; /* myorigin */
	const char *domain; /* mydomain */
	bool append_origin, append_domain;
};

enum submission_state { SUBMISSION_NEW, SUBMISSION_ENVELOPE, SUBMISSION_CONTENT, SUBMISSION_ENDED };
enum submission_status {
	SUBMISSION_LOST = 0, /* cleanup cannot be told */
	SUBMISSION_MORE,
	SUBMISSION_WHOLE, /* the answer will come from cleanup */
	SUBMISSION_CANCELLED,
	SUBMISSION_WRONG, /* packets out of order */
	SUBMISSION_BAD_SENDER,
	SUBMISSION_BAD_RECIPIENT
};

struct submission {
	enum submission_state state;
	const struct submission_rules *rules;
	uint32_t serial; /* at cleanup */
	uid_t uid; /* who submits */
	uint8_t notify;
	unsigned recipients;
	bool cr; /* the last byte was a CR */
	char sender[MAX_ADDRESS + 1]; /* for the log */
	bool (*send)(void *context, const struct message *message);
	void *context;
};

/* One packet. After a status other than MORE it takes nothing more. */
enum submission_status submission_take(struct submission *s, const struct message *message);
/* It stops here, whatever cleanup has of it. */
void submission_cancel(struct submission *s);

#endif
