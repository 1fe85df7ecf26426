// SPDX-License-Identifier: ISC
/* One client from greeting to goodbye. See session.h. */
#include "smtpd/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "service/figures.h"
#include "service/front.h"
#include "service/log.h"
#include "smtpd/restrictions.h"

enum { STRESS_TIMEOUT = 10 * 1000 /* ms a client may be quiet while others wait */ };

bool session_open(struct session *s, const struct session_settings *settings,
	const struct session_io *io, void *context)
{
	*s = (struct session){ .settings = settings, .io = io, .context = context };
	s->input_size = (size_t)settings->line_limit + SESSION_INPUT;
	s->input = malloc(s->input_size);
	s->output = malloc(SESSION_OUTPUT);
	s->chunk = malloc(MAX_CHUNK);
	arena_init(&s->command_memory, SESSION_COMMAND_MEMORY + 8 * (size_t)settings->line_limit);
	arena_init(&s->recipient_memory, SESSION_RECIPIENT_MEMORY);
	if (s->input && s->output && s->chunk)
		return true;
	session_free(s);
	return false;
}

void session_free(struct session *s)
{
	free(s->input);
	free(s->output);
	free(s->chunk);
	free(s->transaction.recipients);
	arena_free(&s->command_memory);
	arena_free(&s->recipient_memory);
	buffer_free(&s->text);
	*s = (struct session){ 0 };
}

/* Nothing of the client before may be seen by this one. */
static void forget_client(struct session *s)
{
	s->input_start = s->input_end = s->input_scanned = s->output_length = 0;
	s->standing = CLIENT_STRANGER;
	s->esmtp = s->denied = s->closing = s->pipelined = s->secure = false;
	s->tls = (struct tls_info){ 0 };
	s->lost_content = -1;
	s->ask_again = 0;
	s->loss = LOSS_NONE;
	auth_forget(s);
	s->keywords = s->settings->keywords;
	s->helo[0] = s->denial[0] = '\0';
	s->where = "CONNECT";
	s->errors = s->junk = s->overshoot = 0;
	s->commands = 0;
	memset(s->counts, 0, sizeof(s->counts));
}

void session_begin(struct session *s, const struct session_client *client)
{
	forget_client(s);
	s->client = *client;
	s->secure = client->secure;
	if (s->secure)
		s->tls = client->tls;
	s->trusted = client->local || network_match(s->settings->networks, client->address);
	s->timeout = s->settings->timeout;
	s->request_deadline = s->settings->request_deadline || client->stress;
	if (client->stress && s->timeout > STRESS_TIMEOUT)
		s->timeout = STRESS_TIMEOUT;
	snprintf(s->name, sizeof(s->name), "%s[%s]", front_client_name(client->address),
		client->address);
	figures_add(FIGURE_sessions, 1);
	if (client->local)
		log_info("connect from %s, uid=%u", s->name, (unsigned)client->uid);
	else if (s->secure) /* that he connected, the front has told */
		tls_log_established(&s->settings->tls, s->name, &s->tls);
	else
		log_info("connect from %s", s->name);
	/* The front has the handshake done, or says why it was none. */
	if (s->settings->tls.wrapper && !client->local && !s->secure) {
		s->loss = LOSS_GONE;
		return;
	}
	if (!s->settings->delay_reject && !restrictions_allow(s, STAGE_CLIENT))
		s->denied = true; /* the refusal is the greeting */
	else
		reply(s, "220 %s", s->settings->banner);
}

void session_finish(struct session *s)
{
	output_flush(s);
	s->in_error = s->loss != LOSS_GONE && (input_pending(s) || !s->counts[COMMAND_QUIT].good);
	transaction_reset(s);
	session_log_disconnect(s);
	auth_forget(s);
}

void session_serve(struct session *s, const struct session_client *client)
{
	session_begin(s, client);
	while (session_step(s))
		continue;
	session_finish(s);
}
