// SPDX-License-Identifier: ISC
/*
 * AUTH (RFC 4954): the exchange goes between the client and authd, step by step; the session decodes base64 and knows nothing of
 * passwords but that they pass through. Who logged in it learns from authd.
 */
#include <errno.h>
#include <stdio.h>

#include "base/base64.h"
#include "service/figures.h"
#include "service/front.h"
#include "service/log.h"
#include "service/mechanisms.h"
#include "smtpd/session.h"

enum { AUTH_PATIENCE = 60000 /* ms for one step of authd */ };

/* One exchange under way. */
struct exchange {
	struct session *session;
	char method[33];
	struct buffer raw; /* what the client said, decoded: it may be a password */
};

static bool is_secured(const struct session *s)
{
	return s->secure || s->client.local;
}

void auth_forget(struct session *s)
{
	s->auth.login[0] = s->auth.method[0] = '\0';
}

/* ---- authd ----------------------------------------------------------------------------------------------------------- */

static int64_t patience(struct session *s)
{
	int64_t wait =
		s->settings->ipc_timeout < AUTH_PATIENCE ? s->settings->ipc_timeout : AUTH_PATIENCE;

	return s->io->now(s->context) + wait;
}

static uint32_t serial_of(const struct message *answer)
{
	switch (answer->type) {
	case MESSAGE_AUTH_CHALLENGE:
		return answer->auth_challenge.serial;
	case MESSAGE_AUTH_RESULT:
		return answer->auth_result.serial;
	case MESSAGE_AUTH_OFFERED:
		return answer->auth_offered.serial;
	case MESSAGE_AUTH_USAGE_ANSWER:
		return answer->auth_usage_answer.serial;
	default:
		return 0;
	}
}

/* Answers to questions before, which came too late, are passed over. */
static bool ask_once(
	struct session *s, const struct message *question, uint32_t serial, struct message *answer)
{
	int64_t deadline = patience(s);

	if (!s->io->send(s->context, TO_AUTH, question, deadline))
		return false;
	do {
		if (!s->io->receive(s->context, TO_AUTH, answer, deadline))
			return false;
	} while (serial_of(answer) != serial);
	return true;
}

/* Most sessions meet authd only here. */
bool auth_ask(struct session *s, const struct message *question, uint32_t serial, bool first,
	struct message *answer)
{
	if (ask_once(s, question, serial, answer))
		return true;
	if (errno == ECANCELED) {
		s->loss = LOSS_GONE;
		return false;
	}
	if (first && s->io->renew(s->context, TO_AUTH, patience(s)) &&
		ask_once(s, question, serial, answer))
		return true;
	log_warning("%s: no answer from authd", s->name);
	return false;
}

/* ---- What is offered ------------------------------------------------------------------------------------------------ */

/* Without authd for the moment: the client hears so when it tries, and not that there is no AUTH. */
static const char *offered_by_authd(const struct session *s)
{
	return s->mechanisms[0] ? s->mechanisms : "PLAIN LOGIN";
}

/* By smtpd_sasl_security_options and what TLS tells. ANONYMOUS is never had, whatever they say. */
static bool is_allowed(const struct session *s, struct slice mechanism)
{
	const char *options =
		is_secured(s) ? s->settings->auth.tls_options : s->settings->auth.options;
	const struct mechanism_situation situation = { .bindings = s->secure && s->tls.seal_length,
		.certificate = s->secure && s->tls.fingerprint[0] };

	return mechanism_allowed(mechanism, offered_by_authd(s), options, &situation);
}

/* What authd offers is asked once in the life of a session process: another authd is another configuration, with other sessions. */
static void learn_mechanisms(struct session *s)
{
	struct message question = { .type = MESSAGE_AUTH_OFFER }, answer;

	if (s->mechanisms[0])
		return;
	question.auth_offer.serial = ++s->serial;
	question.auth_offer.service = SLICE("smtp");
	if (!auth_ask(s, &question, s->serial, true, &answer) ||
		answer.type != MESSAGE_AUTH_OFFERED ||
		!slice_to_string(
			answer.auth_offered.mechanisms, s->mechanisms, sizeof(s->mechanisms)))
		s->mechanisms[0] = '\0';
}

