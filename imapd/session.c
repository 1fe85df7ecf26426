// SPDX-License-Identifier: ISC
/* The beginning and the end of a session, and what it can do. */
#include "imapd/session.h"

#include <stdlib.h>

const char IMAP_CAPABILITIES[] =
	"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE "
	"MULTIAPPEND SPECIAL-USE "
	"CREATE-SPECIAL-USE ESEARCH LIST-EXTENDED LIST-STATUS STATUS=SIZE CONDSTORE";

bool session_init(struct session *s, int in, int out, int spawner, const char *folder,
	const struct session_settings *settings, struct slice leftover)
{
	/* Parsed forms are larger than the text: a search key of four bytes becomes a node of a hundred. */
	size_t memory = settings->command_limit * 64 + ((size_t)1 << 20);

	*s = (struct session){ .in = in,
		.out = out,
		.spawner = spawner,
		.folder = folder,
		.settings = *settings,
		.user = "",
		.zone_quarter = INT64_MIN };
	arena_init(&s->arena, memory);
	arena_init(&s->part_arena, (size_t)64 << 20);
	s->input.data = malloc(SESSION_INPUT);
	if (!s->input.data || leftover.length > SESSION_INPUT)
		return false;
	if (leftover.length)
		memcpy(s->input.data, leftover.data, leftover.length);
	s->input.end = leftover.length;
	return true;
}

void session_free(struct session *s)
{
	mailbox_close(&s->mailbox);
	store_close(&s->store);
	arena_free(&s->arena);
	arena_free(&s->part_arena);
	buffer_free(&s->scratch);
	buffer_free(&s->output.buffer);
	free(s->input.data);
	s->input.data = NULL;
}

void session_bye(struct session *s, const char *text)
{
	if (s->ended)
		return;
	out_text(s, "* BYE ");
	out_text(s, text);
	out_text(s, "\r\n");
	s->ended = true;
}
