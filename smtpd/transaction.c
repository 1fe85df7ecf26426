// SPDX-License-Identifier: ISC
/*
 * The mail transaction between session and cleanup. Cleanup hears of a message when its first 64 KB are full or at its end:
 * then envelope, content and end follow each other without waiting, and a message that fails early never bothers it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/figures.h"
#include "service/front.h"
#include "service/log.h"
#include "smtpd/restrictions.h"
#include "smtpd/session.h"

enum {
	RECIPIENTS_KEPT = 64 /* room for so many is kept from one transaction to the next */
};

/* When this fails the message does; the next one finds another cleanup, see send_begin. */
static bool send_cleanup(struct session *s, struct message *message)
{
	return !s->peer_lost && s->io->send(s->context, TO_CLEANUP, message,
					s->io->now(s->context) + s->settings->ipc_timeout);
}

static bool send_cancel(struct session *s)
{
	struct message message = { .type = MESSAGE_CLEANUP_END };

	message.cleanup_end.serial = s->transaction.serial;
	message.cleanup_end.fail = true;
	return send_cleanup(s, &message);
}

void transaction_reset(struct session *s)
{
	struct transaction *t = &s->transaction;
	struct slice *recipients = t->recipients;
	uint32_t room = t->recipient_room;

	/* A cleanup that is gone needs not be told. */
	if (t->begun && !send_cancel(s))
		log_debug("cleanup is lost");
	if (room > RECIPIENTS_KEPT) {
		free(recipients);
		recipients = NULL;
		room = 0;
	}
	memset(t, 0, sizeof(*t));
	t->recipients = recipients;
	t->recipient_room = room;
	arena_reset(&s->recipient_memory);
}

bool transaction_add_recipient(struct session *s, struct slice address)
{
	struct transaction *t = &s->transaction;
	struct slice copy;

	if (t->recipient_count == t->recipient_room) {
		uint32_t room = t->recipient_room ? t->recipient_room * 2 : RECIPIENTS_KEPT;
		struct slice *more = reallocarray(t->recipients, room, sizeof(*more));

		if (!more)
			return false;
		t->recipients = more;
		t->recipient_room = room;
	}
	copy = arena_slice(&s->recipient_memory, address);
	if (!copy.data)
		return false;
	t->recipients[t->recipient_count++] = copy;
	return true;
}

/* Whose messages cleanup completes (Date, Message-ID): local_header_rewrite_clients. */
static bool is_local_client(const struct session *s)
{
	struct slice rest = slice_from(s->settings->rewrite_clients), word;

	if (s->client.local)
		return true;
	while (slice_word(&rest, ", \t\r\n", &word)) {
		if (slice_equal_nocase(word, SLICE("permit_mynetworks")) && s->trusted)
			return true;
		if (slice_equal_nocase(word, SLICE("permit_inet_interfaces")) &&
			(network_match("127.0.0.0/8 [::1]", s->client.address) ||
				strcmp(s->client.address, s->client.local_address) == 0))
			return true;
		if (slice_equal_nocase(word, SLICE("permit_sasl_authenticated")) &&
			s->auth.login[0])
			return true;
	}
	return false;
}

/* What holds for mail of those who logged in. */
static uint32_t submission_flags(const struct session *s)
{
	const struct auth_settings *auth = &s->settings->auth;

	if (!s->auth.login[0])
		return 0;
	return CLEANUP_SUBMISSION | (auth->show_login ? CLEANUP_SHOW_LOGIN : 0) |
	       (auth->hide_client ? CLEANUP_HIDE_CLIENT : 0);
}

