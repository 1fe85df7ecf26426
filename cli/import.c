// SPDX-License-Identifier: ISC
/*
 * postern import - brings domains, users and aliases of other mail systems over. What is there already stays, so it may be run
 * again; with --dry-run it only tells what it would do.
 */
#include "cli/import_run.h"

#include <errno.h>
#include <stdio.h>

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
	import_apply(import);
	if (command->broken)
		return EX_TEMPFAIL;
	if (import->dry_run)
		joint_rollback(&command->joint);
	else if (!joint_commit(&command->joint, error, sizeof(error)))
		return account_fail(command, error);
	import_tell_summary(import);
	return import->refused ? EX_DATAERR : EX_OK;
}

/* --- the command line --- */

static bool add_file(struct import *import, enum record_kind kind, const char *name)
{
	if (import->file_count == IMPORT_FILES_MOST)
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
		.source.elsewhere = vector_of(sizeof(char *), RECORDS_MAX),
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
	vector_free(&import.source.elsewhere);
	account_close(&import.command);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = EX_IOERR;
	return status;
}
