// SPDX-License-Identifier: ISC
/* The commands of the TRANSACTION state. See session.h. */
#include <stdlib.h>

#include "base/vector.h"
#include "ipc/channel.h"
#include "pop3d/session.h"
#include "service/log.h"

static bool message_number(struct pop3_session *session, struct slice text, uint32_t *index)
{
	uint64_t number;

	if (!slice_to_u64(slice_trim(text), UINT32_MAX, &number) || number == 0 ||
		number > session->count) {
		pop3_reply(session, "-ERR There is no message of that number (messages: %u)",
			session->count);
		return false;
	}
	*index = (uint32_t)number - 1;
	if (session->marks[*index] & POP3_DELETED) {
		pop3_reply(session, "-ERR Message is deleted");
		return false;
	}
	return true;
}

static void command_stat(struct pop3_session *session, struct slice arguments)
{
	pop3_reply(session, "+OK %u %llu", session->count - session->deleted,
		(unsigned long long)(session->total_bytes - session->deleted_bytes));
}

static void list_line(struct pop3_session *session, const char *before, uint32_t index)
{
	pop3_reply(session, "%s%u %u", before, index + 1, session->entries[index].size);
}

/* UID and UIDVALIDITY: as long-lived as the message, and never used again. */
static void uidl_line(struct pop3_session *session, const char *before, uint32_t index)
{
	pop3_reply(session, "%s%u %08x%08x", before, index + 1, session->entries[index].uid,
		session->uid_validity);
}

static void list_all(struct pop3_session *session, struct slice arguments,
	void (*line)(struct pop3_session *session, const char *before, uint32_t index))
{
	uint32_t index;

	if (slice_trim(arguments).length) {
		if (message_number(session, arguments, &index))
			line(session, "+OK ", index);
		return;
	}
	pop3_reply(session, "+OK %u messages:", session->count - session->deleted);
	for (index = 0; index < session->count && !session->gone; index++) {
		if (!(session->marks[index] & POP3_DELETED))
			line(session, "", index);
	}
	pop3_reply(session, ".");
}

static void command_list(struct pop3_session *session, struct slice arguments)
{
	list_all(session, arguments, list_line);
}

static void command_uidl(struct pop3_session *session, struct slice arguments)
{
	list_all(session, arguments, uidl_line);
}

/* Lines of the message, a dot doubled where a line begins with one; `lines` of the body at most (UINT64_MAX: all). */
static void send_message(struct pop3_session *session, struct slice message, uint64_t lines)
{
	bool in_body = false;

	while (message.length && !session->gone && !(in_body && lines == 0)) {
		ptrdiff_t end = slice_find(message, '\n');
		struct slice line = end < 0 ? message : slice_head(message, (size_t)end + 1);

		if (line.data[0] == '.')
			buffer_add_byte(&session->out, '.');
		buffer_add(&session->out, line);
		if (in_body)
			lines--;
		else if (line.length <= 2 && (line.data[0] == '\r' || line.data[0] == '\n'))
			in_body = true;
		if (end < 0)
			buffer_add_text(&session->out, "\r\n");
		message = slice_tail(message, line.length);
		if (session->out.length >= POP3_OUT_FLUSH)
			pop3_flush(session);
	}
	pop3_reply(session, ".");
}

static bool read_message(struct pop3_session *session, uint32_t index, struct slice *message)
{
	switch (mailbox_read(session->mailbox, index, message)) {
	case STORE_OK:
		return true;
	case STORE_NONE:
		pop3_reply(session, "-ERR Message has been removed by another session");
		return false;
	default:
		log_error("reading message %u: %s", session->entries[index].uid,
			store_error(session->store));
		pop3_reply(session, "-ERR [SYS/TEMP] Message cannot be read now");
		return false;
	}
}

static void command_retr(struct pop3_session *session, struct slice arguments)
{
	struct slice message;
	uint32_t index;

	if (!message_number(session, arguments, &index) || !read_message(session, index, &message))
		return;
	session->marks[index] |= POP3_SEEN;
	session->retrieved++;
	session->retrieved_bytes += message.length;
	pop3_reply(session, "+OK %zu octets", message.length);
	send_message(session, message, UINT64_MAX);
}

