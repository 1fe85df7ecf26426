// SPDX-License-Identifier: ISC
/* Where a session stands: in the transaction, as a client, and in what it may offer by that. */
#include "service/front.h"
#include "smtpd/session.h"

enum session_state session_state(const struct session *s)
{
	const struct transaction *t = &s->transaction;

	if (t->bdat)
		return STATE_BDAT;
	if (t->active)
		return t->recipient_count ? STATE_RCPT : STATE_MAIL;
	return s->helo[0] ? STATE_HELO : STATE_START;
}

void session_rise(struct session *s, enum client_standing standing)
{
	if (standing <= s->standing)
		return;
	s->standing = standing;
	s->io->tell_standing(s->context, standing);
}

/* A client on the UNIX socket is on this machine, and comes by no line that anybody could listen to. */
bool session_offers_tls(const struct session *s)
{
	return tls_offered(&s->settings->tls) && (s->keywords & EHLO_STARTTLS) &&
	       !s->client.local && !s->secure;
}

bool session_needs_tls(const struct session *s)
{
	return s->settings->tls.level == TLS_LEVEL_ENCRYPT && !s->client.local && !s->secure;
}

bool session_may_authenticate(const struct session *s)
{
	if (session_needs_tls(s))
		return false;
	return s->secure || s->client.local || !s->settings->tls_auth_only ||
	       network_match(s->settings->plaintext_networks, s->client.address);
}
