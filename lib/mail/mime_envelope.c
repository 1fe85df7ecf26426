// SPDX-License-Identifier: ISC
/* ENVELOPE (RFC 3501 7.4.2). One pass over the headers; the address lists are written where they are found, and joined then. */
#include "mail/address.h"
#include "mail/header.h"
#include "mail/mime.h"

enum field { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };

static const struct slice NAMES[FIELDS] = {
	[DATE] = SLICE("date"),
	[SUBJECT] = SLICE("subject"),
	[FROM] = SLICE("from"),
	[SENDER] = SLICE("sender"),
	[REPLY_TO] = SLICE("reply-to"),
	[TO] = SLICE("to"),
	[CC] = SLICE("cc"),
	[BCC] = SLICE("bcc"),
	[IN_REPLY_TO] = SLICE("in-reply-to"),
	[MESSAGE_ID] = SLICE("message-id"),
};

/* A chain of the fields of one name: addresses of all of them count, as if they stood in one. Of other fields the last counts. */
struct value {
	struct slice text;
	struct value *next;
};

struct envelope {
	struct value first[FIELDS];
	struct value *last[FIELDS];
	size_t from_at, from_length; /* where From stands in the output, to be copied */
	struct arena *arena;
};

static bool is_list(enum field field)
{
	return field >= FROM && field <= BCC;
}

/* FIELDS when the envelope has no such field. */
static enum field field_of(struct slice name)
{
	for (enum field f = 0; f < FIELDS; f++) {
		if (slice_equal_nocase(name, NAMES[f]))
			return f;
	}
	return FIELDS;
}

static void keep(struct envelope *envelope, enum field field, struct slice text)
{
	struct value *value;

	if (!is_list(field) || !envelope->first[field].text.data) {
		envelope->first[field].text = text;
		envelope->last[field] = &envelope->first[field];
		return;
	}
	value = arena_alloc(envelope->arena, sizeof(*value));
	if (!value)
		return;
	value->text = text;
	envelope->last[field] = envelope->last[field]->next = value;
}

/* ---- Addresses ------------------------------------------------------------------------------------------------------ */

struct list_writer {
	struct buffer *out;
	bool any;
};

/* A mailbox or host that is missing must not be NIL: that would be a group. */
static void write_or(struct slice s, const char *missing, struct buffer *out)
{
	mime_write_nstring(s.length ? s : slice_from(missing), out);
}

static bool write_address(void *context, const struct header_address *address)
{
	struct list_writer *list = context;
	struct buffer *out = list->out;

	buffer_append(out, "((", list->any ? 1 : 2);
	list->any = true;
	if (address->group) {
		buffer_add_text(out, "NIL NIL ");
		mime_write_nstring(address->group == 1 ? address->name : (struct slice){ 0 }, out);
		return buffer_add_text(out, " NIL)");
	}
	mime_write_nstring(address->name, out);
	buffer_add_byte(out, ' ');
	mime_write_nstring(address->route, out);
	buffer_add_byte(out, ' ');
	write_or(address->local, address->quoted_local ? "" : "MISSING_MAILBOX", out);
	buffer_add_byte(out, ' ');
	write_or(address->domain, "MISSING_DOMAIN", out);
	return buffer_add_byte(out, ')');
}

static bool write_list(struct envelope *envelope, const struct value *value, struct buffer *out)
{
	struct list_writer list = { .out = out };

	for (; value; value = value->next) {
		if (!address_list_parse(
			    value->text, envelope->arena, UINT32_MAX, write_address, &list))
			break;
	}
	return list.any && buffer_add_byte(out, ')');
}

/* Sender and Reply-To that are missing or empty are those of From. */
static void write_addresses(struct envelope *envelope, enum field field, struct buffer *out)
{
	size_t start = out->length, length = envelope->from_length;

	if (write_list(envelope, &envelope->first[field], out)) {
		if (field == FROM) {
			envelope->from_at = start;
			envelope->from_length = out->length - start;
		}
	} else if ((field == SENDER || field == REPLY_TO) && length) {
		if (buffer_reserve(out, length))
			buffer_append(out, out->data + envelope->from_at, length);
	} else {
		buffer_add_text(out, "NIL");
	}
}

/* Subjects are for people: runs of white space become one space. */
static void write_subject(struct slice value, struct buffer *out)
{
	struct buffer text = { .limit = value.length + 1 };
	struct slice word;
	bool tidy = value.data != NULL;

	for (size_t i = 1; tidy && i < value.length; i++)
		tidy = (unsigned char)value.data[i] > ' ' ||
		       (value.data[i] == ' ' && value.data[i - 1] != ' ');
	if (tidy || !value.data) {
		mime_write_value(value, out);
		return;
	}
	while (slice_word(&value, " \t\r\n", &word)) {
		if (text.length)
			buffer_add_byte(&text, ' ');
		buffer_add(&text, word);
	}
	if (text.failed)
		out->failed = true;
	mime_write_nstring(slice_of(text.length ? text.data : "", text.length), out);
	buffer_free(&text);
}

bool mime_write_envelope(struct slice headers, struct arena *arena, struct buffer *out)
{
	struct envelope envelope = { .arena = arena };
	struct header_field header;

	while (header_next_lax(&headers, &header)) {
		enum field field = field_of(header.name);

		if (field < FIELDS)
			keep(&envelope, field, header.value);
	}
	for (enum field f = 0; f < FIELDS; f++) {
		buffer_add_byte(out, f ? ' ' : '(');
		if (is_list(f))
			write_addresses(&envelope, f, out);
		else if (f == SUBJECT)
			write_subject(envelope.first[f].text, out);
		else
			mime_write_value(envelope.first[f].text, out);
	}
	return buffer_add_byte(out, ')');
}
