// SPDX-License-Identifier: ISC
/* The restrictions by name, and how a list of them is run. See restrictions.h. */
#include "smtpd/restrictions.h"

#include <stdarg.h>
#include <stdio.h>

#include "service/front.h"
#include "service/log.h"

/* How a refusal calls what it is about. */
static const char *const SUBJECT_NAMES[SUBJECTS] = { "Client host", "Helo command",
	"Sender address", "Recipient address", "Data command", "End-of-data",
	"Client certificate" };

/* What the plain "reject" of a list is about. */
static const enum subject STAGE_SUBJECTS[STAGES] = { ABOUT_CLIENT, ABOUT_HELO, ABOUT_SENDER,
	ABOUT_RECIPIENT, ABOUT_RECIPIENT, ABOUT_DATA, ABOUT_END_OF_DATA };

const char *check_subject_name(enum subject subject)
{
	return SUBJECT_NAMES[subject];
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

/* A list of recipients runs after MAIL, one of data after RCPT: what is not known yet cannot be judged. */
static bool subject_known(const struct check *check, enum subject subject)
{
	return subject == ABOUT_HELO        ? check->session->helo[0] != '\0'
	       : subject == ABOUT_RECIPIENT ? check->recipient != NULL
	       : subject == ABOUT_SENDER
		       ? check->session->transaction.active || check->stage == STAGE_SENDER
		       : true;
}

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

/* ---- The simple ones ------------------------------------------------------------------------------------------------- */

#define RESTRICTION(name) \
	static enum check_result name( \
		struct check *check, const struct restriction *restriction, struct slice argument)

RESTRICTION(permit)
{
	return CHECK_OK;
}

RESTRICTION(reject)
{
	return check_refuse_coded(
		check, CODE_REJECT, "7.1", STAGE_SUBJECTS[check->stage], SLICE("Access denied"));
}

RESTRICTION(defer)
{
	return check_refuse_coded(
		check, CODE_DEFER, "7.1", STAGE_SUBJECTS[check->stage], SLICE("Try again later"));
}

RESTRICTION(permit_mynetworks)
{
	return check->session->trusted ? CHECK_OK : CHECK_DUNNO;
}

RESTRICTION(permit_inet_interfaces)
{
	const struct session_client *client = &check->session->client;

	return client->local || network_match("127.0.0.0/8 [::1]", client->address) ||
			       strcmp(client->address, client->local_address) == 0
		       ? CHECK_OK
		       : CHECK_DUNNO;
}

RESTRICTION(permit_sasl_authenticated)
{
	return check->session->auth.login[0] ? CHECK_OK : CHECK_DUNNO;
}

RESTRICTION(permit_tls_all_clientcerts)
{
	return check->session->secure && check->session->tls.trusted ? CHECK_OK : CHECK_DUNNO;
}

RESTRICTION(reject_plaintext_session)
{
	if (check->session->secure)
		return CHECK_DUNNO;
	return check_refuse_coded(check, CODE_PLAINTEXT, "7.1", STAGE_SUBJECTS[check->stage],
		SLICE("Session encryption is required"));
}

/* Such a client sends on before it has read our answer; what it sends may be meant for somebody else. Once is enough. */
RESTRICTION(reject_unauth_pipelining)
{
	enum subject subject = STAGE_SUBJECTS[check->stage];

	if (!check->session->pipelined)
		return CHECK_DUNNO;
	return check_refuse(check, CHECK_REJECT, "503 5.5.0", subject,
		"%s rejected: Improper use of SMTP command pipelining", SUBJECT_NAMES[subject]);
}

RESTRICTION(reject_multi_recipient_bounce)
{
	const struct transaction *t = &check->session->transaction;
	bool many = t->recipient_count >
		    (check->stage == STAGE_DATA || check->stage == STAGE_END_OF_DATA ? 1 : 0);

	if (!t->active || t->sender[0] || !many)
		return CHECK_DUNNO;
	return check_refuse_coded(check, CODE_MULTI_RECIPIENT_BOUNCE, "5.3",
		STAGE_SUBJECTS[check->stage], SLICE("Multi-recipient bounce"));
}

RESTRICTION(wait_a_little)
{
	uint64_t seconds = 0;

	if (slice_to_u64(argument, 60, &seconds)) {
		output_flush(check->session);
		check->session->io->sleep(check->session->context, (int64_t)seconds * 1000);
	}
	return CHECK_DUNNO;
}

/* ---- Names of hosts and domains ------------------------------------------------------------------------------------- */

static bool valid_host(struct check *check, struct slice name)
{
	struct slice domain;

	if (name.length && name.data[name.length - 1] == '.')
		name.length--;
	return address_is_literal(name) ||
	       address_domain(name, false, &check->session->command_memory, &domain);
}

RESTRICTION(reject_invalid_helo)
{
	if (valid_host(check, check_subject(check, ABOUT_HELO)))
		return CHECK_DUNNO;
	return check_refuse_coded(
		check, CODE_INVALID_HELO, "5.2", ABOUT_HELO, SLICE("Invalid name"));
}

static bool is_qualified(struct slice domain)
{
	return address_is_literal(domain) || slice_find(domain, '.') > 0;
}

RESTRICTION(reject_non_fqdn_helo)
{
	struct slice helo = check_subject(check, ABOUT_HELO);

	if (valid_host(check, helo) && is_qualified(helo))
		return CHECK_DUNNO;
	return check_refuse_coded(
		check, CODE_NON_FQDN, "5.2", ABOUT_HELO, SLICE("need fully-qualified hostname"));
}

RESTRICTION(reject_non_fqdn_address)
{
	bool sender = restriction->subject == ABOUT_SENDER;
	struct slice address = check_subject(check, restriction->subject);
	bool has_domain = sender ? check->session->transaction.sender_has_domain
				 : check->recipient->has_domain;
	ptrdiff_t at = slice_find_last(address, '@');

	if (address.length == 0 ||
		(has_domain && is_qualified(slice_tail(address, (size_t)at + 1))))
		return CHECK_DUNNO;
	/* RFC 5321 4.1.1.3: postmaster needs no domain. */
	if (!sender && !has_domain && at >= 0 &&
		slice_equal_nocase(slice_head(address, (size_t)at), SLICE("postmaster")))
		return CHECK_DUNNO;
	return check_refuse_coded(check, CODE_NON_FQDN, "5.2", restriction->subject,
		SLICE("need fully-qualified address"));
}

/* ---- What directoryd knows ------------------------------------------------------------------------------------------ */

void check_ask(struct check *check)
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

	check_ask(check);
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
	check_ask(check);
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
		SUBJECT_NAMES[subject], table);
}

