// SPDX-License-Identifier: ISC
/*
 * postern import - brings domains, users and aliases of other mail systems over. What is there already stays, so it may be run
 * again; with --dry-run it only tells what it would do.
 */
#include "cli/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/account.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "table/table_impl.h"

static const char USAGE[] =
	"usage: postern import postfix [--domains TABLE] [--mailboxes TABLE] [--aliases TABLE] "
	"...\n"
	"       postern import dovecot PASSWD-FILE ...\n"
	"       postern import system [--passwd FILE] [--shadow FILE] [--uids FIRST-LAST]\n"
	"       postern import sql mysql:FILE|pgsql:FILE|sqlite:FILE [--quota-unit SIZE]\n"
	"options: --domain DOMAIN   for names that have none\n"
	"         --add-domains     make the domains of users and aliases, too\n"
	"         --update          passwords, quotas and states that differ are changed\n"
	"         --dry-run         change nothing, tell what would be done\n"
	"         --json            tell it as JSON, an object a line\n"
	"TABLE is hash:NAME, btree:NAME, texthash:NAME, or a text file as postmap(1) reads it.\n";

enum outcome { OUTCOME_ADDED, OUTCOME_CHANGED, OUTCOME_SAME, OUTCOME_KEPT, OUTCOME_COUNT };
static const char *const OUTCOMES[OUTCOME_COUNT] = { "added", "changed", "unchanged", "kept" };
static const char *const KINDS[] = {
	[RECORD_DOMAIN] = "domain", [RECORD_MAILBOX] = "user", [RECORD_ALIAS] = "alias"
};
enum { KIND_COUNT = sizeof(KINDS) / sizeof(KINDS[0]), FILES_MAX = 64 };

struct import_file {
	enum record_kind kind; /* of a Postfix table */
	const char *name;
};

struct import {
	struct account_command command;
	struct import_source source;
	struct import_file files[FILES_MAX];
	unsigned file_count;
	const char *passwd, *shadow;
	int64_t quota_unit; /* bytes */
	bool dry_run, update, add_domains;
	size_t count[KIND_COUNT][OUTCOME_COUNT], refused;
};

/* --- reading --- */

static void refuse(void *context, const char *file, unsigned line, const char *error)
{
	struct import *import = context;
	struct record place = { .file = file, .line = line };

	import->command.record = &place;
	account_refuse(&import->command, error);
	import->command.record = NULL;
	import->refused++;
}

static bool read_text(struct import *import, const char *path, struct buffer *text)
{
	text->limit = IMPORT_MAX_FILE;
	if (table_read_file(path, text))
		return true;
	cli_complain("import", "%s: %s", path, strerror(errno));
	return false;
}

struct table_reading {
	struct import *import;
	enum record_kind kind;
	unsigned number;
};

static bool read_entry(void *context, struct slice key, struct slice value)
{
	struct table_reading *reading = context;

	import_postfix_entry(
		&reading->import->source, reading->kind, ++reading->number, key, value);
	return true;
}

/* A database has no lines: its entries are counted. */
static bool read_table(struct import *import, const struct import_file *file)
{
	struct table_reading reading = { import, file->kind, 0 };
	struct buffer text = { 0 };
	struct table *table;
	char error[400];
	bool done;

	import->source.file = file->name;
	if (slice_starts(slice_from(file->name), SLICE("texthash:")))
		import->source.file += strlen("texthash:");
	if (!strchr(import->source.file, ':') || import->source.file[0] == '/') {
		done = read_text(import, import->source.file, &text);
		if (done)
			import_postfix(&import->source, file->kind, buffer_slice(&text));
		buffer_free(&text);
		return done;
	}
	table = table_open(file->name, NULL, 0, error, sizeof(error));
	done = table && table_each(table, read_entry, &reading);
	if (!done)
		cli_complain("import", "%s",
			table ? "the entries of such a table cannot be listed" : error);
	table_close(&table);
	return done;
}

static bool read_postfix(struct import *import)
{
	for (unsigned i = 0; i < import->file_count; i++)
		if (!read_table(import, &import->files[i]))
			return false;
	return true;
}

static bool read_dovecot(struct import *import)
{
	bool done = true;

	for (unsigned i = 0; done && i < import->file_count; i++) {
		struct buffer text = { 0 };

		import->source.file = import->files[i].name;
		done = read_text(import, import->source.file, &text);
		if (done)
			import_passwd_file(&import->source, buffer_slice(&text));
		buffer_free(&text);
	}
	return done;
}

static bool read_system(struct import *import)
{
	struct buffer passwd = { 0 }, shadow = { 0 };
	bool done = read_text(import, import->passwd, &passwd) &&
		    read_text(import, import->shadow, &shadow);

	import->source.file = import->passwd;
	if (done)
		import_system(&import->source, buffer_slice(&passwd), buffer_slice(&shadow));
	buffer_free(&passwd);
	buffer_free(&shadow);
	return done;
}

static bool read_sql(struct import *import)
{
	char error[600];

	for (unsigned i = 0; i < import->file_count; i++) {
		import->source.file = import->files[i].name;
		if (!import_sql(&import->source, import->files[i].name,
			    (uint64_t)import->quota_unit, error, sizeof(error))) {
			cli_complain("import", "%s: %s", import->files[i].name, error);
			return false;
		}
	}
	return true;
}

/* --- doing it --- */

