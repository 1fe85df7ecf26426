// SPDX-License-Identifier: ISC
/* A command being judged: whom a restriction is about, and how a refusal reads. See restrictions.h. */
#include <stdarg.h>
#include <stdio.h>

#include "smtpd/restrictions.h"

/* How a refusal calls what it is about. */
static const char *const SUBJECT_NAMES[SUBJECTS] = { "Client host", "Helo command",
	"Sender address", "Recipient address", "Data command", "End-of-data", "Client certificate",
	"SASL login name" };

static const enum subject STAGE_SUBJECTS[STAGES] = { ABOUT_CLIENT, ABOUT_HELO, ABOUT_SENDER,
	ABOUT_RECIPIENT, ABOUT_RECIPIENT, ABOUT_DATA, ABOUT_END_OF_DATA };

/* --- subjects --- */

const char *check_subject_name(enum subject subject)
{
	return SUBJECT_NAMES[subject];
}

enum subject check_stage_subject(const struct check *check)
{
	return STAGE_SUBJECTS[check->stage];
}

struct slice check_subject(const struct check *check, enum subject subject)
{
	const struct session *s = check->session;

	switch (subject) {
	case ABOUT_CLIENT:
	case ABOUT_CERTIFICATE:
		return slice_from(s->name);
	case ABOUT_HELO:
		return slice_from(s->helo);
	case ABOUT_SENDER:
		return slice_from(s->transaction.sender);
	case ABOUT_RECIPIENT:
		return check->recipient ? check->recipient->address : slice_from("");
	case ABOUT_LOGIN:
		return slice_from(s->auth.login);
	case ABOUT_DATA:
		return SLICE("DATA");
	default:
		return SLICE("END-OF-MESSAGE");
	}
}

struct slice check_given(const struct check *check, enum subject subject)
{
	if (subject == ABOUT_SENDER)
		return slice_from(check->session->transaction.sender_given);
	if (subject == ABOUT_RECIPIENT && check->recipient)
		return check->recipient->given;
	return check_subject(check, subject);
}

bool check_subject_known(const struct check *check, enum subject subject)
{
	return subject == ABOUT_HELO        ? check->session->helo[0] != '\0'
	       : subject == ABOUT_RECIPIENT ? check->recipient != NULL
	       : subject == ABOUT_LOGIN     ? check->session->auth.login[0] != '\0'
	       : subject == ABOUT_SENDER
		       ? check->session->transaction.active || check->stage == STAGE_SENDER
		       : true;
}

/* --- refusals --- */

enum check_result check_refuse(struct check *check, enum check_result result, const char *code,
	enum subject subject, const char *format, ...)
{
	struct slice about = check_given(check, subject);
	char reason[SESSION_TEXT / 4];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(check->text, sizeof(check->text), "%s <%.*s>: %s", code,
		SLICE_ARG(slice_head(about, MAX_ADDRESS)), reason);
	return result;
}

enum check_result check_refuse_coded(struct check *check, enum reply_code which, const char *detail,
	enum subject subject, struct slice reason)
{
	unsigned code = (unsigned)check->session->settings->codes[which];
	char codes[32];

	snprintf(codes, sizeof(codes), "%u %u.%s", code, code / 100, detail);
	return check_refuse(check, CHECK_REJECT, codes, subject, "%s rejected: %.*s",
		SUBJECT_NAMES[subject], SLICE_ARG(reason));
}
