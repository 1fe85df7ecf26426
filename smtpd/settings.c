// SPDX-License-Identifier: ISC
/* The parameters of SMTP sessions, read once in the spawner. See session.h. */
#include <stdio.h>

#include "config/tls_settings.h"
#include "service/log.h"
#include "smtpd/restrictions.h"

static bool list_has(const char *list, const char *name)
{
	struct slice rest = slice_from(list), word;

	while (slice_word(&rest, ", \t\r\n", &word)) {
		if (slice_equal_nocase(word, slice_from(name)))
			return true;
	}
	return false;
}

static const char *lookup(void *context, const char *name)
{
	return config_lookup(context, name);
}

static void load_limits(struct session_settings *s, const struct config *c)
{
	s->size_limit = config_int(c, PARAM_message_size_limit);
	s->line_limit = config_int(c, PARAM_line_length_limit);
	s->command_limit = config_int(c, PARAM_smtpd_command_limit);
	s->timeout = config_time(c, PARAM_smtpd_timeout);
	s->request_deadline = config_bool(c, PARAM_smtpd_per_request_deadline);
	s->error_sleep = config_time(c, PARAM_smtpd_error_sleep_time);
	s->ipc_timeout = config_time(c, PARAM_ipc_timeout);
	s->min_data_rate = config_int(c, PARAM_smtpd_min_data_rate);
	s->soft_errors = config_int(c, PARAM_smtpd_soft_error_limit);
	s->hard_errors = config_int(c, PARAM_smtpd_hard_error_limit);
	s->junk_commands = config_int(c, PARAM_smtpd_junk_command_limit);
	s->recipients = config_int(c, PARAM_smtpd_recipient_limit);
	s->recipient_overshoot = config_int(c, PARAM_smtpd_recipient_overshoot_limit);
	s->message_rate = config_int(c, PARAM_smtpd_client_message_rate_limit);
	s->recipient_rate = config_int(c, PARAM_smtpd_client_recipient_rate_limit);
}

/* What is none of the words is taken for the strictest: a slip of the pen must not let everything through. */
static enum check_from check_from_of(const char *word)
{
	if (strcmp(word, "no") == 0)
		return CHECK_FROM_NO;
	if (strcmp(word, "warn") == 0)
		return CHECK_FROM_WARN;
	if (strcmp(word, "reject") != 0)
		log_warning(
			"submission_check_from = %s is none of no, warn, reject: taken as reject",
			word);
	return CHECK_FROM_REJECT;
}

static void load_auth(struct auth_settings *a, const struct config *c)
{
	*a = (struct auth_settings){ .enabled = config_bool(c, PARAM_smtpd_sasl_auth_enable),
		.show_login = config_bool(c, PARAM_smtpd_sasl_authenticated_header),
		.hide_client = config_bool(c, PARAM_submission_hide_client),
		.exceptions = config_text(c, PARAM_smtpd_sasl_exceptions_networks),
		.options = config_text(c, PARAM_smtpd_sasl_security_options),
		.tls_options = config_text(c, PARAM_smtpd_sasl_tls_security_options),
		.response_limit = config_int(c, PARAM_smtpd_sasl_response_limit),
		.rate = config_int(c, PARAM_smtpd_client_auth_rate_limit) };
}

static const enum parameter CODE_PARAMETERS[CODES] = {
	[CODE_ACCESS_DEFER] = PARAM_access_map_defer_code,
	[CODE_ACCESS_REJECT] = PARAM_access_map_reject_code,
	[CODE_DEFER] = PARAM_defer_code,
	[CODE_REJECT] = PARAM_reject_code,
	[CODE_INVALID_HELO] = PARAM_invalid_hostname_reject_code,
	[CODE_NON_FQDN] = PARAM_non_fqdn_reject_code,
	[CODE_MULTI_RECIPIENT_BOUNCE] = PARAM_multi_recipient_bounce_reject_code,
	[CODE_PLAINTEXT] = PARAM_plaintext_reject_code,
	[CODE_RELAY] = PARAM_relay_domains_reject_code,
};

static void load_codes(struct session_settings *s, const struct config *c)
{
	for (unsigned i = 0; i < CODES; i++)
		s->codes[i] = config_int(c, CODE_PARAMETERS[i]);
	for (unsigned class = 0; class <= DOMAIN_OTHER; class ++)
		s->unknown_code[class] = 550;
	s->unknown_code[DOMAIN_LOCAL] = config_int(c, PARAM_unknown_local_recipient_reject_code);
	s->unknown_code[DOMAIN_VIRTUAL_MAILBOX] =
		config_int(c, PARAM_unknown_virtual_mailbox_reject_code);
	s->unknown_code[DOMAIN_VIRTUAL_ALIAS] =
		config_int(c, PARAM_unknown_virtual_alias_reject_code);
	s->unknown_code[DOMAIN_RELAY] = config_int(c, PARAM_unknown_relay_recipient_reject_code);
}

