// SPDX-License-Identifier: ISC
/*
 * Facts about a TLS connection, sealed: tlsd says them, a front or session carries them to authd (AUTH_BEGIN.tls) and can change nothing.
 * The seal is an HMAC-SHA256 under a key that master gives to tlsd and authd only (START's seal_key).
 */
#ifndef SERVICE_TLS_SEAL_H
#define SERVICE_TLS_SEAL_H

#include "base/buffer.h"

enum {
	TLS_SEAL_KEY = 32, /* bytes of START's seal_key */
	TLS_EXPORTER_SIZE = 32, /* RFC 9266 */
	TLS_BINDING_MAX = 64, /* tls-server-end-point, tls-unique: RFC 5929 */
	TLS_SEALED_MAX = 2048, /* MAX_TLS_SEAL of the messages */
	TLS_FACT_TEXT_MAX = 512
};

struct tls_facts {
	struct slice service; /* "smtp", "imap", "pop3" */
	struct slice client_address;
	uint16_t client_port;
	int64_t time; /* of the handshake, microseconds since 1970 */
	struct slice protocol; /* "TLSv1.3" */
	struct slice exporter; /* channel bindings; empty: the connection has none of that kind */
	struct slice end_point;
	struct slice unique;
	struct slice subject, issuer; /* of the client's certificate, when it gave one */
	struct slice fingerprint;
	bool trusted; /* it was issued by an authority of smtpd_tls_CAfile */
};

/* The sealed form, appended; at most TLS_SEALED_MAX bytes (then subject and issuer are shorter than allowed). False: does not fit. */
MUST_CHECK bool tls_seal(const struct tls_facts *facts, const unsigned char key[TLS_SEAL_KEY],
	struct buffer *sealed);
/*
 * What was sealed under this key for that service and that client's address, at most `lifetime` microseconds before `now`. The slices
 * borrow from `sealed`. False: somebody made it up, it is another connection's, or too old.
 */
MUST_CHECK bool tls_unseal(struct slice sealed, const unsigned char key[TLS_SEAL_KEY],
	struct slice service, struct slice client_address, int64_t now, int64_t lifetime,
	struct tls_facts *facts);
/* A key of its own for each use of the seal_key. */
void tls_derive(const unsigned char key[TLS_SEAL_KEY], const char *use, uint64_t number,
	unsigned char derived[32]);

#endif
