// SPDX-License-Identifier: ISC
/*
 * The SASL mechanisms of the suite and what each needs and shows: fronts and sessions offer by this table, authd goes by it.
 */
#ifndef SERVICE_MECHANISMS_H
#define SERVICE_MECHANISMS_H

#include "base/buffer.h"

enum mechanism_trait {
	MECHANISM_PLAINTEXT = 1, /* shows the password, or a token that is as good: noplaintext */
	MECHANISM_ACTIVE = 2, /* somebody in between may take the session over: noactive */
	MECHANISM_DICTIONARY =
		4, /* what goes over the wire lets passwords be tried: nodictionary */
	MECHANISM_MUTUAL = 8, /* the server proves that it knows the password: mutual_auth */
	MECHANISM_BINDING = 16, /* needs channel bindings (RFC 5056) */
	MECHANISM_CERTIFICATE = 32 /* needs the client's certificate */
};

/* What is known of the connection. */
struct mechanism_situation {
	bool bindings; /* TLS with channel bindings that authd will hear of */
	bool certificate; /* and the client showed a certificate */
};

/* Name in capitals and traits (enum mechanism_trait); NULL when there is no such mechanism. */
const char *mechanism_find(struct slice name, unsigned *traits);
/*
 * May it be begun? `configured` is auth_mechanisms; SCRAM-X there means SCRAM-X-PLUS, too. `options` are those of
 * smtpd_sasl_security_options (noplaintext, noactive, nodictionary, noanonymous, mutual_auth; others are ignored).
 */
bool mechanism_allowed(struct slice name, const char *configured, const char *options,
	const struct mechanism_situation *situation);
/* Append all that are allowed, the strongest first, each as `before` and its name: " AUTH=". False when memory is out. */
MUST_CHECK bool mechanisms_offer(const char *configured, const char *options,
	const struct mechanism_situation *situation, const char *before, struct buffer *out);
/* The first word of `configured` that is no mechanism; false when all are. */
bool mechanisms_unknown(const char *configured, struct slice *word);

#endif
