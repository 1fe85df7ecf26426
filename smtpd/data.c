// SPDX-License-Identifier: ISC
/*
 * Content: DATA (RFC 5321 4.5.2) and BDAT (RFC 3030), from the wire to cleanup with line ends as LF.
 *
 * Only CR LF "." CR LF ends a message. A bare LF or CR never does, never starts a line that a dot could stand at, and never
 * gets through as it is: it fails the message or is made a line end, as smtpd_forbid_bare_newline says. So no two systems can
 * disagree about where this message ends.
 */
#include "smtpd/restrictions.h"
#include "smtpd/session.h"

enum {
	CONTENT_SWALLOW_SLACK =
		64
		<< 20 /* bytes past twice the size limit that are still read to give a proper answer */
};

/* ---- One state machine for both -------------------------------------------------------------------------------------- */

static void content_fail(struct session *s, enum content_fault fault)
{
	if (s->transaction.content.fault == CONTENT_GOOD)
		s->transaction.content.fault = fault;
}

static void content_put(struct session *s, struct slice bytes)
{
	struct content *content = &s->transaction.content;

	if (content->fault != CONTENT_GOOD)
		return;
	content->size += (int64_t)bytes.length;
	if (s->settings->size_limit && content->size > s->settings->size_limit) {
		content_fail(s, CONTENT_TOO_BIG);
		return;
	}
	while (bytes.length) {
		size_t room = MAX_CHUNK - content->chunk_length;
		struct slice part = slice_head(bytes, room);

		memcpy(s->chunk + content->chunk_length, part.data, part.length);
		content->chunk_length += part.length;
		bytes = slice_tail(bytes, part.length);
		if (content->chunk_length == MAX_CHUNK && !transaction_push(s)) {
			content_fail(s, CONTENT_NO_PEER);
			return;
		}
	}
}

static void content_line_end(struct session *s)
{
	s->transaction.content.size++; /* CR LF it was, or becomes where it goes on */
	content_put(s, SLICE("\n"));
	s->transaction.content.unfinished = false;
}

/* A CR or LF of its own. Made a line end it is, but the line behind it is not one that SMTP knows of. */
static void content_bare(struct session *s, enum content_fault fault)
{
	if (!s->settings->normalize_newlines)
		content_fail(s, fault);
	content_line_end(s);
	s->transaction.content.state = CONTENT_TEXT;
}

/* Where the next CR and LF are, each looked for once however often the other one comes. */
struct newlines {
	const char *cr, *lf, *end;
};

static const char *find_from(const char *known, const char *at, const char *end, char byte)
{
	if (known && known >= at)
		return known;
	known = memchr(at, byte, (size_t)(end - at));
	return known ? known : end;
}

/* Text up to the next CR or LF. Returns where it ends. */
static const char *content_text(struct session *s, const char *at, struct newlines *next)
{
	struct content *content = &s->transaction.content;
	const char *stop;

	next->lf = find_from(next->lf, at, next->end, '\n');
	next->cr = find_from(next->cr, at, next->end, '\r');
	stop = next->lf < next->cr ? next->lf : next->cr;
	if (stop > at) {
		content_put(s, slice_of(at, (size_t)(stop - at)));
		content->unfinished = true;
	}
	if (stop == next->end)
		return stop;
	if (*stop == '\r')
		content->state = CONTENT_CR;
	else
		content_bare(s, CONTENT_BARE_LF);
	return stop + 1;
}

/*
 * Feed wire bytes; returns how many were used. With `dots`, *ended is set at the final dot and what is behind it stays unused.
 * A state that does not use a byte leaves it to the next one, so each byte is looked at twice at most.
 */
