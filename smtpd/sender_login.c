// SPDX-License-Identifier: ISC
/*
 * reject_sender_login_mismatch and its like: may who logged in (or nobody) send as the sender of MAIL? directoryd knows
 * whose address it is, and is asked once for a message.
 */
#include "smtpd/restrictions.h"

static enum owner_status owner_of_sender(struct session *s)
{
	struct message question = { .type = MESSAGE_DIRECTORY_OWNER }, answer;
	struct transaction *t = &s->transaction;

	if (t->owner != OWNER_TEMPORARY)
		return t->owner;
	question.directory_owner.serial = ++s->serial;
	question.directory_owner.address = slice_from(t->sender);
	question.directory_owner.login = slice_from(s->auth.login);
	question.directory_owner.tables = slice_from(s->settings->sender_login_maps);
	if (session_ask(
		    s, TO_DIRECTORY, &question, s->serial, MESSAGE_DIRECTORY_OWNER_ANSWER, &answer))
		t->owner = answer.directory_owner_answer.status;
	return t->owner;
}

static enum check_result refuse(struct check *check, const char *why)
{
	const char *login = check->session->auth.login;

	return check_refuse(check, CHECK_REJECT, "553 5.7.1", ABOUT_SENDER,
		"Sender address rejected: %s%s", why, login);
}

static enum check_result judge(struct check *check, bool known_only)
{
	bool logged_in = check->session->auth.login[0];

	/* Of notifications (RFC 5321 4.5.5) everybody is the owner. */
	if (!check->session->transaction.sender[0])
		return CHECK_DUNNO;
	switch (owner_of_sender(check->session)) {
	case OWNER_YES:
		return CHECK_DUNNO;
	case OWNER_MAPPED:
		return refuse(check, logged_in ? "not owned by user " : "not logged in");
	/* Mail of a user who is not logged in may come by way of others. */
	case OWNER_OTHER:
		return logged_in ? refuse(check, "not owned by user ") : CHECK_DUNNO;
	case OWNER_NOBODY:
		return logged_in && !known_only ? refuse(check, "not owned by user ") : CHECK_DUNNO;
	default:
		return check_refuse(check, CHECK_TEMPORARY, "451 4.3.0", ABOUT_SENDER,
			"Temporary lookup failure");
	}
}

RESTRICTION(sender_login)
{
	return judge(check, false);
}

RESTRICTION(known_sender_login)
{
	return judge(check, true);
}

RESTRICTION(authenticated_sender_login)
{
	return check->session->auth.login[0] ? judge(check, false) : CHECK_DUNNO;
}

RESTRICTION(unauthenticated_sender_login)
{
	return check->session->auth.login[0] ? CHECK_DUNNO : judge(check, false);
}
