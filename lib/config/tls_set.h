// SPDX-License-Identifier: ISC
/*
 * Sets of certificates: what an entry of master.cf answers TLS with, as one text. A server names its set by that text in
 * TLS_ACCEPT; keyd loads every set there is at its start, tlsd asks it for them by the same text.
 *
 * A set is lines "NAME VALUE\n": "chain FILE" (key and certificates), "pair CERTIFICATE KEY-FILE" (separated by a tab), "sni TABLES",
 * "CAfile FILE", "CApath FOLDER", "digest NAME"; "role client" begins one that TLS is opened with instead of accepted.
 */
#ifndef CONFIG_TLS_SET_H
#define CONFIG_TLS_SET_H

#include "config/config.h"
#include "config/services.h"

enum {
	TLS_SET_MAX = 4096, /* bytes of one set, MAX_CERTIFICATES of the messages */
	TLS_SETS_MAX = 64 /* different sets in one configuration */
};

/* "smtpd", "imap", "pop3" or "smtp" (a client) for the command of an entry that speaks TLS; NULL: it does not. */
const char *tls_set_service(const char *command);
/*
 * The set of a service ("smtpd", "imap", "pop3", "smtp") by this configuration, appended; nothing when no certificate is configured. False
 * when it is too long.
 */
MUST_CHECK bool tls_set_of(const struct config *config, const char *service, struct buffer *set);
/* Each line of a set; false as soon as `each` returns false. */
bool tls_set_each(struct slice set,
	bool (*each)(void *context, struct slice name, struct slice value), void *context);

/*
 * All different sets of the entries in master.cf as the value of TLS_SETS_NAME, for keyd's and tlsd's snapshots; empty when there
 * is none. False when there are too many, with a fault in the report.
 */
#define TLS_SETS_NAME "tls_certificate_sets"
MUST_CHECK bool tls_sets_gather(const struct config_source *source, const struct services *services,
	struct buffer *value, struct config_report *report);
/* Each set in a snapshot that has TLS_SETS_NAME; the slice is valid during the call. False as soon as `each` returns false. */
bool tls_sets_each(
	const struct config *config, bool (*each)(void *context, struct slice set), void *context);

#endif
