// SPDX-License-Identifier: ISC
/* MAIL, RCPT and VRFY: addresses and their parameters (RFC 5321 4.1.1, RFC 1870, RFC 6152, RFC 6531). */
#include "mail/utf8.h"
#include "service/figures.h"
#include "service/log.h"
#include "smtpd/restrictions.h"
#include "smtpd/session.h"

enum { SIZE_DIGITS = 20 /* RFC 1870 4 */ };

/* Take "FROM:" or "TO:" off the front; blanks behind it are tolerated unless envelopes are strict. */
static bool take_keyword(struct session *s, struct slice *argument, struct slice keyword)
{
	if (!slice_starts_nocase(*argument, keyword))
		return false;
	*argument = slice_tail(*argument, keyword.length);
	if (!s->settings->strict_envelopes) {
		while (argument->length && (argument->data[0] == ' ' || argument->data[0] == '\t'))
			*argument = slice_tail(*argument, 1);
	}
	return argument->length > 0;
}

/* The reply for what address_parse_path says: "5.1.3 Bad ..." has no reply code of its own. */
static void reply_bad_address(struct session *s, const char *error)
{
	int code = error[0] == '4' ? 451 : strncmp(error, "5.6.7", 5) == 0 ? 553 : 501;

	reply(s, "%d %s", code, error);
}

/* A parsed address as the rest of the suite knows it: with a domain, in its external form, in s->text. */
static bool write_address(struct session *s, const struct address *address)
{
	struct address whole = *address;

	if (whole.local.length && !whole.domain.length)
		whole.domain = slice_from(s->settings->origin);
	buffer_clear(&s->text);
	return address_write(&whole, &s->text) && s->text.length <= MAX_ADDRESS &&
	       buffer_text(&s->text);
}

/* Parse and write; false when it was refused with a reply. What follows the path is left in *argument. */
static bool take_address(struct session *s, struct slice *argument, unsigned flags,
	struct address *address, struct slice *raw)
{
	const char *error = "4.3.0 Out of memory";
	struct slice before = *argument;

	if (!s->settings->strict_envelopes)
		flags |= ADDRESS_BARE;
	if (!address_parse_path(argument, flags, &s->command_memory, address, &error)) {
		reply_bad_address(s, error);
		return false;
	}
	*raw = slice_head(before, before.length - argument->length);
	/* What comes behind a path must be set off: "<a@b>c" is no address with a parameter. */
	if (argument->length && argument->data[0] != ' ' && argument->data[0] != '\t') {
		reply_bad_address(s, flags & ADDRESS_NULL ? "5.1.7 Bad sender address syntax"
							  : "5.1.3 Bad recipient address syntax");
		return false;
	}
	if (!write_address(s, address)) {
		reply(s, "501 5.1.3 Bad address syntax");
		return false;
	}
	return true;
}

/* ---- MAIL ----------------------------------------------------------------------------------------------------------- */

/* Logged as Postfix does, for the sender will ask why. */
static bool refuse_size(struct session *s)
{
	static const char TEXT[] = "552 5.3.4 Message size exceeds fixed limit";

	log_refusal(s, "reject", TEXT, NULL);
	reply(s, "%s", TEXT);
	return false;
}

static bool mail_size(struct session *s, struct slice value)
{
	uint64_t size;

	if (value.length > SIZE_DIGITS || !slice_to_u64(value, INT64_MAX, &size)) {
		bool digits = value.length > 0;

		for (size_t i = 0; i < value.length; i++)
			digits = digits && ascii_digit(value.data[i]);
		if (digits)
			return refuse_size(s);
		reply(s, "501 5.5.4 Bad message size syntax");
		return false;
	}
	if (s->settings->size_limit && size > (uint64_t)s->settings->size_limit)
		return refuse_size(s);
	s->transaction.size = (int64_t)size;
	return true;
}

static bool mail_body(struct session *s, struct slice value)
{
	if (slice_equal_nocase(value, SLICE("8BITMIME")))
		s->transaction.eight_bit = true;
	else if (!slice_equal_nocase(value, SLICE("7BIT"))) {
		reply(s, "501 5.5.4 Bad BODY parameter value");
		return false;
	}
	return true;
}

static bool mail_utf8(struct session *s, struct slice value)
{
	s->transaction.utf8 = true;
	return true;
}

