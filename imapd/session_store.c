// SPDX-License-Identifier: ISC
/* The user's store in a session: opened when a command first needs it, mended when its index was lost. */
#include "imapd/session.h"
#include "service/log.h"

/* The index is new: told to the log and to this account's other sessions. */
static void index_is_new(struct session *s)
{
	log_warning("%s: %s", s->user, store_error(s->store));
	updates_notify(s, SLICE(""));
}

bool session_mend_store(struct session *s)
{
	if (!s->store || !store_lost(s->store) || s->ended)
		return false;
	if (!s->mailbox && store_reopen(s->store) == STORE_OK) {
		if (store_error(s->store)[0])
			index_is_new(s);
		return true;
	}
	log_warning("%s: %s: the session ends", s->user, store_error(s->store));
	session_bye(s, "The index of the mailbox was damaged and is made anew, connect again.");
	return false;
}

bool session_open_store(struct session *s)
{
	if (s->store)
		return true;
	if (store_open(s->folder, true, s->quota, &s->store) != STORE_OK) {
		log_error("opening the mailbox: %s", store_error(NULL));
		return false;
	}
	if (store_error(s->store)[0])
		index_is_new(s);
	return true;
}
