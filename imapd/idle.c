// SPDX-License-Identifier: ISC
/*
 * IDLE (RFC 2177) and hibernation: a client that idles for a while leaves its descriptor and a few dozen bytes with the front, and
 * this process ends. The state is enough to tell the client, later and from another process, everything that changed since.
 */
#include <stdlib.h>

#include "base/loop.h"
#include "imapd/session.h"
#include "ipc/channel.h"
#include "service/log.h"

enum {
	STATE_VERSION = 1,
	IDLE_LOOK_INTERVAL =
		30000 /* ms; for changes that no process of ours made and nobody saw (imap_watch_limit) */
};

/* What is packed, all integers little-endian as on this machine: both ends are one build on one host. */
struct packed_state {
	uint8_t version, read_only, enabled, keywords;
	uint32_t uid_validity, count, uid_next;
	uint32_t recent_from, recent_to;
	uint64_t highest_modseq;
};

static void pack(struct session *s, struct buffer *state)
{
	struct packed_state p = { .version = STATE_VERSION, .enabled = (uint8_t)s->enabled };

	if (s->mailbox) {
		struct mailbox_counts counts;
		uint32_t count;
		const struct message_entry *entries = mailbox_entries(s->mailbox, &count);

		mailbox_counts(s->mailbox, &counts);
		p.read_only = s->read_only;
		p.keywords = (uint8_t)s->told_keywords;
		p.uid_validity = counts.uid_validity;
		p.count = count;
		p.uid_next = counts.uid_next;
		p.highest_modseq = counts.highest_modseq;
		/* Recent messages are the last ones, nearly always; a run is what can be kept in eight bytes. */
		p.recent_from = p.recent_to = counts.uid_next;
		while (count && entry_recent(s, &entries[count - 1]))
			p.recent_from = entries[--count].uid;
	}
	buffer_append(state, &p, sizeof(p));
	buffer_add_text(state, s->mailbox ? s->name : "");
}

/* The client's descriptor goes to the spawner; true when it is gone. */
static bool hibernate(struct session *s, struct slice tag)
{
	struct message message = { .type = MESSAGE_HIBERNATE, .fd_count = 1, .fds = { s->in } };
	struct buffer state = { 0 };
	bool sent;

	if (s->spawner < 0 || s->in != s->out || tag.length > 200)
		return false;
	pack(s, &state);
	/* So many notices were heard: the spawner wakes the sleeper at once if it has sent more. */
	message.hibernate.serial = s->notices;
	message.hibernate.state = buffer_slice(&state);
	message.hibernate.tag = tag;
	message.hibernate.ticket = message.hibernate.client_address = SLICE("");
	sent = channel_sync_send(s->spawner, &message, loop_monotonic() + SESSION_NOTICE_TIMEOUT);
	buffer_free(&state);
	s->hibernated = sent;
	s->ended = s->ended || sent;
	return sent;
}

/* "DONE", or what the client sent instead. */
static void idle_end(struct session *s, struct command *c)
{
	struct slice line;

	s->command_bytes = 0;
	switch (input_line(s, &line)) {
	case INPUT_LINE:
		if (slice_equal_nocase(line, SLICE("DONE")))
			reply_done(s, c);
		else
			reply_bad(s, c, "Expected DONE");
		break;
	case INPUT_TOO_LONG:
		reply_bad(s, c, "Expected DONE");
		break;
	case INPUT_ENDED:
		break;
	}
}

struct idle_times {
	int64_t end, keepalive, look, sleep;
};

static int64_t earliest(const struct idle_times *t)
{
	int64_t when = t->end < t->keepalive ? t->end : t->keepalive;

	when = t->look < when ? t->look : when;
	return t->sleep < when ? t->sleep : when;
}

static void idle_tell(struct session *s)
{
	updates_tell(s, UPDATES_FRESH, false);
	session_mend_store(s);
	out_flush(s, true);
}

/* A time has come. True when the session sleeps. */
static bool idle_timeout(struct session *s, struct idle_times *t, struct slice tag)
{
	int64_t now = loop_monotonic();

	if (now >= t->sleep) {
		idle_tell(s);
		if (!s->lost && !s->ended && !input_pending(s) && hibernate(s, tag))
			return true;
		t->sleep = INT64_MAX;
	}
	if (now >= t->look) {
		idle_tell(s);
		t->look = now + IDLE_LOOK_INTERVAL;
	}
	if (now >= t->keepalive) {
		out_text(s, "* OK Still here\r\n");
		out_flush(s, true);
		t->keepalive = now + s->settings.keepalive_interval;
	}
	if (now >= t->end)
		session_bye(s, "Disconnected for inactivity.");
	return false;
}

