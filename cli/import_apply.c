// SPDX-License-Identifier: ISC
/* postern import: records become domains, users and aliases, where they are not there yet. See import_run.h. */
#include "cli/import_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/json.h"
#include "cli/progress.h"

static const char *const OUTCOMES[OUTCOME_COUNT] = { "added", "changed", "unchanged", "kept" };
static const char *const KINDS[IMPORT_KINDS] = {
	[RECORD_DOMAIN] = "domain", [RECORD_MAILBOX] = "user", [RECORD_ALIAS] = "alias"
};

/* --- telling --- */

static void tell(struct import *import, enum outcome outcome)
{
	const struct record *record = import->command.record;
	struct buffer line = { 0 };

	import->count[record->kind][outcome]++;
	if (!import->dry_run ||
		(outcome == OUTCOME_SAME && !(import->command.options & OPTION_JSON)))
		return;
	if (import->command.options & OPTION_JSON) {
		json_add_member(&line, "{", "action", OUTCOMES[outcome]);
		json_add_member(&line, ", ", KINDS[record->kind], record->words[0]);
		for (unsigned i = 1; i < record->word_count; i++) {
			buffer_add_text(&line, i == 1 ? ", \"destination\": [" : ", ");
			json_add_text(&line, slice_from(record->words[i]));
		}
		buffer_add_text(&line, record->word_count > 1 ? "]" : "");
		json_add_member(&line, ", ", "file", record->file);
		buffer_printf(&line, ", \"line\": %u}", record->line);
	} else {
		buffer_printf(&line, "%s:%u: %s %s %s", record->file, record->line,
			OUTCOMES[outcome], KINDS[record->kind], record->words[0]);
		for (unsigned i = 1; i < record->word_count; i++)
			buffer_printf(&line, " %s", record->words[i]);
		if (record->quota)
			buffer_printf(&line, " quota=%s", record->quota);
		if (record->enabled == 0)
			buffer_add_text(&line, " enabled=false");
	}
	account_print(&line);
}

void import_tell_summary(const struct import *import)
{
	struct buffer line = { 0 };
	bool json = import->command.options & OPTION_JSON;

	if (json)
		buffer_printf(&line, "{\"dry_run\": %s", import->dry_run ? "true" : "false");
	for (int kind = RECORD_DOMAIN; kind <= RECORD_ALIAS; kind++) {
		buffer_printf(&line, json ? ", \"%s\": {" : "%-8s", KINDS[kind]);
		for (int i = 0; i < OUTCOME_COUNT; i++)
			if (json)
				buffer_printf(&line, "%s\"%s\": %zu", i ? ", " : "", OUTCOMES[i],
					import->count[kind][i]);
			else
				buffer_printf(
					&line, " %7zu %s", import->count[kind][i], OUTCOMES[i]);
		buffer_add_text(&line, json ? "}" : "\n");
	}
	buffer_printf(
		&line, json ? ", \"refused\": %zu}\n" : "%zu lines refused\n", import->refused);
	if (!json && import->dry_run)
		buffer_add_text(&line, "nothing was changed (--dry-run)\n");
	if (buffer_text(&line))
		fputs(buffer_text(&line), stdout);
	buffer_free(&line);
}

static void refuse_record(struct import *import, const char *error)
{
	account_refuse(&import->command, error);
	import->refused++;
}

static void fail(struct import *import, const char *error)
{
	account_fail(&import->command, error);
}

/* --- domains --- */

/* Has the source said that its mail goes elsewhere? */
static bool is_elsewhere(const struct import *import, const char *domain)
{
	char name[ACCOUNTS_MAX_DOMAIN + 1], error[300];

	for (size_t i = 0; i < import->source.elsewhere.count; i++)
		if (accounts_check_domain(*(char **)vector_at(&import->source.elsewhere, i), name,
			    error, sizeof(error)) &&
			strcmp(name, domain) == 0)
			return true;
	return false;
}

/* Is the domain there? With --add-domains it is made. False: refused. */
static bool have_domain(struct import *import, const char *domain)
{
	struct accounts *accounts = import->command.accounts;
	char error[300];

	switch (accounts_domain(accounts, slice_from(domain))) {
	case ACCOUNTS_FOUND:
		return true;
	case ACCOUNTS_ERROR:
		fail(import, accounts_error(accounts));
		return false;
	default:
		if (is_elsewhere(import, domain))
			snprintf(error, sizeof(error),
				"the mail of domain %s goes elsewhere, as its row says", domain);
		else if (!import->add_domains)
			snprintf(error, sizeof(error),
				"no such domain: %s (--add-domains makes it)", domain);
		else
			break;
		refuse_record(import, error);
		return false;
	}
	if (!accounts_add_domain(accounts, domain, error, sizeof(error))) {
		refuse_record(import, error);
		return false;
	}
	import->count[RECORD_DOMAIN][OUTCOME_ADDED]++;
	return true;
}

static void import_domain(struct import *import)
{
	struct accounts *accounts = import->command.accounts;
	char domain[ACCOUNTS_MAX_DOMAIN + 1], error[300];

	if (!accounts_check_domain(import->command.record->words[0], domain, error, sizeof(error)))
		refuse_record(import, error);
	else if (accounts_domain(accounts, slice_from(domain)) == ACCOUNTS_FOUND)
		tell(import, OUTCOME_SAME);
	else if (accounts_add_domain(accounts, domain, error, sizeof(error)))
		tell(import, OUTCOME_ADDED);
	else
		refuse_record(import, error);
}

/* --- users --- */

static bool stage(
	struct import *import, enum credentials_action action, const char *login, const char *value)
{
	char error[300];

