// SPDX-License-Identifier: ISC
/* Tagged replies, and the words for what the store says. */
#include "imapd/session.h"
#include "service/log.h"

static void tagged(struct session *s, struct command *c, const char *status)
{
	out_slice(s, c->tag);
	out_text(s, status);
	c->replied = true;
}

void reply_code(struct session *s, struct command *c, struct slice code)
{
	updates_tell(s, c->entry->updates, c->uid);
	tagged(s, c, " OK ");
	if (code.length) {
		out_slice(s, code);
		out_byte(s, ' ');
	}
	if (c->uid)
		out_text(s, "UID ");
	out_text(s, c->entry->name);
	out_text(s, " completed.\r\n");
}

void reply_done(struct session *s, struct command *c)
{
	reply_code(s, c, (struct slice){ 0 });
}

void reply_no(struct session *s, struct command *c, const char *text)
{
	updates_tell(s, c->entry->updates, c->uid);
	tagged(s, c, " NO ");
	out_text(s, text);
	out_text(s, "\r\n");
}

void reply_bad(struct session *s, struct command *c, const char *text)
{
	tagged(s, c, " BAD ");
	out_text(s, text);
	out_text(s, ".\r\n");
}

void reply_store(struct session *s, struct command *c, enum store_status status)
{
	static const char *const TEXTS[] = {
		[STORE_TEMPORARY] = "[UNAVAILABLE] Internal error, refer to the server's log.",
		[STORE_OK] = "[SERVERBUG] Unexpected state.",
		[STORE_NONE] = "[NONEXISTENT] Mailbox does not exist.",
		[STORE_EXISTS] = "[ALREADYEXISTS] Mailbox already exists.",
		[STORE_BAD_NAME] = "[CANNOT] Invalid mailbox name.",
		[STORE_OVER_QUOTA] = "[OVERQUOTA] Quota exceeded.",
		[STORE_LIMIT] = "[LIMIT] A limit of the mailbox is reached.",
		[STORE_IN_USE] = "[CANNOT] The mailbox cannot be changed in this way.",
		[STORE_LOCKED] = "[INUSE] Mailbox is locked.",
	};
	size_t i = (size_t)status < sizeof(TEXTS) / sizeof(TEXTS[0]) ? (size_t)status
								     : STORE_TEMPORARY;

	if (status == STORE_TEMPORARY)
		log_error("%s: %s: %s", s->user, c->entry->name, store_error(s->store));
	if (status == STORE_TEMPORARY && store_no_room(s->store))
		reply_no(s, c,
			"[UNAVAILABLE] The server's disk is full; expunging messages makes room.");
	else
		reply_no(s, c, TEXTS[i]);
}

void write_numbers(struct buffer *out, const uint32_t *numbers, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t last = i;

		while (last + 1 < count && numbers[last + 1] == numbers[last] + 1)
			last++;
		if (i)
			buffer_add_byte(out, ',');
		buffer_add_u64(out, numbers[i]);
		if (last > i) {
			buffer_add_byte(out, ':');
			buffer_add_u64(out, numbers[last]);
		}
		i = last + 1;
	}
}