static const struct {
	struct slice name;
	bool has_value;
	enum ehlo_keyword keyword;
	bool (*take)(struct session *session, struct slice value);
} MAIL_PARAMETERS[] = {
	{ { "SIZE", 4 }, true, EHLO_SIZE, mail_size },
	{ { "BODY", 4 }, true, EHLO_8BITMIME, mail_body },
	{ { "SMTPUTF8", 8 }, false, EHLO_SMTPUTF8, mail_utf8 },
	{ { "AUTH", 4 }, true, EHLO_AUTH, mail_auth },
};

static bool mail_parameter(struct session *s, struct slice word)
{
	ptrdiff_t equals = slice_find(word, '=');
	struct slice name = equals < 0 ? word : slice_head(word, (size_t)equals);

	for (size_t i = 0; i < sizeof(MAIL_PARAMETERS) / sizeof(MAIL_PARAMETERS[0]); i++) {
		if (!slice_equal_nocase(name, MAIL_PARAMETERS[i].name) ||
			MAIL_PARAMETERS[i].has_value != (equals >= 0) ||
			!(s->keywords & MAIL_PARAMETERS[i].keyword))
			continue;
		return MAIL_PARAMETERS[i].take(s, slice_tail(word, (size_t)equals + 1));
	}
	reply(s, "555 5.5.4 Unsupported option: %.*s", SLICE_ARG(slice_head(word, 100)));
	return false;
}

/* s->text is its form for lookups. */
static bool keep_sender(struct session *s, const struct address *address)
{
	struct transaction *t = &s->transaction;

	if (!slice_to_string(buffer_slice(&s->text), t->sender, sizeof(t->sender)))
		return false;
	memcpy(t->sender_given, t->sender, sizeof(t->sender_given));
	if (!address->unicode.length)
		return true;
	buffer_clear(&s->text);
	return address_write_as_given(address, &s->text) &&
	       slice_to_string(buffer_slice(&s->text), t->sender_given, sizeof(t->sender_given));
}

static bool mail_accept(struct session *s, struct slice argument)
{
	unsigned flags = ADDRESS_NULL | (s->keywords & EHLO_SMTPUTF8 ? ADDRESS_UTF8 : 0);
	struct address address;
	struct slice raw, word;

	if (!take_keyword(s, &argument, SLICE("FROM:"))) {
		reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
		return false;
	}
	if (!take_address(s, &argument, flags, &address, &raw))
		return false;
	if (!keep_sender(s, &address)) {
		reply(s, "501 5.1.7 Bad sender address syntax");
		return false;
	}
	s->transaction.sender_has_domain = address.domain.length > 0 || address.local.length == 0;
	while (slice_word(&argument, " \t", &word)) {
		if (!mail_parameter(s, word))
			return false;
	}
	/* The parameter stands behind the address that needs it. */
	if (!s->transaction.utf8 && utf8_ascii_prefix(raw) < raw.length) {
		reply(s, "553 5.6.7 Must declare SMTPUTF8 to use a unicode address");
		return false;
	}
	if (session_over_rate(s, RATE_MESSAGE)) {
		reply(s, "450 4.7.1 Error: too much mail from %s", s->client.address);
		log_rate(s, "Message delivery request", s->settings->message_rate);
		return false;
	}
	return s->settings->delay_reject || restrictions_allow(s, STAGE_SENDER);
}

enum command_result command_mail(struct session *s, struct slice argument)
{
	if (s->settings->helo_required && !s->helo[0]) {
		reply(s, "503 5.5.1 Error: send HELO/EHLO first");
		return COMMAND_ERROR;
	}
	arena_reset(&s->command_memory);
	if (!mail_accept(s, argument)) {
		transaction_reset(s);
		return COMMAND_ERROR;
	}
	s->transaction.active = true;
	reply(s, "250 2.1.0 Ok");
	return COMMAND_GOOD;
}

/* ---- RCPT ----------------------------------------------------------------------------------------------------------- */

/* RFC 5321 4.5.3.1.10. Too many are not an error of the client at first: it has to try the rest in another transaction. */
static bool recipients_full(struct session *s, bool *counts)
{
	if ((int64_t)s->transaction.recipient_count < s->settings->recipients)
		return false;
	s->overshoot++;
	*counts = (int64_t)s->overshoot > s->settings->recipient_overshoot;
	reply(s, "452 4.5.3 Error: too many recipients");
	return true;
}