	if (joint_stage(&import->command.joint, action, login, value, error, sizeof(error)))
		return true;
	fail(import, error);
	return false;
}

/* Is the stored password another one? What was made of it since (a stronger hash) counts as another. */
static bool password_differs(struct import *import, const char *login)
{
	const struct record *record = import->command.record;
	const char *hash = record->hash;
	char stored[CREDENTIALS_MAX_HASH];

	if (!hash)
		return false;
	if (slice_starts_nocase(slice_from(hash), SLICE("{CRYPT}")))
		hash += strlen("{CRYPT}");
	return credentials_read(import->command.credentials, slice_from(login), stored) !=
		       CREDENTIALS_GOOD ||
	       strcmp(stored, hash) != 0;
}

static void import_known_mailbox(struct import *import, const char *login, int64_t quota,
	const struct accounts_mailbox *mailbox)
{
	const struct record *record = import->command.record;
	struct accounts *accounts = import->command.accounts;
	bool new_quota = record->quota && quota != mailbox->quota;
	bool new_state = record->enabled >= 0 && record->enabled != mailbox->enabled;
	bool new_password = (record->hash || record->password) && mailbox->enabled &&
			    (record->password || password_differs(import, login));
	char error[300];

	/* Whether a plain password is the one that is stored would cost a hash each time. */
	if (record->password && !import->update)
		new_password = false;
	if (!new_quota && !new_state && !new_password) {
		tell(import, OUTCOME_SAME);
		return;
	}
	if (!import->update) {
		tell(import, OUTCOME_KEPT);
		return;
	}
	if ((new_quota && !accounts_set_quota(accounts, login, quota, error, sizeof(error))) ||
		(new_state &&
			!accounts_enable(accounts, login, record->enabled, error, sizeof(error)))) {
		fail(import, error);
		return;
	}
	if ((!new_password || !record->hash ||
		    stage(import, CREDENTIALS_SET, login, record->hash)) &&
		(!new_state ||
			stage(import, record->enabled ? CREDENTIALS_ENABLE : CREDENTIALS_DISABLE,
				login, NULL)))
		tell(import, OUTCOME_CHANGED);
}

static void import_mailbox(struct import *import)
{
	const struct record *record = import->command.record;
	struct accounts *accounts = import->command.accounts;
	char login[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	struct accounts_mailbox mailbox;
	int64_t quota;

	if (!accounts_check_address(record->words[0], false, login, error, sizeof(error)) ||
		(record->hash && credentials_check_hash(import->command.credentials, record->hash,
					 error, sizeof(error)) == false)) {
		refuse_record(import, error);
		return;
	}
	if (!account_quota(&import->command, record->quota, &quota)) {
		import->refused++;
		return;
	}
	if (accounts_mailbox(accounts, slice_from(login), &mailbox) == ACCOUNTS_FOUND) {
		import_known_mailbox(import, login, quota, &mailbox);
		return;
	}
	if (!have_domain(import, strrchr(login, '@') + 1))
		return;
	if (!accounts_add_mailbox(accounts, login, quota, error, sizeof(error)) ||
		(record->enabled == 0 &&
			!accounts_enable(accounts, login, false, error, sizeof(error)))) {
		refuse_record(import, error);
		return;
	}
	if ((record->enabled == 0 || stage(import, CREDENTIALS_ENABLE, login, NULL)) &&
		(!record->hash || stage(import, CREDENTIALS_SET, login, record->hash)) &&
		(record->enabled != 0 || stage(import, CREDENTIALS_DISABLE, login, NULL)))
		tell(import, OUTCOME_ADDED);
}

/* --- aliases --- */

static bool has_destination(struct slice list, const char *destination)
{
	struct slice item;

	while (slice_word(&list, ", ", &item))
		if (slice_equal(item, slice_from(destination)))
			return true;
	return false;
}

static void import_alias(struct import *import)
{
	const struct record *record = import->command.record;
	struct accounts *accounts = import->command.accounts;
	char address[ACCOUNTS_MAX_ADDRESS + 1], error[300];
	struct buffer known = { 0 };
	bool refused = false;
	unsigned added = 0;

	if (!accounts_check_address(record->words[0], true, address, error, sizeof(error))) {
		refuse_record(import, error);
		return;
	}
	if (!have_domain(import, strrchr(address, '@') + 1))
		return;
	if (accounts_alias(accounts, slice_from(address), &known) == ACCOUNTS_ERROR)
		fail(import, accounts_error(accounts));
	for (unsigned i = 1; i < record->word_count && !import->command.broken; i++) {
		if (has_destination(buffer_slice(&known), record->words[i]))
			continue;
		if (accounts_add_alias(accounts, address, record->words[i], error, sizeof(error))) {
			added++;
		} else {
			refuse_record(import, error);
			refused = true;
		}
	}
	buffer_free(&known);
	if (!refused || added)
		tell(import, added ? OUTCOME_ADDED : OUTCOME_SAME);
}

/* --- all --- */

void import_apply(struct import *import)
{
	struct account_command *command = &import->command;
	struct progress progress;

	progress_begin(&progress, "accounts brought over", command->records.list.count);
	for (int pass = RECORD_DOMAIN; pass <= RECORD_ALIAS; pass++)
		for (size_t i = 0; i < command->records.list.count && !command->broken; i++) {
			const struct record *record = records_at(&command->records, i);

			command->record = record;
			if (record->bad || (int)record->kind != pass)
				continue;
			if (pass == RECORD_DOMAIN)
				import_domain(import);
			else if (pass == RECORD_MAILBOX)
				import_mailbox(import);
			else
				import_alias(import);
			progress_tell(&progress, i);
		}
	progress_end(&progress, command->records.list.count);
	command->record = NULL;
}
