// SPDX-License-Identifier: ISC
/*
 * FETCH (RFC 3501 6.4.5, RFC 7162 3.1.4).
 *
 * What the index knows comes from the view without a system call; envelopes, structures and header blocks come from the cache;
 * only then is a message read. So the items of one message are answered in that order, and until the last read has succeeded
 * the response is held back: a message that vanished meanwhile is left out whole.
 */
#include "imapd/fetch.h"

#include "mail/date.h"
#include "service/log.h"

enum fetch_need {
	NEED_VIEW = 0,
	NEED_CACHE = 1,
	NEED_HEADERS = 2,
	NEED_MESSAGE = 4,
	NEED_STRUCTURE = 8,
	SETS_SEEN = 16
};

struct fetch {
	struct session *session;
	const struct fetch_request *request;
	unsigned needs; /* of all items */
	bool first; /* no item of this message was written yet */
};

static unsigned item_needs(const struct fetch_item *item)
{
	const struct fetch_section *section = &item->section;
	unsigned seen = section->peek ? 0 : SETS_SEEN;

	switch (item->kind) {
	case FETCH_ENVELOPE:
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE:
		return NEED_CACHE;
	case FETCH_SECTION:
		if (section_is_header(section))
			return NEED_HEADERS | seen;
		return NEED_MESSAGE | (section->number_count ? NEED_STRUCTURE : 0) | seen;
	default:
		return NEED_VIEW;
	}
}

static void label(struct fetch *f, const char *name)
{
	struct buffer *out = &f->session->output.buffer;

	if (!f->first)
		buffer_add_byte(out, ' ');
	f->first = false;
	buffer_add_text(out, name);
}

static void write_date(struct session *s, const struct message_entry *entry)
{
	buffer_add_byte(&s->output.buffer, '"');
	date_write_imap(
		entry->internal_date, session_zone(s, entry->internal_date), &s->output.buffer);
	buffer_add_byte(&s->output.buffer, '"');
}

static void write_view_item(
	struct fetch *f, enum fetch_kind kind, const struct message_entry *entry)
{
	struct session *s = f->session;

	switch (kind) {
	case FETCH_UID:
		label(f, "UID ");
		out_number(s, entry->uid);
		break;
	case FETCH_FLAGS:
		label(f, "FLAGS ");
		write_flags(s, entry);
		break;
	case FETCH_DATE:
		label(f, "INTERNALDATE ");
		write_date(s, entry);
		break;
	case FETCH_SIZE:
		label(f, "RFC822.SIZE ");
		out_number(s, entry->size);
		break;
	case FETCH_MODSEQ:
		label(f, "MODSEQ (");
		out_number(s, entry->modseq);
		out_byte(s, ')');
		break;
	default:
		break;
	}
}

static enum store_status write_cached_item(struct fetch *f, enum fetch_kind kind, uint32_t index)
{
	static const struct {
		enum store_part part;
		const char *label;
	} PARTS[] = { [FETCH_ENVELOPE] = { STORE_ENVELOPE, "ENVELOPE " },
		[FETCH_BODY] = { STORE_BODY, "BODY " },
		[FETCH_BODYSTRUCTURE] = { STORE_BODYSTRUCTURE, "BODYSTRUCTURE " } };
	struct slice text;
	enum store_status status =
		mailbox_read_cached(f->session->mailbox, index, PARTS[kind].part, &text);

	if (status != STORE_OK)
		return status;
	label(f, PARTS[kind].label);
	out_slice(f->session, text);
	return STORE_OK;
}

static void write_section(struct fetch *f, const struct fetch_section *section,
	struct slice message, struct mime_part *top)
{
	struct session *s = f->session;
	struct slice text;

	if (!section_find(section, message, top, &s->scratch, &text))
		text = (struct slice){ 0 };
	label(f, "");
	out_slice(s, section->label);
	out_byte(s, ' ');
	if (text.data)
		out_literal(s, text);
	else
		out_slice(s, SLICE("NIL"));
}

static enum store_status write_header_sections(struct fetch *f, uint32_t index)
{
	struct slice headers;
	enum store_status status = mailbox_read_headers(f->session->mailbox, index, &headers);

