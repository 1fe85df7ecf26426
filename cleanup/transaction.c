// SPDX-License-Identifier: ISC
/*
 * One message in cleanup. Everything that it is stands in struct transaction, and transaction_free makes it nothing, whatever
 * ended it. A message that cannot be taken is swallowed to its end, and then gets its answer.
 */
#include "cleanup/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/address.h"
#include "os/os.h"
#include "service/figures.h"
#include "service/log.h"

static const struct {
	uint16_t code;
	const char *dsn, *reason;
} ANSWERS[FAULTS] = {
	[FAULT_NONE] = { 250, "2.0.0", "Ok" },
	[FAULT_SIZE] = { 552, "5.3.4", "Error: message file too big" },
	[FAULT_HOPS] = { 554, "5.4.6", "Error: too many hops" },
	[FAULT_SPACE] = { 452, "4.3.1", "Error: insufficient system storage" },
	[FAULT_WRITE] = { 451, "4.3.0", "Error: queue file write error" },
	[FAULT_LOOKUP] = { 451, "4.3.0", "Error: temporary lookup failure" },
	[FAULT_EXPANSION] = { 451, "4.6.0", "Error: alias expansion error" },
	[FAULT_NO_RECIPIENTS] = { 554, "5.5.1", "Error: no valid recipients" },
	[FAULT_SENDER] = { 553, "5.1.7", "Error: bad sender address syntax" },
	[FAULT_RECIPIENT] = { 553, "5.1.3", "Error: bad recipient address syntax" },
	[FAULT_FROM] = { 550, "5.7.1", "Error: From: address not owned by the user logged in" },
	[FAULT_BUSY] = { 451, "4.3.2", "Error: too many messages at a time" },
	[FAULT_MEMORY] = { 451, "4.3.0", "Error: out of memory" },
};

static struct transaction *find(struct peer_channel *peer, uint32_t serial)
{
	for (struct transaction *t = peer->transactions; t; t = t->peer_next) {
		if (t->serial == serial)
			return t;
	}
	return NULL;
}

static void leave_peer(struct transaction *t)
{
	struct transaction **at = t->peer ? &t->peer->transactions : NULL;

	if (!at)
		return;
	while (*at != t)
		at = &(*at)->peer_next;
	*at = t->peer_next;
	t->peer->count--;
	t->peer = NULL;
}

void transaction_free(struct transaction *t)
{
	struct cleanup *c = t->cleanup;

	room_give(t);
	leave_peer(t);
	*t->at = t->next;
	if (t->next)
		t->next->at = t->at;
	c->transactions--;
	loop_timer_stop(&t->deadline);
	expand_cancel(t);
	from_cancel(t);
	headers_free(&t->headers);
	queue_writer_free(&t->writer);
	vector_free(&t->recipients);
	map_free(&t->known);
	arena_free(&t->arena);
	free(t);
	loop_defer(service_loop(c->service), &c->settle);
}

/* After a failed write: what errno says of it. */
static void fail_write(struct transaction *t, int error)
{
	bool full = error == ENOSPC || error == EDQUOT;

	if (t->fault != FAULT_NONE)
		return;
	log_warning("%s: write queue file: %s", t->id, strerror(error));
	transaction_fail(t, full ? FAULT_SPACE : error == ENOMEM ? FAULT_MEMORY : FAULT_WRITE);
}

/* Tell the peer how it went, and forget the message. */
static void answer(struct transaction *t)
{
	struct message message = { .type = MESSAGE_CLEANUP_RESULT };
	struct message_cleanup_result *result = &message.cleanup_result;
	char text[64];

	result->serial = t->serial;
	result->code = ANSWERS[t->fault].code;
	result->dsn = slice_from(ANSWERS[t->fault].dsn);
	result->queue_id = slice_from(t->id);
	result->reason = slice_from(ANSWERS[t->fault].reason);
	if (t->fault == FAULT_NONE) {
		snprintf(text, sizeof(text), "Ok: queued as %s", t->id);
		result->reason = slice_from(text);
		figures_add(FIGURE_messages, 1);
	} else {
		figures_add(FIGURE_messages_refused, 1);
	}
	/* Before the sender hears of it: what was not taken is gone, and what was taken is nobody's any more. */
	queue_writer_free(&t->writer);
	if (t->peer)
		channel_send(&t->peer->channel, &message);
	transaction_free(t);
}

