// SPDX-License-Identifier: ISC
/* What an operator does to queue files at rest. See action.h. */
#include "queue/action.h"

#include <errno.h>

#include "os/os.h"

#define IN(name) (1u << QUEUE_##name)

static const struct {
	unsigned folders;
	const char *done;
} ACTIONS[] = {
	[QUEUE_DO_FLUSH] = { IN(DEFERRED), "scheduled" },
	[QUEUE_DO_FLUSH_ID] = { IN(DEFERRED), "scheduled" },
	[QUEUE_DO_FLUSH_SITE] = { IN(DEFERRED), "scheduled" },
	[QUEUE_DO_DELETE] = { IN(HOLD) | IN(INCOMING) | IN(ACTIVE) | IN(DEFERRED), "removed" },
	[QUEUE_DO_HOLD] = { IN(INCOMING) | IN(ACTIVE) | IN(DEFERRED), "placed on hold" },
	[QUEUE_DO_RELEASE] = { IN(HOLD), "released from hold" },
	[QUEUE_DO_REQUEUE] = { IN(HOLD) | IN(INCOMING) | IN(ACTIVE) | IN(DEFERRED), "requeued" },
	[QUEUE_DO_EXPIRE] = { IN(HOLD) | IN(INCOMING) | IN(ACTIVE) | IN(DEFERRED), "expired" },
};

/* An envelope of many recipients; the file's own check bounds what is in it. */
enum { ENVELOPE_LIMIT = 256 << 20 };

unsigned queue_action_folders(enum queue_action action)
{
	return (size_t)action < sizeof(ACTIONS) / sizeof(*ACTIONS) ? ACTIONS[action].folders : 0;
}

const char *queue_action_done(enum queue_action action)
{
	return (size_t)action < sizeof(ACTIONS) / sizeof(*ACTIONS) && ACTIONS[action].done
		       ? ACTIONS[action].done
		       : "";
}

static enum queue_outcome outcome(bool done)
{
	if (done)
		return QUEUE_ACT_DONE;
	return errno == ENOENT ? QUEUE_ACT_NONE : QUEUE_ACT_FAILED;
}

/* Change the first block: expiry is asked for, or all that past attempts left behind is forgotten. */
static bool change(int fd, enum queue_action action)
{
	struct arena arena;
	struct queue_envelope envelope;
	bool done = false;

	arena_init(&arena, ENVELOPE_LIMIT);
	if (queue_read(fd, QUEUE_CHECK_HEAD, &arena, &envelope)) {
		if (action == QUEUE_DO_EXPIRE) {
			envelope.info.flags |= QUEUE_FLAG_EXPIRED;
		} else {
			envelope.info.attempts = 0;
			envelope.info.delay_warned = 0;
		}
		envelope.info.next_try = 0;
		done = queue_update(fd, &envelope) && os_fdatasync(fd);
	}
	arena_free(&arena);
	return done;
}

static enum queue_outcome change_file(
	struct queue *queue, const char *id, enum queue_action action, enum queue_name name)
{
	int fd = queue_open_file(queue, name, id, O_RDWR);
	enum queue_outcome result;

	if (fd < 0)
		return outcome(false);
	result = change(fd, action) ? QUEUE_ACT_DONE : QUEUE_ACT_FAILED;
	os_close(&fd);
	return result;
}

static enum queue_outcome move_file(struct queue *queue, const char *id, enum queue_name from,
	enum queue_name to, enum queue_name *now)
{
	if (from != to && !queue_move(queue, id, from, to))
		return outcome(false);
	*now = to;
	return QUEUE_ACT_DONE;
}

enum queue_outcome queue_act(struct queue *queue, const char *id, enum queue_action action,
	enum queue_name name, enum queue_name *now)
{
	enum queue_outcome result;

	*now = name;
	switch (action) {
	case QUEUE_DO_DELETE:
		return outcome(queue_remove(queue, name, id));
	case QUEUE_DO_HOLD:
		return move_file(queue, id, name, QUEUE_HOLD, now);
	case QUEUE_DO_RELEASE:
		return move_file(queue, id, name, QUEUE_DEFERRED, now);
	case QUEUE_DO_REQUEUE:
		result = change_file(queue, id, action, name);
		return result == QUEUE_ACT_DONE ? move_file(queue, id, name, QUEUE_INCOMING, now)
						: result;
	case QUEUE_DO_EXPIRE:
		return change_file(queue, id, action, name);
	default:
		errno = EINVAL;
		return QUEUE_ACT_FAILED;
	}
}
