// SPDX-License-Identifier: ISC
/* Local submissions. See submission.h. */
#include "cleanup/submission.h"

#include <stdio.h>
#include <unistd.h>

#include "mail/address.h"

enum { ADDRESS_MEMORY = 32 << 10 };

/* Appends the domain that is missing. */
static bool complete(
	const struct submission_rules *rules, struct address *address, struct arena *arena)
{
	const struct slice given = address->domain;

	if (!address->domain.length && rules->append_origin)
		address->domain = arena_slice(arena, slice_from(rules->origin));
	if (address->domain.length && !address_is_literal(address->domain) &&
		rules->append_domain && slice_find(address->domain, '.') < 0)
		address->domain = slice_from(
			arena_printf(arena, "%.*s.%s", SLICE_ARG(address->domain), rules->domain));
	if (given.data != address->domain.data)
		address->unicode = slice_of("", 0);
	return address->domain.data || !rules->append_origin;
}

/*
 * The external form of what the user gave, whole; empty only for the null sender. A sender (ADDRESS_NULL) keeps its domain's
 * U-labels, since it is shown; recipients are looked up.
 */
static bool rewrite(
	const struct submission_rules *rules, struct slice text, unsigned flags, struct buffer *out)
{
	struct arena arena;
	struct address address;
	const char *error;
	bool ok;

	if (!text.length && flags & ADDRESS_NULL)
		return true;
	arena_init(&arena, ADDRESS_MEMORY);
	ok = address_parse_path(
		     &text, flags | ADDRESS_BARE | ADDRESS_UTF8, &arena, &address, &error) &&
	     text.length == 0;
	if (ok && (address.local.length || address.domain.length))
		ok = complete(rules, &address, &arena) &&
		     (flags & ADDRESS_NULL ? address_write_as_given(&address, out)
					   : address_write(&address, out)) &&
		     out->length <= MAX_ADDRESS;
	arena_free(&arena);
	return ok;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		if ((unsigned char)text.data[i] > 127)
			return false;
	}
	return true;
}

static enum submission_status begin(struct submission *s, const struct message_submit_begin *in)
{
	struct message message = { .type = MESSAGE_CLEANUP_BEGIN };
	struct message_cleanup_begin *out = &message.cleanup_begin;
	struct buffer sender = { 0 };
	char user[32], origin[sizeof(s->sender) + 40];
	bool sent;

	if (!rewrite(s->rules, in->sender, ADDRESS_NULL, &sender) ||
		!slice_to_string(buffer_slice(&sender), s->sender, sizeof(s->sender))) {
		buffer_free(&sender);
		return SUBMISSION_BAD_SENDER;
	}
	snprintf(user, sizeof(user), "userid %u", (unsigned)s->uid);
	s->notify = in->notify;
	out->serial = s->serial;
	out->sender = buffer_slice(&sender);
	out->flags = CLEANUP_LOCAL |
		     (in->flags & (CLEANUP_8BIT | CLEANUP_SMTPUTF8 | CLEANUP_RET_HEADERS)) |
		     (is_ascii(out->sender) ? 0 : CLEANUP_SMTPUTF8);
	out->envid = in->envid;
	out->protocol = SLICE("local");
	out->helo = slice_from(user);
	out->full_name = in->full_name;
	snprintf(origin, sizeof(origin), "uid=%u from=<%s>", (unsigned)s->uid, s->sender);
	out->origin = slice_from(origin);
	out->pid = (uint32_t)getpid();
	sent = s->send(s->context, &message);
	buffer_free(&sender);
	s->state = SUBMISSION_ENVELOPE;
	return sent ? SUBMISSION_MORE : SUBMISSION_LOST;
}

static enum submission_status recipient(struct submission *s, struct slice text)
{
	struct message message = { .type = MESSAGE_CLEANUP_RECIPIENT };
	struct buffer address = { 0 };
	bool sent;

