// SPDX-License-Identifier: ISC
/*
 * tlsd --check COMMAND: do the TLS parameters of that server ("smtpd") mean something? Otherwise every handshake would tell. See
 * context.h.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sysexits.h>

#include "config/self_check.h"
#include "config/tls_settings.h"
#include "tls/context.h"

/* What Postfix' users leave out by habit, and OpenSSL has no more. */
static bool is_of_old(struct slice word)
{
	static const char *const WORDS[] = { "EXPORT", "EXP", "EXPORT40", "EXPORT56", "LOW", "DES",
		"3DES", "RC2", "RC4", "MD5", "IDEA", "SEED", "SSLv2", "DSS", "aDSS", "kDHr", "kDHd",
		"kDH", "kECDH", "aDH", "aECDH", "ECDH", "KRB5", "kKRB5", "aKRB5", "FZA",
		"DES-CBC3-SHA", "PSK", "SRP", "CAMELLIA", "ARIA" };

	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
		if (slice_equal_nocase(word, slice_from(WORDS[i])))
			return true;
	return false;
}

static bool is_cipher_list(const char *text)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
	bool good;

	if (ssl)
		SSL_CTX_set_security_level(ssl, 0);
	good = ssl && SSL_CTX_set_cipher_list(ssl, text) == 1;
	SSL_CTX_free(ssl);
	ERR_clear_error();
	return good;
}

static void check_protocols(const char *name, const char *value)
{
	int least, most;

	if (!context_protocols(slice_from(value), &least, &most))
		self_check_fault(true, name,
			"malformed, or neither TLS 1.2 nor 1.3 is left (as \">=TLSv1.2\" or "
			"\"!TLSv1.2\")");
}

static void check_list(const char *name, const char *value)
{
	if (!is_cipher_list(value))
		self_check_fault(true, name, "OpenSSL finds no cipher in this list");
}

static void check_excluded(const char *name, const char *value)
{
	struct slice rest = slice_from(value), word;
	char text[100], fault[200];

	while (slice_word(&rest, ", \t\r\n:", &word)) {
		if (is_of_old(word))
			continue;
		if (slice_to_string(word, text, sizeof(text)) && is_cipher_list(text))
			continue;
		snprintf(fault, sizeof(fault), "%.*s: OpenSSL has no ciphers of that name",
			SLICE_ARG(slice_head(word, 100)));
		self_check_fault(true, name, fault);
	}
}

static void check_one(void *context, enum tls_value kind, const char *name, const char *value)
{
	uint64_t options;

	switch (kind) {
	case TLS_VALUE_PROTOCOLS:
		check_protocols(name, value);
		break;
	case TLS_VALUE_CIPHERS:
		check_list(name, value);
		break;
	case TLS_VALUE_EXCLUDED:
		check_excluded(name, value);
		break;
	case TLS_VALUE_OPTIONS:
		if (!context_options(slice_from(value), &options))
			self_check_fault(true, name, "has a word that is no option");
		break;
	case TLS_VALUE_DIGEST:
		if (!EVP_get_digestbyname(value))
			self_check_fault(true, name, "no such digest");
	}
}

/* All of them together may leave nothing. */
static void check_sum(const struct config *config, enum tls_server server)
{
	struct tls_settings settings;
	const char *ciphers =
		tls_settings_load(&settings, config, server) ? buffer_text(&settings.ciphers) : "";

	if (ciphers && !is_cipher_list(ciphers))
		self_check_fault(true, "", "no cipher is left after those that are excluded");
	tls_settings_free(&settings);
}

int context_check(const char *command)
{
	enum tls_server server = tls_server_of(command);
	struct config *config = server == TLS_SERVERS ? NULL : self_check_open();

	if (!config)
		return EX_SOFTWARE;
	tls_settings_each(config, server, check_one, NULL);
	check_sum(config, server);
	return self_check_close(&config);
}
