// SPDX-License-Identifier: ISC
/* Walking the mailbox with a tree of search keys, and the SEARCH and ESEARCH responses. See search.h. */
#include "imapd/search.h"

#include <stdlib.h>

#include "mail/date.h"
#include "mail/header.h"
#include "service/log.h"

/* The message at hand; its parts are read when a key asks for them. */
struct candidate {
	struct session *session;
	const struct message_entry *entry;
	uint32_t index;
	bool have_headers, have_message;
	struct slice headers, message;
	enum store_status status; /* the first failure */
};

static bool load_message(struct candidate *c)
{
	if (!c->have_message) {
		enum store_status status = mailbox_read(c->session->mailbox, c->index, &c->message);

		if (status != STORE_OK) {
			c->status = status;
			return false;
		}
		/* The header block read before is gone with this call. */
		c->headers = slice_head(c->message, header_length_lax(c->message));
		c->have_message = c->have_headers = true;
	}
	return true;
}

static bool load_headers(struct candidate *c)
{
	if (!c->have_headers) {
		enum store_status status =
			mailbox_read_headers(c->session->mailbox, c->index, &c->headers);

		if (status != STORE_OK) {
			c->status = status;
			return false;
		}
		c->have_headers = true;
	}
	return true;
}

static int64_t floor_day(int64_t seconds)
{
	return seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
}

static bool compare_day(enum search_kind kind, int64_t day, int64_t wanted)
{
	switch (kind) {
	case SEARCH_BEFORE:
	case SEARCH_SENT_BEFORE:
		return day < wanted;
	case SEARCH_ON:
	case SEARCH_SENT_ON:
		return day == wanted;
	default:
		return day >= wanted;
	}
}

/* The day in the zone that INTERNALDATE shows. */
static bool internal_day(struct candidate *c, const struct search_key *key)
{
	int64_t seconds = c->entry->internal_date;

	return compare_day(
		key->kind, floor_day(seconds + session_zone(c->session, seconds) * 60), key->day);
}

static bool sent_day(struct candidate *c, const struct search_key *key)
{
	struct header_field field;
	int64_t seconds;
	int zone;

	if (!load_headers(c) || !header_find(c->headers, "Date", &field) ||
		!date_parse(slice_trim(field.value), &seconds, &zone))
		return false;
	return compare_day(key->kind, floor_day(seconds + zone * 60), key->day);
}

static bool answer(struct candidate *c, const struct search_key *key);

static bool answer_children(struct candidate *c, const struct search_key *key)
{
	for (const struct search_key *child = key->children; child; child = child->next) {
		bool yes = answer(c, child);

		if (key->kind == SEARCH_NOT)
			return !yes;
		if (yes == (key->kind == SEARCH_OR))
			return yes;
	}
	return key->kind == SEARCH_AND;
}

static bool answer_text(struct candidate *c, const struct search_key *key)
{
	enum mail_search_where where =
		key->kind == SEARCH_BODY ? MAIL_SEARCH_BODY : MAIL_SEARCH_TEXT;

	if (key->kind == SEARCH_HEADER)
		return load_headers(c) && mail_search_header(key->needle, c->headers, key->name);
	return load_message(c) && mail_search_text(key->needle, c->message, where);
}

static bool answer(struct candidate *c, const struct search_key *key)
{
	const struct message_entry *e = c->entry;

	switch (key->kind) {
	case SEARCH_ALL:
		return true;
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_NOT:
		return answer_children(c, key);
	case SEARCH_NUMBERS:
		return set_holds(&key->set, c->index + 1);
	case SEARCH_UIDS:
		return set_holds(&key->set, e->uid);
	case SEARCH_FLAG:
		return e->flags & key->flag;
	case SEARCH_KEYWORD:
		return e->keywords & key->number;
	case SEARCH_RECENT:
		return entry_recent(c->session, e);
	case SEARCH_NEW:
		return entry_recent(c->session, e) && !(e->flags & FLAG_SEEN);
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE:
		return internal_day(c, key);
	case SEARCH_SENT_BEFORE:
	case SEARCH_SENT_ON:
	case SEARCH_SENT_SINCE:
		return sent_day(c, key);
	case SEARCH_LARGER:
		return e->size > key->number;
	case SEARCH_SMALLER:
		return e->size < key->number;
	case SEARCH_MODSEQ:
		return e->modseq >= key->number;
	case SEARCH_HEADER:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return answer_text(c, key);
	}
	return false;
}

/* Sets and keywords against the mailbox as it is now. */
static const char *resolve_keys(
	struct session *s, struct search_key *key, uint32_t count, uint32_t last_uid)
{
	const char *error = NULL;
	unsigned bit;

	for (; key && !error; key = key->next) {
		switch (key->kind) {
		case SEARCH_NUMBERS:
		case SEARCH_UIDS:
			if (!set_resolve(&key->set, key->kind == SEARCH_UIDS ? last_uid : count,
				    &s->arena, &key->set))
				return "Command is too large";
			if (key->kind == SEARCH_NUMBERS && count && key->set.count &&
				key->set.ranges[key->set.count - 1].high > count)
				return "Message number is beyond the mailbox";
			break;
		case SEARCH_KEYWORD:
			key->number =
				mailbox_keyword(s->mailbox, key->name, false, &bit) == STORE_OK
					? 1ull << bit
					: 0;
			break;
		case SEARCH_AND:
		case SEARCH_OR:
		case SEARCH_NOT:
			error = resolve_keys(s, key->children, count, last_uid);
			break;
		default:
			break;
		}
	}
	return error;
}