	if (status != STORE_OK)
		return status;
	if (!headers.data)
		headers = SLICE("");
	for (unsigned i = 0; i < f->request->count; i++) {
		const struct fetch_item *item = &f->request->items[i];

		if (item->kind == FETCH_SECTION && section_is_header(&item->section))
			write_section(f, &item->section, headers, NULL);
	}
	return STORE_OK;
}

static enum store_status write_message_sections(struct fetch *f, uint32_t index)
{
	struct session *s = f->session;
	struct mime_part *top = NULL;
	struct slice message;
	enum store_status status = mailbox_read(s->mailbox, index, &message);

	if (status != STORE_OK)
		return status;
	if (!message.data)
		message = SLICE("");
	if (f->needs & NEED_STRUCTURE)
		top = mime_parse(message, &s->part_arena);
	out_release(s);
	for (unsigned i = 0; i < f->request->count; i++) {
		const struct fetch_item *item = &f->request->items[i];

		if (item->kind == FETCH_SECTION && !section_is_header(&item->section))
			write_section(f, &item->section, message, top);
	}
	if (f->needs & NEED_STRUCTURE)
		arena_reset(&s->part_arena);
	return STORE_OK;
}

static enum store_status write_cached_items(struct fetch *f, uint32_t index)
{
	enum store_status status = STORE_OK;

	for (unsigned i = 0; status == STORE_OK && i < f->request->count; i++) {
		enum fetch_kind kind = f->request->items[i].kind;

		if (kind == FETCH_ENVELOPE || kind == FETCH_BODY || kind == FETCH_BODYSTRUCTURE)
			status = write_cached_item(f, kind, index);
	}
	return status;
}

static void write_view_items(struct fetch *f, const struct message_entry *entry)
{
	bool flags = false;

	for (unsigned i = 0; i < f->request->count; i++) {
		enum fetch_kind kind = f->request->items[i].kind;

		flags = flags || kind == FETCH_FLAGS;
		write_view_item(f, kind, entry);
	}
	/* \Seen was set by this very FETCH, or somebody else changed them: tell along. */
	if (entry->changed && !flags && !entry->expunged)
		write_view_item(f, FETCH_FLAGS, entry);
}

static enum store_status fetch_one(struct fetch *f, uint32_t index)
{
	struct session *s = f->session;
	uint32_t count;
	const struct message_entry *entry = &mailbox_entries(s->mailbox, &count)[index];
	enum store_status status = STORE_OK;
	size_t mark = 0;
	bool reads = f->needs & (NEED_CACHE | NEED_HEADERS | NEED_MESSAGE);

	if (reads)
		mark = out_hold(s);
	buffer_add_text(&s->output.buffer, "* ");
	out_number(s, (uint64_t)index + 1);
	out_slice(s, SLICE(" FETCH ("));
	f->first = true;
	write_view_items(f, entry);
	if (f->needs & NEED_CACHE)
		status = write_cached_items(f, index);
	if (status == STORE_OK && f->needs & NEED_HEADERS)
		status = write_header_sections(f, index);
	if (status == STORE_OK && f->needs & NEED_MESSAGE)
		status = write_message_sections(f, index);
	if (status != STORE_OK) {
		out_rollback(s, mark);
		return status;
	}
	out_slice(s, SLICE(")\r\n"));
	out_release(s);
	if (mailbox_entries(s->mailbox, &count)[index].changed)
		mailbox_clear_changed(s->mailbox, index);
	s->fetched++;
	return STORE_OK;
}

/* Those of `indexes` that are not \Seen yet become it, in one transaction, before any of them is shown. */
static enum store_status set_seen(struct session *s, const struct vector *indexes)
{
	struct vector unseen = vector_of(sizeof(uint32_t), 0),
		      conflicts = vector_of(sizeof(uint32_t), 0);
	uint32_t count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	const uint32_t *list = indexes->items;
	enum store_status status = STORE_OK;