static void tell(struct import *import, enum outcome outcome)
{
	const struct record *record = import->command.record;
	struct buffer line = { 0 };

	import->count[record->kind][outcome]++;
	if (!import->dry_run ||
		(outcome == OUTCOME_SAME && !(import->command.options & OPTION_JSON)))
		return;
	if (import->command.options & OPTION_JSON) {
		json_member(&line, "{", "action", OUTCOMES[outcome]);
		json_member(&line, ", ", KINDS[record->kind], record->words[0]);
		for (unsigned i = 1; i < record->word_count; i++) {
			buffer_add_text(&line, i == 1 ? ", \"destination\": [" : ", ");
			json_string(&line, slice_from(record->words[i]));
		}
		buffer_add_text(&line, record->word_count > 1 ? "]" : "");
		json_member(&line, ", ", "file", record->file);
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
	if (buffer_text(&line))
		puts(buffer_text(&line));
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
		snprintf(error, sizeof(error), "no such domain: %s (--add-domains makes it)",
			domain);
		if (!import->add_domains) {
			refuse_record(import, error);
			return false;
		}
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
	if ((!record->hash || stage(import, CREDENTIALS_SET, login, record->hash)) &&
		(record->enabled != 0 || stage(import, CREDENTIALS_DISABLE, login, NULL)))
		tell(import, OUTCOME_ADDED);
}

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

static void import_all(struct import *import)
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

static void tell_summary(const struct import *import)
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

static int run(struct import *import, bool (*read)(struct import *import))
{
	struct account_command *command = &import->command;
	char error[400];

	if (!read(import))
		return EX_NOINPUT;
	if (!import->dry_run && !account_hash_passwords(command))
		return EX_OSERR;
	if (!joint_begin(&command->joint, error, sizeof(error)))
		return account_fail(command, error);
	import_all(import);
	if (command->broken)
		return EX_TEMPFAIL;
	if (import->dry_run)
		joint_rollback(&command->joint);
	else if (!joint_commit(&command->joint, error, sizeof(error)))
		return account_fail(command, error);
	tell_summary(import);
	return import->refused ? EX_DATAERR : EX_OK;
}

/* --- the command line --- */

static bool add_file(struct import *import, enum record_kind kind, const char *name)
{
	if (import->file_count == FILES_MAX)
		return false;
	import->files[import->file_count++] = (struct import_file){ kind, name };
	return true;
}

static bool take_uids(struct import *import, const char *text)
{
	struct slice rest = slice_from(text), first;

	return slice_split(&rest, '-', &first) &&
	       slice_to_u64(first, UINT32_MAX, &import->source.uid_least) &&
	       slice_to_u64(rest, UINT32_MAX, &import->source.uid_most);
}

static bool take_value(struct import *import, const char *option, const char *value)
{
	if (strcmp(option, "--domain") == 0)
		import->source.domain = value;
	else if (strcmp(option, "--domains") == 0)
		return add_file(import, RECORD_DOMAIN, value);
	else if (strcmp(option, "--mailboxes") == 0)
		return add_file(import, RECORD_MAILBOX, value);
	else if (strcmp(option, "--aliases") == 0)
		return add_file(import, RECORD_ALIAS, value);
	else if (strcmp(option, "--passwd") == 0)
		import->passwd = value;
	else if (strcmp(option, "--shadow") == 0)
		import->shadow = value;
	else if (strcmp(option, "--uids") == 0)
		return take_uids(import, value);
	else if (strcmp(option, "--quota-unit") == 0)
		return account_quota(&import->command, value, &import->quota_unit) &&
		       import->quota_unit > 0;
	else
		return false;
	return true;
}

static bool take_argument(struct import *import, int argc, char **argv, int *i)
{
	const char *word = argv[*i];

	if (strcmp(word, "--json") == 0)
		import->command.options |= OPTION_JSON;
	else if (strcmp(word, "--dry-run") == 0)
		import->dry_run = true;
	else if (strcmp(word, "--update") == 0)
		import->update = true;
	else if (strcmp(word, "--add-domains") == 0)
		import->add_domains = true;
	else if (word[0] != '-')
		return add_file(import, RECORD_WORDS, word);
	else
		return *i + 1 < argc && take_value(import, word, argv[++*i]);
	return true;
}

static const struct origin {
	const char *name;
	bool tables, plain_files; /* what it is read from */
	bool (*read)(struct import *import);
} ORIGINS[] = {
	{ "postfix", true, false, read_postfix },
	{ "dovecot", false, true, read_dovecot },
	{ "system", false, false, read_system },
	{ "sql", false, true, read_sql },
};

static const struct origin *parse(struct import *import, int argc, char **argv)
{
	const struct origin *origin = NULL;

	for (size_t i = 0; argc > 1 && i < sizeof(ORIGINS) / sizeof(ORIGINS[0]); i++)
		if (strcmp(argv[1], ORIGINS[i].name) == 0)
			origin = &ORIGINS[i];
	for (int i = 2; origin && i < argc; i++)
		if (!take_argument(import, argc, argv, &i))
			return NULL;
	for (unsigned i = 0; origin && i < import->file_count; i++)
		if (import->files[i].kind == RECORD_WORDS ? !origin->plain_files : !origin->tables)
			return NULL;
	if (origin && (origin->tables || origin->plain_files) && import->file_count == 0)
		return NULL;
	return origin;
}

int import_main(int argc, char **argv)
{
	static struct import import;
	const struct origin *origin;
	int status = EX_UNAVAILABLE;

	import = (struct import){ .command.name = "import",
		.passwd = "/etc/passwd",
		.shadow = "/etc/shadow",
		.quota_unit = 1,
		.source.uid_least = 1000,
		.source.uid_most = 59999,
		.source.refuse = refuse,
		.source.context = &import,
		.source.records = &import.command.records };
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(USAGE, stdout);
		return EX_OK;
	}
	origin = parse(&import, argc, argv);
	if (!origin) {
		fputs(USAGE, stderr);
		return EX_USAGE;
	}
	if (account_open(&import.command, true))
		status = run(&import, origin->read);
	account_close(&import.command);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = EX_IOERR;
	return status;
}
