// SPDX-License-Identifier: ISC
/*
 * Recipients: each is asked of directoryd while the content still flows, and comes back as one address or many. A connection
 * that breaks asks all that was not answered again when it is back; what takes too long is a temporary failure.
 */
#include "cleanup/cleanup.h"

#include "mail/address.h"
#include "mail/utf8.h"
#include "service/log.h"

enum { FOLD_MEMORY = 8 << 10 };

static struct slice serial_key(const uint32_t *serial)
{
	return slice_of(serial, sizeof(*serial));
}

static void send_question(struct cleanup *c, const struct original *original)
{
	struct channel *channel = link_channel(&c->directory);
	struct message message = { .type = MESSAGE_DIRECTORY_EXPAND };

	if (!channel)
		return;
	message.directory_expand.serial = original->serial;
	message.directory_expand.recipient = original->address;
	channel_send(channel, &message);
}

bool expand_ask(struct original *original)
{
	struct cleanup *c = original->transaction->cleanup;

	if (++c->lookup_serial == 0)
		c->lookup_serial = 1;
	original->serial = c->lookup_serial;
	if (!map_put(&c->lookups, serial_key(&original->serial), original)) {
		original->serial = 0;
		return false;
	}
	original->transaction->unanswered++;
	send_question(c, original);
	return true;
}

static void forget_question(struct original *original)
{
	map_remove(&original->transaction->cleanup->lookups, serial_key(&original->serial));
	original->serial = 0;
	original->transaction->unanswered--;
}

void expand_cancel(struct transaction *t)
{
	for (struct original *o = t->originals; o; o = o->next) {
		if (o->serial)
			forget_question(o);
	}
}

/* The same mailbox in other letters gets one copy, as everywhere; U-labels are compared as A-labels. */
static struct slice folded(struct slice address, struct buffer *space)
{
	ptrdiff_t at = slice_find_last(address, '@');
	struct slice domain = slice_tail(address, (size_t)at + 1), ascii;
	struct arena arena;

	buffer_clear(space);
	arena_init(&arena, FOLD_MEMORY);
	if (at >= 0 && utf8_ascii_prefix(domain) < domain.length &&
		address_domain(domain, true, &arena, &ascii)) {
		buffer_add(space, slice_head(address, (size_t)at + 1));
		buffer_add(space, ascii);
	} else {
		buffer_add(space, address);
	}
	arena_free(&arena);
	for (size_t i = 0; i < space->length; i++)
		space->data[i] = ascii_lower(space->data[i]);
	return space->failed ? address : buffer_slice(space);
}

static bool in_list(const struct transaction *t, struct slice key)
{
	struct buffer space = { 0 };
	bool found = false;

	for (size_t i = 0; i < t->recipients.count && !found; i++) {
		const struct queue_recipient *r = vector_at(&t->recipients, i);

		found = slice_equal(folded(r->address, &space), key);
	}
	buffer_free(&space);
	return found;
}

static bool is_known(struct transaction *t, struct slice address)
{
	struct buffer space = { 0 };
	struct slice key = folded(address, &space);
	bool known = t->recipients.count > CLEANUP_LINEAR ? map_get(&t->known, key) != NULL
							  : in_list(t, key);

	buffer_free(&space);
	return known;
}

/* From CLEANUP_LINEAR recipients on they are in a map, too. */
static bool make_known(struct transaction *t)
{
	struct buffer space = { 0 };
	bool good = true;
	size_t from = t->recipients.count == CLEANUP_LINEAR + 1 ? 0 : t->recipients.count - 1;

	if (t->recipients.count <= CLEANUP_LINEAR)
		return true;
	for (size_t i = from; i < t->recipients.count && good; i++) {
		const struct queue_recipient *r = vector_at(&t->recipients, i);

		good = map_put(&t->known, folded(r->address, &space), t);
	}
	buffer_free(&space);
	return good;
}

bool expand_add(struct transaction *t, const struct original *original, struct slice address)
{
	struct queue_recipient *r;

	if (is_known(t, address))
		return true;
	r = vector_add(&t->recipients);
	if (!r)
		return false;
	r->address = slice_equal(address, original->address) ? original->address
							     : arena_slice(&t->arena, address);
	r->original = original->address;
	r->orcpt = original->orcpt;
	r->notify = original->notify;
	return r->address.data && make_known(t);
}

static void answer_failed(struct original *original, struct slice reason)
{
	struct transaction *t = original->transaction;

	log_warning("%s: aliases of <%.*s> are not known: %.*s", t->id,
		SLICE_ARG(original->address), SLICE_ARG(reason));
	transaction_fail(t, FAULT_LOOKUP);
}

static void take_address(struct original *original, struct slice address)
{
	struct transaction *t = original->transaction;
	int64_t limit = t->cleanup->settings.expansion_limit;

	if (++original->expanded > limit) {
		if (t->fault == FAULT_NONE)
			log_warning("%s: unreasonable virtual_alias_maps map expansion size for "
				    "%.*s -- "
				    "message not accepted, try again later",
				t->id, SLICE_ARG(original->address));
		transaction_fail(t, FAULT_EXPANSION);
	} else if (!expand_add(t, original, address)) {
		transaction_fail(t,
			t->recipients.count >= CLEANUP_RECIPIENTS ? FAULT_EXPANSION : FAULT_MEMORY);
	}
	room_count_memory(t);
}

static void take_last(
	struct original *original, const struct message_directory_expand_answer *answer)
{
	struct transaction *t = original->transaction;

	switch (answer->status) {
	case DIRECTORY_FOUND:
	case DIRECTORY_NOT_FOUND:
	case DIRECTORY_NOT_OURS:
		/* No alias: the address stands for itself. */
		if (!original->expanded)
			take_address(original, original->address);
		break;
	case DIRECTORY_BAD:
		log_warning("%s: aliases of <%.*s>: %.*s", t->id, SLICE_ARG(original->address),
			SLICE_ARG(answer->reason));
		transaction_fail(t, FAULT_EXPANSION);
		break;
	default:
		answer_failed(original, answer->reason);
	}
	forget_question(original);
}

struct transaction *expand_receive(
	struct cleanup *c, const struct message_directory_expand_answer *answer)
{
	struct original *original = map_get(&c->lookups, serial_key(&answer->serial));

	if (!original)
		return NULL; /* the message has gone */
	if (answer->address.length && (answer->status == DIRECTORY_FOUND || answer->more))
		take_address(original, answer->address);
	if (answer->more)
		return NULL;
	take_last(original, answer);
	return original->transaction;
}

static bool ask_again(void *context, struct slice key, void *value)
{
	struct original *original = value;

	/* What came before the break is known already and will not count twice. */
	original->expanded = 0;
	send_question(context, original);
	return true;
}

void expand_up(struct cleanup *c)
{
	map_each(&c->lookups, ask_again, c);
}
