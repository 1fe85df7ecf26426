// SPDX-License-Identifier: ISC
/* Headers on their way through cleanup. See headers.h. */
#include "cleanup/headers.h"

#include <stdio.h>
#include <time.h>

#include "base/base64.h"
#include "cleanup/rewrite.h"
#include "mail/date.h"

enum {
	SEEN_RECEIVED = 1,
	SEEN_DATE = 2,
	SEEN_FROM = 4,
	SEEN_MESSAGE_ID = 8,
	SEEN_RESENT = 16,
	SEEN_RESENT_DATE = 32,
	SEEN_RESENT_FROM = 64,
	SEEN_RESENT_MESSAGE_ID = 128,
	ADDRESSES = 512, /* its value is an address list */
	DROP = 256 /* not for other people's eyes, or said better by the envelope */
};

static const struct {
	struct slice name;
	unsigned what;
} HEADERS[] = {
	{ SLICE("Received"), SEEN_RECEIVED },
	{ SLICE("Date"), SEEN_DATE },
	{ SLICE("From"), SEEN_FROM | ADDRESSES },
	{ SLICE("Message-ID"), SEEN_MESSAGE_ID },
	{ SLICE("Resent-Date"), SEEN_RESENT | SEEN_RESENT_DATE },
	{ SLICE("Resent-From"), SEEN_RESENT | SEEN_RESENT_FROM | ADDRESSES },
	{ SLICE("Resent-Message-ID"), SEEN_RESENT | SEEN_RESENT_MESSAGE_ID },
	{ SLICE("Resent-Sender"), SEEN_RESENT | ADDRESSES },
	{ SLICE("Resent-To"), SEEN_RESENT | ADDRESSES },
	{ SLICE("Resent-Cc"), SEEN_RESENT | ADDRESSES },
	{ SLICE("To"), ADDRESSES },
	{ SLICE("Cc"), ADDRESSES },
	{ SLICE("Sender"), ADDRESSES },
	{ SLICE("Reply-To"), ADDRESSES },
	{ SLICE("Errors-To"), ADDRESSES },
	{ SLICE("Disposition-Notification-To"), ADDRESSES },
	{ SLICE("Bcc"), DROP },
	{ SLICE("Resent-Bcc"), DROP | SEEN_RESENT },
	{ SLICE("Return-Path"), DROP },
	{ SLICE("Content-Length"), DROP },
};

static void put(struct headers *h, struct slice text)
{
	if (h->status == HEADERS_GOOD && text.length && !h->write(h->context, text))
		h->status = HEADERS_FAILED;
}

static unsigned kind_of(struct slice name)
{
	for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++) {
		if (slice_equal_nocase(name, HEADERS[i].name))
			return HEADERS[i].what;
	}
	return 0;
}

static void keep_message_id(struct headers *h, struct slice value)
{
	struct buffer text = { 0 };

	if (header_unfold(value, &text)) {
		struct slice id = slice_head(buffer_slice(&text), sizeof(h->message_id) - 1);

		/* With a NUL in it, it is not one that a log should show. */
		if (!slice_to_string(id, h->message_id, sizeof(h->message_id)))
			h->message_id[0] = '\0';
	}
	buffer_free(&text);
}

/* Name and colon as they are, then the value with its addresses completed. */
static void put_addresses(struct headers *h, const struct header_field *field, struct slice whole)
{
	struct buffer text = { 0 };
	size_t head = (size_t)(field->value.data - whole.data);

	buffer_add(&text, slice_head(whole, head));
	rewrite_addresses(field->value, h->facts.origin, &text);
	buffer_add(&text, slice_tail(whole, head + field->value.length));
	if (text.failed)
		h->status = HEADERS_FAILED;
	put(h, buffer_slice(&text));
	buffer_free(&text);
}

static void take_field(void *context, struct slice whole)
{
	struct headers *h = context;
	struct header_field field = { .name = { 0 } };
	struct slice rest = whole;
	unsigned kind;
	bool bad;

	if (!header_next(&rest, &field, &bad))
		field.name = slice_of("", 0);
	kind = kind_of(field.name);
	h->seen |= kind;
	if (kind & SEEN_RECEIVED && ++h->hops > h->facts.hop_limit && h->status == HEADERS_GOOD)
		h->status = HEADERS_TOO_MANY_HOPS;
	if (kind == SEEN_MESSAGE_ID && !h->message_id[0])
		keep_message_id(h, field.value);
	if (kind & SEEN_FROM && h->facts.from)
		h->facts.from(h->context, field.value);
	if (kind & DROP)
		return;
	if (kind & ADDRESSES && h->facts.complete && h->facts.origin)
		put_addresses(h, &field, whole);
	else
		put(h, whole);
	/* A field that was cut at header_size_limit, or that ends the message, has lost its line end. */
	if (whole.length && whole.data[whole.length - 1] != '\n')
		put(h, SLICE("\n"));
}