/* --- the beginning --- */

/* Whoever asked checked it, too; nobody's word is taken for it. */
static bool address_is_good(struct slice address, unsigned flags, struct arena *arena)
{
	struct address parsed;
	const char *error;

	return address_parse_path(
		       &address, flags | ADDRESS_UTF8 | ADDRESS_BARE, arena, &parsed, &error) &&
	       address.length == 0;
}

static bool copy_begin(struct transaction *t, const struct message_cleanup_begin *begin)
{
	struct queue_envelope *e = &t->envelope;
	const struct {
		struct slice from, *to;
	} texts[] = { { begin->sender, &e->sender }, { begin->envid, &e->envid },
		{ begin->client_name, &e->client_name },
		{ begin->client_address, &e->client_address }, { begin->helo, &e->helo },
		{ begin->protocol, &e->protocol }, { begin->login, &e->login },
		{ begin->full_name, &t->full_name }, { begin->origin, &t->origin },
		{ begin->prepend, &t->prepend }, { begin->log_name, &t->log_name },
		{ begin->login_maps, &t->login_maps }, { begin->tls, &t->tls } };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		*texts[i].to = arena_slice(&t->arena, texts[i].from);
		if (!texts[i].to->data)
			return false;
	}
	return true;
}

static uint32_t queue_flags(uint32_t flags)
{
	static const struct {
		uint32_t from, to;
	} map[] = { { CLEANUP_8BIT, QUEUE_FLAG_8BIT }, { CLEANUP_SMTPUTF8, QUEUE_FLAG_SMTPUTF8 },
		{ CLEANUP_BOUNCE, QUEUE_FLAG_BOUNCE }, { CLEANUP_LOCAL, QUEUE_FLAG_LOCAL },
		{ CLEANUP_RET_HEADERS, QUEUE_FLAG_RET_HEADERS } };
	uint32_t result = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		result |= flags & map[i].from ? map[i].to : 0;
	return result;
}

static struct transaction *transaction_new(struct peer_channel *peer, uint32_t serial)
{
	struct cleanup *c = peer->cleanup;
	struct transaction *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->cleanup = c;
	t->peer = peer;
	t->serial = serial;
	t->place = room_take(peer);
	t->originals_end = &t->originals;
	t->recipients = vector_of(sizeof(struct queue_recipient), CLEANUP_RECIPIENTS);
	arena_init(&t->arena, CLEANUP_MEMORY);
	queue_id_new(t->id);
	t->peer_next = peer->transactions;
	peer->transactions = t;
	peer->count++;
	t->next = c->list;
	t->at = &c->list;
	if (t->next)
		t->next->at = &t->next;
	c->list = t;
	c->transactions++;
	return t;
}

static bool write_content(void *context, struct slice text)
{
	struct transaction *t = context;

	if (queue_write_content(t->writer, text))
		return true;
	fail_write(t, errno);
	return false;
}

/* Only bounce says what is a notification: a session that could would make its mail vanish without a report. */
static uint32_t allowed_flags(enum service_id from, uint32_t flags)
{
	return from == SERVICE_BOUNCE ? flags : flags & ~(uint32_t)CLEANUP_BOUNCE;
}

bool transaction_begin(struct peer_channel *peer, const struct message_cleanup_begin *begin)
{
	struct transaction *t;
	struct headers_facts facts;

	if (peer->count >= room_most(peer) || find(peer, begin->serial))
		return false;
	t = transaction_new(peer, begin->serial);
	if (!t)
		return false;
	t->flags = allowed_flags(peer->from, begin->flags);
	t->origin_pid = begin->pid;
	t->check_from = begin->login.length ? begin->check_from : CHECK_FROM_NO;
	t->envelope.info.flags = queue_flags(t->flags);
	t->envelope.info.arrival = os_now();
	if (!copy_begin(t, begin))
		transaction_fail(t, FAULT_MEMORY);
	else if (!headers_are_lines(t->prepend))
		transaction_fail(t, FAULT_WRITE);
	else if (!address_is_good(t->envelope.sender, ADDRESS_NULL, &t->arena) &&
		 t->envelope.sender.length)
		transaction_fail(t, FAULT_SENDER);
	room_check(t, begin->size_hint);
	t->writer = queue_create(&t->cleanup->queue, t->id, t->envelope.info.arrival);
	if (!t->writer)
		transaction_fail(t, FAULT_MEMORY);
	facts = (struct headers_facts){ .id = t->id,
		.host = t->cleanup->settings.host,
		.origin = t->cleanup->settings.origin,
		.sender = t->envelope.sender,
		.full_name = t->full_name,
		.arrival = t->envelope.info.arrival,
		.size_limit = (size_t)t->cleanup->settings.header_size_limit,
		.hop_limit = t->cleanup->settings.hopcount_limit,
		.from = t->check_from != CHECK_FROM_NO ? from_check : NULL,
		.complete = t->flags & (CLEANUP_LOCAL | CLEANUP_SUBMISSION) };
	/* A receipt of one's own (RFC 8098) has no envelope sender; From: it must have. */
	if (!facts.sender.length && t->flags & CLEANUP_SUBMISSION)
		facts.sender = t->envelope.login;
	headers_begin(&t->headers, &facts, write_content, t);
	return true;
}

