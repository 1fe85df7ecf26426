// SPDX-License-Identifier: ISC
/*
 * One SASL exchange, server side, without process or channel: authd's workers and the tests run its steps.
 *
 * libsasl2 frames PLAIN, LOGIN, CRAM-MD5 and DIGEST-MD5; SCRAM with channel bindings, EXTERNAL and the OAuth mechanisms are
 * files of their own here (mech_*.c). Whether somebody is who he says is found out by the back ends (backend.h) alone: a good end
 * that did not come from there is no good end.
 */
#ifndef AUTH_EXCHANGE_H
#define AUTH_EXCHANGE_H

#include "auth/backend.h"
#include "base/buffer.h"
#include "ipc/messages.h"
#include "service/mechanisms.h"
#include "service/threads.h"
#include "service/tls_seal.h"

struct oauth;
struct oauth_settings;
struct survey;
struct table_list;

/* What holds for all exchanges. The texts and objects must stay. */
struct exchange_settings {
	const char *realm; /* appended to login names without "@"; "" for none */
	const char *host; /* our name */
	const char *mechanisms; /* auth_mechanisms */
	unsigned
		scram_iterations; /* shown to those who are nobody where the survey knows of none */
	struct survey *survey; /* or NULL */
	unsigned char secret
		[32]; /* stays the same from start to start: what nobody's SCRAM salt is made of */
	const char *
		nonce; /* the server's part of SCRAM's; NULL: random, as it must be outside of tests */
	struct oauth *oauth; /* or NULL: there are no keys that tokens are signed with */
	const struct oauth_settings
		*introspection; /* or NULL: there is no command to ask about tokens */
	struct table_list *certificates; /* auth_certificate_maps, or NULL */
};

/* Load the library and its plugins, once in a process, before it is confined and before there are threads. Again: the settings
 * alone change. False with `error` filled. */
MUST_CHECK bool exchange_library_open(
	const struct exchange_settings *settings, char *error, size_t error_size);
/* Append the names of all that are configured, separated by spaces, the strongest first. Returns !out->failed. */
bool exchange_mechanisms(struct buffer *out);

struct exchange;
struct exchange_start {
	struct slice service; /* "imap" */
	struct slice mechanism; /* any case */
	struct slice client_address, local_address;
	bool secured;
	const struct tls_facts *tls; /* what tlsd sealed; NULL: no TLS. Copied. */
};
/* May it be begun: configured, and what it needs of TLS is there? */
bool exchange_mechanism_known(const struct exchange_start *start);
/* NULL when memory is out, the texts are too long, or the mechanism is not known. */
struct exchange *exchange_new(const struct exchange_start *start);
void exchange_free(struct exchange **exchange);

/*
 * Hand over the next response (`has_input` false: a first step without initial response), then run exchange_step, in any
 * thread but one at a time; it may take as long as a password hash takes.
 */
MUST_CHECK bool exchange_input(struct exchange *exchange, bool has_input, struct slice input);
/*
 * True: done, exchange_status tells. False: somebody has to be asked when there is an exchange_question, else exchange_output is the
 * challenge for the client.
 */
bool exchange_step(struct exchange *exchange, struct backends *backends);
/* A token that the introspection command is to be asked about, before the next exchange_step; empty: none. */
struct slice exchange_question(const struct exchange *exchange);
/* What it said; `answered` false: it could not say. The question is wiped. */
void exchange_answer(struct exchange *exchange, bool answered, struct slice answer);
enum auth_status exchange_status(const struct exchange *exchange);
/*
 * What a challenge lets the client know of the end, before that: AUTH_OK (the server proves itself to who proved himself), AUTH_FAILED
 * (it says why), AUTH_TEMPORARY when it says nothing of that. Whoever sends the challenge judges the attempt first.
 */
enum auth_status exchange_told(const struct exchange *exchange);
struct slice exchange_output(const struct exchange *exchange);
/* The canonical login name; what the client claimed to be when it failed; "" when that never came. */
const char *exchange_login(const struct exchange *exchange);
/* The name of the application password that was good; "" when it was the login's own. */
const char *exchange_app(const struct exchange *exchange);
/* For the log: why it failed, where that is not the client's to know; "" when there is nothing to say. */
const char *exchange_note(const struct exchange *exchange);
const char *exchange_service(const struct exchange *exchange);
const char *exchange_mechanism(const struct exchange *exchange);
const char *exchange_client(const struct exchange *exchange);

/* A step as a job of threads, whose hands are back ends. */
struct exchange_job {
	struct thread_job job;
	struct exchange *exchange;
	bool done; /* what exchange_step returned */
};
void exchange_job_run(void *backends, struct thread_job *job);

#endif