static bool rcpt_address(
	struct session *s, struct slice argument, bool utf8, struct recipient *recipient)
{
	unsigned flags = utf8 ? ADDRESS_UTF8 : 0;
	struct address address;
	struct slice raw, word;

	if (!take_address(s, &argument, flags, &address, &raw))
		return false;
	if (slice_word(&argument, " \t", &word)) {
		reply(s, "555 5.5.4 Unsupported option: %.*s", SLICE_ARG(slice_head(word, 100)));
		return false;
	}
	*recipient = (struct recipient){ .has_domain = address.domain.length > 0,
		.address = arena_slice(&s->command_memory, buffer_slice(&s->text)) };
	recipient->given = recipient->address;
	if (recipient->address.data && address.unicode.length) {
		buffer_clear(&s->text);
		if (address_write_as_given(&address, &s->text) && s->text.length <= MAX_ADDRESS)
			recipient->given = arena_slice(&s->command_memory, buffer_slice(&s->text));
	}
	if (recipient->address.data && recipient->given.data)
		return true;
	reply(s, "452 4.3.0 Error: out of memory");
	return false;
}

static bool rcpt_accept(struct session *s, struct slice argument, bool *counts)
{
	struct recipient recipient;

	if (!take_keyword(s, &argument, SLICE("TO:"))) {
		reply(s, "501 5.5.4 Syntax: RCPT TO:<address>");
		return false;
	}
	if (recipients_full(s, counts) ||
		!rcpt_address(s, argument, s->transaction.utf8, &recipient))
		return false;
	if (session_over_rate(s, RATE_RECIPIENT)) {
		reply(s, "450 4.7.1 Error: too many recipients from %s", s->client.address);
		log_rate(s, "Recipient address", s->settings->recipient_rate);
		return false;
	}
	if (!restrictions_allow_recipient(s, &recipient))
		return false;
	if (transaction_add_recipient(s, recipient.given))
		return true;
	reply(s, "452 4.5.3 Error: too many recipients");
	return false;
}

enum command_result command_rcpt(struct session *s, struct slice argument)
{
	bool counts = true;

	arena_reset(&s->command_memory);
	if (rcpt_accept(s, argument, &counts)) {
		session_rise(s, CLIENT_SENDS);
		reply(s, "250 2.1.5 Ok");
		return COMMAND_GOOD;
	}
	s->transaction.refused++;
	figures_add(FIGURE_recipients_refused, 1);
	return counts ? COMMAND_ERROR : COMMAND_LIMITED;
}

/* ---- VRFY ----------------------------------------------------------------------------------------------------------- */

/* "VRFY address SMTPUTF8" (RFC 6531 3.7.4.2): the address may be UTF-8. The reply is ASCII in any case. */
static bool take_utf8(const struct session *s, struct slice *argument)
{
	static const char KEYWORD[] = " SMTPUTF8";
	size_t length = sizeof(KEYWORD) - 1;

	if (!(s->keywords & EHLO_SMTPUTF8) || argument->length <= length ||
		!slice_equal_nocase(
			slice_tail(*argument, argument->length - length), slice_from(KEYWORD)))
		return false;
	*argument = slice_head(*argument, argument->length - length);
	return true;
}

/* Says no more than RCPT would, and touches no transaction. */
enum command_result command_vrfy(struct session *s, struct slice argument)
{
	struct recipient recipient;
	bool utf8 = take_utf8(s, &argument);

	if (s->settings->disable_vrfy) {
		reply(s, "502 5.5.1 VRFY command is disabled");
		return COMMAND_ERROR;
	}
	if (argument.length == 0) {
		reply(s, "501 5.5.4 Syntax: VRFY address");
		return COMMAND_ERROR;
	}
	arena_reset(&s->command_memory);
	if (!rcpt_address(s, argument, utf8, &recipient))
		return COMMAND_ERROR;
	recipient.only_asked = true;
	if (!restrictions_allow_recipient(s, &recipient))
		return COMMAND_ERROR;
	reply(s, "252 2.0.0 %.*s", SLICE_ARG(recipient.address));
	return COMMAND_GOOD;
}