RESTRICTION(reject_unlisted_recipient)
{
	const struct recipient *recipient = check->recipient;

	check_ask(check);
	if (recipient->status == DIRECTORY_FOUND || recipient->status == DIRECTORY_NOT_OURS)
		return CHECK_DUNNO;
	if (recipient->status == DIRECTORY_BAD)
		return check_refuse(check, CHECK_REJECT, "501 5.1.3", ABOUT_RECIPIENT,
			"Bad recipient address syntax");
	if (recipient->status != DIRECTORY_NOT_FOUND)
		return lookup_failed(check);
	return refuse_unlisted(check, recipient->class, ABOUT_RECIPIENT);
}

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

/* ---- Those that change what others say ------------------------------------------------------------------------------ */

RESTRICTION(warn_if_reject)
{
	check->warn_only = true;
	return CHECK_DUNNO;
}

static void note_later(struct check *check, char *where, size_t size)
{
	check_refuse(check, CHECK_DUNNO, "450 4.7.1", STAGE_SUBJECTS[check->stage],
		"%s rejected: Service unavailable", SUBJECT_NAMES[STAGE_SUBJECTS[check->stage]]);
	if (!where[0])
		memcpy(where, check->text, size);
}

RESTRICTION(defer_if_permit)
{
	note_later(check, check->if_permit, sizeof(check->if_permit));
	return CHECK_DUNNO;
}

RESTRICTION(defer_if_reject)
{
	note_later(check, check->if_reject, sizeof(check->if_reject));
	return CHECK_DUNNO;
}

static const struct restriction TABLE[] = {
#define RESTRICTION_ROW(name, argument, run, subject) { #name, argument, run, subject },
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

/* ---- Lists ----------------------------------------------------------------------------------------------------------- */

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
	return subject_known(check, restriction->subject)
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
	check->warn_only = false;
	result = check_list(check, slice_from(check->session->settings->restrictions[stage]));
	/* Whatever the list says, as Postfix has it. VRFY has no sender. */
	if (stage == STAGE_SENDER && check->session->settings->reject_unlisted_sender &&
		(result == CHECK_OK || result == CHECK_DUNNO) && subject_known(check, ABOUT_SENDER))
		result = reject_unlisted_sender(check, NULL, (struct slice){ 0 });
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
			reject_unlisted_recipient(&check, NULL, (struct slice){ 0 });

		if (result != CHECK_DUNNO)
			return say_no(&check, result);
	}
	return nothing_deferred(&check);
}