bool auth_offer(struct session *s, char *text, size_t size)
{
	struct slice rest, word;
	size_t length = 0;

	text[0] = '\0';
	if (!s->settings->auth.enabled || !session_may_authenticate(s) ||
		network_match(s->settings->auth.exceptions, s->client.address))
		return false;
	learn_mechanisms(s);
	rest = slice_from(offered_by_authd(s));
	while (slice_word(&rest, " ", &word)) {
		if (is_allowed(s, word) && length + word.length + 2 < size)
			length += (size_t)snprintf(
				text + length, size - length, " %.*s", SLICE_ARG(word));
	}
	return length > 0;
}

/* ---- The exchange ---------------------------------------------------------------------------------------------------- */

static void log_failure(const struct exchange *e, const char *reason, const char *login)
{
	log_warning("%s: SASL %s authentication failed: %s, sasl_username=%s", e->session->name,
		e->method, reason, login[0] ? login : "(unavailable)");
}

static enum command_result fail(struct exchange *e, const char *text, const char *reason)
{
	log_failure(e, reason, "");
	reply(e->session, "%s", text);
	return COMMAND_ERROR;
}

static enum command_result finish(struct exchange *e, const struct message_auth_result *result)
{
	struct session *s = e->session;
	char login[MAX_LOGIN + 1];

	printable_copy(result->login, login, sizeof(login));
	if (result->delay) {
		output_flush(s);
		s->io->sleep(
			s->context, result->delay < AUTH_PATIENCE ? result->delay : AUTH_PATIENCE);
	}
	switch (result->status) {
	case AUTH_OK:
		if (!slice_to_string(result->login, s->auth.login, sizeof(s->auth.login)) ||
			!s->auth.login[0])
			break;
		memcpy(s->auth.method, e->method, sizeof(s->auth.method));
		figures_add(FIGURE_logins, 1);
		session_rise(s, CLIENT_KNOWN);
		reply(s, "235 2.7.0 Authentication successful");
		return COMMAND_GOOD;
	case AUTH_FAILED:
		figures_add(FIGURE_logins_failed, 1);
		log_failure(e, "authentication failure", login);
		reply(s, "535 5.7.8 Error: authentication failed: authentication failure");
		return COMMAND_ERROR;
	case AUTH_REFUSED: /* with a good password, too: programs must not take theirs for wrong (RFC 4954 6) */
		figures_add(FIGURE_logins_failed, 1);
		log_failure(e, "too many failures", login);
		reply(s, "454 4.7.0 Too many failures, try again later");
		return COMMAND_ERROR;
	case AUTH_NO_MECHANISM:
		return fail(e, "504 5.5.4 Error: unrecognized authentication type",
			"Invalid authentication mechanism");
	case AUTH_BAD:
		return fail(e, "501 5.5.2 Error: malformed authentication exchange",
			"malformed authentication exchange");
	default:
		break;
	}
	auth_forget(s);
	log_failure(e, "temporary authentication failure", login);
	reply(s, "454 4.7.0 Temporary authentication failure");
	return COMMAND_LIMITED;
}

static bool decode(struct exchange *e, struct slice text)
{
	buffer_clear(&e->raw);
	return base64_decode(text, &e->raw);
}

/* Nobody waits for the end of it any more. */
static void cancel(struct exchange *e, uint32_t serial)
{
	struct message message = { .type = MESSAGE_AUTH_CANCEL };

	message.auth_cancel.serial = serial;
	if (!e->session->io->send(e->session->context, TO_AUTH, &message, patience(e->session)))
		log_debug("authd is lost");
}

