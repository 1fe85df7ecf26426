// SPDX-License-Identifier: ISC
/* APPEND with MULTIAPPEND and UIDPLUS (RFC 3501 6.3.11, 3502, 4315): messages go to the store as they come, never to memory. */
#include "imapd/session.h"

#include "os/os.h"

enum { APPEND_MAX_MESSAGES = 10000 };

struct append {
	struct session *session;
	struct store_append *store;
	enum store_status status; /* the first one that was not OK stays */
	struct slice mailbox;
	unsigned messages;
	bool cancelled, too_big;
};

struct append_message {
	struct flag_list flags;
	int64_t date;
	uint64_t size;
	bool synchronizing;
};

static bool sink(void *context, struct slice data)
{
	struct append *a = context;

	if (a->status == STORE_OK)
		a->status = store_append_data(a->store, data);
	return a->status == STORE_OK;
}

/* " (flags) "date" {size}": the size is read, the literal is not. */
static bool parse_message(struct parser *p, struct append_message *m)
{
	*m = (struct append_message){ .date = os_now() / 1000000 };
	if (!parse_space(p))
		return false;
	if (parse_next_is(p, '(') && (!parse_flags(p, false, &m->flags) || !parse_space(p)))
		return false;
	if (parse_next_is(p, '"') && (!parse_date_time(p, &m->date) || !parse_space(p)))
		return false;
	return parse_literal_size(p, &m->size, &m->synchronizing);
}

/* The literal is on its way (or will be, when asked for): read it. False when the client will not send it or is gone. */
static bool take_message(struct append *a, struct command *c, const struct append_message *m)
{
	struct session *s = a->session;

	if (m->size > s->settings.literal_limit)
		a->too_big = true;
	if (a->too_big || (a->status != STORE_OK && m->synchronizing))
		return false;
	if (a->status == STORE_OK)
		a->status = store_append_message(a->store, m->flags.flags, m->flags.keywords,
			m->flags.count, m->date, m->size);
	if (a->status != STORE_OK)
		return false;
	if (m->synchronizing)
		out_text(s, "+ OK\r\n");
	/* The literal is ours from here on: it must not be skipped again. */
	c->line = (struct slice){ 0 };
	input_literal(s, m->size, sink, a);
	a->messages++;
	s->command_bytes = 0;
	if (s->ended)
		return false;
	if (input_line(s, &c->line) != INPUT_LINE) {
		c->line = (struct slice){ 0 };
		return parse_fail(&c->parser, "Command is too large");
	}
	c->parser.rest = c->line;
	return true;
}

static bool take_messages(struct append *a, struct command *c)
{
	struct parser *p = &c->parser;
	struct append_message m;

	do {
		if (!parse_message(p, &m))
			return false;
		if (m.size == 0) {
			a->cancelled = true; /* RFC 3502 6.3.11: an empty literal calls it off */
			return false;
		}
		if (a->messages == APPEND_MAX_MESSAGES)
			return parse_fail(p, "Too many messages");
		if (!take_message(a, c, &m))
			return false;
	} while (p->rest.length);
	return a->status == STORE_OK;
}

static void reply_append(struct append *a, struct command *c)
{
	struct session *s = a->session;

	if (c->parser.error || s->lost)
		return;
	if (a->too_big)
		reply_no(s, c, "[TOOBIG] Message is too large.");
	else if (a->cancelled)
		reply_no(s, c, "APPEND is called off.");
	else if (a->status == STORE_NONE)
		reply_no(s, c, "[TRYCREATE] Mailbox does not exist.");
	else
		reply_store(s, c, a->status);
}

static void commit(struct append *a, struct command *c)
{
	struct session *s = a->session;
	struct vector uids = vector_of(sizeof(uint32_t), 0);
	struct buffer code = { 0 };
	uint32_t uid_validity = 0;

	a->status = store_append_commit(&a->store, &uid_validity, &uids);
	if (a->status == STORE_OK) {
		buffer_printf(&code, "[APPENDUID %u ", uid_validity);
		write_numbers(&code, uids.items, uids.count);
		buffer_add_byte(&code, ']');
		updates_notify(s, a->mailbox);
		if (s->mailbox && slice_equal(a->mailbox, slice_from(s->name)))
			s->noticed = true;
		reply_code(s, c, buffer_slice(&code));
	} else {
		reply_append(a, c);
	}
	vector_free(&uids);
	buffer_free(&code);
}

void command_append(struct session *s, struct command *c)
{
	struct append a = { .session = s };
	bool complete;

	if (!parse_space(&c->parser) || !parse_mailbox(&c->parser, &a.mailbox))
		return;
	a.status = store_append_begin(s->store, a.mailbox, &a.store);
	complete = take_messages(&a, c);
	if (complete) {
		commit(&a, c);
	} else if (!s->ended || !s->lost) {
		reply_append(&a, c);
	}
	if (a.store)
		store_append_abort(&a.store);
}
