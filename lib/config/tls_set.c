// SPDX-License-Identifier: ISC
/* Sets of certificates. See tls_set.h. */
#include "config/tls_set.h"

#include <string.h>

#include "base/base64.h"

#define NOT_THERE PARAM_COUNT
static const struct service {
	const char *name, *command;
	enum parameter chain_files, pairs[2][2]; /* certificate, key */
	enum parameter ca_file, ca_path, digest;
	bool client;
} SERVICES_WITH_TLS[] = {
	{ "smtpd", "smtpd", PARAM_smtpd_tls_chain_files,
		{ { PARAM_smtpd_tls_eccert_file, PARAM_smtpd_tls_eckey_file },
			{ PARAM_smtpd_tls_cert_file, PARAM_smtpd_tls_key_file } },
		PARAM_smtpd_tls_CAfile, PARAM_smtpd_tls_CApath, PARAM_smtpd_tls_fingerprint_digest,
		false },
	{ "imap", "imapd", PARAM_imap_tls_chain_files,
		{ { PARAM_imap_tls_cert_file, PARAM_imap_tls_key_file }, { NOT_THERE, NOT_THERE } },
		PARAM_imap_tls_CAfile, NOT_THERE, PARAM_smtpd_tls_fingerprint_digest, false },
	{ "pop3", "pop3d", PARAM_pop3_tls_chain_files,
		{ { PARAM_pop3_tls_cert_file, PARAM_pop3_tls_key_file }, { NOT_THERE, NOT_THERE } },
		PARAM_pop3_tls_CAfile, NOT_THERE, PARAM_smtpd_tls_fingerprint_digest, false },
	{ "smtp", "smtp", NOT_THERE,
		{ { PARAM_smtp_tls_cert_file, PARAM_smtp_tls_key_file }, { NOT_THERE, NOT_THERE } },
		PARAM_smtp_tls_CAfile, PARAM_smtp_tls_CApath, NOT_THERE, true },
};
enum { SERVICE_KINDS = sizeof(SERVICES_WITH_TLS) / sizeof(SERVICES_WITH_TLS[0]) };

const char *tls_set_service(const char *command)
{
	for (int i = 0; i < SERVICE_KINDS; i++)
		if (strcmp(SERVICES_WITH_TLS[i].command, command) == 0)
			return SERVICES_WITH_TLS[i].name;
	return NULL;
}

/* --- one set --- */

static const char *value_of(const struct config *config, enum parameter p)
{
	const char *value = p == NOT_THERE ? "" : config_text(config, p);

	/* Postfix's word for "no such file". */
	return strcmp(value, "none") == 0 ? "" : value;
}

static bool add_chain(void *context, struct slice file)
{
	return buffer_printf(context, "chain %.*s\n", SLICE_ARG(file));
}

static void add_line(struct buffer *set, const char *name, const char *value)
{
	if (value[0])
		buffer_printf(set, "%s %s\n", name, value);
}

/* Chain files, when there are any, count instead of pairs, as in Postfix. */
static void add_certificates(
	const struct config *config, const struct service *service, struct buffer *set)
{
	const char *chains = value_of(config, service->chain_files);

	if (chains[0])
		(void)config_each(chains, add_chain, set);
	for (size_t i = 0; !chains[0] && i < 2; i++) {
		const char *certificate = value_of(config, service->pairs[i][0]);

		if (certificate[0])
			buffer_printf(set, "pair %s\t%s\n", certificate,
				value_of(config, service->pairs[i][1]));
	}
}

bool tls_set_of(const struct config *config, const char *service, struct buffer *set)
{
	struct buffer text = buffer_limited(TLS_SET_MAX);
	bool good = true;

	for (int i = 0; i < SERVICE_KINDS; i++) {
		const struct service *kind = &SERVICES_WITH_TLS[i];

		if (strcmp(kind->name, service) != 0)
			continue;
		if (kind->client)
			add_line(&text, "role", "client");
		add_certificates(config, kind, &text);
		/* A client may have authorities alone. */
		if (!text.length && !text.failed)
			break;
		if (!kind->client)
			add_line(&text, "sni", value_of(config, PARAM_tls_server_sni_maps));
		add_line(&text, "CAfile", value_of(config, kind->ca_file));
		add_line(&text, "CApath", value_of(config, kind->ca_path));
		add_line(&text, "digest", value_of(config, kind->digest));
		good = !text.failed && buffer_add(set, buffer_slice(&text));
	}
	buffer_free(&text);
	return good;
}

bool tls_set_each(struct slice set,
	bool (*each)(void *context, struct slice name, struct slice value), void *context)
{
	struct slice line, name;

	while (slice_split(&set, '\n', &line)) {
		if (slice_split(&line, ' ', &name) && !each(context, name, line))
			return false;
	}
	return true;
}

/* --- all of them --- */

/* Base64: what stands in a value of main.cf is expanded and trimmed. */
static bool add_set(struct buffer *value, struct slice set, unsigned *count)
{
	struct buffer text = { 0 };
	struct slice rest, word;
	bool known = false, good;

	good = base64_encode(set, &text);
	rest = buffer_slice(value);
	while (good && slice_word(&rest, " ", &word))
		known = known || slice_equal(word, buffer_slice(&text));
	if (good && !known && ++*count <= TLS_SETS_MAX) {
		if (value->length)
			buffer_add_byte(value, ' ');
		buffer_add(value, buffer_slice(&text));
	}
	buffer_free(&text);
	return good && *count <= TLS_SETS_MAX && !value->failed;
}

static bool add_entry(const struct config_source *source, const struct services *services,
	const struct service_entry *entry, struct buffer *value, unsigned *count,
	struct config_report *report)
{
	struct buffer snapshot = { 0 }, set = { 0 };
	struct config *config = NULL;
	bool good = services_snapshot(source, services, entry, &snapshot, report);

	if (good)
		config = config_open(buffer_slice(&snapshot));
	good = config && tls_set_of(config, tls_set_service(entry->command), &set) &&
	       (!set.length || add_set(value, buffer_slice(&set), count));
	if (config && !good)
		config_fault_add(report, false, services->file, entry->line, entry->name,
			"too many sets of TLS certificates, or one that is too long");
	config_free(&config);
	buffer_free(&snapshot);
	buffer_free(&set);
	return good;
}

bool tls_sets_gather(const struct config_source *source, const struct services *services,
	struct buffer *value, struct config_report *report)
{
	struct buffer sets = buffer_limited(CONFIG_VALUE_MAX - 1);
	unsigned count = 0;
	bool good = true;

	for (unsigned i = 0; good && i < services->count; i++)
		if (tls_set_service(services->entries[i].command))
			good = add_entry(
				source, services, &services->entries[i], &sets, &count, report);
	good = good && buffer_add(value, buffer_slice(&sets));
	buffer_free(&sets);
	return good;
}

bool tls_sets_each(
	const struct config *config, bool (*each)(void *context, struct slice set), void *context)
{
	struct slice rest = slice_from(config_lookup(config, TLS_SETS_NAME)), word;
	struct buffer set = buffer_limited(TLS_SET_MAX);
	bool good = true;

	while (good && slice_word(&rest, " ", &word)) {
		buffer_clear(&set);
		good = base64_decode(word, &set) && each(context, buffer_slice(&set));
	}
	buffer_free(&set);
	return good;
}
