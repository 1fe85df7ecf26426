// SPDX-License-Identifier: ISC
/*
 * One SASL exchange through libsasl2, server side, without process or channel: authd's workers and the tests run its steps.
 *
 * The library frames the mechanisms; passwords are checked against credentials.h, and a good end that did not come from there
 * is no good end.
 */
#ifndef AUTH_EXCHANGE_H
#define AUTH_EXCHANGE_H

#include "auth/credentials.h"
#include "base/buffer.h"
#include "ipc/messages.h"

/* Load the library and its plugins, once in a process, before it is confined and before there are threads. `realm` is appended to
 * login names without "@" ("" for none), `host` is our name; both must stay. False with `error` filled. */
MUST_CHECK bool exchange_library_open(
	const char *realm, const char *host, char *error, size_t error_size);
/* "LOGIN PLAIN": what may be offered, and what an exchange may be begun with. */
bool exchange_mechanism_known(struct slice name);
/* Append all of them, separated by spaces, the strongest first. Returns !out->failed. */
bool exchange_mechanisms(struct buffer *out);

struct exchange;
struct exchange_start {
	struct slice service; /* "imap" */
	struct slice mechanism; /* any case */
	struct slice client_address, local_address;
	bool secured;
};
/* NULL when memory is out or the texts are too long. */
struct exchange *exchange_new(const struct exchange_start *start);
void exchange_free(struct exchange **exchange);

/*
 * Hand over the next response (`has_input` false: a first step without initial response), then run exchange_step, in any
 * thread but one at a time; it may take as long as a password hash takes.
 */
MUST_CHECK bool exchange_input(struct exchange *exchange, bool has_input, struct slice input);
/* True: done, exchange_status tells. False: exchange_output is the challenge for the client. */
bool exchange_step(struct exchange *exchange, struct credentials *credentials);
enum auth_status exchange_status(const struct exchange *exchange);
struct slice exchange_output(const struct exchange *exchange);
/* The canonical login name; what the client claimed to be when it failed; "" when that never came. */
const char *exchange_login(const struct exchange *exchange);
/* The name of the application password that was good; "" when it was the login's own. */
const char *exchange_app(const struct exchange *exchange);
const char *exchange_service(const struct exchange *exchange);
const char *exchange_mechanism(const struct exchange *exchange);
const char *exchange_client(const struct exchange *exchange);

#endif
