// SPDX-License-Identifier: ISC
/* Commands on mailboxes as a whole: SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE STATUS (RFC 3501 6.3). */
#include "imapd/session.h"
#include "service/log.h"

void session_unselect(struct session *s)
{
	if (!s->mailbox)
		return;
	mailbox_close(&s->mailbox);
	s->name[0] = '\0';
	s->read_only = s->noticed = s->maybe_expunged = false;
	s->recent_from = s->recent_to = 0;
	updates_watch(s);
}

static void tell_selected(struct session *s)
{
	struct mailbox_counts counts;
	uint32_t count, unseen = 0;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);

	mailbox_counts(s->mailbox, &counts);
	while (unseen < count && entries[unseen].flags & FLAG_SEEN)
		unseen++;
	s->told_keywords = 0;
	while (s->told_keywords < STORE_KEYWORDS && mailbox_keywords(s->mailbox)[s->told_keywords])
		s->told_keywords++;
	s->told_exists = count;
	out_text(s, "* FLAGS ");
	write_flag_names(s, false);
	out_text(s, "\r\n* OK [PERMANENTFLAGS ");
	if (s->read_only)
		out_text(s, "()");
	else
		write_flag_names(s, true);
	out_printf(s, "] Flags permitted.\r\n* %u EXISTS\r\n* %u RECENT\r\n", count, counts.recent);
	if (unseen < count)
		out_printf(s, "* OK [UNSEEN %u] First unseen.\r\n", unseen + 1);
	out_printf(s,
		"* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
		counts.uid_validity, counts.uid_next);
	out_printf(s, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		(unsigned long long)counts.highest_modseq);
}

/* "(CONDSTORE)" behind the name (RFC 4466). */
static bool parse_select_parameters(struct parser *p, bool *condstore)
{
	struct slice name;

	if (p->rest.length == 0)
		return true;
	if (!parse_space(p) || !parse_enter(p))
		return false;
	do {
		if (!parse_atom(p, &name))
			return false;
		if (!slice_equal_nocase(name, SLICE("CONDSTORE")))
			return parse_fail(p, "Unknown parameter");
		*condstore = true;
	} while (parse_next_is(p, ' ') && parse_space(p));
	return parse_leave(p) && parse_end(p);
}

static void select_mailbox(struct session *s, struct command *c, bool read_only)
{
	struct parser *p = &c->parser;
	struct slice name;
	bool condstore = false;
	enum store_status status;

	if (!parse_space(p) || !parse_mailbox(p, &name) || !parse_select_parameters(p, &condstore))
		return;
	if (s->mailbox) {
		session_unselect(s);
		out_text(s, "* OK [CLOSED] Previous mailbox closed.\r\n");
	}
	if (!slice_to_string(name, s->name, sizeof(s->name))) {
		s->name[0] = '\0';
		reply_store(s, c, STORE_BAD_NAME);
		return;
	}
	/* Watched before it is read, so that no change falls between the two. */
	updates_watch(s);
	status = mailbox_open(s->store, name, read_only, &s->mailbox);
	if (status == STORE_TEMPORARY && session_mend_store(s))
		status = mailbox_open(s->store, name, read_only, &s->mailbox);
	if (status != STORE_OK) {
		s->name[0] = '\0';
		updates_watch(s);
		reply_store(s, c, status);
		return;
	}
	s->read_only = read_only;
	if (store_no_room(s->store))
		log_warning("%s: SELECT %s: new mail is not shown: %s", s->user, s->name,
			store_error(s->store));
	if (condstore)
		s->enabled |= ENABLED_CONDSTORE;
	tell_selected(s);
	reply_code(s, c, read_only ? SLICE("[READ-ONLY]") : SLICE("[READ-WRITE]"));
}

void command_select(struct session *s, struct command *c)
{
	select_mailbox(s, c, false);
}

void command_examine(struct session *s, struct command *c)
{
	select_mailbox(s, c, true);
}

