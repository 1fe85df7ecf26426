// SPDX-License-Identifier: ISC
/* The layouts of mailq and postqueue -j. See queue_text.h. */
#include "cli/queue_text.h"

#include <stdio.h>
#include <time.h>

enum {
	REASON_COLUMN = 76, /* where a reason ends, when it is short enough */
	REASON_LIMIT = 4096
};

void queue_print_begin(struct queue_printer *printer, struct buffer *out, bool json)
{
	*printer = (struct queue_printer){
		.out = out, .json = json, .reason = buffer_limited(REASON_LIMIT)
	};
}

static void add_printable(struct buffer *out, struct slice text)
{
	for (size_t i = 0; i < text.length; i++)
		buffer_add_byte(out, (unsigned char)text.data[i] < ' ' || text.data[i] == 127
					     ? '?'
					     : text.data[i]);
}

static struct slice sender_of(const struct queue_entry *entry)
{
	return entry->sender.length ? entry->sender : SLICE("MAILER-DAEMON");
}

/* --- for programs --- */

/* RFC 8259 7. Bytes over 127 are passed as they are: addresses are UTF-8. */
static void add_string(struct buffer *out, struct slice text)
{
	static const char ESCAPED[] = "\b\f\n\r\t\"\\", LETTERS[] = "bfnrt\"\\";

	buffer_add_byte(out, '"');
	for (size_t i = 0; i < text.length; i++) {
		const char *at = text.data[i] ? strchr(ESCAPED, text.data[i]) : NULL;

		if (at)
			buffer_printf(out, "\\%c", LETTERS[at - ESCAPED]);
		else if ((unsigned char)text.data[i] < ' ' || text.data[i] == 127)
			buffer_printf(out, "\\u%04x", (unsigned char)text.data[i]);
		else
			buffer_add_byte(out, text.data[i]);
	}
	buffer_add_byte(out, '"');
}

static void add_member(struct buffer *out, const char *name, struct slice text)
{
	buffer_printf(out, "\"%s\": ", name);
	add_string(out, text);
}

static void json_entry(struct queue_printer *printer, const struct queue_entry *entry)
{
	struct buffer *out = printer->out;

	buffer_add_text(out, printer->messages > 1 ? "]}\n{" : "{");
	add_member(out, "queue_name", entry->queue_name);
	buffer_add_text(out, ", ");
	add_member(out, "queue_id", entry->queue_id);
	buffer_printf(out,
		", \"arrival_time\": %lld, \"message_size\": %lld, \"forced_expire\": %s, ",
		(long long)(entry->arrival / 1000000), (long long)entry->size,
		entry->forced_expire ? "true" : "false");
	buffer_printf(out, "\"next_try\": %lld, \"attempts\": %u, ",
		(long long)(entry->next_try / 1000000), entry->attempts);
	add_member(out, "sender", sender_of(entry));
	buffer_add_text(out, ", \"recipients\": [");
}

static void json_recipient(
	struct queue_printer *printer, const struct queue_entry_recipient *recipient)
{
	struct buffer *out = printer->out;

	buffer_add_text(out, printer->recipients > 1 ? ", {" : "{");
	add_member(out, "address", recipient->address);
	if (recipient->original.length && !slice_equal(recipient->original, recipient->address)) {
		buffer_add_text(out, ", ");
		add_member(out, "orig_address", recipient->original);
	}
	if (recipient->reason.length) {
		buffer_add_text(out, ", ");
		add_member(out, "delay_reason", recipient->reason);
	}
	buffer_add_byte(out, '}');
}

/* --- for people --- */

static void text_entry(struct queue_printer *printer, const struct queue_entry *entry)
{
	struct buffer *out = printer->out;
	time_t seconds = (time_t)(entry->arrival / 1000000);
	struct tm local;
	char when[32] = "", id[40];

	if (printer->messages == 1)
		buffer_printf(out, "%-17s %8s %-19s %s\n", "----Queue ID-----", "--Size--",
			"---Arrival Time----", "--Sender/Recipient------");
	else
		buffer_add_byte(out, '\n');
	if (localtime_r(&seconds, &local))
		strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &local);
	snprintf(id, sizeof(id), "%.*s%s%s",
		(int)(entry->queue_id.length < 30 ? entry->queue_id.length : 30),
		entry->queue_id.data ? entry->queue_id.data : "",
		slice_equal(entry->queue_name, SLICE("active")) ? "*"
		: slice_equal(entry->queue_name, SLICE("hold")) ? "!"
								: "",
		entry->forced_expire ? "#" : "");
	buffer_printf(out, "%-17s %8lld %19.19s ", id, (long long)entry->size, when);
	add_printable(out, sender_of(entry));
	buffer_add_byte(out, '\n');
}

static void text_recipient(
	struct queue_printer *printer, const struct queue_entry_recipient *recipient)
{
	struct buffer *out = printer->out;

	if (recipient->reason.length &&
		!slice_equal(recipient->reason, buffer_slice(&printer->reason))) {
		int padding = recipient->reason.length < REASON_COLUMN
				      ? REASON_COLUMN - (int)recipient->reason.length
				      : 0;

		buffer_printf(out, "%*s(", padding, "");
		add_printable(out, recipient->reason);
		buffer_add_text(out, ")\n");
		buffer_clear(&printer->reason);
		buffer_add(&printer->reason, slice_head(recipient->reason, REASON_LIMIT));
	}
	buffer_printf(out, "%-17s %8s %-19s ", "", "", "");
	add_printable(out, recipient->address);
	buffer_add_byte(out, '\n');
}

/* --- both --- */

void queue_print_entry(struct queue_printer *printer, const struct queue_entry *entry)
{
	printer->messages++;
	printer->bytes += entry->size > 0 ? (uint64_t)entry->size : 0;
	printer->recipients = 0;
	buffer_clear(&printer->reason);
	if (printer->json)
		json_entry(printer, entry);
	else
		text_entry(printer, entry);
}

void queue_print_recipient(
	struct queue_printer *printer, const struct queue_entry_recipient *recipient)
{
	if (printer->messages == 0)
		return;
	printer->recipients++;
	if (printer->json)
		json_recipient(printer, recipient);
	else
		text_recipient(printer, recipient);
}

void queue_print_end(struct queue_printer *printer)
{
	struct buffer *out = printer->out;

	if (printer->json)
		buffer_add_text(out, printer->messages ? "]}\n" : "");
	else if (printer->messages == 0)
		buffer_add_text(out, "Mail queue is empty\n");
	else
		buffer_printf(out, "\n-- %llu Kbytes in %llu Request%s.\n",
			(unsigned long long)(printer->bytes / 1024),
			(unsigned long long)printer->messages, printer->messages == 1 ? "" : "s");
	buffer_free(&printer->reason);
}
