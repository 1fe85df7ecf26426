// SPDX-License-Identifier: ISC
/* What a running server shows: for `postern tls`. */
#ifndef CLI_TLS_PROBE_H
#define CLI_TLS_PROBE_H

#include <openssl/x509.h>

#include "base/slice.h"

/*
 * The certificate that the server at host:port (of "smtp", "imap" or "pop3"; `wrapper`: without STARTTLS) shows to a client that asks for
 * `name` (empty: for none) and can check `kind` of signatures ("RSA", "EC", "ED25519"). NULL: it does not answer. The caller's to free.
 */
X509 *tls_probe(const char *host, uint16_t port, const char *service, bool wrapper,
	const char *name, const char *kind);

#endif
