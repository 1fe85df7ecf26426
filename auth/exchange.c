// SPDX-License-Identifier: ISC
/* SASL exchanges (RFC 4422): what is common to all mechanisms. See exchange.h and mech.h. */
#include "auth/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/mech.h"
#include "auth/mech_external.h"
#include "auth/mech_oauth.h"
#include "auth/mech_sasl.h"
#include "auth/mech_scram.h"

enum { EXCHANGE_STEPS = 8 /* responses of one exchange */ };

static const struct mech MECHS[] = {
	{ "PLAIN", mech_sasl_step, mech_sasl_free },
	{ "LOGIN", mech_sasl_step, mech_sasl_free },
	{ "CRAM-MD5", mech_sasl_step, mech_sasl_free },
	{ "DIGEST-MD5", mech_sasl_step, mech_sasl_free },
	{ "SCRAM-SHA-1", mech_scram_step, mech_scram_free },
	{ "SCRAM-SHA-1-PLUS", mech_scram_step, mech_scram_free },
	{ "SCRAM-SHA-256", mech_scram_step, mech_scram_free },
	{ "SCRAM-SHA-256-PLUS", mech_scram_step, mech_scram_free },
	{ "EXTERNAL", mech_external_step, NULL },
	{ "OAUTHBEARER", mech_oauth_step, NULL },
	{ "XOAUTH2", mech_oauth_step, NULL },
};
enum { MECH_COUNT = sizeof(MECHS) / sizeof(MECHS[0]) };

bool exchange_library_open(const struct exchange_settings *settings, char *error, size_t error_size)
{
	struct slice word;

	mech_settings = *settings;
	if (mechanisms_unknown(settings->mechanisms, &word)) {
		snprintf(error, error_size, "auth_mechanisms: no such mechanism: %.*s",
			SLICE_ARG(slice_head(word, 40)));
		return false;
	}
	return mech_sasl_open(error, error_size);
}

static const struct mech *mech_of(struct slice name)
{
	for (int i = 0; i < MECH_COUNT; i++)
		if (slice_equal_nocase(name, slice_from(MECHS[i].name)))
			return &MECHS[i];
	return NULL;
}

static bool has_bindings(const struct tls_facts *tls)
{
	return tls && (tls->exporter.length || tls->end_point.length || tls->unique.length);
}

bool exchange_mechanism_known(const struct exchange_start *start)
{
	struct mechanism_situation situation = { .bindings = has_bindings(start->tls),
		.certificate = start->tls && start->tls->fingerprint.length };

	return mech_of(start->mechanism) &&
	       mechanism_allowed(start->mechanism, mech_settings.mechanisms, "", &situation);
}

bool exchange_mechanisms(struct buffer *out)
{
	const struct mechanism_situation all = { .bindings = true, .certificate = true };
	struct buffer names = { 0 };
	bool done = mechanisms_offer(mech_settings.mechanisms, "", &all, " ", &names) &&
		    buffer_add(out, slice_tail(buffer_slice(&names), 1));

	buffer_free(&names);
	return done;
}

static void keep(struct buffer *facts, struct slice *part)
{
	size_t at = facts->length;

	buffer_add(facts, *part);
	*part = slice_of(facts->data ? facts->data + at : "", part->length);
}

/* The buffer has its whole size from the start, so that slices into it stay. */
static bool copy_tls(struct exchange *exchange, const struct tls_facts *tls)
{
	struct tls_facts *own = &exchange->tls;
	struct slice *const parts[] = { &own->exporter, &own->end_point, &own->unique,
		&own->subject, &own->issuer, &own->fingerprint, &own->protocol };

	exchange->facts = buffer_limited(TLS_SEALED_MAX);
	if (!buffer_reserve(&exchange->facts, TLS_SEALED_MAX))
		return false;
	*own = *tls;
	own->service = own->client_address = slice_of("", 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		keep(&exchange->facts, parts[i]);
	exchange->has_tls = true;
	return !exchange->facts.failed;
}

struct exchange *exchange_new(const struct exchange_start *start)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->mech = exchange_mechanism_known(start) ? mech_of(start->mechanism) : NULL;
	exchange->note = "";
	exchange->secured = start->secured;
	exchange->input = buffer_secret(MAX_SASL);
	exchange->output = buffer_secret(MAX_SASL);
	exchange->question = buffer_secret(MAX_SASL);
	exchange->answer = buffer_secret(MAX_INTROSPECTION);
	if (exchange->mech &&
		slice_to_string(start->service, exchange->service, sizeof(exchange->service)) &&
		slice_to_string(
			start->client_address, exchange->client, sizeof(exchange->client)) &&
		slice_to_string(start->local_address, exchange->local, sizeof(exchange->local)) &&
		(!start->tls || copy_tls(exchange, start->tls)))
		return exchange;
	exchange_free(&exchange);
	return NULL;
}