static bool parse_one_mailbox(struct command *c, struct slice *name)
{
	struct parser *p = &c->parser;

	return parse_space(p) && parse_mailbox(p, name) && parse_end(p);
}

/* Creation parameters: "(USE (\Sent))" (RFC 6154 3). */
static bool parse_use(struct parser *p, struct slice *use)
{
	struct slice word;

	*use = (struct slice){ 0 };
	if (p->rest.length == 0)
		return true;
	if (!parse_space(p) || !parse_enter(p) || !parse_atom(p, &word))
		return false;
	if (!slice_equal_nocase(word, SLICE("USE")))
		return parse_fail(p, "Unknown parameter");
	if (!parse_space(p) || !parse_enter(p))
		return false;
	while (!parse_next_is(p, ')')) {
		struct slice flag = p->rest;

		if (use->length)
			return parse_fail(p, "One special use only");
		if (!parse_byte(p, '\\') || !parse_atom(p, &word))
			return false;
		*use = slice_head(flag, word.length + 1);
	}
	return parse_leave(p) && parse_leave(p) && parse_end(p);
}

static bool known_use(struct slice *use)
{
	static const char *const USES[] = { "\\Archive", "\\Drafts", "\\Flagged", "\\Junk",
		"\\Sent", "\\Trash" };

	for (size_t i = 0; i < sizeof(USES) / sizeof(USES[0]); i++) {
		if (slice_equal_nocase(*use, slice_from(USES[i]))) {
			*use = slice_from(USES[i]);
			return true;
		}
	}
	return use->length == 0;
}

void command_create(struct session *s, struct command *c)
{
	struct parser *p = &c->parser;
	struct slice name, use;
	enum store_status status;

	if (!parse_space(p) || !parse_mailbox(p, &name) || !parse_use(p, &use))
		return;
	if (!known_use(&use)) {
		reply_no(s, c, "[USEATTR] This special use is not supported.");
		return;
	}
	status = store_create(s->store, name, use);
	if (status == STORE_OK)
		reply_done(s, c);
	else
		reply_store(s, c, status);
}

void command_delete(struct session *s, struct command *c)
{
	struct slice name;
	enum store_status status;

	if (!parse_one_mailbox(c, &name))
		return;
	status = store_delete(s->store, name);
	if (status != STORE_OK) {
		reply_store(s, c, status);
		return;
	}
	if (s->mailbox && slice_equal(name, slice_from(s->name))) {
		session_unselect(s);
		out_text(s, "* OK [CLOSED] The selected mailbox was deleted.\r\n");
	}
	updates_notify(s, name);
	reply_done(s, c);
}

/* The selected mailbox, or a parent of it, has another name now. */
static void follow_rename(struct session *s, struct slice from, struct slice to)
{
	struct slice name = slice_from(s->name);
	char moved[sizeof(s->name)];
	size_t rest;

	if (!s->mailbox || !slice_starts(name, from) || slice_equal(from, SLICE("INBOX")))
		return;
	rest = name.length - from.length;
	if ((rest && name.data[from.length] != '/') || to.length + rest >= sizeof(moved))
		return;
	memcpy(moved, to.data, to.length);
	memcpy(moved + to.length, name.data + from.length, rest + 1);
	memcpy(s->name, moved, to.length + rest + 1);
	updates_watch(s);
}

void command_rename(struct session *s, struct command *c)
{
	struct parser *p = &c->parser;
	struct slice from, to;
	enum store_status status;

	if (!parse_space(p) || !parse_mailbox(p, &from) || !parse_space(p) ||
		!parse_mailbox(p, &to) || !parse_end(p))
		return;
	status = store_rename(s->store, from, to);
	if (status != STORE_OK) {
		reply_store(s, c, status);
		return;
	}
	follow_rename(s, from, to);
	updates_notify(s, from);
	s->noticed = true;
	reply_done(s, c);
}

