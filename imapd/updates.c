// SPDX-License-Identifier: ISC
/*
 * What others did to the selected mailbox: told when the protocol allows it (RFC 3501 5.2, 7.4.1), learnt by notices from the
 * spawner, so that a command need not look at the disk each time.
 */
#include "base/loop.h"
#include "imapd/session.h"
#include "ipc/channel.h"
#include "mail/date.h"
#include "service/log.h"

int session_zone(struct session *s, int64_t seconds)
{
	int64_t quarter = seconds / 900;

	/* Zones change at full quarters only; asking for each of 5,000 messages would cost more than the rest of the line. */
	if (quarter != s->zone_quarter) {
		s->zone_quarter = quarter;
		s->zone = date_local_zone(seconds);
	}
	return s->zone;
}

bool entry_recent(const struct session *s, const struct message_entry *entry)
{
	return entry->recent || (entry->uid >= s->recent_from && entry->uid < s->recent_to);
}

/* All combinations of system flags as text; made on first use. */
static const struct slice *flag_texts(void)
{
	static char texts[32][64];
	static struct slice slices[32];
	static const char *const NAMES[] = { "\\Seen", "\\Answered", "\\Flagged", "\\Deleted",
		"\\Draft" };

	for (unsigned flags = 0; flags < 32 && !slices[31].data; flags++) {
		size_t length = 0;

		for (unsigned bit = 0; bit < 5; bit++) {
			size_t n = strlen(NAMES[bit]);

			if (!(flags & 1u << bit))
				continue;
			if (length)
				texts[flags][length++] = ' ';
			memcpy(texts[flags] + length, NAMES[bit], n);
			length += n;
		}
		slices[flags] = slice_of(texts[flags], length);
	}
	return slices;
}

void write_flags(struct session *s, const struct message_entry *entry)
{
	struct slice flags = flag_texts()[entry->flags & FLAG_SYSTEM];
	struct buffer *out = &s->output.buffer;
	bool first = flags.length == 0;

	buffer_add_byte(out, '(');
	buffer_add(out, flags);
	if (entry_recent(s, entry)) {
		buffer_add_text(out, first ? "\\Recent" : " \\Recent");
		first = false;
	}
	if (entry->keywords) {
		const char *const *names = mailbox_keywords(s->mailbox);

		for (unsigned k = 0; k < STORE_KEYWORDS && names[k]; k++) {
			if (!(entry->keywords >> k & 1))
				continue;
			if (!first)
				buffer_add_byte(out, ' ');
			buffer_add_text(out, names[k]);
			first = false;
		}
	}
	buffer_add_byte(out, ')');
}

static unsigned keyword_count(const struct session *s)
{
	const char *const *names = mailbox_keywords(s->mailbox);
	unsigned count = 0;

	while (count < STORE_KEYWORDS && names[count])
		count++;
	return count;
}

void write_flag_names(struct session *s, bool permanent)
{
	const char *const *names = mailbox_keywords(s->mailbox);

	out_text(s, "(\\Answered \\Flagged \\Deleted \\Seen \\Draft");
	for (unsigned k = 0; k < STORE_KEYWORDS && names[k]; k++) {
		out_byte(s, ' ');
		out_text(s, names[k]);
	}
	out_text(s, permanent ? " \\*)" : ")");
}

void updates_keywords(struct session *s)
{
	unsigned count = keyword_count(s);

	if (count == s->told_keywords)
		return;
	s->told_keywords = count;
	out_text(s, "* FLAGS ");
	write_flag_names(s, false);
	out_text(s, "\r\n");
	if (!s->read_only) {
		out_text(s, "* OK [PERMANENTFLAGS ");
		write_flag_names(s, true);
		out_text(s, "] Flags permitted.\r\n");
	}
}

void updates_tell_flags(
	struct session *s, uint32_t index, bool with_uid, bool with_flags, bool with_modseq)
{
	uint32_t count;
	const struct message_entry *entry = &mailbox_entries(s->mailbox, &count)[index];
	const char *gap = "";

