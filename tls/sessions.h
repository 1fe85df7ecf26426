// SPDX-License-Identifier: ISC
/*
 * Sessions of TLS that tlsd has had with servers as their client, to be taken up again. Kept in memory, a bounded number, each for an hour
 * at most; those of TLS 1.3 are used once (RFC 8446 C.4).
 *
 * The key says all that was asked for and whom it was asked of: a session tells no more than was checked when it began.
 */
#ifndef TLS_SESSIONS_H
#define TLS_SESSIONS_H

#include <openssl/ssl.h>

#include "base/map.h"

enum {
	SESSIONS_MOST = 1000,
	SESSION_LIFETIME = 3600 /* seconds, Postfix' smtp_tls_session_cache_timeout */
};

/* Zeroed before first use. */
struct sessions {
	struct map by_key; /* of struct kept_session * */
	struct kept_session *first, *last; /* the oldest first */
};

/* Have a client's context tell of new sessions. `new_session` as in SSL_CTX_sess_set_new_cb(3). */
void sessions_use(SSL_CTX *context, int (*new_session)(SSL *ssl, SSL_SESSION *session));
/*
 * Keeps a copy: OpenSSL spoils the session of a connection that ends without close_notify, as those with many servers do (RFC 5246 7.2.1
 * has it resumable all the same). What was there under that key is forgotten.
 */
void sessions_keep(struct sessions *sessions, struct slice key, const SSL_SESSION *session);
/* The caller's reference, or NULL. One of TLS 1.3 is gone from here with that. */
SSL_SESSION *sessions_take(struct sessions *sessions, struct slice key);
/* Empty afterwards. */
void sessions_free(struct sessions *sessions);

#endif
