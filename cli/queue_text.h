// SPDX-License-Identifier: ISC
/* The layouts in which postqueue prints the queue: Postfix's, for people (-p) and for programs (-j). */
#ifndef CLI_QUEUE_TEXT_H
#define CLI_QUEUE_TEXT_H

#include "base/buffer.h"

struct queue_entry {
	struct slice queue_name, queue_id, sender;
	int64_t arrival; /* microseconds since 1970 */
	int64_t size;
	int64_t next_try; /* microseconds since 1970; 0: at once */
	uint32_t attempts;
	bool forced_expire;
};
struct queue_entry_recipient {
	struct slice address, original, reason;
};

/* Prints one message after another: begin, entry, recipient..., entry, ..., end. */
struct queue_printer {
	struct buffer *out;
	bool json;
	uint64_t messages, bytes;
	unsigned recipients; /* of the present message */
	struct buffer reason; /* last one shown */
};
void queue_print_begin(struct queue_printer *printer, struct buffer *out, bool json);
void queue_print_entry(struct queue_printer *printer, const struct queue_entry *entry);
void queue_print_recipient(
	struct queue_printer *printer, const struct queue_entry_recipient *recipient);
/* The last lines; frees what the printer holds. */
void queue_print_end(struct queue_printer *printer);

#endif
