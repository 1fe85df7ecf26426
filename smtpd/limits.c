// SPDX-License-Identifier: ISC
/*
 * How much a user may send: messages and recipients, in an hour and in a day. The session knows the limits (its entry's, or what
 * submission_limit_maps says of the login), authd counts. Asked once for a message, before its content comes.
 */
#include <stdio.h>

#include "smtpd/restrictions.h"

static const struct {
	const char *word; /* in submission_limit_maps */
	const char *what, *time; /* in replies */
} LIMITS[SUBMISSION_LIMITS] = {
	[LIMIT_MESSAGE_HOUR] = { "message_hour", "messages", "hour" },
	[LIMIT_RECIPIENT_HOUR] = { "recipient_hour", "recipients", "hour" },
	[LIMIT_MESSAGE_DAY] = { "message_day", "messages", "day" },
	[LIMIT_RECIPIENT_DAY] = { "recipient_day", "recipients", "day" },
};

static bool refuse(struct session *s, const char *text)
{
	s->where = s->transaction.bdat || strcmp(s->where, "BDAT") == 0 ? "BDAT" : "DATA";
	log_refusal(s, "reject", text, NULL);
	reply(s, "%s", text);
	return false;
}

static bool cannot_tell(struct session *s)
{
	return refuse(s, "451 4.3.0 Error: temporary lookup failure");
}

/* ---- Limits of a login's own ------------------------------------------------------------------------------------------ */

/* "message_day=500 recipient_day=1000" on top of what holds for all; "none". False: that is none of these. */
static bool read_limits(struct slice value, uint32_t limits[SUBMISSION_LIMITS])
{
	struct slice word;
	uint64_t number;

	while (slice_word(&value, ", \t", &word)) {
		ptrdiff_t equals = slice_find(word, '=');
		bool known = slice_equal_nocase(word, SLICE("none"));

		if (known)
			memset(limits, 0, SUBMISSION_LIMITS * sizeof(*limits));
		for (unsigned i = 0; i < SUBMISSION_LIMITS && equals > 0; i++) {
			if (!slice_equal_nocase(
				    slice_head(word, (size_t)equals), slice_from(LIMITS[i].word)) ||
				!slice_to_u64(
					slice_tail(word, (size_t)equals + 1), UINT32_MAX, &number))
				continue;
			limits[i] = (uint32_t)number;
			known = true;
		}
		if (!known)
			return false;
	}
	return true;
}

/* True when the search is over: `*status` says how. */
static bool ask_table(struct session *s, struct slice key, uint32_t limits[SUBMISSION_LIMITS],
	enum directory_status *status)
{
	struct message question = { .type = MESSAGE_DIRECTORY_LOOKUP }, answer;

	*status = DIRECTORY_TEMPORARY;
	question.directory_lookup.serial = ++s->serial;
	question.directory_lookup.tables = slice_from(s->settings->limit_maps);
	question.directory_lookup.key = key;
	question.directory_lookup.part = key.length < strlen(s->auth.login);
	if (session_ask(s, TO_DIRECTORY, &question, s->serial, MESSAGE_DIRECTORY_LOOKUP_ANSWER,
		    &answer))
		*status = answer.directory_lookup_answer.status;
	if (*status == DIRECTORY_FOUND &&
		!read_limits(answer.directory_lookup_answer.value, limits))
		*status = DIRECTORY_TEMPORARY;
	return *status != DIRECTORY_NOT_FOUND;
}

/* The login, then "@domain" and "domain". False: they cannot be told now. */
static bool find_limits(struct session *s, uint32_t limits[SUBMISSION_LIMITS])
{
	struct slice login = slice_from(s->auth.login);
	ptrdiff_t at = slice_find_last(login, '@');
	enum directory_status status;

	memcpy(limits, s->settings->limits, sizeof(s->settings->limits));
	if (!s->settings->limit_maps[0])
		return true;
	if (!ask_table(s, login, limits, &status) && at >= 0 &&
		!ask_table(s, slice_tail(login, (size_t)at), limits, &status))
		(void)ask_table(s, slice_tail(login, (size_t)at + 1), limits, &status);
	return status != DIRECTORY_TEMPORARY;
}

/* ---- The count --------------------------------------------------------------------------------------------------------- */

static void write_wait(char *text, size_t size, uint32_t seconds)
{
	uint32_t minutes = seconds / 60 + 1;

	if (minutes < 120)
		snprintf(text, size, "%u minute%s", minutes, minutes == 1 ? "" : "s");
	else
		snprintf(text, size, "%u hours", (minutes + 59) / 60);
}

static bool say_no(struct session *s, const struct message_auth_usage_answer *answer)
{
	char text[SESSION_TEXT], wait[32];
	unsigned which = answer->which;

	if (which >= SUBMISSION_LIMITS)
		return cannot_tell(s);
	write_wait(wait, sizeof(wait), answer->wait);
	if (answer->status == USAGE_NEVER)
		snprintf(text, sizeof(text),
			"550 5.7.1 Error: too many %s for %s: %u at once, the limit is %u in %s %s",
			LIMITS[which].what, s->auth.login, s->transaction.recipient_count,
			(unsigned)answer->limit, which < LIMIT_MESSAGE_DAY ? "an" : "a",
			LIMITS[which].time);
	else
		snprintf(text, sizeof(text),
			"450 4.7.1 Error: too many %s from %s: the limit is %u in %s %s, try again "
			"in %s",
			LIMITS[which].what, s->auth.login, (unsigned)answer->limit,
			which < LIMIT_MESSAGE_DAY ? "an" : "a", LIMITS[which].time, wait);
	return refuse(s, text);
}

bool limits_allow(struct session *s)
{
	struct message question = { .type = MESSAGE_AUTH_USAGE }, answer;
	uint32_t limits[SUBMISSION_LIMITS];
	bool any = false;

	if (!s->auth.login[0])
		return true;
	if (!find_limits(s, limits))
		return cannot_tell(s);
	for (unsigned i = 0; i < SUBMISSION_LIMITS; i++)
		any = any || limits[i];
	if (!any)
		return true;
	question.auth_usage = (struct message_auth_usage){ .serial = ++s->serial,
		.login = slice_from(s->auth.login),
		.recipients = s->transaction.recipient_count,
		.message_hour = limits[LIMIT_MESSAGE_HOUR],
		.recipient_hour = limits[LIMIT_RECIPIENT_HOUR],
		.message_day = limits[LIMIT_MESSAGE_DAY],
		.recipient_day = limits[LIMIT_RECIPIENT_DAY] };
	if (!auth_ask(s, &question, s->serial, true, &answer) ||
		answer.type != MESSAGE_AUTH_USAGE_ANSWER)
		return cannot_tell(s);
	if (answer.auth_usage_answer.status == USAGE_ALLOWED)
		return true;
	return answer.auth_usage_answer.status == USAGE_TEMPORARY
		       ? cannot_tell(s)
		       : say_no(s, &answer.auth_usage_answer);
}
