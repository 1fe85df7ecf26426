// SPDX-License-Identifier: ISC
/* Restrictions that go by what directoryd knows of an address: is it ours, and is there somebody? See restrictions.h. */
#include <stdio.h>

#include "smtpd/restrictions.h"

/* --- recipients --- */

/* Once for each recipient. */
static void ask_recipient(struct check *check)
{
	struct message question = { .type = MESSAGE_DIRECTORY_RECIPIENT }, answer;
	struct session *s = check->session;
	struct recipient *recipient = check->recipient;

	if (recipient->asked)
		return;
	recipient->asked = true;
	question.directory_recipient.serial = ++s->serial;
	question.directory_recipient.recipient = recipient->address;
	if (!session_ask(s, TO_DIRECTORY, &question, s->serial, MESSAGE_DIRECTORY_RECIPIENT_ANSWER,
		    &answer))
		return;
	recipient->status = answer.directory_recipient_answer.status;
	recipient->class = answer.directory_recipient_answer.domain_class;
	recipient->reason =
		arena_slice(&s->command_memory, answer.directory_recipient_answer.reason);
}

static enum check_result lookup_failed(struct check *check)
{
	return check_refuse(
		check, CHECK_TEMPORARY, "451 4.3.0", ABOUT_RECIPIENT, "Temporary lookup failure");
}

static bool is_ours(const struct recipient *recipient)
{
	return recipient->status == DIRECTORY_FOUND || recipient->status == DIRECTORY_NOT_FOUND;
}

/* reject_ and defer_unauth_destination: no open relay. */
RESTRICTION(unauth_destination)
{
	bool defers = restriction->name[0] == 'd';
	char codes[32];

	ask_recipient(check);
	if (check->recipient->status == DIRECTORY_BAD)
		return check_refuse(check, CHECK_REJECT, "501 5.1.3", ABOUT_RECIPIENT,
			"Bad recipient address syntax");
	if (check->recipient->status == DIRECTORY_NOT_OURS) {
		unsigned code =
			defers ? 454 : (unsigned)check->session->settings->codes[CODE_RELAY];

		snprintf(codes, sizeof(codes), "%u %u.7.1", code, code / 100);
		return check_refuse(
			check, CHECK_REJECT, codes, ABOUT_RECIPIENT, "Relay access denied");
	}
	return is_ours(check->recipient) ? CHECK_DUNNO : lookup_failed(check);
}

RESTRICTION(permit_auth_destination)
{
	ask_recipient(check);
	if (check->recipient->status == DIRECTORY_NOT_OURS ||
		check->recipient->status == DIRECTORY_BAD)
		return CHECK_DUNNO;
	return is_ours(check->recipient) ? CHECK_OK : lookup_failed(check);
}

/* An address of ours that nobody has. RFC 3463: X.1.0 is said of senders, X.1.1 of recipients. */
static enum check_result refuse_unlisted(
	struct check *check, enum domain_class class, enum subject subject)
{
	static const char *const TABLES[DOMAIN_OTHER + 1] = { [DOMAIN_LOCAL] =
								      " in local recipient table",
		[DOMAIN_VIRTUAL_ALIAS] = " in virtual alias table",
		[DOMAIN_VIRTUAL_MAILBOX] = " in virtual mailbox table",
		[DOMAIN_RELAY] = " in relay recipient table" };
	const char *table;
	unsigned code;
	char codes[32];

	if (class > DOMAIN_OTHER)
		class = DOMAIN_UNKNOWN;
	table = TABLES[class] ? TABLES[class] : "";
	code = (unsigned)check->session->settings->unknown_code[class];
	snprintf(codes, sizeof(codes), "%u %u.1.%c", code, code / 100,
		subject == ABOUT_SENDER ? '0' : '1');
	return check_refuse(check, CHECK_REJECT, codes, subject, "%s rejected: User unknown%s",
		check_subject_name(subject), table);
}

RESTRICTION(reject_unlisted_recipient)
{
	const struct recipient *recipient = check->recipient;

	ask_recipient(check);
	if (recipient->status == DIRECTORY_FOUND || recipient->status == DIRECTORY_NOT_OURS)
		return CHECK_DUNNO;
	if (recipient->status == DIRECTORY_BAD)
		return check_refuse(check, CHECK_REJECT, "501 5.1.3", ABOUT_RECIPIENT,
			"Bad recipient address syntax");
	if (recipient->status != DIRECTORY_NOT_FOUND)
		return lookup_failed(check);
	return refuse_unlisted(check, recipient->class, ABOUT_RECIPIENT);
}

/* --- senders --- */

/* Asked once in a transaction, however many recipients there are. */
static void ask_sender(struct session *s)
{
	struct message question = { .type = MESSAGE_DIRECTORY_RECIPIENT }, answer;
	struct transaction *t = &s->transaction;

	if (t->sender_asked)
		return;
	question.directory_recipient.serial = ++s->serial;
	question.directory_recipient.recipient = slice_from(t->sender);
	t->sender_status = DIRECTORY_TEMPORARY;
	if (!session_ask(s, TO_DIRECTORY, &question, s->serial, MESSAGE_DIRECTORY_RECIPIENT_ANSWER,
		    &answer))
		return;
	t->sender_asked = true;
	t->sender_status = answer.directory_recipient_answer.status;
	t->sender_class = answer.directory_recipient_answer.domain_class;
}

RESTRICTION(reject_unlisted_sender)
{
	struct session *s = check->session;

	if (!s->transaction.sender[0])
		return CHECK_DUNNO;
	ask_sender(s);
	if (s->transaction.sender_status == DIRECTORY_TEMPORARY)
		return check_refuse(check, CHECK_TEMPORARY, "451 4.3.0", ABOUT_SENDER,
			"Temporary lookup failure");
	return s->transaction.sender_status == DIRECTORY_NOT_FOUND
		       ? refuse_unlisted(check, s->transaction.sender_class, ABOUT_SENDER)
		       : CHECK_DUNNO;
}