static size_t content_feed(struct session *s, struct slice bytes, bool dots, bool *ended)
{
	struct content *content = &s->transaction.content;
	struct newlines next = { .end = bytes.data + bytes.length };
	const char *at = bytes.data;

	while (at < next.end && !*ended) {
		switch (content->state) {
		case CONTENT_START:
			content->state = dots && *at == '.' ? CONTENT_DOT : CONTENT_TEXT;
			at += content->state == CONTENT_DOT;
			break;
		case CONTENT_TEXT:
			at = content_text(s, at, &next);
			break;
		case CONTENT_CR:
			if (*at == '\n') {
				content_line_end(s);
				content->state = CONTENT_START;
				at++;
			} else {
				content_bare(s, CONTENT_BARE_CR);
			}
			break;
		case CONTENT_DOT: /* a stuffed dot is dropped */
			content->state = *at == '\r' ? CONTENT_DOT_CR : CONTENT_TEXT;
			at += content->state == CONTENT_DOT_CR;
			break;
		case CONTENT_DOT_CR:
			if (*at == '\n') {
				*ended = true;
				at++;
			} else {
				content_bare(s, CONTENT_BARE_CR);
			}
			break;
		}
	}
	return (size_t)(at - bytes.data);
}

/* Feed and count. */
static size_t content_take(struct session *s, struct slice bytes, bool dots, bool *ended)
{
	struct content *content = &s->transaction.content;
	size_t used = content_feed(s, bytes, dots, ended);

	content->received += (int64_t)used;
	return used;
}

/* ---- Deadlines ------------------------------------------------------------------------------------------------------- */

/*
 * Until when the next bytes must be there: smtpd_timeout from now and, with smtpd_per_request_deadline, smtpd_timeout from the
 * request's start plus a second for each smtpd_min_data_rate bytes that came.
 */
static int64_t content_deadline(struct session *s, int64_t started, int64_t bytes)
{
	int64_t deadline = s->io->now(s->context) + s->timeout, whole;

	if (!s->request_deadline)
		return deadline;
	whole = started + s->timeout + bytes / s->settings->min_data_rate * 1000;
	return whole < deadline ? whole : deadline;
}

static bool swallowed_too_much(struct session *s, int64_t bytes)
{
	return s->settings->size_limit &&
	       bytes > 2 * s->settings->size_limit + CONTENT_SWALLOW_SLACK;
}

static void give_up(struct session *s)
{
	reply(s, "552 5.3.4 Error: message file too big");
	transaction_reset(s);
	s->closing = true;
}

/* ---- DATA ------------------------------------------------------------------------------------------------------------ */

enum command_result command_data(struct session *s, struct slice argument)
{
	int64_t started = s->io->now(s->context);
	bool ended = false;
	struct slice bytes;

	if (!restrictions_allow(s, STAGE_DATA) || !limits_allow(s))
		return COMMAND_ERROR;
	reply(s, "354 End data with <CR><LF>.<CR><LF>");
	while (!ended) {
		int64_t deadline = input_pending(s) ? 0
						    : content_deadline(s, started,
							      s->transaction.content.received);

		if (!input_some(s, &bytes, deadline)) {
			s->lost_content = s->transaction.content.received;
			transaction_reset(s);
			return COMMAND_ERROR;
		}
		input_consume(s, content_take(s, bytes, true, &ended));
		if (!ended && swallowed_too_much(s, s->transaction.content.received)) {
			give_up(s);
			return COMMAND_ERROR;
		}
	}
	return transaction_commit(s);
}

/* ---- BDAT ------------------------------------------------------------------------------------------------------------ */

static bool bdat_argument(struct slice argument, uint64_t *size, bool *last)
{
	struct slice word;

	*last = false;
	if (!slice_word(&argument, " \t", &word) || !slice_to_u64(word, UINT64_MAX, size))
		return false;
	if (slice_word(&argument, " \t", &word)) {
		if (!slice_equal_nocase(word, SLICE("LAST")))
			return false;
		*last = true;
	}
	return !slice_word(&argument, " \t", &word);
}

/* Read the chunk; `keep`: into the transaction. False: the client is gone. */
static bool bdat_read(struct session *s, uint64_t size, bool keep)
{
	int64_t started = s->io->now(s->context);
	uint64_t left = size;
	bool ended = false;
	struct slice bytes;

	while (left) {
		int64_t deadline =
			input_pending(s) ? 0 : content_deadline(s, started, (int64_t)(size - left));

		if (!input_some(s, &bytes, deadline)) {
			s->lost_content = (int64_t)(size - left);
			return false;
		}
		if (bytes.length > left)
			bytes = slice_head(bytes, (size_t)left);
		if (keep)
			content_take(s, bytes, false, &ended);
		left -= bytes.length;
		input_consume(s, bytes.length);
	}
	return true;
}

