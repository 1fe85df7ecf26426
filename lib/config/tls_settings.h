// SPDX-License-Identifier: ISC
/* The parameters of a server's TLS: smtpd_tls_..., imap_tls_..., pop3_tls_... See service/tls.h. */
#ifndef CONFIG_TLS_SETTINGS_H
#define CONFIG_TLS_SETTINGS_H

#include "config/config.h"
#include "service/tls.h"

enum tls_server { TLS_SMTPD, TLS_IMAP, TLS_POP3, TLS_SERVERS };

/* The server that a command of master.cf is ("smtpd", "imapd", "pop3d"); TLS_SERVERS: none. */
enum tls_server tls_server_of(const char *command);
/* False when memory is out. The configuration must outlive the settings. */
MUST_CHECK bool tls_settings_load(
	struct tls_settings *settings, const struct config *config, enum tls_server server);
/*
 * For `postern check` and master: `fault` hears of each value that is no good; false when one is an error (a server that must
 * encrypt and has no certificate), true when there were only warnings.
 */
MUST_CHECK bool tls_settings_check(const struct config *config, enum tls_server server,
	void (*fault)(void *context, const char *parameter, bool warning, const char *text),
	void *context);

/* The values that only OpenSSL understands, whether they are in force at the present level or not, each with its parameter's name. */
enum tls_value {
	TLS_VALUE_PROTOCOLS,
	TLS_VALUE_CIPHERS, /* OpenSSL's list */
	TLS_VALUE_EXCLUDED,
	TLS_VALUE_OPTIONS,
	TLS_VALUE_DIGEST
};
void tls_settings_each(const struct config *config, enum tls_server server,
	void (*each)(void *context, enum tls_value kind, const char *name, const char *value),
	void *context);

#endif