static void subscribe(struct session *s, struct command *c, bool on)
{
	struct slice name;
	enum store_status status;

	if (!parse_one_mailbox(c, &name))
		return;
	status = store_subscribe(s->store, name, on);
	if (status == STORE_OK)
		reply_done(s, c);
	else
		reply_store(s, c, status);
}

void command_subscribe(struct session *s, struct command *c)
{
	subscribe(s, c, true);
}

void command_unsubscribe(struct session *s, struct command *c)
{
	subscribe(s, c, false);
}

static const struct {
	const char *name;
	enum status_item item;
} STATUS_ITEMS[] = { { "MESSAGES", STATUS_MESSAGES }, { "RECENT", STATUS_RECENT },
	{ "UIDNEXT", STATUS_UIDNEXT }, { "UIDVALIDITY", STATUS_UIDVALIDITY },
	{ "UNSEEN", STATUS_UNSEEN }, { "HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ },
	{ "SIZE", STATUS_SIZE }, { "DELETED", STATUS_DELETED } };
enum { STATUS_ITEM_COUNT = sizeof(STATUS_ITEMS) / sizeof(STATUS_ITEMS[0]) };

bool parse_status_items(struct parser *p, unsigned *items)
{
	*items = 0;
	if (!parse_enter(p))
		return false;
	do {
		struct slice name;
		unsigned i = 0;

		if (!parse_atom(p, &name))
			return false;
		while (i < STATUS_ITEM_COUNT &&
			!slice_equal_nocase(name, slice_from(STATUS_ITEMS[i].name)))
			i++;
		if (i == STATUS_ITEM_COUNT)
			return parse_fail(p, "Unknown status item");
		*items |= STATUS_ITEMS[i].item;
	} while (parse_next_is(p, ' ') && parse_space(p));
	return parse_leave(p);
}

static uint64_t status_value(const struct mailbox_counts *counts, enum status_item item)
{
	switch (item) {
	case STATUS_MESSAGES:
		return counts->messages;
	case STATUS_RECENT:
		return counts->recent;
	case STATUS_UIDNEXT:
		return counts->uid_next;
	case STATUS_UIDVALIDITY:
		return counts->uid_validity;
	case STATUS_UNSEEN:
		return counts->unseen;
	case STATUS_HIGHESTMODSEQ:
		return counts->highest_modseq;
	case STATUS_SIZE:
		return (uint64_t)counts->size;
	case STATUS_DELETED:
		return counts->deleted;
	}
	return 0;
}

enum store_status tell_status(struct session *s, struct slice name, unsigned items)
{
	struct mailbox_counts counts;
	enum store_status status = store_status(s->store, name, &counts);
	const char *gap = "";

	if (status != STORE_OK)
		return status;
	out_text(s, "* STATUS ");
	out_mailbox(s, name);
	out_text(s, " (");
	for (unsigned i = 0; i < STATUS_ITEM_COUNT; i++) {
		if (!(items & STATUS_ITEMS[i].item))
			continue;
		out_text(s, gap);
		out_text(s, STATUS_ITEMS[i].name);
		out_byte(s, ' ');
		out_number(s, status_value(&counts, STATUS_ITEMS[i].item));
		gap = " ";
	}
	out_text(s, ")\r\n");
	return STORE_OK;
}

void command_status(struct session *s, struct command *c)
{
	struct parser *p = &c->parser;
	struct slice name;
	unsigned items;
	enum store_status status;

	if (!parse_space(p) || !parse_mailbox(p, &name) || !parse_space(p) ||
		!parse_status_items(p, &items) || !parse_end(p))
		return;
	if (items & STATUS_HIGHESTMODSEQ)
		session_enable_condstore(s);
	status = tell_status(s, name, items);
	if (status == STORE_OK)
		reply_done(s, c);
	else
		reply_store(s, c, status);
}
