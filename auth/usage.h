// SPDX-License-Identifier: ISC
/*
 * usage.db: how many messages and recipients each login had in its present hour and day. A window begins with the first message
 * in it. Counts are written with each message, without a sync: they outlive every end of the process, and lose at most the last
 * seconds when the machine itself goes down. Several processes may count at once (an old and a new generation).
 */
#ifndef AUTH_USAGE_H
#define AUTH_USAGE_H

#include "ipc/messages.h"
#include "os/database.h"

enum usage_window { USAGE_HOUR, USAGE_DAY, USAGE_WINDOWS };
enum usage_kind { USAGE_MESSAGES, USAGE_RECIPIENTS, USAGE_KINDS };

struct usage_limits {
	uint32_t most[USAGE_WINDOWS][USAGE_KINDS]; /* 0: no limit */
};
struct usage_verdict {
	enum usage_status status;
	/* Unless it is USAGE_ALLOWED or USAGE_TEMPORARY: */
	enum usage_window window;
	enum usage_kind kind;
	uint32_t limit;
	uint32_t wait; /* seconds until the window ends */
};

struct usage;
/* NULL with `error` filled. */
struct usage *usage_open(const char *path, char *error, size_t error_size);
void usage_close(struct usage **usage);
/*
 * Count one message of `login` to that many recipients at `now` (seconds since 1970), if that is within all limits; if not,
 * nothing is counted. USAGE_NEVER: more recipients than a limit allows in all.
 */
void usage_take(struct usage *usage, int64_t now, struct slice login, uint32_t recipients,
	const struct usage_limits *limits, struct usage_verdict *verdict);
/* Forget logins whose day is over. Returns how many are left, -1 when that could not be done. */
int64_t usage_expire(struct usage *usage, int64_t now);

#endif
