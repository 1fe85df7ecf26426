// SPDX-License-Identifier: ISC
/* How a session and its client are told of: in the log, and in Received:. */
#include <stdio.h>

#include "service/log.h"
#include "smtpd/session.h"

const char *session_protocol(const struct session *s)
{
	return !s->esmtp ? "SMTP" : s->transaction.utf8 ? "UTF8SMTP" : "ESMTP";
}

void log_rate(const struct session *s, const char *what, int64_t limit)
{
	log_warning("%s rate limit exceeded: %lld from %s for service %s", what,
		(long long)limit + 1, s->name, s->client.entry);
}

void log_refusal(struct session *s, const char *kind, const char *text, const char *recipient)
{
	const struct transaction *t = &s->transaction;
	bool in_mail = t->active || t->sender[0] || recipient;

	buffer_clear(&s->text);
	buffer_printf(&s->text, "NOQUEUE: %s: %s from %s: %s;", kind, s->where, s->name, text);
	if (in_mail)
		buffer_printf(&s->text, " from=<%s>", t->sender_given);
	if (recipient)
		buffer_printf(&s->text, " to=<%s>", recipient);
	else if (t->recipient_count)
		buffer_printf(&s->text, " to=<%.*s>", SLICE_ARG(t->recipients[0]));
	buffer_printf(&s->text, " proto=%s", session_protocol(s));
	if (s->helo[0])
		buffer_printf(&s->text, " helo=<%s>", s->helo);
	log_info("%s", buffer_text(&s->text) ? s->text.data : "");
}

/* A name as it may stand in a comment in quotes. */
static const char *quotable(char *text, size_t size, const char *name)
{
	printable_copy(slice_from(name), text, size);
	for (char *c = text; *c; c++) {
		if (strchr("()\\\"", *c) || (unsigned char)*c > 126)
			*c = '?';
	}
	return text;
}

static const char *certificate_words(const struct session *s, char *text, size_t size)
{
	const struct tls_info *tls = &s->tls;

	char subject[200], issuer[200];

	if (tls->subject[0])
		snprintf(text, size, "(Client CN \"%s\", Issuer \"%s\" (%s))",
			quotable(subject, sizeof(subject), tls->subject),
			quotable(issuer, sizeof(issuer), tls->issuer),
			tls->trusted ? "verified OK" : "not verified");
	else if (s->settings->tls.client_certificate == TLS_CERTIFICATE_NONE)
		snprintf(text, size, "(No client certificate requested)");
	else
		snprintf(text, size, "(Client did not present a certificate)");
	return text;
}

void session_tls_trace(const struct session *s, char *text, size_t size)
{
	char certificate[500];

	text[0] = '\0';
	if (!s->secure || !s->settings->tls_received_header)
		return;
	snprintf(text, size, "(using %s with cipher %s (%u/%u bits))\n%s", s->tls.protocol,
		s->tls.cipher, s->tls.bits, s->tls.algorithm_bits,
		certificate_words(s, certificate, sizeof(certificate)));
}
