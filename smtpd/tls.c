// SPDX-License-Identifier: ISC
/*
 * TLS in an SMTP session (RFC 3207, RFC 8314): STARTTLS, the handshake before the greeting, and what both mean for the rest.
 * tlsd does the handshake; the session gets a plaintext stream and facts.
 */

#include "service/front.h"
#include "service/log.h"
#include "smtpd/session.h"

enum { STRESS_HANDSHAKE = 10 * 1000 /* ms a handshake may take while others wait */ };

/* Everything that was said in clear never was (RFC 3207 4.2), here what has been read of it. The request has its texts from `client`. */
static void make_request(
	struct session *s, const struct front_client *client, struct message *accept)
{
	size_t unread = s->input_end - s->input_start;

	tls_request(&s->settings->tls, client, s->input + s->input_start, &unread, accept);
	s->input_start = s->input_end = s->input_scanned = unread;
	accept->tls_accept.serial = ++s->serial;
	if (s->client.stress && accept->tls_accept.timeout_ms > STRESS_HANDSHAKE)
		accept->tls_accept.timeout_ms = STRESS_HANDSHAKE;
}

bool session_start_tls(struct session *s)
{
	struct front_client client = { .port = s->client.port, .local_port = s->client.local_port };
	struct message accept, ready;
	char reason[256] = "TLS service went away";
	int64_t deadline;

	memcpy(client.address, s->client.address, sizeof(client.address));
	memcpy(client.local_address, s->client.local_address, sizeof(client.local_address));
	make_request(s, &client, &accept);
	if (s->settings->tls.loglevel >= 2)
		log_info("setting up TLS connection from %s", s->name);
	/* tlsd keeps the time; beyond that it is tlsd that does not answer. */
	deadline = s->io->now(s->context) + accept.tls_accept.timeout_ms + s->settings->ipc_timeout;
	s->secure = s->io->start_tls(s->context, &accept, &ready, deadline) &&
		    tls_take_info(&ready.tls_ready, &s->tls, reason, sizeof(reason));
	if (s->secure) {
		tls_log_established(&s->settings->tls, s->name, &s->tls);
		return true;
	}
	log_info("SSL_accept error from %s: %s", s->name, reason);
	s->loss = LOSS_GONE;
	return false;
}

bool session_reach_tls(struct session *s)
{
	int64_t deadline = s->io->now(s->context) + s->settings->tls.timeout;

	if (s->io->reach_tls(s->context, deadline))
		return true;
	log_warning("no connection to tlsd: TLS is not available for %s", s->name);
	return false;
}

enum command_result command_starttls(struct session *s, struct slice argument)
{
	if (s->secure) {
		reply(s, "554 5.5.1 Error: TLS already active");
		return COMMAND_ERROR;
	}
	if (!session_offers_tls(s)) {
		reply(s, "502 5.5.1 Error: command not implemented");
		return COMMAND_ERROR;
	}
	if (argument.length) {
		reply(s, "501 5.5.4 Syntax error (no parameters allowed)");
		return COMMAND_ERROR;
	}
	if (!session_reach_tls(s)) {
		reply(s, "454 4.7.0 TLS not available due to local problem");
		return COMMAND_LIMITED;
	}
	reply(s, "220 2.0.0 Ready to start TLS");
	output_flush(s);
	if (s->loss != LOSS_NONE)
		return COMMAND_ERROR;
	transaction_reset(s);
	auth_forget(s);
	s->helo[0] = '\0';
	s->esmtp = false;
	return session_start_tls(s) ? COMMAND_GOOD : COMMAND_ERROR;
}
