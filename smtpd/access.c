// SPDX-License-Identifier: ISC
/*
 * check_client_access and its like: keys in the order of access(5), asked of directoryd one by one, and what the values found
 * mean.
 */
#include <stdio.h>

#include "service/log.h"
#include "smtpd/restrictions.h"

/* True when the search is over: found, or failed. A part of what is checked is not shown to tables of patterns. */
static bool ask(struct access *access, struct slice key, bool part)
{
	struct message question = { .type = MESSAGE_DIRECTORY_LOOKUP }, answer;
	struct session *s = access->check->session;

	access->status = DIRECTORY_NOT_FOUND;
	if (key.length == 0 || key.length > MAX_ADDRESS)
		return false;
	access->status = DIRECTORY_TEMPORARY;
	question.directory_lookup.serial = ++s->serial;
	question.directory_lookup.tables = access->tables;
	question.directory_lookup.key = key;
	question.directory_lookup.part = part;
	if (!session_ask(s, TO_DIRECTORY, &question, s->serial, MESSAGE_DIRECTORY_LOOKUP_ANSWER,
		    &answer))
		return true;
	access->status = answer.directory_lookup_answer.status;
	if (access->status == DIRECTORY_FOUND &&
		!slice_to_string(
			answer.directory_lookup_answer.value, access->value, sizeof(access->value)))
		access->status = DIRECTORY_TEMPORARY;
	return access->status != DIRECTORY_NOT_FOUND;
}

/* The name, then its parents: "b.c" or ".b.c" as parent_domain_matches_subdomains has it. */
static bool ask_domain(struct access *access, struct slice domain, bool part)
{
	bool dotless = access->check->session->settings->parents_match;

	if (ask(access, domain, part))
		return true;
	for (;;) {
		ptrdiff_t dot = slice_find(slice_tail(domain, 1), '.');

		if (dot < 0 || address_is_literal(domain))
			return false;
		domain = slice_tail(domain, (size_t)dot + 1);
		if (ask(access, slice_tail(domain, dotless), true))
			return true;
		if (!dotless && domain.length == 1)
			return false;
		domain = slice_tail(domain, 1);
	}
}

/* The address, then the networks it is in by whole numbers: 192.0.2.1, 192.0.2, 192.0, 192. */
static bool ask_network(struct access *access, struct slice address)
{
	char separator = slice_find(address, ':') >= 0 ? ':' : '.';
	bool part = false;

	for (;;) {
		ptrdiff_t end;

		if (ask(access, address, part))
			return true;
		part = true;
		end = slice_find_last(address, separator);
		if (end <= 0)
			return false;
		address = slice_head(address, (size_t)end);
	}
}

/* user@domain, domain and its parents, user@. */
static bool ask_address(struct access *access, struct slice address)
{
	ptrdiff_t at = slice_find_last(address, '@');

	if (address.length == 0)
		return ask(access, SLICE("<>"), false);
	if (ask(access, address, false))
		return true;
	if (at < 0)
		return false;
	return ask_domain(access, slice_tail(address, (size_t)at + 1), true) ||
	       ask(access, slice_head(address, (size_t)at + 1), true);
}

static bool ask_client(struct access *access)
{
	const struct session *s = access->check->session;
	ptrdiff_t bracket = slice_find(slice_from(s->name), '[');

	return ask_domain(access, slice_head(slice_from(s->name), (size_t)bracket), false) ||
	       ask_network(access, slice_from(s->client.address));
}

/* The certificate, then its key: an entry for the key stays right when the certificate is renewed. */
static bool ask_certificate(struct access *access)
{
	const struct session *s = access->check->session;

	return s->secure && (ask(access, slice_from(s->tls.fingerprint), false) ||
				    ask(access, slice_from(s->tls.key_fingerprint), false));
}

/* ---- What the value says ------------------------------------------------------------------------------------------- */

static bool is_dsn(struct slice word)
{
	struct slice rest = word, part;
	uint64_t number;
	unsigned parts = 0;

	while (slice_split(&rest, '.', &part)) {
		if (!slice_to_u64(part, 999, &number))
			return false;
		parts++;
	}
	return parts == 3 && (word.data[0] == '4' || word.data[0] == '5') && word.data[1] == '.';
}

static bool all_digits(struct slice word)
{
	uint64_t number;

	return slice_to_u64(word, UINT64_MAX, &number);
}

/* "code [dsn] text" about the subject, with defaults for what is not there. */
static enum check_result say(struct access *access, unsigned code, struct slice text)
{
	struct slice rest = text, word, said = SLICE("Access denied");
	char codes[64];