/* A display name as it may stand before <address>: atoms, a quoted string, or an encoded-word. */
static void add_phrase(struct slice name, struct buffer *out)
{
	bool ascii = true;

	for (size_t i = 0; i < name.length; i++) {
		if ((unsigned char)name.data[i] >= 127 || (unsigned char)name.data[i] < ' ')
			ascii = false;
	}
	if (!ascii) {
		/* Below 75 bytes each (RFC 2047 2), cut between characters. */
		for (size_t at = 0; at < name.length;) {
			size_t step = name.length - at < 39 ? name.length - at : 39;

			while (step > 1 && at + step < name.length &&
				((unsigned char)name.data[at + step] & 0xc0) == 0x80)
				step--;
			buffer_add_text(out, at ? " =?utf-8?B?" : "=?utf-8?B?");
			base64_encode(slice_of(name.data + at, step), out);
			buffer_add_text(out, "?=");
			at += step;
		}
		return;
	}
	buffer_add_byte(out, '"');
	for (size_t i = 0; i < name.length; i++) {
		if (name.data[i] == '"' || name.data[i] == '\\')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, name.data[i]);
	}
	buffer_add_byte(out, '"');
}

static bool is_plain_phrase(struct slice name)
{
	for (size_t i = 0; i < name.length; i++) {
		if (!ascii_alnum(name.data[i]) && !strchr("!#$%&'*+-/=?^_`{|}~ ", name.data[i]))
			return false;
	}
	return true;
}

static void add_from(struct headers *h, const char *name, struct buffer *out)
{
	struct slice full = slice_trim(h->facts.full_name);

	buffer_printf(out, "%s: ", name);
	if (full.length && is_plain_phrase(full))
		buffer_add(out, full);
	else if (full.length)
		add_phrase(full, out);
	if (full.length)
		buffer_add_text(out, " <");
	if (h->facts.sender.length)
		buffer_add(out, h->facts.sender);
	else
		buffer_printf(out, "MAILER-DAEMON@%s", h->facts.host);
	buffer_add_text(out, full.length ? ">\n" : "\n");
}

static void add_date(struct headers *h, const char *name, struct buffer *out)
{
	int64_t seconds = h->facts.arrival / 1000000;

	buffer_printf(out, "%s: ", name);
	date_write(seconds, date_local_zone(seconds), out);
	buffer_add_byte(out, '\n');
}

static void add_message_id(struct headers *h, const char *name, struct buffer *out)
{
	time_t seconds = (time_t)(h->facts.arrival / 1000000);
	char stamp[32], id[HEADERS_MESSAGE_ID];
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || !strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &utc))
		stamp[0] = '\0';
	snprintf(id, sizeof(id), "<%s.%s@%s>", stamp, h->facts.id, h->facts.host);
	if (!h->message_id[0])
		memcpy(h->message_id, id, sizeof(id));
	buffer_printf(out, "%s: %s\n", name, id);
}

/* The header fields that are missing; in a message that was sent again, those of its last sending (RFC 5322 3.6.6). */
static void complete(struct headers *h)
{
	struct buffer added = { 0 };
	bool resent = h->seen & SEEN_RESENT;

	if (!h->facts.complete)
		return;
	if (!(h->seen & SEEN_DATE))
		add_date(h, "Date", &added);
	if (!(h->seen & SEEN_MESSAGE_ID))
		add_message_id(h, "Message-Id", &added);
	if (!(h->seen & SEEN_FROM))
		add_from(h, "From", &added);
	if (resent && !(h->seen & SEEN_RESENT_DATE))
		add_date(h, "Resent-Date", &added);
	if (resent && !(h->seen & SEEN_RESENT_MESSAGE_ID))
		add_message_id(h, "Resent-Message-Id", &added);
	if (resent && !(h->seen & SEEN_RESENT_FROM))
		add_from(h, "Resent-From", &added);
	if (added.failed)
		h->status = HEADERS_FAILED;
	put(h, buffer_slice(&added));
	buffer_free(&added);
}

void headers_begin(struct headers *h, const struct headers_facts *facts,
	bool (*write)(void *context, struct slice text), void *context)
{
	h->stream = (struct header_stream){
		.limit = facts->size_limit, .field = take_field, .context = h
	};
	h->facts = *facts;
	h->write = write;
	h->context = context;
	h->status = HEADERS_GOOD;
}

/* The headers are over: what is missing, the empty line, and what of earlier chunks belongs to the body. */
static void finish(struct headers *h)
{
	if (h->stream.failed)
		h->status = HEADERS_FAILED;
	complete(h);
	put(h, SLICE("\n"));
	put(h, slice_head(buffer_slice(&h->partial), h->stream.excess));
}

/* mbox's separator line at the top would end the headers before they begin (Postfix keeps it under this name, too). */
static void disarm_mailbox_line(struct headers *h, struct slice chunk)
{
	if (slice_starts(chunk, SLICE(">")))
		chunk = slice_tail(chunk, 1);
	if (slice_starts(chunk, SLICE("From ")))
		header_stream_feed(&h->stream, SLICE("Mailbox-Line: "));
	h->started = true;
}