/* The client's response to a challenge, decoded into e->raw. False: it gave up, and was answered. */
static bool take_response(struct exchange *e, struct slice challenge)
{
	struct session *s = e->session;
	struct buffer text = { 0 };
	enum line_status status;
	struct slice line;

	if (!base64_encode(challenge, &text) || text.length + 8 > SESSION_OUTPUT) {
		buffer_free(&text);
		reply(s, "454 4.7.0 Temporary authentication failure");
		return false;
	}
	output_challenge(s, buffer_slice(&text));
	buffer_free(&text);
	status = input_line(s, &line, s->settings->auth.response_limit);
	if (status == LINE_LOST)
		return false;
	if (status == LINE_TOO_LONG) {
		fail(e, "500 5.5.6 Error: authentication exchange line is too long",
			"response too long");
	} else if (slice_equal(line, SLICE("*"))) {
		log_warning("%s: SASL %s authentication aborted", s->name, e->method);
		reply(s, "501 5.7.0 Error: authentication aborted");
	} else if (status != LINE_GOOD || !decode(e, line)) {
		fail(e, "501 5.5.2 Error: invalid base64 data", "Invalid base64 data");
	} else {
		return true;
	}
	return false;
}

static enum command_result converse(struct exchange *e, struct message *question)
{
	struct session *s = e->session;
	uint32_t serial = question->auth_begin.serial;
	bool first = true;
	struct message answer;

	while (auth_ask(s, question, serial, first, &answer)) {
		/* What the mechanism says at the end (SCRAM) goes as a challenge, for 235 has no room for it: RFC 4954 4. */
		if (answer.type == MESSAGE_AUTH_RESULT) {
			const struct message_auth_result *result = &answer.auth_result;

			s->spent = s->spent || result->status == AUTH_OK;
			return result->status == AUTH_OK && result->final.length &&
					       !take_response(e, result->final)
				       ? COMMAND_ERROR
				       : finish(e, result);
		}
		if (answer.type != MESSAGE_AUTH_CHALLENGE)
			break;
		if (!take_response(e, answer.auth_challenge.challenge)) {
			cancel(e, serial);
			return COMMAND_ERROR;
		}
		first = false;
		*question = (struct message){ .type = MESSAGE_AUTH_CONTINUE };
		question->auth_continue.serial = serial;
		question->auth_continue.response = buffer_slice(&e->raw);
	}
	/* It may be that authd has said yes meanwhile. */
	s->spent = true;
	if (s->loss != LOSS_NONE) {
		cancel(e, serial);
		return COMMAND_ERROR;
	}
	log_failure(e, "no answer from the authentication service", "");
	reply(s, "454 4.7.0 Temporary authentication failure");
	return COMMAND_LIMITED;
}

/* What follows the mechanism: nothing, "=" for an empty initial response, or base64. False: refused. */
static bool take_initial(struct exchange *e, struct slice argument, struct message *begin)
{
	begin->auth_begin.has_initial = argument.length > 0;
	if (argument.length && !slice_equal(argument, SLICE("=")) && !decode(e, argument)) {
		fail(e, "501 5.5.2 Error: invalid base64 data", "Invalid base64 data");
		return false;
	}
	begin->auth_begin.initial = buffer_slice(&e->raw);
	return true;
}

static enum command_result authenticate(struct exchange *e, struct slice argument)
{
	struct session *s = e->session;
	struct message begin = { .type = MESSAGE_AUTH_BEGIN };

	begin.auth_begin = (struct message_auth_begin){ .serial = ++s->serial,
		.service = SLICE("smtp"),
		.mechanism = slice_from(e->method),
		.client_address = slice_from(s->client.address),
		.local_address = slice_from(s->client.local_address),
		.secured = is_secured(s),
		.tls = slice_of(s->tls.seal, s->secure ? s->tls.seal_length : 0) };
	return take_initial(e, argument, &begin) ? converse(e, &begin) : COMMAND_ERROR;
}

