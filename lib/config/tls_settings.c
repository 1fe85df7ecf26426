// SPDX-License-Identifier: ISC
/* Parameters of TLS into settings, the same way for every server. See tls_settings.h. */
#include "config/tls_settings.h"

#include "config/tls_set.h"

/* What every server has a parameter of its own for. */
enum key {
	SECURITY_LEVEL,
	WRAPPERMODE,
	CERT_FILE,
	ASK_CCERT,
	REQ_CCERT,
	PROTOCOLS,
	MANDATORY_PROTOCOLS,
	CIPHERS,
	MANDATORY_CIPHERS,
	EXCLUDE_CIPHERS,
	MANDATORY_EXCLUDE_CIPHERS,
	LOGLEVEL,
	TIMEOUT,
	KEYS
};

#define SERVER_KEYS(prefix, timeout) \
	{ \
		[SECURITY_LEVEL] = PARAM_##prefix##_tls_security_level, \
		[WRAPPERMODE] = PARAM_##prefix##_tls_wrappermode, \
		[CERT_FILE] = PARAM_##prefix##_tls_cert_file, \
		[ASK_CCERT] = PARAM_##prefix##_tls_ask_ccert, \
		[REQ_CCERT] = PARAM_##prefix##_tls_req_ccert, \
		[PROTOCOLS] = PARAM_##prefix##_tls_protocols, \
		[MANDATORY_PROTOCOLS] = PARAM_##prefix##_tls_mandatory_protocols, \
		[CIPHERS] = PARAM_##prefix##_tls_ciphers, \
		[MANDATORY_CIPHERS] = PARAM_##prefix##_tls_mandatory_ciphers, \
		[EXCLUDE_CIPHERS] = PARAM_##prefix##_tls_exclude_ciphers, \
		[MANDATORY_EXCLUDE_CIPHERS] = PARAM_##prefix##_tls_mandatory_exclude_ciphers, \
		[LOGLEVEL] = PARAM_##prefix##_tls_loglevel, [TIMEOUT] = PARAM_##timeout \
	}

static const struct {
	const char *command, *set /* for tls_set_of */, *service, *alpn;
	enum parameter keys[KEYS];
} SERVER[TLS_SERVERS] = {
	/* No name is registered for SMTP; these are what clients send who send one. */
	[TLS_SMTPD] = { "smtpd", "smtpd", "smtp", "smtp,esmtp",
		SERVER_KEYS(smtpd, smtpd_starttls_timeout) },
	[TLS_IMAP] = { "imapd", "imap", "imap", "imap", SERVER_KEYS(imap, imap_login_timeout) },
	[TLS_POP3] = { "pop3d", "pop3", "pop3", "pop3", SERVER_KEYS(pop3, pop3_login_timeout) },
};

static const struct {
	const char *name;
	enum tls_level level;
} LEVELS[] = {
	{ "", TLS_LEVEL_NONE },
	{ "none", TLS_LEVEL_NONE },
	{ "may", TLS_LEVEL_MAY },
	{ "encrypt", TLS_LEVEL_ENCRYPT },
};

enum tls_server tls_server_of(const char *command)
{
	enum tls_server server = 0;

	while (server < TLS_SERVERS && strcmp(SERVER[server].command, command) != 0)
		server++;
	return server;
}

static const char *text(const struct config *config, enum tls_server server, enum key key)
{
	return config_text(config, SERVER[server].keys[key]);
}

static bool level_of(const char *name, enum tls_level *level)
{
	for (size_t i = 0; i < sizeof(LEVELS) / sizeof(LEVELS[0]); i++) {
		if (strcmp(LEVELS[i].name, name) != 0)
			continue;
		*level = LEVELS[i].level;
		return true;
	}
	/* The client's levels beyond "encrypt" mean no less for a server. */
	*level = TLS_LEVEL_ENCRYPT;
	return false;
}

/* ---- Ciphers ---------------------------------------------------------------------------------------------------------- */

static void exclude(struct buffer *ciphers, const char *list)
{
	struct slice rest = slice_from(list), word;

	while (slice_word(&rest, ", \t\r\n:", &word))
		buffer_printf(ciphers, ":!%.*s", SLICE_ARG(word));
}

/* A grade as OpenSSL's list. Grades below "medium" mean nothing more. */
static bool load_ciphers(
	struct buffer *ciphers, const struct config *config, enum tls_server server, bool mandatory)
{
	const char *grade = text(config, server, mandatory ? MANDATORY_CIPHERS : CIPHERS);

	buffer_clear(ciphers);
	buffer_add_text(ciphers,
		config_text(config, strcmp(grade, "high") == 0 ? PARAM_tls_high_cipherlist
							       : PARAM_tls_medium_cipherlist));
	exclude(ciphers, "aNULL eNULL");
	exclude(ciphers, text(config, server, EXCLUDE_CIPHERS));
	if (mandatory)
		exclude(ciphers, text(config, server, MANDATORY_EXCLUDE_CIPHERS));
	return buffer_text(ciphers) != NULL;
}

