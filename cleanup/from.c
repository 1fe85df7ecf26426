// SPDX-License-Identifier: ISC
/*
 * submission_check_from: is every address in From: one of those that who logged in may send as? The addresses are asked of
 * directoryd while the content still flows, as those of recipients are (expand.c).
 */
#include "cleanup/cleanup.h"

#include "mail/address.h"
#include "service/log.h"

enum {
	FROM_MOST = 20, /* addresses of one message; more are refused */
	FROM_MEMORY = 256 << 10
};

/* One address, asked for until it is answered. */
struct from_address {
	struct transaction *transaction;
	struct from_address *next;
	uint32_t serial; /* 0: answered */
	struct slice address;
};

static struct slice serial_key(const uint32_t *serial)
{
	return slice_of(serial, sizeof(*serial));
}

static void send_question(struct cleanup *c, const struct from_address *from)
{
	struct channel *channel = link_channel(&c->directory);
	struct message message = { .type = MESSAGE_DIRECTORY_OWNER };

	if (!channel)
		return;
	message.directory_owner.serial = from->serial;
	message.directory_owner.address = from->address;
	message.directory_owner.login = from->transaction->envelope.login;
	message.directory_owner.tables = from->transaction->login_maps;
	channel_send(channel, &message);
}

static void forget_question(struct from_address *from)
{
	map_remove(&from->transaction->cleanup->owners, serial_key(&from->serial));
	from->serial = 0;
	from->transaction->unanswered--;
}

void from_cancel(struct transaction *t)
{
	for (struct from_address *from = t->from; from; from = from->next) {
		if (from->serial)
			forget_question(from);
	}
}

/* As header_checks log it. */
static void log_foreign(const struct transaction *t, const char *what, struct slice address)
{
	const struct queue_envelope *e = &t->envelope;

	log_info("%s: %s: header From: %.*s from %.*s[%.*s]; from=<%.*s> proto=%.*s helo=<%.*s>: "
		 "not owned by user %.*s",
		t->id, what, SLICE_ARG(slice_head(address, MAX_ADDRESS)), SLICE_ARG(e->client_name),
		SLICE_ARG(e->client_address), SLICE_ARG(e->sender), SLICE_ARG(e->protocol),
		SLICE_ARG(e->helo), SLICE_ARG(e->login));
}

static void is_foreign(struct transaction *t, struct slice address)
{
	bool reject = t->check_from == CHECK_FROM_REJECT;

	if (t->fault != FAULT_NONE)
		return;
	log_foreign(t, reject ? "reject" : "warning", address);
	if (reject)
		transaction_fail(t, FAULT_FROM);
}

static bool ask(struct transaction *t, struct slice address)
{
	struct cleanup *c = t->cleanup;
	struct from_address *from = arena_alloc(&t->arena, sizeof(*from));

	if (!from)
		return false;
	*from = (struct from_address){
		.transaction = t, .next = t->from, .address = arena_slice(&t->arena, address)
	};
	t->from = from;
	if (++c->lookup_serial == 0)
		c->lookup_serial = 1;
	from->serial = c->lookup_serial;
	if (!from->address.data || !map_put(&c->owners, serial_key(&from->serial), from)) {
		from->serial = 0;
		return false;
	}
	t->unanswered++;
	send_question(c, from);
	return true;
}

struct reading {
	struct transaction *t;
	unsigned found;
};

/* Words without an address are refused, too: who reads them may take them for one. */
static bool take_address(void *context, const struct header_address *part)
{
	struct reading *reading = context;
	struct transaction *t = reading->t;
	struct buffer text = buffer_limited(MAX_ADDRESS);
	struct address address = { .local = part->local, .domain = part->domain };
	bool good;

	if (part->group)
		return true;
	reading->found++;
	if (part->local.length && !part->domain.length && t->cleanup->settings.origin)
		address.domain = slice_from(t->cleanup->settings.origin);
	good = address.local.length && address.domain.length && address_write(&address, &text);
	if (!good || ++t->from_count > FROM_MOST)
		is_foreign(t, part->local.length ? part->local : part->name);
	else if (!ask(t, buffer_slice(&text)))
		transaction_fail(t, FAULT_MEMORY);
	buffer_free(&text);
	return t->fault == FAULT_NONE;
}

/* What is not an address list by the grammar others may read in another way than we do: no address in it can be relied on. */
void from_check(void *context, struct slice value)
{
	struct transaction *t = context;
	struct reading reading = { .t = t };
	struct buffer text = { 0 };
	struct arena arena;
	bool unfolded = header_unfold(value, &text);

	arena_init(&arena, FROM_MEMORY);
	if (!unfolded)
		transaction_fail(t, FAULT_MEMORY);
	else if (!address_list_valid(buffer_slice(&text)) ||
		 !address_list_parse(
			 buffer_slice(&text), &arena, FROM_MOST + 1, take_address, &reading) ||
		 !reading.found)
		is_foreign(t, buffer_slice(&text));
	arena_free(&arena);
	buffer_free(&text);
}

struct transaction *from_receive(
	struct cleanup *c, const struct message_directory_owner_answer *answer)
{
	struct from_address *from = map_get(&c->owners, serial_key(&answer->serial));
	struct transaction *t;

	if (!from)
		return NULL; /* the message has gone */
	t = from->transaction;
	forget_question(from);
	if (answer->status == OWNER_TEMPORARY && t->check_from == CHECK_FROM_REJECT) {
		log_warning(
			"%s: the owner of <%.*s> is not known", t->id, SLICE_ARG(from->address));
		transaction_fail(t, FAULT_LOOKUP);
	} else if (answer->status != OWNER_YES) {
		is_foreign(t, from->address);
	}
	return t;
}

static bool ask_again(void *context, struct slice key, void *value)
{
	send_question(context, value);
	return true;
}

void from_up(struct cleanup *c)
{
	map_each(&c->owners, ask_again, c);
}