	out_text(s, "* ");
	out_number(s, (uint64_t)index + 1);
	out_text(s, " FETCH (");
	if (with_uid) {
		out_text(s, "UID ");
		out_number(s, entry->uid);
		gap = " ";
	}
	if (with_modseq) {
		out_text(s, gap);
		out_text(s, "MODSEQ (");
		out_number(s, entry->modseq);
		out_byte(s, ')');
		gap = " ";
	}
	if (with_flags) {
		out_text(s, gap);
		out_text(s, "FLAGS ");
		write_flags(s, entry);
	}
	out_text(s, ")\r\n");
}

static void tell_expunged(void *context, uint32_t number, uint32_t uid)
{
	struct session *s = context;

	out_text(s, "* ");
	out_number(s, number);
	out_text(s, " EXPUNGE\r\n");
	s->told_exists--;
}

static void tell_sizes(struct session *s)
{
	struct mailbox_counts counts;
	uint32_t count;

	mailbox_entries(s->mailbox, &count);
	if (count == s->told_exists)
		return;
	mailbox_counts(s->mailbox, &counts);
	out_printf(s, "* %u EXISTS\r\n* %u RECENT\r\n", count, counts.recent);
	s->told_exists = count;
}

static void tell_changed(struct session *s, bool with_uid)
{
	uint32_t count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);

	updates_keywords(s);
	for (uint32_t i = 0; i < count; i++) {
		if (!entries[i].changed || entries[i].expunged)
			continue;
		updates_tell_flags(s, i, with_uid || s->enabled & ENABLED_CONDSTORE, true,
			s->enabled & ENABLED_CONDSTORE);
		mailbox_clear_changed(s->mailbox, i);
	}
}

void updates_tell(struct session *s, enum imap_updates which, bool with_uid)
{
	bool news = false, expunge = which >= UPDATES_ALL;

	if (!s->mailbox || which == UPDATES_NONE || s->lost)
		return;
	input_take_notices(s);
	if (which == UPDATES_FRESH || s->noticed) {
		enum store_status status = mailbox_refresh(s->mailbox, &news);

		if (status == STORE_NONE) {
			session_bye(s, "Selected mailbox was deleted.");
			return;
		}
		if (status != STORE_OK && !store_lost(s->store))
			log_error("%s: %s: %s", s->user, s->name, store_error(s->store));
		s->noticed = false;
		s->maybe_expunged = s->maybe_expunged || news;
	}
	if (expunge && s->maybe_expunged) {
		mailbox_forget_expunged(s->mailbox, tell_expunged, s);
		s->maybe_expunged = false;
	}
	tell_sizes(s);
	if (news)
		tell_changed(s, with_uid);
}

void updates_notify(struct session *s, struct slice mailbox)
{
	struct message message = { .type = MESSAGE_NOTICE };

	message.notice.account = SLICE("");
	message.notice.mailbox = mailbox;
	if (s->spawner >= 0 &&
		!channel_sync_send(s->spawner, &message, loop_monotonic() + SESSION_NOTICE_TIMEOUT))
		log_warning(
			"%s: others are not told of a change in %.*s", s->user, SLICE_ARG(mailbox));
}

void updates_watch(struct session *s)
{
	struct message message = { .type = MESSAGE_NOTICE_WATCH };

	message.notice_watch.mailbox = slice_from(s->name);
	message.notice_watch.idle = s->idle;
	if (s->spawner >= 0 &&
		!channel_sync_send(s->spawner, &message, loop_monotonic() + SESSION_NOTICE_TIMEOUT))
		log_warning("%s: changes in %s will be noticed late", s->user, s->name);
}

void session_enable_condstore(struct session *s)
{
	struct mailbox_counts counts;

	if (s->enabled & ENABLED_CONDSTORE)
		return;
	s->enabled |= ENABLED_CONDSTORE;
	if (!s->mailbox)
		return;
	mailbox_counts(s->mailbox, &counts);
	out_printf(s, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		(unsigned long long)counts.highest_modseq);
}