enum headers_status headers_feed(struct headers *h, struct slice chunk)
{
	if (h->status != HEADERS_GOOD)
		return h->status;
	if (!h->started && chunk.length)
		disarm_mailbox_line(h, chunk);
	if (!h->stream.done) {
		size_t taken;

		buffer_clear(&h->partial);
		buffer_add(&h->partial, buffer_slice(&h->stream.line));
		if (h->partial.failed)
			return h->status = HEADERS_FAILED;
		taken = header_stream_feed(&h->stream, chunk);
		chunk = slice_tail(chunk, taken);
		if (h->stream.done)
			finish(h);
	}
	if (h->stream.done)
		put(h, chunk);
	return h->status;
}

enum headers_status headers_end(struct headers *h)
{
	if (h->status != HEADERS_GOOD || h->stream.done)
		return h->status;
	buffer_clear(&h->partial);
	buffer_add(&h->partial, buffer_slice(&h->stream.line));
	if (h->partial.failed)
		return h->status = HEADERS_FAILED;
	header_stream_end(&h->stream);
	if (h->stream.failed)
		h->status = HEADERS_FAILED;
	complete(h);
	if (h->stream.excess) {
		put(h, SLICE("\n"));
		put(h, slice_head(buffer_slice(&h->partial), h->stream.excess));
	}
	return h->status;
}

void headers_free(struct headers *h)
{
	header_stream_free(&h->stream);
	buffer_free(&h->partial);
}

/* Text that a client chose, in a place where it must not look like anything else. */
static void add_harmless(struct slice text, struct buffer *out)
{
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.data[i];

		buffer_add_byte(
			out, c <= ' ' || c == 127 || strchr("<>()\\\";@", c) ? '?' : (char)c);
	}
}

/* An address or a comment may hold quotes, but no line end. */
static void add_printable(struct slice address, struct buffer *out)
{
	for (size_t i = 0; i < address.length; i++) {
		unsigned char c = (unsigned char)address.data[i];

		buffer_add_byte(out, c < ' ' || c == 127 ? '?' : (char)c);
	}
}

static void add_client(const struct headers_origin *origin, struct buffer *out)
{
	bool v6 = slice_find(origin->client_address, ':') >= 0 &&
		  !slice_starts_nocase(origin->client_address, SLICE("IPv6:"));

	buffer_add_text(out, "from ");
	add_harmless(origin->helo.length ? origin->helo : origin->client_name, out);
	buffer_add_text(out, " (");
	add_harmless(origin->client_name, out);
	buffer_add_text(out, v6 ? " [IPv6:" : " [");
	add_harmless(origin->client_address, out);
	buffer_add_text(out, "])\n\t");
}

/* Comments that stand in lines of their own, as Postfix has them. */
static void add_comments(struct slice comments, struct buffer *out)
{
	struct slice line;

	while (comments.length && slice_split(&comments, '\n', &line)) {
		add_printable(line, out);
		buffer_add_text(out, "\n\t");
	}
}

/* Who logged in, as a comment (RFC 5322 3.2.2). */
static void add_login(struct slice login, struct buffer *out)
{
	buffer_add_text(out, "(Authenticated sender: ");
	for (size_t i = 0; i < login.length; i++) {
		unsigned char c = (unsigned char)login.data[i];

		buffer_add_byte(out, c < ' ' || c == 127 || strchr("()\\", c) ? '?' : (char)c);
	}
	buffer_add_text(out, ")\n\t");
}

bool headers_received(
	const struct headers_origin *origin, const struct headers_facts *facts, struct buffer *out)
{
	int64_t seconds = facts->arrival / 1000000;
	bool remote = origin->client_address.length > 0;

	buffer_add_text(out, "Received: ");
	if (remote && !origin->hidden) {
		add_client(origin, out);
		add_comments(origin->tls, out);
	}
	if (remote && origin->login.length)
		add_login(origin->login, out);
	buffer_printf(out, "by %s (Postern", facts->host);
	if (!remote && origin->helo.length) {
		buffer_add_text(out, ", from ");
		add_printable(origin->helo, out);
	}
	buffer_add_text(out, ")");
	if (remote) {
		buffer_add_text(out, " with ");
		add_harmless(origin->protocol, out);
		buffer_printf(out, " id %s", facts->id);
	} else {
		buffer_printf(out, "\n\tid %s", facts->id);
	}
	if (origin->recipient.length && remote) {
		buffer_add_text(out, "\n\tfor <");
		add_printable(origin->recipient, out);
		buffer_add_text(out, ">; ");
	} else {
		buffer_add_text(out, remote ? ";\n\t" : "; ");
	}
	date_write(seconds, date_local_zone(seconds), out);
	return buffer_add_byte(out, '\n');
}

bool headers_are_lines(struct slice text)
{
	struct header_field field;
	bool bad = false;

	if (text.length && text.data[text.length - 1] != '\n')
		return false;
	while (!bad && header_next(&text, &field, &bad))
		continue;
	return !bad && text.length == 0;
}