static bool send_begin(struct session *s)
{
	struct message message = { .type = MESSAGE_CLEANUP_BEGIN };
	struct message_cleanup_begin *begin = &message.cleanup_begin;
	const struct transaction *t = &s->transaction;
	ptrdiff_t bracket = slice_find(slice_from(s->name), '[');
	int64_t deadline = s->io->now(s->context) + s->settings->ipc_timeout;
	char origin[sizeof(s->name) + 16 + SESSION_TEXT], auth[SESSION_TEXT], protocol[16],
		tls[1024];

	auth_describe(s, auth, sizeof(auth));
	/* RFC 3848: with TLS the name ends in S, after a login in A. */
	snprintf(protocol, sizeof(protocol), "%s%s%s", session_protocol(s),
		s->secure && s->esmtp ? "S" : "", s->auth.login[0] ? "A" : "");
	session_tls_trace(s, tls, sizeof(tls));
	*begin = (struct message_cleanup_begin){ .serial = s->transaction.serial = ++s->serial,
		.sender = slice_from(t->sender_given),
		.flags = (t->eight_bit ? CLEANUP_8BIT : 0) | (t->utf8 ? CLEANUP_SMTPUTF8 : 0) |
			 (is_local_client(s) ? CLEANUP_LOCAL : 0) | submission_flags(s),
		.envid = slice_from(""),
		.protocol = slice_from(protocol),
		.tls = slice_from(tls),
		.client_name = slice_head(slice_from(s->name), (size_t)bracket),
		.client_address = slice_from(s->client.address),
		.helo = slice_from(s->helo),
		.login = slice_from(s->auth.login),
		.size_hint = t->size,
		.pid = (uint32_t)getpid(),
		.check_from = s->auth.login[0] ? s->settings->check_from : CHECK_FROM_NO,
		.login_maps =
			slice_from(s->settings->check_from ? s->settings->sender_login_maps : ""),
		.log_name = slice_from(s->settings->log_name) };
	snprintf(origin, sizeof(origin), "client=%s%s", s->name, auth);
	begin->origin = slice_from(origin);
	if (!actions_headers(&t->actions, &s->text))
		return false;
	begin->prepend = buffer_slice(&s->text);
	/* The first word to cleanup since the last message: it may be another cleanup by now. */
	if (!s->peer_lost && !s->io->send(s->context, TO_CLEANUP, &message, deadline) &&
		(!session_renew(s, TO_CLEANUP) ||
			!s->io->send(s->context, TO_CLEANUP, &message, deadline))) {
		log_warning("lost cleanup");
		s->peer_lost = true;
	}
	s->transaction.begun = !s->peer_lost;
	return s->transaction.begun;
}

static bool send_recipients(
	struct session *s, const struct slice *addresses, uint32_t count, uint8_t notify)
{
	for (uint32_t i = 0; i < count; i++) {
		struct message message = { .type = MESSAGE_CLEANUP_RECIPIENT };

		message.cleanup_recipient.serial = s->transaction.serial;
		message.cleanup_recipient.address = addresses[i];
		message.cleanup_recipient.orcpt = slice_from("");
		message.cleanup_recipient.notify = notify;
		if (!send_cleanup(s, &message))
			return false;
	}
	return true;
}

bool transaction_push(struct session *s)
{
	struct message message = { .type = MESSAGE_CLEANUP_CONTENT };
	struct transaction *t = &s->transaction;
	struct content *content = &t->content;

	if (t->actions.discard) {
		content->chunk_length = 0;
		return true;
	}
	if (!t->begun &&
		(!send_begin(s) || !send_recipients(s, t->recipients, t->recipient_count, 0)))
		return false;
	if (!content->chunk_length)
		return true;
	message.cleanup_content.serial = s->transaction.serial;
	message.cleanup_content.chunk = slice_of(s->chunk, content->chunk_length);
	content->chunk_length = 0;
	return send_cleanup(s, &message);
}

static enum command_result refuse(struct session *s, const char *text)
{
	log_refusal(s, "reject", text, NULL);
	reply(s, "%s", text);
	transaction_reset(s);
	return COMMAND_ERROR;
}

