// SPDX-License-Identifier: ISC
/*
 * What a TLS handshake has a server or a client sign: keyd signs nothing else, so that whoever takes tlsd over cannot have other things signed with
 * the server's keys (other protocols, certificates, old versions of TLS).
 */
#ifndef TLS_TO_SIGN_H
#define TLS_TO_SIGN_H

#include "base/slice.h"

enum key_kind { KEY_NONE, KEY_RSA, KEY_EC, KEY_ED25519 };

/* A SignatureScheme of RFC 8446 4.2.3 that is signed with here. */
struct to_sign_scheme {
	uint16_t number;
	enum key_kind kind;
	const char *digest; /* of OpenSSL; NULL: the scheme hashes by itself */
	bool pss;
	bool old_only; /* TLS 1.2 only: PKCS #1 */
};
/* NULL: not one of them. */
const struct to_sign_scheme *to_sign_scheme(uint16_t number);
/* The scheme of a kind of key with that digest and padding; 0: none. */
uint16_t to_sign_number(enum key_kind kind, const char *digest, bool pss);

/*
 * For a server's key (`client` false): true for what the server signs in TLS 1.3 (RFC 8446 4.4.3: 64 spaces, context string, zero byte, hash of the transcript) or in a
 * ServerKeyExchange of TLS 1.2 with a named curve (RFC 8422 5.4: both randoms, the parameters), when the scheme goes with that.
 * For a client's: true for what the client signs in TLS 1.3. In TLS 1.2 that would be the whole handshake, which could be anything.
 */
bool to_sign_is_handshake(struct slice data, const struct to_sign_scheme *scheme, bool client);

#endif
