// SPDX-License-Identifier: ISC
/*
 * directoryd's answers: who is this address, and where does it go? Everything but the process: the daemon's main
 * (directoryd.c) and the tests call it.
 *
 * Domains are sorted into Postfix's classes. accounts.db comes first: its domains are virtual mailbox domains; then
 * mydestination (local), virtual_alias_domains, virtual_mailbox_domains, relay_domains, and what is left is not ours. Each
 * error of a table or of the database makes the answer DIRECTORY_TEMPORARY, whatever else was found.
 */
#ifndef DIRECTORY_ANSWER_H
#define DIRECTORY_ANSWER_H

#include "ipc/message.h"

struct directory;

/* main.cf's parameters of the same names; all texts non-NULL. */
struct directory_settings {
	const char *accounts; /* path of accounts.db */
	const char *folder; /* where relative table names begin */
	const char *myorigin, *recipient_delimiter;
	const char *mydestination, *virtual_alias_domains, *virtual_mailbox_domains, *relay_domains;
	const char *virtual_alias_maps, *virtual_mailbox_maps, *local_recipient_maps,
		*relay_recipient_maps, *transport_maps;
	const char *local_transport, *virtual_transport, *relay_transport, *default_transport,
		*relayhost;
	const char *parent_domain_matches_subdomains;
	const char *login_realm; /* auth_default_realm */
	const char *lookup_tables; /* all that DIRECTORY_LOOKUP may ask, as one list */
	int64_t virtual_mailbox_limit;
	unsigned recursion_limit, expansion_limit;
	bool append_at_myorigin;
};

/* Opens everything; accounts.db may be away, see directory_check_accounts. NULL with `error` filled. */
struct directory *directory_open(
	const struct directory_settings *settings, char *error, size_t error_size);
void directory_close(struct directory **directory);

/* Once a turn of the loop, before questions are answered: `now` in ms. Forgets remembered answers when accounts.db has changed. */
void directory_turn(struct directory *directory, int64_t now);
/* Answer one question with one or more messages (DIRECTORY_EXPAND has several); what is not a question gets none: false. */
bool directory_answer(struct directory *directory, const struct message *question,
	void (*send)(void *context, const struct message *answer), void *context);
/* The parameter a table of which was replaced or changed since it was opened; NULL when there is none. */
const char *directory_changed(struct directory *directory);
/*
 * From time to time: notice that accounts.db is away, was replaced or is damaged, and open it (again) when it can be read. Without it
 * all answers about addresses are temporary failures. Logs both.
 */
void directory_check_accounts(struct directory *directory);
/* Remembered answers used so far, for the figures and tests. */
uint64_t directory_hits(const struct directory *directory);

#endif