bool transaction_recipient(
	struct peer_channel *peer, const struct message_cleanup_recipient *recipient)
{
	struct transaction *t = find(peer, recipient->serial);
	struct original *original;

	if (!t || t->ended)
		return false;
	if (t->fault != FAULT_NONE)
		return true;
	if (t->original_count >= CLEANUP_RECIPIENTS) {
		transaction_fail(t, FAULT_EXPANSION);
		return true;
	}
	if (!address_is_good(recipient->address, 0, &t->arena)) {
		transaction_fail(t, FAULT_RECIPIENT);
		return true;
	}
	original = arena_alloc(&t->arena, sizeof(*original));
	if (original) {
		original->transaction = t;
		original->notify = recipient->notify;
		original->address = arena_slice(&t->arena, recipient->address);
		original->orcpt = arena_slice(&t->arena, recipient->orcpt);
		*t->originals_end = original;
		t->originals_end = &original->next;
		t->original_count++;
	}
	if (!original || !original->address.data || !original->orcpt.data || !expand_ask(original))
		transaction_fail(t, FAULT_MEMORY);
	room_count_memory(t);
	return true;
}

/* --- the content --- */

/* The trace header stands first, and is written when the recipients are known (RFC 5321 4.4). */
static void write_received(struct transaction *t)
{
	struct headers_origin origin = { .client_name = t->envelope.client_name,
		.client_address = t->envelope.client_address,
		.helo = t->envelope.helo,
		.protocol = t->envelope.protocol,
		.tls = t->tls,
		.hidden = t->flags & CLEANUP_HIDE_CLIENT };
	struct buffer text = { 0 };

	t->begun = true;
	if (t->flags & CLEANUP_SHOW_LOGIN)
		origin.login = t->envelope.login;
	if (t->original_count == 1)
		origin.recipient = t->originals->address;
	if (!headers_received(&origin, &t->headers.facts, &text))
		transaction_fail(t, FAULT_MEMORY);
	else if (!t->prepend.length || write_content(t, t->prepend))
		write_content(t, buffer_slice(&text));
	buffer_free(&text);
}

static void note_headers(struct transaction *t, enum headers_status status)
{
	if (status == HEADERS_TOO_MANY_HOPS)
		transaction_fail(t, FAULT_HOPS);
	else if (status != HEADERS_GOOD)
		transaction_fail(t, FAULT_MEMORY);
}

bool transaction_content(struct peer_channel *peer, const struct message_cleanup_content *content)
{
	struct transaction *t = find(peer, content->serial);
	int64_t limit = peer->cleanup->settings.message_size_limit;

	if (!t || t->ended)
		return false;
	t->received += (int64_t)content->chunk.length;
	if (limit && t->received > limit)
		transaction_fail(t, FAULT_SIZE);
	if (t->fault == FAULT_NONE && !t->begun)
		write_received(t);
	if (t->fault == FAULT_NONE)
		note_headers(t, headers_feed(&t->headers, content->chunk));
	return true;
}

/* --- the end --- */

static void lookups_late(struct timer *timer)
{
	struct transaction *t = timer->context;

	log_warning("%s: directoryd does not answer", t->id);
	transaction_fail(t, FAULT_LOOKUP);
	transaction_advance(t);
}

