// SPDX-License-Identifier: ISC
/*
 * The restrictions as names: which there are and what they take, for the session that runs them and for those who check a
 * configuration before anybody does.
 */
#ifndef SMTPD_RESTRICTION_NAMES_H
#define SMTPD_RESTRICTION_NAMES_H

#include "base/slice.h"

struct config;

/* What follows the name in a list. */
enum restriction_argument { ARGUMENT_NONE, ARGUMENT_TABLE, ARGUMENT_NUMBER };
enum { RESTRICTION_SLEEP_MOST = 60 /* seconds */ };

/* R(name, argument, function (RESTRICTION(function) in restrictions.h), what it is about) */
#define RESTRICTIONS(R) \
	R(permit, ARGUMENT_NONE, permit, ABOUT_CLIENT) \
	R(reject, ARGUMENT_NONE, reject, ABOUT_CLIENT) \
	R(defer, ARGUMENT_NONE, defer, ABOUT_CLIENT) \
	R(permit_mynetworks, ARGUMENT_NONE, permit_mynetworks, ABOUT_CLIENT) \
	R(permit_inet_interfaces, ARGUMENT_NONE, permit_inet_interfaces, ABOUT_CLIENT) \
	R(permit_sasl_authenticated, ARGUMENT_NONE, permit_sasl_authenticated, ABOUT_CLIENT) \
	R(permit_auth_destination, ARGUMENT_NONE, permit_auth_destination, ABOUT_RECIPIENT) \
	R(reject_unauth_destination, ARGUMENT_NONE, unauth_destination, ABOUT_RECIPIENT) \
	R(defer_unauth_destination, ARGUMENT_NONE, unauth_destination, ABOUT_RECIPIENT) \
	R(reject_unlisted_recipient, ARGUMENT_NONE, reject_unlisted_recipient, ABOUT_RECIPIENT) \
	R(reject_unlisted_sender, ARGUMENT_NONE, reject_unlisted_sender, ABOUT_SENDER) \
	R(check_recipient_maps, ARGUMENT_NONE, reject_unlisted_recipient, ABOUT_RECIPIENT) \
	R(reject_non_fqdn_sender, ARGUMENT_NONE, reject_non_fqdn_address, ABOUT_SENDER) \
	R(reject_non_fqdn_recipient, ARGUMENT_NONE, reject_non_fqdn_address, ABOUT_RECIPIENT) \
	R(reject_non_fqdn_helo_hostname, ARGUMENT_NONE, reject_non_fqdn_helo, ABOUT_HELO) \
	R(reject_non_fqdn_hostname, ARGUMENT_NONE, reject_non_fqdn_helo, ABOUT_HELO) \
	R(reject_invalid_helo_hostname, ARGUMENT_NONE, reject_invalid_helo, ABOUT_HELO) \
	R(reject_invalid_hostname, ARGUMENT_NONE, reject_invalid_helo, ABOUT_HELO) \
	R(reject_unauth_pipelining, ARGUMENT_NONE, reject_unauth_pipelining, ABOUT_CLIENT) \
	R(reject_multi_recipient_bounce, ARGUMENT_NONE, reject_multi_recipient_bounce, \
		ABOUT_SENDER) \
	R(reject_plaintext_session, ARGUMENT_NONE, reject_plaintext_session, ABOUT_CLIENT) \
	R(permit_tls_clientcerts, ARGUMENT_NONE, relay_certificate, ABOUT_CERTIFICATE) \
	R(permit_tls_all_clientcerts, ARGUMENT_NONE, permit_tls_all_clientcerts, \
		ABOUT_CERTIFICATE) \
	R(check_ccert_access, ARGUMENT_TABLE, access, ABOUT_CERTIFICATE) \
	R(check_sasl_access, ARGUMENT_TABLE, access, ABOUT_LOGIN) \
	R(reject_sender_login_mismatch, ARGUMENT_NONE, sender_login, ABOUT_SENDER) \
	R(reject_known_sender_login_mismatch, ARGUMENT_NONE, known_sender_login, ABOUT_SENDER) \
	R(reject_authenticated_sender_login_mismatch, ARGUMENT_NONE, authenticated_sender_login, \
		ABOUT_SENDER) \
	R(reject_unauthenticated_sender_login_mismatch, ARGUMENT_NONE, \
		unauthenticated_sender_login, ABOUT_SENDER) \
	R(check_client_access, ARGUMENT_TABLE, access, ABOUT_CLIENT) \
	R(check_helo_access, ARGUMENT_TABLE, access, ABOUT_HELO) \
	R(check_sender_access, ARGUMENT_TABLE, access, ABOUT_SENDER) \
	R(check_recipient_access, ARGUMENT_TABLE, access, ABOUT_RECIPIENT) \
	R(warn_if_reject, ARGUMENT_NONE, warn_if_reject, ABOUT_CLIENT) \
	R(defer_if_permit, ARGUMENT_NONE, defer_if_permit, ABOUT_CLIENT) \
	R(defer_if_reject, ARGUMENT_NONE, defer_if_reject, ABOUT_CLIENT) \
	R(sleep, ARGUMENT_NUMBER, wait_a_little, ABOUT_CLIENT)

/* The next item of a list, separated by comma and white space; "inline:{ a = b, c = d }" is one. False at the end. */
bool restriction_next(struct slice *rest, struct slice *item);
/* Is `name` one of the words of `list`? */
bool restriction_in(const char *list, struct slice name);

/*
 * Is every name of the list known, and are arguments where they belong? `classes` is smtpd_restriction_classes. False with
 * `error` filled.
 */
bool restrictions_check(const char *list, const char *classes, char *error, size_t error_size);
/* Does one of the two lists refuse foreign destinations at all? */
bool restrictions_closed(const char *relay, const char *recipient);
/* All lists and classes of a configuration, for `postern check` and master: `fault` hears of each that is wrong. */
bool restrictions_check_config(const struct config *config,
	void (*fault)(void *context, const char *parameter, const char *text), void *context);

#endif
