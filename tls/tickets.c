// SPDX-License-Identifier: ISC
/* Session tickets without state. See tickets.h. */
#include "tls/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "os/os.h"

enum { NAME_SIZE = 16, PERIODS = 3 };

static uint64_t period_now(const struct ticket_keys *keys)
{
	return (uint64_t)(os_now() / 1000000 / (keys->period > 0 ? keys->period : 1));
}

static bool set_keys(const struct ticket_keys *keys, uint64_t period,
	unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool encrypt)
{
	unsigned char cipher_key[32], mac_key[32];
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(
					OSSL_MAC_PARAM_KEY, mac_key, sizeof(mac_key)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end() };
	bool good;

	tls_derive(keys->seal_key, "ticket cipher", period, cipher_key);
	tls_derive(keys->seal_key, "ticket mac", period, mac_key);
	good = EVP_MAC_CTX_set_params(mac, params) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, cipher_key, iv, encrypt) == 1;
	OPENSSL_cleanse(cipher_key, sizeof(cipher_key));
	OPENSSL_cleanse(mac_key, sizeof(mac_key));
	return good;
}

static void name_of(const struct ticket_keys *keys, uint64_t period, unsigned char name[NAME_SIZE])
{
	unsigned char derived[32];

	tls_derive(keys->seal_key, "ticket name", period, derived);
	memcpy(name, derived, NAME_SIZE);
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): 1 good, 2 good but to be renewed, 0 unknown, -1 error. */
static int ticket_key(SSL *ssl, unsigned char name[NAME_SIZE], unsigned char iv[EVP_MAX_IV_LENGTH],
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	const struct ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	uint64_t now = period_now(keys);
	unsigned char known[NAME_SIZE];

	if (encrypt) {
		name_of(keys, now, name);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
		return set_keys(keys, now, iv, cipher, mac, true) ? 1 : -1;
	}
	for (uint64_t age = 0; age < PERIODS; age++) {
		name_of(keys, now - age, known);
		if (CRYPTO_memcmp(name, known, NAME_SIZE) != 0)
			continue;
		if (!set_keys(keys, now - age, iv, cipher, mac, false))
			return -1;
		return age == 0 ? 1 : 2;
	}
	return 0;
}

void tickets_use(SSL_CTX *context, struct ticket_keys *keys, int64_t lifetime)
{
	SSL_CTX_set_app_data(context, keys);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(context, (long)lifetime);
	SSL_CTX_set_num_tickets(context, 1);
	if (lifetime <= 0) {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(context, 0);
	}
	SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key);
}