static void idle_look_and_wait(struct session *s, struct command *c)
{
	int64_t now = loop_monotonic();
	struct idle_times t = { now + s->settings.timeout, now + s->settings.keepalive_interval,
		now + IDLE_LOOK_INTERVAL,
		s->settings.hibernate_timeout ? now + s->settings.hibernate_timeout : INT64_MAX };

	idle_tell(s);
	while (!s->ended && !s->lost) {
		if (input_pending(s)) {
			idle_end(s, c);
			return;
		}
		switch (input_wait(s, earliest(&t))) {
		case INPUT_READABLE:
			idle_end(s, c);
			return;
		case INPUT_NOTICE:
			idle_tell(s);
			break;
		case INPUT_STOP:
			session_bye(s, input_stop_reason());
			break;
		case INPUT_TIMEOUT:
			if (idle_timeout(s, &t, c->tag))
				return;
			break;
		}
	}
}

static void idle(struct session *s, struct command *c)
{
	/* Before the first look, so that nothing falls between the two. A sleeper's folder stays watched. */
	if (s->mailbox && !s->idle) {
		s->idle = true;
		updates_watch(s);
	}
	idle_look_and_wait(s, c);
	if (s->mailbox && !s->hibernated && !s->lost && !s->ended) {
		s->idle = false;
		updates_watch(s);
	}
}

void command_idle(struct session *s, struct command *c)
{
	if (!parse_end(&c->parser))
		return;
	out_text(s, "+ idling\r\n");
	idle(s, c);
}

static int uid_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The view as the client had it: what was there below `uid_next`, gone ones included. Its length must be what the client knows. */
static bool tell_vanished(struct session *s, const struct packed_state *p)
{
	struct vector vanished = vector_of(sizeof(uint32_t), 0);
	uint32_t count, left, number = 0, at = 0;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	const uint32_t *gone;
	size_t lost = 0;
	bool ok;

	left = mailbox_find_uid(s->mailbox, p->uid_next);
	if (mailbox_vanished(s->mailbox, p->highest_modseq, &vanished) != STORE_OK) {
		vector_free(&vanished);
		return left == p->count;
	}
	if (vanished.count)
		qsort(vanished.items, vanished.count, sizeof(uint32_t), uid_order);
	gone = vanished.items;
	for (size_t i = 0; i < vanished.count; i++)
		lost += gone[i] < p->uid_next;
	ok = (uint64_t)left + lost == p->count;
	for (size_t i = 0; ok && i < vanished.count && gone[i] < p->uid_next; i++) {
		while (at < left && entries[at].uid < gone[i])
			at++, number++;
		out_printf(s, "* %u EXPUNGE\r\n", number + 1);
	}
	vector_free(&vanished);
	s->told_exists = left;
	return ok;
}

/* Flags that changed while the client slept. */
static void tell_changes(struct session *s, const struct packed_state *p)
{
	uint32_t count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);

	updates_keywords(s);
	for (uint32_t i = 0; i < count && entries[i].uid < p->uid_next; i++) {
		if (entries[i].modseq > p->highest_modseq)
			updates_tell_flags(s, i, s->enabled & ENABLED_CONDSTORE, true,
				s->enabled & ENABLED_CONDSTORE);
	}
}

static bool reselect(struct session *s, const struct packed_state *p, struct slice name)
{
	struct mailbox_counts counts;
	uint32_t count;

	if (!slice_to_string(name, s->name, sizeof(s->name)))
		return false;
	updates_watch(s);
	if (!session_open_store(s) ||
		mailbox_open(s->store, name, p->read_only, &s->mailbox) != STORE_OK)
		return false;
	s->read_only = p->read_only;
	s->told_keywords = p->keywords;
	s->recent_from = p->recent_from;
	s->recent_to = p->recent_to;
	mailbox_counts(s->mailbox, &counts);
	if (counts.uid_validity != p->uid_validity || !tell_vanished(s, p))
		return false;
	mailbox_entries(s->mailbox, &count);
	if (count != s->told_exists) {
		s->told_exists = count;
		out_printf(s, "* %u EXISTS\r\n* %u RECENT\r\n", count, counts.recent);
	}
	tell_changes(s, p);
	return true;
}

bool idle_resume(struct session *s, struct slice state, struct slice tag)
{
	static const struct imap_command IDLE = {
		.name = "IDLE", .states = IMAP_ANY, .updates = UPDATES_FRESH
	};
	struct command c = { .entry = &IDLE, .tag = tag };
	struct packed_state p;

	if (state.length < sizeof(p))
		return false;
	memcpy(&p, state.data, sizeof(p));
	state = slice_tail(state, sizeof(p));
	if (p.version != STATE_VERSION)
		return false;
	s->enabled = p.enabled & ENABLED_CONDSTORE;
	s->idle = state.length > 0;
	if (state.length && !reselect(s, &p, state))
		return false;
	out_flush(s, true);
	idle(s, &c);
	return true;
}