struct found {
	struct vector numbers; /* or UIDs, of uint32_t, ascending */
	uint64_t modseq; /* highest of all of them */
	uint64_t first_modseq, last_modseq;
};

static bool found_add(struct found *found, const struct message_entry *entry, uint32_t number)
{
	uint32_t *slot = vector_add(&found->numbers);

	if (!slot)
		return false;
	*slot = number;
	if (found->numbers.count == 1)
		found->first_modseq = entry->modseq;
	found->last_modseq = entry->modseq;
	if (entry->modseq > found->modseq)
		found->modseq = entry->modseq;
	return true;
}

static enum store_status walk(
	struct session *s, struct command *c, const struct search_request *r, struct found *found)
{
	uint32_t count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	enum store_status failed = STORE_OK;

	if (r->top->cost != COST_VIEW && count)
		mailbox_plan_read(s->mailbox, 0, count - 1);
	for (uint32_t i = 0; i < count && failed == STORE_OK; i++) {
		struct candidate at = {
			.session = s, .entry = &entries[i], .index = i, .status = STORE_OK
		};
		bool yes = !entries[i].expunged && answer(&at, r->top);

		if (at.status == STORE_TEMPORARY)
			failed = at.status;
		else if (yes && at.status == STORE_OK &&
			 !found_add(found, &entries[i], c->uid ? entries[i].uid : i + 1))
			failed = STORE_TEMPORARY;
	}
	if (r->top->cost != COST_VIEW && count)
		mailbox_plan_end(s->mailbox);
	return failed;
}

static void tell_search(
	struct session *s, const struct search_request *r, const struct found *found)
{
	const uint32_t *list = found->numbers.items;

	out_text(s, "* SEARCH");
	for (size_t i = 0; i < found->numbers.count; i++) {
		out_byte(s, ' ');
		out_number(s, list[i]);
		if (i % 4096 == 0)
			out_flush(s, false);
	}
	if (r->uses_modseq && found->numbers.count)
		out_printf(s, " (MODSEQ %llu)", (unsigned long long)found->modseq);
	out_text(s, "\r\n");
}

/* Which MODSEQ belongs to what is returned (RFC 7162 3.1.10). */
static uint64_t returned_modseq(const struct search_request *r, const struct found *found)
{
	if (r->give == RETURN_MIN)
		return found->first_modseq;
	if (r->give == RETURN_MAX)
		return found->last_modseq;
	if (r->give == (RETURN_MIN | RETURN_MAX))
		return found->first_modseq > found->last_modseq ? found->first_modseq
								: found->last_modseq;
	return found->modseq;
}

static void tell_esearch(struct session *s, struct command *c, const struct search_request *r,
	const struct found *found)
{
	const uint32_t *list = found->numbers.items;
	size_t count = found->numbers.count;

	out_text(s, "* ESEARCH (TAG ");
	out_string(s, c->tag);
	out_text(s, c->uid ? ") UID" : ")");
	if (count && r->give & RETURN_MIN)
		out_printf(s, " MIN %u", list[0]);
	if (count && r->give & RETURN_MAX)
		out_printf(s, " MAX %u", list[count - 1]);
	if (count && r->give & RETURN_ALL) {
		out_text(s, " ALL ");
		write_numbers(&s->output.buffer, list, count);
	}
	if (r->give & RETURN_COUNT)
		out_printf(s, " COUNT %zu", count);
	if (count && r->uses_modseq)
		out_printf(s, " MODSEQ %llu", (unsigned long long)returned_modseq(r, found));
	out_text(s, "\r\n");
}

static void run(struct session *s, struct command *c, struct search_request *r)
{
	struct found found = { .numbers = vector_of(sizeof(uint32_t), 0) };
	enum store_status status;
	uint32_t count;
	const struct message_entry *entries = mailbox_entries(s->mailbox, &count);
	const char *error = resolve_keys(s, r->top, count, count ? entries[count - 1].uid : 0);

	if (error) {
		reply_bad(s, c, error);
		return;
	}
	if (r->uses_modseq)
		session_enable_condstore(s);
	status = walk(s, c, r, &found);
	if (status != STORE_OK) {
		reply_store(s, c, status);
	} else {
		if (r->extended)
			tell_esearch(s, c, r, &found);
		else
			tell_search(s, r, &found);
		reply_done(s, c);
	}
	vector_free(&found.numbers);
}

void command_search(struct session *s, struct command *c)
{
	struct search_request r;

	if (search_parse(&c->parser, &r))
		run(s, c, &r);
	else if (r.bad_charset)
		reply_no(s, c, "[BADCHARSET (US-ASCII UTF-8)] Unknown charset.");
	search_free(&r);
}
