// SPDX-License-Identifier: ISC
/* What one message may take of what is there for all: places, memory, space on the disk. */
#include <sys/statfs.h>

#include "cleanup/cleanup.h"
#include "service/log.h"

/*
 * A session has one message in hand and no more; pickup and bounce speak for many. So a session that was taken over cannot keep
 * others from having theirs.
 */
static const struct share_bounds SESSION_BOUNDS = { 1, 1 }, OTHER_BOUNDS = { 8, 128 };

static const struct share_bounds *bounds_of(const struct peer_channel *peer)
{
	return peer->from == SERVICE_SMTPD_SESSION ? &SESSION_BOUNDS : &OTHER_BOUNDS;
}

unsigned room_most(const struct peer_channel *peer)
{
	const struct share_bounds *bounds = bounds_of(peer);

	return bounds->most + (bounds->most > bounds->own ? CLEANUP_BUSY : 0);
}

enum share_place room_take(struct peer_channel *peer)
{
	return share_take(&peer->cleanup->places, &peer->share, bounds_of(peer));
}

void room_give(struct transaction *t)
{
	struct cleanup *c = t->cleanup;

	share_give(&c->places, t->peer ? &t->peer->share : NULL, t->place);
	c->memory -= t->memory;
}

void room_count_memory(struct transaction *t)
{
	size_t now = t->arena.used > CLEANUP_OWN_MEMORY ? t->arena.used - CLEANUP_OWN_MEMORY : 0;

	t->cleanup->memory += now - t->memory;
	t->memory = now;
	if (now && t->cleanup->memory > CLEANUP_SHARED_MEMORY)
		transaction_fail(t, FAULT_BUSY);
}

/* Bytes free in the queue's file system; asked anew once a second. */
static int64_t free_space(struct cleanup *c)
{
	int64_t now = loop_now(service_loop(c->service));
	struct statfs info;

	if (c->space_asked && now - c->space_asked < CLEANUP_SPACE_INTERVAL)
		return c->space;
	c->space_asked = now;
	c->space = fstatfs(c->queue.folder[QUEUE_INCOMING], &info) == 0
			   ? (int64_t)info.f_bavail * (int64_t)info.f_bsize
			   : INT64_MAX;
	return c->space;
}

void room_check(struct transaction *t, int64_t size_hint)
{
	struct settings *s = &t->cleanup->settings;

	if (size_hint < 0)
		size_hint = 0;
	if (s->message_size_limit && size_hint > s->message_size_limit)
		transaction_fail(t, FAULT_SIZE);
	if (s->minfree && free_space(t->cleanup) - s->minfree < size_hint) {
		log_warning("%s: not enough free space in the queue", t->id);
		transaction_fail(t, FAULT_SPACE);
	}
	if (t->place == SHARE_NONE)
		transaction_fail(t, FAULT_BUSY);
}