	if (++s->recipients > SUBMISSION_RECIPIENTS || !rewrite(s->rules, text, 0, &address)) {
		buffer_free(&address);
		return SUBMISSION_BAD_RECIPIENT;
	}
	message.cleanup_recipient.serial = s->serial;
	message.cleanup_recipient.address = buffer_slice(&address);
	message.cleanup_recipient.notify = s->notify;
	sent = s->send(s->context, &message);
	buffer_free(&address);
	return sent ? SUBMISSION_MORE : SUBMISSION_LOST;
}

static bool send_content(struct submission *s, struct slice chunk)
{
	struct message message = { .type = MESSAGE_CLEANUP_CONTENT };

	message.cleanup_content.serial = s->serial;
	message.cleanup_content.chunk = chunk;
	return chunk.length == 0 || s->send(s->context, &message);
}

/* CR LF and lone CR become LF: at rest there is no other line end. `out` has room for one byte more than the chunk. */
static size_t to_lf(struct submission *s, struct slice chunk, char *out)
{
	size_t length = 0;

	for (size_t i = 0; i < chunk.length; i++) {
		char c = chunk.data[i];

		if (s->cr && c != '\n')
			out[length++] = '\n';
		s->cr = c == '\r';
		if (c != '\r')
			out[length++] = c;
	}
	return length;
}

static enum submission_status content(struct submission *s, struct slice chunk)
{
	char out[MAX_CHUNK + 1];
	size_t length;
	bool sent;

	s->state = SUBMISSION_CONTENT;
	if (!s->cr && slice_find(chunk, '\r') < 0)
		return send_content(s, chunk) ? SUBMISSION_MORE : SUBMISSION_LOST;
	length = to_lf(s, chunk, out);
	sent = send_content(s, slice_of(out, length > MAX_CHUNK ? MAX_CHUNK : length));
	if (length > MAX_CHUNK)
		sent = sent && send_content(s, slice_of(out + MAX_CHUNK, length - MAX_CHUNK));
	return sent ? SUBMISSION_MORE : SUBMISSION_LOST;
}

static bool send_end(struct submission *s, bool fail)
{
	struct message message = { .type = MESSAGE_CLEANUP_END };

	message.cleanup_end.serial = s->serial;
	message.cleanup_end.fail = fail;
	return s->send(s->context, &message);
}

static enum submission_status end(struct submission *s, bool fail)
{
	bool sent = !s->cr || fail || send_content(s, SLICE("\n"));

	s->state = SUBMISSION_ENDED;
	sent = sent && send_end(s, fail);
	return !sent ? SUBMISSION_LOST : fail ? SUBMISSION_CANCELLED : SUBMISSION_WHOLE;
}

static enum submission_status take(struct submission *s, const struct message *message)
{
	switch (message->type) {
	case MESSAGE_SUBMIT_BEGIN:
		if (s->state == SUBMISSION_NEW)
			return begin(s, &message->submit_begin);
		break;
	case MESSAGE_SUBMIT_RECIPIENT:
		if (s->state == SUBMISSION_ENVELOPE)
			return recipient(s, message->submit_recipient.address);
		break;
	case MESSAGE_SUBMIT_CONTENT:
		if (s->state == SUBMISSION_ENVELOPE || s->state == SUBMISSION_CONTENT)
			return content(s, message->submit_content.chunk);
		break;
	case MESSAGE_SUBMIT_END:
		if (s->state == SUBMISSION_ENVELOPE || s->state == SUBMISSION_CONTENT)
			return end(s, message->submit_end.fail);
		break;
	default:
		break;
	}
	return SUBMISSION_WRONG;
}

enum submission_status submission_take(struct submission *s, const struct message *message)
{
	enum submission_status status = take(s, message);

	if (status != SUBMISSION_MORE && s->state != SUBMISSION_ENDED)
		submission_cancel(s);
	return status;
}

void submission_cancel(struct submission *s)
{
	bool begun = s->state == SUBMISSION_ENVELOPE || s->state == SUBMISSION_CONTENT;

	s->state = SUBMISSION_ENDED;
	/* When cleanup cannot be told, its end of the connection has told it. */
	if (begun && !send_end(s, true))
		s->recipients = 0;
}
