// SPDX-License-Identifier: ISC
/* Commands on the selected mailbox's messages, but FETCH and SEARCH: CHECK CLOSE UNSELECT EXPUNGE STORE COPY MOVE. */
#include "imapd/session.h"
#include "service/log.h"

void command_check(struct session *s, struct command *c)
{
	reply_done(s, c);
}

void command_unselect(struct session *s, struct command *c)
{
	session_unselect(s);
	reply_done(s, c);
}

void command_close(struct session *s, struct command *c)
{
	if (!s->read_only) {
		enum store_status status = mailbox_expunge(s->mailbox, NULL, 0);

		if (status != STORE_OK) {
			reply_store(s, c, status);
			return;
		}
		updates_notify(s, slice_from(s->name));
	}
	session_unselect(s);
	reply_done(s, c);
}

void command_expunge(struct session *s, struct command *c)
{
	struct vector indexes = vector_of(sizeof(uint32_t), 0);
	struct sequence_set set;
	enum store_status status;
	bool gone;

	if (c->uid) {
		if (!parse_space(&c->parser) || !parse_set(&c->parser, &set) ||
			!parse_end(&c->parser) || !session_indexes(s, c, &set, &indexes, &gone))
			return;
	} else if (!parse_end(&c->parser)) {
		return;
	}
	status = c->uid && indexes.count == 0
			 ? STORE_OK
			 : mailbox_expunge(s->mailbox, c->uid ? indexes.items : NULL,
				   (uint32_t)indexes.count);
	vector_free(&indexes);
	if (status != STORE_OK) {
		reply_store(s, c, status);
		return;
	}
	s->maybe_expunged = true;
	updates_notify(s, slice_from(s->name));
	reply_done(s, c);
}

struct store_request {
	struct sequence_set set;
	struct flag_list flags;
	uint64_t keywords;
	uint64_t unchanged_since;
	bool conditional, silent;
	enum flag_change change;
};

static bool parse_modifier(struct parser *p, struct store_request *r)
{
	struct slice name;

	if (!parse_next_is(p, '('))
		return true;
	if (!parse_enter(p) || !parse_atom(p, &name))
		return false;
	if (!slice_equal_nocase(name, SLICE("UNCHANGEDSINCE")))
		return parse_fail(p, "Unknown STORE modifier");
	r->conditional = true;
	return parse_space(p) && parse_number(p, INT64_MAX, &r->unchanged_since) &&
	       parse_leave(p) && parse_space(p);
}

static bool parse_store_item(struct parser *p, struct store_request *r)
{
	static const struct {
		const char *name;
		enum flag_change change;
		bool silent;
	} ITEMS[] = { { "FLAGS", FLAGS_REPLACE, false }, { "FLAGS.SILENT", FLAGS_REPLACE, true },
		{ "+FLAGS", FLAGS_ADD, false }, { "+FLAGS.SILENT", FLAGS_ADD, true },
		{ "-FLAGS", FLAGS_REMOVE, false }, { "-FLAGS.SILENT", FLAGS_REMOVE, true } };
	struct slice name;

	if (!parse_atom(p, &name))
		return false;
	for (size_t i = 0; i < sizeof(ITEMS) / sizeof(ITEMS[0]); i++) {
		if (slice_equal_nocase(name, slice_from(ITEMS[i].name))) {
			r->change = ITEMS[i].change;
			r->silent = ITEMS[i].silent;
			return true;
		}
	}
	return parse_fail(p, "Unknown STORE item");
}

static bool parse_store(struct parser *p, struct store_request *r)
{
	return parse_space(p) && parse_set(p, &r->set) && parse_space(p) && parse_modifier(p, r) &&
	       parse_store_item(p, r) && parse_space(p) && parse_flags(p, true, &r->flags) &&
	       parse_end(p);
}

static enum store_status keyword_bits(struct session *s, struct store_request *r)
{
	for (unsigned i = 0; i < r->flags.count; i++) {
		unsigned bit;
		enum store_status status = mailbox_keyword(
			s->mailbox, r->flags.keywords[i], r->change != FLAGS_REMOVE, &bit);

		if (status == STORE_OK)
			r->keywords |= 1ull << bit;
		else if (status != STORE_NONE || r->change != FLAGS_REMOVE)
			return status;
	}
	return STORE_OK;
}

static bool in_conflict(const struct vector *conflicts, uint32_t index, size_t *at)
{
	const uint32_t *list = conflicts->items;

	while (*at < conflicts->count && list[*at] < index)
		++*at;
	return *at < conflicts->count && list[*at] == index;
}

static void tell_stored(struct session *s, struct command *c, const struct store_request *r,
	const struct vector *indexes, const struct vector *conflicts)
{
	bool modseq = s->enabled & ENABLED_CONDSTORE;
	const uint32_t *list = indexes->items;
	size_t at = 0;

	updates_keywords(s);
	for (size_t i = 0; i < indexes->count; i++) {
		if (in_conflict(conflicts, list[i], &at))
			continue;
		if (!r->silent || modseq)
			updates_tell_flags(s, list[i], c->uid, !r->silent, modseq);
		mailbox_clear_changed(s->mailbox, list[i]);
	}
}

