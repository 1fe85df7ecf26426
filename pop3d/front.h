// SPDX-License-Identifier: ISC
/* The POP3 front's connections: everything a client may say before it has logged in (RFC 1939 4 and 7, RFC 2449, RFC 5034). */
#ifndef POP3D_FRONT_H
#define POP3D_FRONT_H

#include "service/login.h"
#include "service/tls.h"

enum {
	POP3_LINE_MAX = 255 + 2, /* RFC 2449 4: a command with its CR LF */
	POP3_RESPONSE_MAX = 12 * 1024, /* a SASL response, base64 */
	POP3_INPUT_MAX = 16 * 1024 /* pipelined input that waits */
};

struct pop3_settings {
	const char *host;
	int64_t login_timeout; /* ms */
	unsigned max_failures;
	const char *mechanisms; /* auth_mechanisms */
	bool no_plaintext; /* disable_plaintext_auth */
	const char *plaintext_networks; /* where that does not hold */
	struct tls_settings tls;
};

struct pop3_front {
	struct service *service;
	struct front *clients;
	struct login *login;
	struct tls_link *tlsd; /* NULL: no TLS */
	struct pop3_settings settings;
	unsigned count;
	bool draining;
	struct pop3_client *first;
};

/* front.h's `accepted`, with the pop3_front as context. */
void pop3_accepted(
	void *context, int fd, const struct front_client *peer, enum front_refusal refusal);
/* Say goodbye to all who have not logged in. */
void pop3_close_all(struct pop3_front *front);
extern const struct login_hooks POP3_LOGIN_HOOKS;

#endif