/* ---- All of it -------------------------------------------------------------------------------------------------------- */

bool tls_settings_load(
	struct tls_settings *settings, const struct config *config, enum tls_server server)
{
	const enum parameter *keys = SERVER[server].keys;
	bool wrapper = config_bool(config, keys[WRAPPERMODE]), mandatory;

	*settings = (struct tls_settings){ .service = SERVER[server].service,
		.alpn = SERVER[server].alpn,
		.wrapper = wrapper,
		.options = config_text(config, PARAM_tls_ssl_options),
		.timeout = config_time(config, keys[TIMEOUT]),
		.loglevel = (unsigned)config_int(config, keys[LOGLEVEL]) };
	(void)level_of(text(config, server, SECURITY_LEVEL), &settings->level);
	if (wrapper)
		settings->level = TLS_LEVEL_ENCRYPT;
	mandatory = settings->level == TLS_LEVEL_ENCRYPT;
	settings->protocols = text(config, server, mandatory ? MANDATORY_PROTOCOLS : PROTOCOLS);
	/* A client that may go on without TLS need not have a certificate for it. */
	if (mandatory && config_bool(config, keys[REQ_CCERT]))
		settings->client_certificate = TLS_CERTIFICATE_REQUIRE;
	else if (config_bool(config, keys[ASK_CCERT]) || config_bool(config, keys[REQ_CCERT]))
		settings->client_certificate = TLS_CERTIFICATE_ASK;
	return tls_set_of(config, SERVER[server].set, &settings->certificates) &&
	       load_ciphers(&settings->ciphers, config, server, mandatory);
}

static bool check_grades(const struct config *config, enum tls_server server,
	void (*fault)(void *context, const char *parameter, bool warning, const char *text),
	void *context)
{
	static const char *const GRADES[] = { "high", "medium", "low", "export", "null" };
	static const enum key GRADED[] = { CIPHERS, MANDATORY_CIPHERS };
	bool good = true;

	for (size_t i = 0; i < sizeof(GRADED) / sizeof(GRADED[0]); i++) {
		size_t n = 0, count = sizeof(GRADES) / sizeof(GRADES[0]);

		while (n < count && strcmp(GRADES[n], text(config, server, GRADED[i])) != 0)
			n++;
		if (n == count)
			fault(context, parameter_info(SERVER[server].keys[GRADED[i]])->name, false,
				"is none of: high medium");
		good = good && n < count;
	}
	return good;
}

bool tls_settings_check(const struct config *config, enum tls_server server,
	void (*fault)(void *context, const char *parameter, bool warning, const char *text),
	void *context)
{
	const enum parameter *keys = SERVER[server].keys;
	const char *level_name = parameter_info(keys[SECURITY_LEVEL])->name;
	struct tls_settings settings;
	enum tls_level level;
	bool good = tls_settings_load(&settings, config, server);

	if (!good)
		fault(context, parameter_info(keys[CERT_FILE])->name, false,
			"the names of certificates, or the list of ciphers, are too long");
	if (!level_of(text(config, server, SECURITY_LEVEL), &level)) {
		fault(context, level_name, false, "is none of: none may encrypt");
		good = false;
	}
	good = check_grades(config, server, fault, context) && good;
	if (good && settings.certificates.length == 0 && settings.level != TLS_LEVEL_NONE) {
		good = settings.level == TLS_LEVEL_MAY;
		fault(context, parameter_info(keys[CERT_FILE])->name, good,
			good ? "is not set: TLS is not offered"
			     : "is not set, and nobody is served without TLS");
	}
	tls_settings_free(&settings);
	return good;
}

void tls_settings_each(const struct config *config, enum tls_server server,
	void (*each)(void *context, enum tls_value kind, const char *name, const char *value),
	void *context)
{
	const enum parameter *keys = SERVER[server].keys;
	const struct {
		enum tls_value kind;
		enum parameter parameter;
	} values[] = {
		{ TLS_VALUE_PROTOCOLS, keys[PROTOCOLS] },
		{ TLS_VALUE_PROTOCOLS, keys[MANDATORY_PROTOCOLS] },
		{ TLS_VALUE_CIPHERS, PARAM_tls_high_cipherlist },
		{ TLS_VALUE_CIPHERS, PARAM_tls_medium_cipherlist },
		{ TLS_VALUE_EXCLUDED, keys[EXCLUDE_CIPHERS] },
		{ TLS_VALUE_EXCLUDED, keys[MANDATORY_EXCLUDE_CIPHERS] },
		{ TLS_VALUE_OPTIONS, PARAM_tls_ssl_options },
		{ TLS_VALUE_DIGEST, PARAM_smtpd_tls_fingerprint_digest },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		each(context, values[i].kind, parameter_info(values[i].parameter)->name,
			config_text(config, values[i].parameter));
}
