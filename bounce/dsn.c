// SPDX-License-Identifier: ISC
/* The text of a delivery status notification. See dsn.h. */
#include "bounce/dsn.h"

#include "mail/date.h"

/* What differs between the kinds. */
static const struct {
	const char *subject, *action, *description, *words;
} KINDS[] = {
	[BOUNCE_FAILURE] = { "Undelivered Mail Returned to Sender", "failed", "Undelivered Message",
		"Your message could not be delivered to the recipients below, and will not be\n"
		"tried again. The message, or its header, is attached.\n" },
	[BOUNCE_DELAY] = { "Delayed Mail (still being retried)", "delayed",
		"Delayed Message Header",
		"Your message has not been delivered yet to the recipients below. You need not\n"
		"send it again: it is tried until it gets through or its time is over.\n" },
	[BOUNCE_SUCCESS] = { "Successful Mail Delivery Report", "delivered", "Message Header",
		"Your message was delivered to the recipients below, as you asked to be told.\n" },
};

bool dsn_is_8bit(struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.data[i] > 127)
			return true;
	return false;
}

/* Foreign text inside a line: no control characters, so that it can begin no other line. */
static void add_clean(struct buffer *out, struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		buffer_add_byte(out, (unsigned char)text.data[i] < ' ' || text.data[i] == 127
					     ? ' '
					     : text.data[i]);
}

static void add_field(struct buffer *out, const char *name, const char *type, struct slice value)
{
	buffer_printf(out, "%s: %s", name, type);
	add_clean(out, value);
	buffer_add_byte(out, '\n');
}

static void add_date(struct buffer *out, const char *name, int64_t microseconds)
{
	int64_t seconds = microseconds / 1000000;

	buffer_printf(out, "%s: ", name);
	date_write(seconds, date_local_zone(seconds), out);
	buffer_add_byte(out, '\n');
}

/* "<address>: reason", folded at blanks to lines of about 76. */
static void add_words(struct buffer *out, struct slice address, struct slice reason)
{
	size_t column = address.length + 3;
	struct slice word;

	buffer_add_byte(out, '<');
	add_clean(out, address);
	buffer_add_text(out, ">:");
	while (slice_word(&reason, " \t\r\n", &word)) {
		if (column + word.length + 1 > 76) {
			buffer_add_text(out, "\n   ");
			column = 3;
		}
		buffer_add_byte(out, ' ');
		add_clean(out, word);
		column += word.length + 1;
	}
	buffer_add_byte(out, '\n');
}

static void write_header(const struct dsn *dsn, struct buffer *out)
{
	add_date(out, "Date", dsn->now);
	buffer_printf(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\nTo: ", dsn->host);
	add_clean(out, dsn->sender);
	buffer_printf(out, "\nSubject: %s\n", KINDS[dsn->kind].subject);
	buffer_printf(out, "Message-Id: <%s.%s@%s>\n", dsn->queue_id, dsn->unique, dsn->host);
	buffer_add_text(out, "Auto-Submitted: auto-replied\nMIME-Version: 1.0\n");
	buffer_printf(out,
		"Content-Type: multipart/report; "
		"report-type=delivery-status;\n\tboundary=\"%s.%s/%s\"\n",
		dsn->queue_id, dsn->unique, dsn->host);
	if (dsn_is_8bit(dsn->content))
		buffer_add_text(out, "Content-Transfer-Encoding: 8bit\n");
	buffer_add_text(out, "\nThis is a MIME-encapsulated message.\n");
}

static void open_part(const struct dsn *dsn, struct buffer *out)
{
	buffer_printf(out, "\n--%s.%s/%s\n", dsn->queue_id, dsn->unique, dsn->host);
}

static bool any_8bit(const struct dsn *dsn)
{
	for (unsigned i = 0; i < dsn->count; i++)
		if (dsn_is_8bit(dsn->recipients[i].address) ||
			dsn_is_8bit(dsn->recipients[i].reason))
			return true;
	return false;
}

static void write_words(const struct dsn *dsn, struct buffer *out)
{
	open_part(dsn, out);
	buffer_printf(out,
		"Content-Description: Notification\nContent-Type: text/plain; charset=%s\n",
		any_8bit(dsn) ? "utf-8\nContent-Transfer-Encoding: 8bit" : "us-ascii");
	buffer_printf(out, "\nThis is the mail system at host %s.\n\n%s\n", dsn->host,
		KINDS[dsn->kind].words);
	for (unsigned i = 0; i < dsn->count; i++)
		add_words(out, dsn->recipients[i].address, dsn->recipients[i].reason);
}

/* RFC 3464 2.3: one block for each recipient. */
static void write_recipient(
	const struct dsn *dsn, const struct dsn_recipient *recipient, struct buffer *out)
{
	bool wide = dsn_is_8bit(recipient->address); /* RFC 6533 */

	buffer_add_byte(out, '\n');
	add_field(out, "Final-Recipient", wide ? "utf-8; " : "rfc822; ", recipient->address);
	if (recipient->orcpt.length)
		add_field(out, "Original-Recipient", "", recipient->orcpt);
	else if (recipient->original.length)
		add_field(out, "Original-Recipient",
			dsn_is_8bit(recipient->original) ? "utf-8;" : "rfc822;",
			recipient->original);
	buffer_printf(out, "Action: %s\n", KINDS[dsn->kind].action);
	add_field(out, "Status", "", recipient->dsn.length ? recipient->dsn : SLICE("5.0.0"));
	add_field(out, "Diagnostic-Code", "X-Postern; ", recipient->reason);
	if (dsn->kind == BOUNCE_DELAY && dsn->give_up)
		add_date(out, "Will-Retry-Until", dsn->give_up);
}

static void write_status(const struct dsn *dsn, struct buffer *out)
{
	open_part(dsn, out);
	buffer_printf(out,
		"Content-Description: Delivery report\nContent-Type: message/%sdelivery-status\n",
		any_8bit(dsn) ? "global-" : "");
	if (any_8bit(dsn))
		buffer_add_text(out, "Content-Transfer-Encoding: 8bit\n");
	buffer_printf(out, "\nReporting-MTA: dns; %s\n", dsn->host);
	if (dsn->envid.length)
		add_field(out, "Original-Envelope-Id", "", dsn->envid);
	buffer_printf(out, "X-Postern-Queue-ID: %s\n", dsn->queue_id);
	add_field(out, "X-Postern-Sender", dsn_is_8bit(dsn->sender) ? "utf-8; " : "rfc822; ",
		dsn->sender);
	add_date(out, "Arrival-Date", dsn->arrival);
	for (unsigned i = 0; i < dsn->count; i++)
		write_recipient(dsn, &dsn->recipients[i], out);
}

static void write_content(const struct dsn *dsn, struct buffer *out)
{
	open_part(dsn, out);
	buffer_printf(out, "Content-Description: %s\nContent-Type: %s\n",
		KINDS[dsn->kind].description,
		dsn->headers_only ? "text/rfc822-headers" : "message/rfc822");
	if (dsn_is_8bit(dsn->content))
		buffer_add_text(out, "Content-Transfer-Encoding: 8bit\n");
	buffer_add_byte(out, '\n');
	buffer_add(out, dsn->content);
	buffer_printf(out, "\n--%s.%s/%s--\n", dsn->queue_id, dsn->unique, dsn->host);
}

bool dsn_write(const struct dsn *dsn, struct buffer *out)
{
	write_header(dsn, out);
	write_words(dsn, out);
	write_status(dsn, out);
	write_content(dsn, out);
	return !out->failed;
}
