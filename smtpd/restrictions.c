// SPDX-License-Identifier: ISC
/* How a list of restrictions is run, and what its answer means for a command. See restrictions.h. */
#include "smtpd/restrictions.h"

#include <stdio.h>

#include "service/log.h"

/* --- lists --- */

static const struct restriction TABLE[] = {
#define RESTRICTION_ROW(name, argument, run, subject) \
	{ #name, argument, restriction_##run, subject },
	RESTRICTIONS(RESTRICTION_ROW)
#undef RESTRICTION_ROW
};

static const struct restriction *restriction_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		if (slice_equal_nocase(name, slice_from(TABLE[i].name)))
			return &TABLE[i];
	}
	return NULL;
}

static enum check_result run_class(struct check *check, struct slice name)
{
	const struct session_settings *settings = check->session->settings;
	const char *value = NULL;
	char text[256];

	if (restriction_in(settings->restriction_classes, name) &&
		slice_to_string(name, text, sizeof(text)))
		value = settings->lookup(settings->lookup_context, text);
	if (value)
		return check_list(check, slice_from(value));
	log_warning("unknown smtpd restriction: \"%.*s\"", SLICE_ARG(name));
	snprintf(check->text, sizeof(check->text), "451 4.3.5 Server configuration error");
	return CHECK_TEMPORARY;
}

/* "warn_if_reject" holds for the one that follows it. */
static enum check_result only_warn(struct check *check, enum check_result result)
{
	char recipient[MAX_ADDRESS + 1];

	if (result == CHECK_OK || result == CHECK_DUNNO)
		return result;
	printable_copy(check_given(check, ABOUT_RECIPIENT), recipient, sizeof(recipient));
	log_refusal(
		check->session, "reject_warning", check->text, check->recipient ? recipient : NULL);
	return CHECK_DUNNO;
}

static enum check_result run_item(struct check *check, struct slice name, struct slice *rest)
{
	const struct restriction *restriction = restriction_find(name);
	struct slice argument = { 0 };

	if (!restriction)
		return run_class(check, name);
	if (restriction->argument != ARGUMENT_NONE && !restriction_next(rest, &argument)) {
		snprintf(check->text, sizeof(check->text), "451 4.3.5 Server configuration error");
		return CHECK_TEMPORARY;
	}
	return check_subject_known(check, restriction->subject)
		       ? restriction->run(check, restriction, argument)
		       : CHECK_DUNNO;
}

enum check_result check_list(struct check *check, struct slice list)
{
	enum check_result result = CHECK_DUNNO;
	struct slice item;

	if (check->depth >= CHECK_DEPTH) {
		log_warning("smtpd restriction classes are nested too deeply");
		snprintf(check->text, sizeof(check->text), "451 4.3.5 Server configuration error");
		return CHECK_TEMPORARY;
	}
	check->depth++;
	while (result == CHECK_DUNNO && restriction_next(&list, &item)) {
		bool warn_only = check->warn_only;

		check->warn_only = false;
		result = run_item(check, item, &list);
		if (warn_only)
			result = only_warn(check, result);
	}
	check->depth--;
	return result;
}

/* --- commands --- */

/* Say no: the reply, the log, and what an access table asks for beside it. */
static bool say_no(struct check *check, enum check_result result)
{
	struct session *s = check->session;
	char recipient[MAX_ADDRESS + 1];

	if (result == CHECK_REJECT && check->if_reject[0] && check->text[0] == '5')
		memcpy(check->text, check->if_reject, sizeof(check->text));
	printable_copy(check_given(check, ABOUT_RECIPIENT), recipient, sizeof(recipient));
	log_refusal(s, "reject", check->text, check->recipient ? recipient : NULL);
	reply(s, "%s", check->text);
	if (strncmp(check->text, "521", 3) == 0 || strncmp(check->text, "421", 3) == 0)
		s->closing = true;
	return false;
}

static bool allow_list(struct check *check, enum stage stage)
{
	enum check_result result;

	check->stage = stage;
	check->warn_only = check->login_would_do = false;
	result = check_list(check, slice_from(check->session->settings->restrictions[stage]));
	/* Whatever the list says, as Postfix has it. VRFY has no sender. */
	if (stage == STAGE_SENDER && check->session->settings->reject_unlisted_sender &&
		(result == CHECK_OK || result == CHECK_DUNNO) &&
		check_subject_known(check, ABOUT_SENDER))
		result = restriction_reject_unlisted_sender(check, NULL, (struct slice){ 0 });
	return result == CHECK_OK || result == CHECK_DUNNO || say_no(check, result);
}

static bool nothing_deferred(struct check *check)
{
	if (!check->if_permit[0])
		return true;
	memcpy(check->text, check->if_permit, sizeof(check->text));
	return say_no(check, CHECK_TEMPORARY);
}

bool restrictions_allow(struct session *s, enum stage stage)
{
	struct check check = { .session = s };

	return allow_list(&check, stage) && nothing_deferred(&check);
}

/* Asked before RCPT when smtpd_delay_reject is off. */
enum { UNDELAYED = 1U << STAGE_CLIENT | 1U << STAGE_HELO | 1U << STAGE_SENDER };

bool restrictions_allow_recipient(struct session *s, struct recipient *recipient)
{
	struct check check = { .session = s, .recipient = recipient };
	unsigned skipped = s->settings->delay_reject ? 0 : UNDELAYED & ~s->ask_again;

	if (s->settings->open_relay) {
		snprintf(check.text, sizeof(check.text), "451 4.3.5 Server configuration error");
		log_warning("neither smtpd_relay_restrictions nor smtpd_recipient_restrictions "
			    "refuses anybody");
		return say_no(&check, CHECK_TEMPORARY);
	}

	for (enum stage stage = STAGE_CLIENT; stage <= STAGE_RECIPIENT; stage++) {
		if (!(skipped & 1U << stage) && !allow_list(&check, stage))
			return false;
	}
	if (s->settings->reject_unlisted) {
		enum check_result result =
			restriction_reject_unlisted_recipient(&check, NULL, (struct slice){ 0 });

		if (result != CHECK_DUNNO)
			return say_no(&check, result);
	}
	return nothing_deferred(&check);
}