bool session_settings_load(struct session_settings *s, const struct config *c, const char *host)
{
	const char *bare = config_text(c, PARAM_smtpd_forbid_bare_newline);

	*s = (struct session_settings){ .host = config_text(c, PARAM_myhostname),
		.banner = config_text(c, PARAM_smtpd_banner),
		.reject_footer = config_text(c, PARAM_smtpd_reject_footer),
		.forbidden_commands = config_text(c, PARAM_smtpd_forbidden_commands),
		.noop_commands = config_text(c, PARAM_smtpd_noop_commands),
		.origin = config_text(c, PARAM_myorigin),
		.networks = config_text(c, PARAM_mynetworks),
		.rewrite_clients = config_text(c, PARAM_local_header_rewrite_clients),
		.restriction_classes = config_text(c, PARAM_smtpd_restriction_classes),
		.restrictions = {
			[STAGE_CLIENT] = config_text(c, PARAM_smtpd_client_restrictions),
			[STAGE_HELO] = config_text(c, PARAM_smtpd_helo_restrictions),
			[STAGE_SENDER] = config_text(c, PARAM_smtpd_sender_restrictions),
			[STAGE_RELAY] = config_text(c, PARAM_smtpd_relay_restrictions),
			[STAGE_RECIPIENT] = config_text(c, PARAM_smtpd_recipient_restrictions),
			[STAGE_DATA] = config_text(c, PARAM_smtpd_data_restrictions),
			[STAGE_END_OF_DATA] = config_text(c, PARAM_smtpd_end_of_data_restrictions),
		},
		.lookup = lookup,
		.lookup_context = (void *)c,
		.keywords_most = keywords_without(SLICE("")),
		.keyword_maps = config_text(c, PARAM_smtpd_discard_ehlo_keyword_address_maps),
		.helo_required = config_bool(c, PARAM_smtpd_helo_required),
		.delay_reject = config_bool(c, PARAM_smtpd_delay_reject),
		.disable_vrfy = config_bool(c, PARAM_disable_vrfy_command),
		.reject_unlisted = config_bool(c, PARAM_smtpd_reject_unlisted_recipient),
		.reject_unlisted_sender = config_bool(c, PARAM_smtpd_reject_unlisted_sender),
		.forbid_pipelining = config_bool(c, PARAM_smtpd_forbid_unauth_pipelining),
		.strict_envelopes = config_bool(c, PARAM_strict_rfc821_envelopes),
		.parents_match = list_has(config_text(c, PARAM_parent_domain_matches_subdomains),
			"smtpd_access_maps") };
	if (!s->host[0])
		s->host = host;
	if (!s->origin[0])
		s->origin = s->host;
	if (!config_bool(c, PARAM_smtputf8_enable))
		s->keywords_most &= ~(unsigned)EHLO_SMTPUTF8;
	s->keywords =
		s->keywords_most &
		keywords_without(slice_from(config_text(c, PARAM_smtpd_discard_ehlo_keywords)));
	/* Postfix's "no" and "yes" pass bare newlines on or normalize them; here nothing is passed on. */
	s->normalize_newlines =
		list_has(bare, "normalize") || list_has(bare, "no") || list_has(bare, "yes");
	s->open_relay = !restrictions_closed(
		s->restrictions[STAGE_RELAY], s->restrictions[STAGE_RECIPIENT]);
	load_limits(s, c);
	load_auth(&s->auth, c);
	s->sender_login_maps = config_text(c, PARAM_smtpd_sender_login_maps);
	s->limit_maps = config_text(c, PARAM_submission_limit_maps);
	s->limits[LIMIT_MESSAGE_HOUR] =
		(uint32_t)config_int(c, PARAM_submission_message_hour_limit);
	s->limits[LIMIT_RECIPIENT_HOUR] =
		(uint32_t)config_int(c, PARAM_submission_recipient_hour_limit);
	s->limits[LIMIT_MESSAGE_DAY] = (uint32_t)config_int(c, PARAM_submission_message_day_limit);
	s->limits[LIMIT_RECIPIENT_DAY] =
		(uint32_t)config_int(c, PARAM_submission_recipient_day_limit);
	s->check_from = check_from_of(config_text(c, PARAM_submission_check_from));
	snprintf(s->log_name, sizeof(s->log_name), "%s/smtpd", config_text(c, PARAM_syslog_name));
	load_codes(s, c);
	s->plaintext_networks = config_text(c, PARAM_plaintext_auth_networks);
	s->tls_auth_only = config_bool(c, PARAM_smtpd_tls_auth_only);
	s->tls_received_header = config_bool(c, PARAM_smtpd_tls_received_header);
	s->relay_clientcerts = config_text(c, PARAM_relay_clientcerts);
	return tls_settings_load(&s->tls, c, TLS_SMTPD);
}