/* A message need not end with a line end here; at rest it does. */
static void bdat_finish(struct session *s)
{
	struct content *content = &s->transaction.content;

	if (content->state == CONTENT_CR)
		content_bare(s, CONTENT_BARE_CR);
	else if (content->unfinished)
		content_line_end(s);
}

/* Why this chunk cannot be taken, before its content is read; NULL when it can. */
static const char *bdat_refusal(struct session *s, uint64_t size)
{
	const struct transaction *t = &s->transaction;
	const char *refusal = s->command->refusal[session_state(s)];

	if (session_needs_tls(s))
		return TLS_FIRST;
	if (refusal)
		return t->refused ? "554 5.5.1 Error: no valid recipients" : refusal;
	if (!(s->keywords & EHLO_CHUNKING))
		return "502 5.5.1 Error: command not implemented";
	if (s->settings->size_limit &&
		(size > (uint64_t)s->settings->size_limit ||
			t->content.received > s->settings->size_limit - (int64_t)size))
		return "552 5.3.4 Chunk exceeds message size limit";
	return NULL;
}

/* The transaction is dead: what belongs to it is passed over up to LAST, RSET or EHLO. */
static enum command_result bdat_dead(struct session *s, bool last)
{
	transaction_reset(s);
	if (!last)
		s->transaction.active = s->transaction.bdat = s->transaction.failed = true;
	return COMMAND_ERROR;
}

static enum command_result bdat_discard(struct session *s, uint64_t size, bool last)
{
	if (!bdat_read(s, size, false)) {
		transaction_reset(s);
		return COMMAND_ERROR;
	}
	reply(s, "551 5.0.0 Discarded %llu bytes after earlier error", (unsigned long long)size);
	if (last)
		transaction_reset(s);
	return COMMAND_ERROR;
}

static enum command_result bdat_refuse(
	struct session *s, const char *refusal, uint64_t size, bool last)
{
	if (!bdat_read(s, size, false)) {
		transaction_reset(s);
		return COMMAND_ERROR;
	}
	if (s->denied)
		reply(s, "503 5.7.0 Error: access denied for %s", s->name);
	else
		reply(s, "%s", refusal);
	return s->transaction.recipient_count ? bdat_dead(s, last) : COMMAND_ERROR;
}

enum command_result command_bdat(struct session *s, struct slice argument)
{
	uint64_t size;
	const char *refusal;
	bool last;

	/* Without its size nobody knows where the chunk ends and commands begin again. */
	if (!bdat_argument(argument, &size, &last)) {
		reply(s, "521 5.5.4 Syntax: BDAT count [LAST]");
		s->closing = true;
		return COMMAND_ERROR;
	}
	if (size > INT64_MAX / 4 || swallowed_too_much(s, (int64_t)size)) {
		reply(s, "552 5.3.4 Chunk exceeds message size limit");
		s->closing = true;
		return COMMAND_ERROR;
	}
	if (s->transaction.failed)
		return bdat_discard(s, size, last);
	refusal = s->denied ? "" : bdat_refusal(s, size);
	if (refusal)
		return bdat_refuse(s, refusal, size, last);
	if (!s->transaction.bdat && (!restrictions_allow(s, STAGE_DATA) || !limits_allow(s)))
		return bdat_read(s, size, false) ? bdat_dead(s, last) : COMMAND_ERROR;
	s->transaction.bdat = true;
	if (!bdat_read(s, size, true)) {
		transaction_reset(s);
		return COMMAND_ERROR;
	}
	if (last) {
		bdat_finish(s);
		return transaction_commit(s);
	}
	if (s->transaction.content.fault != CONTENT_GOOD) {
		transaction_refuse(s);
		return bdat_dead(s, false);
	}
	reply(s, "250 2.0.0 Ok: %llu bytes", (unsigned long long)size);
	return COMMAND_GOOD;
}