static void reply_stored(struct session *s, struct command *c, const struct vector *conflicts)
{
	struct buffer code = { 0 };
	uint32_t *list = conflicts->items, count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);

	if (conflicts->count) {
		for (size_t i = 0; i < conflicts->count; i++)
			list[i] = c->uid ? entries[list[i]].uid : list[i] + 1;
		buffer_add_text(&code, "[MODIFIED ");
		write_numbers(&code, list, conflicts->count);
		buffer_add_byte(&code, ']');
	}
	reply_code(s, c, buffer_slice(&code));
	buffer_free(&code);
}

static enum store_status store_flags(struct session *s, struct store_request *r,
	struct vector *indexes, struct vector *conflicts)
{
	const uint32_t *list = indexes->items;

	if (r->conditional && r->unchanged_since == 0) {
		/* No message has a mod-sequence of 0: all of them fail (RFC 7162 3.1.3). */
		for (size_t i = 0; i < indexes->count; i++) {
			uint32_t *slot = vector_add(conflicts);

			if (!slot)
				return STORE_TEMPORARY;
			*slot = list[i];
		}
		return STORE_OK;
	}
	return mailbox_store_flags(s->mailbox, list, (uint32_t)indexes->count, r->change,
		r->flags.flags, r->keywords, r->unchanged_since, conflicts);
}

void command_store(struct session *s, struct command *c)
{
	struct store_request r = { 0 };
	struct vector indexes, conflicts = vector_of(sizeof(uint32_t), 0);
	enum store_status status;
	bool gone;

	if (!parse_store(&c->parser, &r) || !session_indexes(s, c, &r.set, &indexes, &gone))
		return;
	if (r.conditional)
		session_enable_condstore(s);
	status = indexes.count ? keyword_bits(s, &r) : STORE_OK;
	if (status == STORE_OK && indexes.count)
		status = store_flags(s, &r, &indexes, &conflicts);
	if (status != STORE_OK) {
		reply_store(s, c, status);
	} else {
		tell_stored(s, c, &r, &indexes, &conflicts);
		if (indexes.count > conflicts.count)
			updates_notify(s, slice_from(s->name));
		if (gone && indexes.count == 0)
			reply_no(s, c, "[EXPUNGEISSUED] The messages are gone.");
		else
			reply_stored(s, c, &conflicts);
	}
	vector_free(&indexes);
	vector_free(&conflicts);
}

/* "[COPYUID validity source target]" (RFC 4315 3) */
static bool copy_code(struct session *s, uint32_t uid_validity, const struct vector *indexes,
	const struct vector *uids, struct buffer *code)
{
	uint32_t count, *sources = arena_array(&s->arena, indexes->count, sizeof(uint32_t));
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	const uint32_t *list = indexes->items;

	if (!sources)
		return false;
	for (size_t i = 0; i < indexes->count; i++)
		sources[i] = entries[list[i]].uid;
	buffer_printf(code, "[COPYUID %u ", uid_validity);
	write_numbers(code, sources, indexes->count);
	buffer_add_byte(code, ' ');
	write_numbers(code, uids->items, uids->count);
	return buffer_add_byte(code, ']');
}

static void reply_copied(struct session *s, struct command *c, struct slice code, bool move)
{
	if (!move) {
		reply_code(s, c, code);
		return;
	}
	s->maybe_expunged = true;
	if (code.length) {
		out_text(s, "* OK ");
		out_slice(s, code);
		out_text(s, " Moved.\r\n");
	}
	reply_done(s, c);
}

static void copy_messages(struct session *s, struct command *c, const struct vector *indexes,
	struct slice target, bool move)
{
	struct vector uids = vector_of(sizeof(uint32_t), 0);
	struct buffer code = { 0 };
	uint32_t uid_validity = 0;
	enum store_status status = mailbox_copy(s->mailbox, indexes->items,
		(uint32_t)indexes->count, target, move, &uid_validity, &uids);

	if (status == STORE_NONE) {
		struct mailbox_counts counts;

		if (store_status(s->store, target, &counts) == STORE_OK)
			reply_no(s, c, "[EXPUNGEISSUED] Some of the messages are gone.");
		else
			reply_no(s, c, "[TRYCREATE] Mailbox does not exist.");
	} else if (status != STORE_OK) {
		reply_store(s, c, status);
	} else {
		if (!copy_code(s, uid_validity, indexes, &uids, &code))
			buffer_clear(&code);
		updates_notify(s, target);
		if (move)
			updates_notify(s, slice_from(s->name));
		if (slice_equal(target, slice_from(s->name)))
			s->noticed = true;
		reply_copied(s, c, buffer_slice(&code), move);
	}
	vector_free(&uids);
	buffer_free(&code);
}

static void copy_or_move(struct session *s, struct command *c, bool move)
{
	struct parser *p = &c->parser;
	struct sequence_set set;
	struct slice target;
	struct vector indexes;
	bool gone;

	if (!parse_space(p) || !parse_set(p, &set) || !parse_space(p) ||
		!parse_mailbox(p, &target) || !parse_end(p) ||
		!session_indexes(s, c, &set, &indexes, &gone))
		return;
	if (gone && !c->uid)
		reply_no(s, c, "[EXPUNGEISSUED] Some of the messages are gone.");
	else if (indexes.count == 0)
		reply_done(s, c);
	else
		copy_messages(s, c, &indexes, target, move);
	vector_free(&indexes);
}

void command_copy(struct session *s, struct command *c)
{
	copy_or_move(s, c, false);
}

void command_move(struct session *s, struct command *c)
{
	copy_or_move(s, c, true);
}