	if (slice_word(&rest, " \t", &word) && is_dsn(word) && word.length < 12) {
		snprintf(codes, sizeof(codes), "%u %.*s", code, SLICE_ARG(word));
		text = slice_trim(rest);
	} else {
		snprintf(codes, sizeof(codes), "%u %u.7.1", code, code / 100);
	}
	if (text.length)
		said = slice_head(text, MAX_REASON);
	return check_refuse(access->check, CHECK_REJECT, codes, access->restriction->subject,
		"%s rejected: %.*s", check_subject_name(access->restriction->subject),
		SLICE_ARG(said));
}

static enum check_result say_coded(struct access *access, enum reply_code code, struct slice text)
{
	return say(access, (unsigned)access->check->session->settings->codes[code], text);
}

static enum check_result act_ok(struct access *access, struct slice text)
{
	return CHECK_OK;
}

static enum check_result act_dunno(struct access *access, struct slice text)
{
	return CHECK_DUNNO;
}

static enum check_result act_reject(struct access *access, struct slice text)
{
	return say_coded(access, CODE_ACCESS_REJECT, text);
}

static enum check_result act_defer(struct access *access, struct slice text)
{
	return say_coded(access, CODE_ACCESS_DEFER, text);
}

static enum check_result act_later(struct access *access, struct slice text, char *where)
{
	say_coded(access, CODE_ACCESS_DEFER, text.length ? text : SLICE("Service unavailable"));
	if (!where[0])
		memcpy(where, access->check->text, sizeof(access->check->text));
	return CHECK_DUNNO;
}

static enum check_result act_defer_if_permit(struct access *access, struct slice text)
{
	return act_later(access, text, access->check->if_permit);
}

static enum check_result act_defer_if_reject(struct access *access, struct slice text)
{
	return act_later(access, text, access->check->if_reject);
}

static const struct {
	const char *name;
	enum check_result (*act)(struct access *access, struct slice text);
} ACTIONS[] = {
	{ "OK", act_ok },
	{ "DUNNO", act_dunno },
	{ "REJECT", act_reject },
	{ "DEFER", act_defer },
	{ "DEFER_IF_PERMIT", act_defer_if_permit },
	{ "DEFER_IF_REJECT", act_defer_if_reject },
	{ "WARN", act_warn },
	{ "INFO", act_info },
	{ "DISCARD", act_discard },
	{ "HOLD", act_hold },
	{ "FILTER", act_filter },
	{ "PREPEND", act_prepend },
	{ "REDIRECT", act_redirect },
	{ "BCC", act_bcc },
};

static enum check_result act(struct access *access)
{
	struct slice value = slice_trim(slice_from(access->value)), rest = value, word;
	uint64_t code;

	if (!slice_word(&rest, " \t", &word))
		return action_impossible(access, "says nothing");
	rest = slice_trim(rest);
	for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(ACTIONS[0]); i++) {
		if (slice_equal_nocase(word, slice_from(ACTIONS[i].name)))
			return ACTIONS[i].act(access, rest);
	}
	if (word.length == 3 && slice_to_u64(word, 599, &code) && code >= 400)
		return say(access, (unsigned)code, rest);
	if (is_dsn(word))
		return say_coded(access,
			word.data[0] == '4' ? CODE_ACCESS_DEFER : CODE_ACCESS_REJECT, value);
	if (all_digits(word))
		return CHECK_OK;
	return check_list(access->check, value);
}

RESTRICTION(access)
{
	struct access access = { .check = check, .restriction = restriction, .tables = argument };
	bool over = restriction->subject == ABOUT_CLIENT        ? ask_client(&access)
		    : restriction->subject == ABOUT_CERTIFICATE ? ask_certificate(&access)
		    : restriction->subject == ABOUT_HELO
			    ? ask_domain(&access, check_subject(check, restriction->subject), false)
			    : ask_address(&access, check_subject(check, restriction->subject));

	if (!over)
		return CHECK_DUNNO;
	if (access.status != DIRECTORY_FOUND)
		return check_refuse(check, CHECK_TEMPORARY, "451 4.3.0", restriction->subject,
			"Temporary lookup failure");
	return act(&access);
}

/* permit_tls_clientcerts: yes when the client's certificate, or its key, stands in relay_clientcerts. */
RESTRICTION(relay_certificate)
{
	struct access access = { .check = check,
		.restriction = restriction,
		.tables = slice_from(check->session->settings->relay_clientcerts) };

	if (!access.tables.length || !ask_certificate(&access))
		return CHECK_DUNNO;
	if (access.status == DIRECTORY_FOUND)
		return CHECK_OK;
	return check_refuse(check, CHECK_TEMPORARY, "451 4.3.0", restriction->subject,
		"Temporary lookup failure");
}
