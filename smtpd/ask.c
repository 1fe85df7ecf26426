// SPDX-License-Identifier: ISC
/* Questions to the session's peers, and what happens when one is lost. */
#include "service/log.h"
#include "smtpd/session.h"

enum { RENEW_TIMEOUT = 10000 /* ms */ };

/* A lost peer is replaced within this time, or not at all: a client is waiting. */
bool session_renew(struct session *s, enum session_peer peer)
{
	int64_t wait =
		s->settings->ipc_timeout < RENEW_TIMEOUT ? s->settings->ipc_timeout : RENEW_TIMEOUT;

	return s->io->renew(s->context, peer, s->io->now(s->context) + wait);
}

/* Every answer begins with its question's serial; one that comes too late for an earlier question is passed over. */
static bool ask_once(struct session *s, enum session_peer peer, const struct message *question,
	uint32_t serial, enum message_type wanted, struct message *answer)
{
	int64_t deadline = s->io->now(s->context) + s->settings->ipc_timeout;

	if (!s->io->send(s->context, peer, question, deadline))
		return false;
	for (;;) {
		uint32_t got;

		if (!s->io->receive(s->context, peer, answer, deadline) || answer->type != wanted)
			return false;
		got = wanted == MESSAGE_CLEANUP_RESULT ? answer->cleanup_result.serial
		      : wanted == MESSAGE_DIRECTORY_RECIPIENT_ANSWER
			      ? answer->directory_recipient_answer.serial
		      : wanted == MESSAGE_DIRECTORY_OWNER_ANSWER
			      ? answer->directory_owner_answer.serial
		      : wanted == MESSAGE_DIRECTORY_LOOKUP_ANSWER
			      ? answer->directory_lookup_answer.serial
			      : answer->session_rate_answer.serial;
		if (got == serial)
			return true;
	}
}

bool session_ask(struct session *s, enum session_peer peer, const struct message *question,
	uint32_t serial, enum message_type wanted, struct message *answer)
{
	static const char *const NAMES[] = {
		[TO_DIRECTORY] = "directoryd", [TO_CLEANUP] = "cleanup", [TO_FRONT] = "smtpd"
	};

	if (s->peer_lost)
		return false;
	if (ask_once(s, peer, question, serial, wanted, answer))
		return true;
	/* A question may be asked again; the end of a message may not, for nobody knows what became of the first. */
	if (peer == TO_DIRECTORY && session_renew(s, peer) &&
		ask_once(s, peer, question, serial, wanted, answer))
		return true;
	log_warning("lost %s", NAMES[peer]);
	/* cleanup may be there for the next message. Without its front a session gets no more clients anyway. */
	s->peer_lost = peer == TO_DIRECTORY || (peer == TO_CLEANUP && !session_renew(s, peer));
	return false;
}

bool session_over_rate(struct session *s, enum rate_kind what)
{
	struct message question = { .type = MESSAGE_SESSION_RATE }, answer;
	int64_t limit = what == RATE_MESSAGE     ? s->settings->message_rate
			: what == RATE_RECIPIENT ? s->settings->recipient_rate
						 : s->settings->auth.rate;

	if (!limit)
		return false;
	question.session_rate.serial = ++s->serial;
	question.session_rate.what = (uint8_t)what;
	return session_ask(
		       s, TO_FRONT, &question, s->serial, MESSAGE_SESSION_RATE_ANSWER, &answer) &&
	       answer.session_rate_answer.refuse;
}