static void fault_text(const struct session *s, char *text, size_t size)
{
	const char *host = s->settings->host;

	switch (s->transaction.content.fault) {
	case CONTENT_BARE_LF:
		snprintf(text, size, "550 5.5.2 %s Error: bare <LF> received", host);
		break;
	case CONTENT_BARE_CR:
		snprintf(text, size, "550 5.5.2 %s Error: bare <CR> received", host);
		break;
	case CONTENT_TOO_BIG:
		snprintf(text, size, "552 5.3.4 Error: message file too big");
		break;
	default:
		snprintf(text, size, "451 4.3.0 Error: queue file write error");
	}
}

enum command_result transaction_refuse(struct session *s)
{
	char text[SESSION_TEXT];

	/* What gets as far as cleanup is counted there. */
	figures_add(FIGURE_messages_refused, 1);
	fault_text(s, text, sizeof(text));
	return refuse(s, text);
}

/* Ours to count and log once it is accepted. */
static enum command_result accepted(struct session *s, const char *queue_id)
{
	figures_add(FIGURE_bytes_in, s->transaction.content.received);
	reply(s, "250 2.0.0 Ok: queued as %s", queue_id);
	transaction_reset(s);
	s->errors = s->junk = 0;
	return COMMAND_GOOD;
}

/* What of it is with cleanup already is taken back by the reset. */
static enum command_result discard(struct session *s)
{
	char queue_id[MAX_QUEUE_ID + 1];

	actions_discard(s, queue_id, sizeof(queue_id));
	return accepted(s, queue_id);
}

static enum command_result verdict(struct session *s, const struct message_cleanup_result *result)
{
	char queue_id[MAX_QUEUE_ID + 1], text[SESSION_TEXT];

	s->transaction.begun = false; /* cleanup is done with it */
	if (result->code == 250 && slice_to_string(result->queue_id, queue_id, sizeof(queue_id))) {
		return accepted(s, queue_id);
	}
	if (result->code >= 400 && result->code <= 599 && result->dsn.length)
		snprintf(text, sizeof(text), "%u %.*s %.*s", (unsigned)result->code,
			SLICE_ARG(result->dsn), SLICE_ARG(result->reason));
	else
		snprintf(text, sizeof(text), "451 4.3.0 Error: queue file write error");
	return refuse(s, text);
}

/* The last chunk, and what is known only now: copies without a report of their own, another destination, hold/. */
static bool push_end(struct session *s, struct message *end)
{
	const struct actions *actions = &s->transaction.actions;

	if (!transaction_push(s) ||
		!send_recipients(s, actions->bcc.items, actions->bcc.count, NOTIFY_NEVER))
		return false;
	end->cleanup_end.serial = s->transaction.serial;
	end->cleanup_end.hold = actions->hold;
	end->cleanup_end.redirect = actions->redirect;
	return true;
}

enum command_result transaction_commit(struct session *s)
{
	struct message end = { .type = MESSAGE_CLEANUP_END }, answer;
	struct content *content = &s->transaction.content;

	s->where = "END-OF-MESSAGE";
	if (content->fault == CONTENT_GOOD && !restrictions_allow(s, STAGE_END_OF_DATA)) {
		transaction_reset(s);
		return COMMAND_ERROR;
	}
	if (content->fault == CONTENT_GOOD && s->transaction.actions.discard)
		return discard(s);
	if (content->fault == CONTENT_GOOD && !push_end(s, &end))
		content->fault = CONTENT_NO_PEER;
	if (content->fault != CONTENT_GOOD)
		return transaction_refuse(s);
	if (session_ask(
		    s, TO_CLEANUP, &end, s->transaction.serial, MESSAGE_CLEANUP_RESULT, &answer))
		return verdict(s, &answer.cleanup_result);
	content->fault = CONTENT_NO_PEER;
	s->transaction.begun = false; /* nobody is there to be told */
	return transaction_refuse(s);
}