static void commit(struct transaction *t)
{
	t->envelope.recipients = t->recipients.items;
	t->envelope.info.recipient_count = (uint32_t)t->recipients.count;
	t->job.writer = t->writer;
	t->job.envelope = &t->envelope;
	if (t->held)
		queue_writer_hold(t->writer);
	t->syncing = true;
	sync_submit(&t->cleanup->sync, &t->job);
}

void transaction_advance(struct transaction *t)
{
	if (!t->ended || t->syncing)
		return;
	if (t->fault == FAULT_NONE && t->unanswered)
		return;
	loop_timer_stop(&t->deadline);
	if (t->fault == FAULT_NONE && !t->recipients.count)
		transaction_fail(t, FAULT_NO_RECIPIENTS);
	if (t->fault == FAULT_NONE)
		commit(t);
	else
		answer(t);
}

/*
 * Where it came from, then what it is: analysers of logs want to know the one before qmgr tells the rest. The sender learns the
 * queue id only with the answer, when qmgr may be far ahead; so its line is written here, in its name.
 */
static void log_arrival(const struct transaction *t)
{
	bool resent = t->headers.message_id[0] == '\0';
	char name[130];

	if (!slice_to_string(t->log_name, name, sizeof(name)) || !name[0])
		snprintf(name, sizeof(name), "%s",
			t->peer->from == SERVICE_PICKUP ? "pickup" : "smtpd");
	if (t->origin.length)
		log_info_of(name, t->origin_pid, "%s: %.*s", t->id, SLICE_ARG(t->origin));
	log_info("%s: message-id=%s", t->id, resent ? "<>" : t->headers.message_id);
}

/* One recipient instead of all; it stands for the first, and nobody's aliases matter any more. */
static void redirect(struct transaction *t, struct slice address)
{
	if (!t->originals || !address_is_good(address, 0, &t->arena)) {
		transaction_fail(t, FAULT_RECIPIENT);
		return;
	}
	expand_cancel(t);
	vector_free(&t->recipients);
	t->recipients = vector_of(sizeof(struct queue_recipient), CLEANUP_RECIPIENTS);
	if (!expand_add(t, t->originals, address))
		transaction_fail(t, FAULT_MEMORY);
}

bool transaction_end(struct peer_channel *peer, const struct message_cleanup_end *end)
{
	struct transaction *t = find(peer, end->serial);

	if (!t || t->ended)
		return false;
	if (end->fail) {
		transaction_free(t);
		return true;
	}
	if (t->fault == FAULT_NONE && !t->begun)
		write_received(t);
	if (t->fault == FAULT_NONE)
		note_headers(t, headers_end(&t->headers));
	t->ended = true;
	t->held = end->hold;
	if (end->redirect.length && t->fault == FAULT_NONE)
		redirect(t, end->redirect);
	if (t->fault == FAULT_NONE)
		log_arrival(t);
	if (t->fault == FAULT_NONE && t->unanswered) {
		t->deadline = (struct timer){ .fire = lookups_late, .context = t };
		if (!loop_timer_start(service_loop(t->cleanup->service), &t->deadline,
			    CLEANUP_LOOKUP_TIMEOUT))
			transaction_fail(t, FAULT_MEMORY);
	}
	transaction_advance(t);
	return true;
}

/* qmgr learns of it at once, unless it is on hold; if it is away, it finds the file when it comes. */
static void tell_qmgr(struct transaction *t)
{
	struct channel *channel = link_channel(&t->cleanup->qmgr);
	struct message message = { .type = MESSAGE_QUEUE_ARRIVED,
		.queue_arrived.queue_id = slice_from(t->id) };

	if (channel && !t->held)
		channel_send(channel, &message);
}

void transaction_synced(void *context, struct sync_job *job)
{
	struct transaction *t =
		(struct transaction *)((char *)job - offsetof(struct transaction, job));

	t->syncing = false;
	figures_add(FIGURE_fsyncs, job->syncs);
	if (job->durable)
		tell_qmgr(t);
	else
		fail_write(t, job->error);
	answer(t);
}

void transaction_abandon(struct peer_channel *peer)
{
	struct transaction *next;

	for (struct transaction *t = peer->transactions; t; t = next) {
		next = t->peer_next;
		if (t->syncing)
			t->peer = NULL;
		else
			transaction_free(t);
	}
	peer->transactions = NULL;
	peer->count = 0;
}