static void command_top(struct pop3_session *session, struct slice arguments)
{
	struct slice rest = arguments, number, message;
	uint64_t lines;
	uint32_t index;

	if (!slice_word(&rest, " ", &number) ||
		!slice_to_u64(slice_trim(rest), UINT32_MAX, &lines)) {
		pop3_reply(session, "-ERR TOP needs a message number and a number of lines");
		return;
	}
	if (!message_number(session, number, &index) || !read_message(session, index, &message))
		return;
	session->topped++;
	pop3_reply(session, "+OK");
	send_message(session, message, lines);
}

static void command_dele(struct pop3_session *session, struct slice arguments)
{
	uint32_t index;

	if (!message_number(session, arguments, &index))
		return;
	session->marks[index] |= POP3_DELETED;
	session->deleted++;
	session->deleted_bytes += session->entries[index].size;
	pop3_reply(session, "+OK Marked to be deleted");
}

static void command_rset(struct pop3_session *session, struct slice arguments)
{
	for (uint32_t i = 0; i < session->count; i++)
		session->marks[i] &= (uint8_t) ~(POP3_DELETED | POP3_SEEN);
	session->deleted = 0;
	session->deleted_bytes = 0;
	pop3_reply(session, "+OK");
}

static void command_noop(struct pop3_session *session, struct slice arguments)
{
	pop3_reply(session, "+OK");
}

static void command_capa(struct pop3_session *session, struct slice arguments)
{
	pop3_reply(session, "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-"
			    "CODE\r\nUSER\r\n"
			    "SASL PLAIN LOGIN\r\nIMPLEMENTATION Postern\r\n.");
}

static bool collect(struct pop3_session *session, enum pop3_mark mark, enum pop3_mark without,
	struct vector *indexes)
{
	for (uint32_t i = 0; i < session->count; i++) {
		uint32_t *place;

		if (!(session->marks[i] & mark) || (session->marks[i] & without))
			continue;
		place = vector_add(indexes);
		if (!place)
			return false;
		*place = i;
	}
	return true;
}

/* The UPDATE state. What was read is marked \Seen as far as it can be; what is to go goes in one transaction. */
static bool update(struct pop3_session *session)
{
	struct vector seen = vector_of(sizeof(uint32_t), 0),
		      remove = vector_of(sizeof(uint32_t), 0);
	bool ok = collect(session, POP3_SEEN, POP3_DELETED, &seen) &&
		  collect(session, POP3_DELETED, 0, &remove);

	if (ok && seen.count &&
		mailbox_store_flags(session->mailbox, seen.items, (uint32_t)seen.count, FLAGS_ADD,
			FLAG_SEEN, 0, 0, NULL) != STORE_OK)
		log_warning("marking messages read: %s", store_error(session->store));
	if (ok && remove.count)
		ok = mailbox_remove(session->mailbox, remove.items, (uint32_t)remove.count) ==
		     STORE_OK;
	vector_free(&seen);
	vector_free(&remove);
	return ok;
}

static void tell_others(struct pop3_session *session)
{
	struct message message = { .type = MESSAGE_NOTICE };

	message.notice.mailbox = SLICE("INBOX");
	if (!channel_sync_send(session->channel, &message, loop_monotonic() + 1000))
		log_debug("nobody hears of the change");
}

static void command_quit(struct pop3_session *session, struct slice arguments)
{
	bool done = update(session);

	session->quit = true;
	store_pop3_unlock(session->store);
	if (!done) {
		log_error("removing messages: %s", store_error(session->store));
		pop3_reply(session, "-ERR [SYS/TEMP] Messages were not removed%s",
			store_no_room(session->store) ? ": the server's disk is full" : "");
		return;
	}
	if (session->deleted || session->retrieved)
		tell_others(session);
	pop3_reply(session, "+OK Logging out%s", session->deleted ? ", messages deleted." : ".");
}

static const struct {
	const char *name;
	void (*run)(struct pop3_session *session, struct slice arguments);
} COMMANDS[] = { { "STAT", command_stat }, { "LIST", command_list }, { "UIDL", command_uidl },
	{ "RETR", command_retr }, { "TOP", command_top }, { "DELE", command_dele },
	{ "RSET", command_rset }, { "NOOP", command_noop }, { "CAPA", command_capa },
	{ "QUIT", command_quit } };

void pop3_command(struct pop3_session *session, struct slice line)
{
	struct slice arguments = line, name;

	if (slice_word(&arguments, " ", &name)) {
		for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
			if (slice_equal_nocase(name, slice_from(COMMANDS[i].name))) {
				COMMANDS[i].run(session, arguments);
				return;
			}
		}
	}
	pop3_reply(session, "-ERR Unknown command");
}