void exchange_free(struct exchange **exchange)
{
	if (!*exchange)
		return;
	if ((*exchange)->mech && (*exchange)->mech->free)
		(*exchange)->mech->free(*exchange);
	buffer_free(&(*exchange)->input);
	buffer_free(&(*exchange)->output);
	buffer_free(&(*exchange)->question);
	buffer_free(&(*exchange)->answer);
	buffer_free(&(*exchange)->facts);
	free(*exchange);
	*exchange = NULL;
}

bool exchange_input(struct exchange *exchange, bool has_input, struct slice input)
{
	exchange->has_input = has_input;
	buffer_clear(&exchange->input);
	return !has_input || buffer_add(&exchange->input, input);
}

/* Only ManageSieve's answer has room for what a mechanism says with success; elsewhere it is one more challenge, with an empty
 * response (RFC 4422 section 4, item 3e). */
static bool success_has_data(const struct exchange *exchange)
{
	return strcmp(exchange->service, "sieve") == 0;
}

static bool run(struct exchange *exchange)
{
	bool done;

	if (exchange->told == AUTH_OK)
		return mech_done(exchange, exchange->input.length ? AUTH_BAD : AUTH_OK);
	done = exchange->mech->step(exchange);
	if (!done || exchange->status != AUTH_OK || exchange->output.length == 0 ||
		success_has_data(exchange))
		return done;
	exchange->told = AUTH_OK;
	exchange->status = AUTH_TEMPORARY;
	return false;
}

bool exchange_step(struct exchange *exchange, struct backends *backends)
{
	bool done;

	buffer_clear(&exchange->output);
	exchange->backends = backends;
	exchange->status = AUTH_TEMPORARY;
	if (++exchange->steps > EXCHANGE_STEPS)
		return mech_done(exchange, AUTH_BAD);
	done = run(exchange);
	buffer_clear(&exchange->input);
	if (done && exchange->status == AUTH_OK)
		backends_seen(backends, slice_from(exchange->login));
	if (!exchange->output.failed && !exchange->question.failed)
		return done;
	return mech_done(exchange, AUTH_TEMPORARY);
}

struct slice exchange_question(const struct exchange *exchange)
{
	return buffer_slice(&exchange->question);
}

void exchange_answer(struct exchange *exchange, bool answered, struct slice answer)
{
	buffer_free(&exchange->question);
	exchange->heard = true;
	exchange->answered = answered && buffer_add(&exchange->answer, answer);
}

enum auth_status exchange_status(const struct exchange *exchange)
{
	return exchange->status;
}

enum auth_status exchange_told(const struct exchange *exchange)
{
	return exchange->told;
}

struct slice exchange_output(const struct exchange *exchange)
{
	return buffer_slice(&exchange->output);
}

const char *exchange_login(const struct exchange *exchange)
{
	return exchange->login;
}

const char *exchange_app(const struct exchange *exchange)
{
	return exchange->app;
}

const char *exchange_note(const struct exchange *exchange)
{
	return exchange->note;
}

const char *exchange_service(const struct exchange *exchange)
{
	return exchange->service;
}

const char *exchange_mechanism(const struct exchange *exchange)
{
	return exchange->mech->name;
}

const char *exchange_client(const struct exchange *exchange)
{
	return exchange->client;
}

void exchange_job_run(void *backends, struct thread_job *job)
{
	struct exchange_job *step = (struct exchange_job *)job;

	step->done = exchange_step(step->exchange, backends);
}