	for (size_t i = 0; i < indexes->count && status == STORE_OK; i++) {
		uint32_t *slot;

		if (entries[list[i]].flags & FLAG_SEEN)
			continue;
		slot = vector_add(&unseen);
		if (!slot)
			status = STORE_TEMPORARY;
		else
			*slot = list[i];
	}
	if (status == STORE_OK && unseen.count) {
		status = mailbox_store_flags(s->mailbox, unseen.items, (uint32_t)unseen.count,
			FLAGS_ADD, FLAG_SEEN, 0, 0, &conflicts);
		if (status == STORE_OK)
			updates_notify(s, slice_from(s->name));
	}
	vector_free(&unseen);
	vector_free(&conflicts);
	return status;
}

/* CHANGEDSINCE takes the older ones out. */
static void keep_changed(struct session *s, const struct fetch_request *r, struct vector *indexes)
{
	uint32_t count, *list = indexes->items;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	size_t kept = 0;

	for (size_t i = 0; i < indexes->count; i++) {
		if (entries[list[i]].modseq > r->changed_since)
			list[kept++] = list[i];
	}
	indexes->count = kept;
}

static void fetch_all(struct fetch *f, struct command *c, const struct vector *indexes, bool gone)
{
	struct session *s = f->session;
	const uint32_t *list = indexes->items;
	bool plan = indexes->count > 1 && f->needs & (NEED_CACHE | NEED_HEADERS | NEED_MESSAGE);
	enum store_status failed = STORE_OK;

	if (plan)
		mailbox_plan_read(s->mailbox, list[0], list[indexes->count - 1]);
	for (size_t i = 0; i < indexes->count && !s->lost; i++) {
		enum store_status status = fetch_one(f, list[i]);

		if (status == STORE_NONE) {
			gone = s->noticed = true;
		} else if (status != STORE_OK) {
			failed = STORE_TEMPORARY;
			log_error("%s: %s: message %u: %s", s->user, s->name, list[i] + 1,
				store_error(s->store));
		}
	}
	if (plan)
		mailbox_plan_end(s->mailbox);
	if (failed != STORE_OK)
		reply_no(s, c, "[UNAVAILABLE] Some messages could not be read.");
	else if (gone && !c->uid)
		reply_no(s, c, "[EXPUNGEISSUED] Some of the messages are gone.");
	else
		reply_done(s, c);
}

/* UID FETCH always tells UIDs; clients of CHANGEDSINCE always get MODSEQ. */
static void add_implied(struct fetch_request *r, const struct command *c)
{
	bool uid = false, modseq = false;
	unsigned room = FETCH_MAX_ITEMS - r->count;

	for (unsigned i = 0; i < r->count; i++) {
		uid = uid || r->items[i].kind == FETCH_UID;
		modseq = modseq || r->items[i].kind == FETCH_MODSEQ;
	}
	if (r->changed_since_given && !modseq && room)
		r->items[r->count++] = (struct fetch_item){ .kind = FETCH_MODSEQ };
	if (c->uid && !uid && r->count < FETCH_MAX_ITEMS) {
		memmove(r->items + 1, r->items, r->count * sizeof(*r->items));
		r->items[0] = (struct fetch_item){ .kind = FETCH_UID };
		r->count++;
	}
}

void command_fetch(struct session *s, struct command *c)
{
	struct fetch_request r;
	struct fetch f = { .session = s, .request = &r };
	struct vector indexes;
	enum store_status status = STORE_OK;
	bool gone;

	if (!fetch_parse(&c->parser, &r) || !session_indexes(s, c, &r.set, &indexes, &gone))
		return;
	add_implied(&r, c);
	for (unsigned i = 0; i < r.count; i++) {
		f.needs |= item_needs(&r.items[i]);
		if (r.items[i].kind == FETCH_MODSEQ)
			session_enable_condstore(s);
	}
	if (r.changed_since_given)
		keep_changed(s, &r, &indexes);
	if (f.needs & SETS_SEEN && !s->read_only)
		status = set_seen(s, &indexes);
	if (status == STORE_OK)
		fetch_all(&f, c, &indexes, gone);
	else
		reply_store(s, c, status);
	vector_free(&indexes);
}