/* Why not now, as a whole reply; NULL when it can be. */
static const char *refusal(const struct session *s)
{
	if (s->settings->helo_required && !s->helo[0])
		return "503 5.5.1 Error: send HELO/EHLO first";
	/* RFC 4954 3: it is an extension that EHLO told of. */
	if (!s->settings->auth.enabled || !s->esmtp)
		return "503 5.5.1 Error: authentication not enabled";
	if (s->transaction.active)
		return "503 5.5.1 Error: MAIL transaction in progress";
	if (!session_may_authenticate(s))
		return "538 5.7.11 Encryption required for requested authentication mechanism";
	if (s->auth.login[0])
		return "503 5.5.1 Error: already authenticated";
	return NULL;
}

static enum command_result begin(struct exchange *e, struct slice argument)
{
	struct session *s = e->session;
	const char *why = refusal(s);
	struct slice word;

	if (why) {
		reply(s, "%s", why);
		return COMMAND_ERROR;
	}
	if (!slice_word(&argument, " \t", &word) || word.length >= sizeof(e->method)) {
		reply(s, "501 5.5.4 Syntax: AUTH mechanism");
		return COMMAND_ERROR;
	}
	printable_copy(word, e->method, sizeof(e->method));
	for (char *c = e->method; *c; c++)
		*c = ascii_upper(*c);
	if (session_over_rate(s, RATE_AUTH)) {
		reply(s, "450 4.7.1 Error: too many AUTH commands from %s", s->client.address);
		log_rate(s, "AUTH command", s->settings->auth.rate);
		return COMMAND_ERROR;
	}
	if (!is_allowed(s, word))
		return fail(e, "504 5.5.4 Error: unrecognized authentication type",
			"Invalid authentication mechanism");
	return authenticate(e, slice_trim(argument));
}

enum command_result command_auth(struct session *s, struct slice argument)
{
	struct exchange e = { .session = s, .raw = buffer_secret(MAX_SASL) };
	enum command_result result = begin(&e, argument);

	buffer_free(&e.raw);
	return result;
}

/* ---- AUTH= of MAIL ---------------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	return ascii_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext, RFC 3461 4. False when it is none, or would not fit. */
static bool decode_xtext(struct slice text, char *out, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];

		if (c == '+') {
			int high = i + 2 < text.length ? hex_value(text.data[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;

			if (low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if ((unsigned char)c < ' ' || c == 127 || length + 1 >= size)
			return false;
		out[length++] = c;
	}
	out[length] = '\0';
	return length > 0;
}

/* RFC 4954 5: who the client says submitted it first. Nobody is believed: it goes into the log and no further. */
bool mail_auth(struct session *s, struct slice value)
{
	unsigned flags = ADDRESS_BARE | ADDRESS_UTF8;
	struct address address;
	const char *error;
	struct slice rest;
	char text[MAX_ADDRESS + 1];

	if (decode_xtext(value, text, sizeof(text))) {
		rest = slice_from(text);
		if (slice_equal(rest, SLICE("<>")) ||
			(address_parse_path(&rest, flags, &s->command_memory, &address, &error) &&
				rest.length == 0)) {
			printable_copy(slice_from(text), s->transaction.submitter,
				sizeof(s->transaction.submitter));
			return true;
		}
	}
	reply(s, "501 5.5.4 Bad AUTH parameter value");
	return false;
}

size_t auth_describe(const struct session *s, char *text, size_t size)
{
	int length = 0;

	text[0] = '\0';
	if (s->auth.login[0])
		length = snprintf(text, size, ", sasl_method=%s, sasl_username=%s", s->auth.method,
			s->auth.login);
	if (s->transaction.submitter[0] && length >= 0 && (size_t)length < size)
		length += snprintf(text + length, size - (size_t)length, ", sasl_sender=%s",
			s->transaction.submitter);
	return length < 0 ? 0 : (size_t)length < size ? (size_t)length : size - 1;
}
