// SPDX-License-Identifier: ISC
/* The message numbers or UIDs of a command (RFC 3501 9: sequence-set) as places in the selected mailbox. */
#include "imapd/session.h"

/* Append the entries of [first, last] that are still there. */
static bool add_range(
	struct session *s, uint32_t first, uint32_t last, struct vector *indexes, bool *gone)
{
	uint32_t count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);

	for (uint32_t i = first; i <= last && i < count; i++) {
		uint32_t *slot;

		if (entries[i].expunged) {
			*gone = true;
			continue;
		}
		slot = vector_add(indexes);
		if (!slot)
			return false;
		*slot = i;
	}
	return true;
}

static bool add_uids(
	struct session *s, const struct set_range *range, struct vector *indexes, bool *gone)
{
	uint32_t first = mailbox_find_uid(s->mailbox, range->low);
	uint32_t after = range->high == UINT32_MAX ? UINT32_MAX
						   : mailbox_find_uid(s->mailbox, range->high + 1);

	return after == 0 || add_range(s, first, after - 1, indexes, gone);
}

bool session_indexes(struct session *s, struct command *c, const struct sequence_set *set,
	struct vector *indexes, bool *gone)
{
	struct sequence_set resolved;
	uint32_t count, max;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	bool ok = true;

	*gone = false;
	*indexes = vector_of(sizeof(uint32_t), 0);
	max = c->uid ? (count ? entries[count - 1].uid : 0) : count;
	if (!set_resolve(set, max, &s->arena, &resolved)) {
		reply_no(s, c, "[LIMIT] Command is too large.");
		return false;
	}
	for (unsigned i = 0; ok && i < resolved.count; i++) {
		struct set_range r = resolved.ranges[i];

		if (!c->uid && count && (r.high > count || r.low == 0)) {
			reply_bad(s, c, "Message number is beyond the mailbox");
			vector_free(indexes);
			return false;
		}
		if (count)
			ok = c->uid ? add_uids(s, &r, indexes, gone)
				    : add_range(s, r.low - 1, r.high - 1, indexes, gone);
	}
	if (!ok) {
		vector_free(indexes);
		reply_no(s, c, "[LIMIT] Out of memory.");
	}
	return ok;
}
