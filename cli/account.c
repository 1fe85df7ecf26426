// SPDX-License-Identifier: ISC
/* What postern domain, user and alias share: options, databases, one record after the other. See account.h. */
#include "cli/account.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/progress.h"
#include "config/config.h"

enum { PURGE_MAX = RECORDS_MAX, COMMAND_WORDS = 32 };

/* --- the databases --- */

static bool open_files(struct account_command *command, const struct config *config, bool changes)
{
	char path[PATH_MAX + 64], error[400];

	if (!slice_to_string(slice_from(config_text(config, PARAM_instance_directory)),
		    command->root, sizeof(command->root)) ||
		!slice_to_string(slice_from(config_text(config, PARAM_data_directory)),
			command->data, sizeof(command->data)) ||
		!slice_to_string(slice_from(config_text(config, PARAM_mail_directory)),
			command->mail, sizeof(command->mail)) ||
		!slice_to_string(slice_from(config_text(config, PARAM_recipient_delimiter)),
			command->delimiters, sizeof(command->delimiters))) {
		cli_complain(command->name,
			"instance_directory, data_directory, mail_directory or recipient_delimiter "
			"is too long");
		return false;
	}
	command->schemes =
		(struct scheme_settings){ .cost = (int)config_int(config, PARAM_password_hash_cost),
			.iterations = (unsigned)config_int(config, PARAM_auth_scram_iterations),
			.plain = config_bool(config, PARAM_auth_allow_plain_scheme) };
	snprintf(path, sizeof(path), "%s/directory/accounts.db", command->data);
	if (!accounts_open(path, false, &command->accounts, error, sizeof(error))) {
		cli_complain(command->name, "%s", error);
		return false;
	}
	snprintf(path, sizeof(path), "%s/auth/credentials.db", command->data);
	if (!credentials_open(path, false, &command->credentials, error, sizeof(error)) ||
		(changes && !joint_open(&command->joint, command->data, command->accounts,
				    command->credentials, error, sizeof(error)))) {
		cli_complain(command->name, "%s", error);
		return false;
	}
	credentials_settings(command->credentials, &command->schemes);
	return true;
}

bool account_open(struct account_command *command, bool changes)
{
	static struct config_report report;
	struct config_source *source = config_read(cli_folder(NULL), &report);
	struct buffer snapshot = { 0 };
	struct config *config = NULL;
	bool done = false;

	command->joint.lock = -1;
	records_init(&command->records);
	command->purge = vector_of(sizeof(char *), PURGE_MAX);
	if (source && config_snapshot(source, &snapshot, &report))
		config = config_open(buffer_slice(&snapshot));
	if (config)
		done = open_files(command, config, changes);
	else
		config_report_print(&report, command->name, false, stderr);
	config_free(&config);
	buffer_free(&snapshot);
	config_source_free(&source);
	return done;
}

void account_recover(const char *name, const struct config *config)
{
	struct account_command command = { .name = name, .joint.lock = -1 };
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/directory/accounts.db",
		config_text(config, PARAM_data_directory));
	records_init(&command.records);
	/* An instance without accounts has nothing to finish. */
	if (access(path, F_OK) == 0)
		(void)!open_files(&command, config, true);
	account_close(&command);
}

void account_close(struct account_command *command)
{
	joint_close(&command->joint);
	accounts_close(&command->accounts);
	credentials_close(&command->credentials);
	for (size_t i = 0; i < command->purge.count; i++)
		free(*(char **)vector_at(&command->purge, i));
	vector_free(&command->purge);
	buffer_free(&command->logins);
	buffer_free(&command->dangling_text);
	records_free(&command->records);
}

/* --- the command line --- */

struct command_line {
	const char *words[COMMAND_WORDS];
	unsigned count;
	const char *quota, *hash;
	char error[200]; /* what is wrong with it; empty: it is no command at all */
};

PRINTF_LIKE(2, 3) static bool wrong(struct command_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(line->error, sizeof(line->error), format, args);
	va_end(args);
	return false;
}

static bool take_option(
	struct account_command *command, struct command_line *line, int argc, char **argv, int *i)
{
	static const struct {
		const char *name;
		enum account_option option;
	} FLAGS[] = { { "--json", OPTION_JSON }, { "--no-password", OPTION_NO_PASSWORD },
		{ "--yes", OPTION_YES }, { "--purge-mail", OPTION_PURGE_MAIL },
		{ "--keep-address", OPTION_KEEP_ADDRESS },
		{ "--all-or-nothing", OPTION_ALL_OR_NOTHING }, { "--kick", OPTION_KICK } };
	const struct {
		const char *name, **place;
	} VALUES[] = { { "--quota", &line->quota }, { "--hash", &line->hash },
		{ "--services", &command->services } };
	const char *option = argv[*i];

	for (size_t f = 0; f < sizeof(FLAGS) / sizeof(FLAGS[0]); f++)
		if (strcmp(option, FLAGS[f].name) == 0) {
			command->options |= FLAGS[f].option;
			return true;
		}
	for (size_t v = 0; v < sizeof(VALUES) / sizeof(VALUES[0]); v++) {
		if (strcmp(option, VALUES[v].name) != 0)
			continue;
		if (*i + 1 >= argc)
			return wrong(line, "%s: no value", option);
		*VALUES[v].place = argv[++*i];
		return true;
	}
	return wrong(line, "no such option: %s", option);
}

/* Does the action go with the options? */
static bool check_options(const struct account_command *command, struct command_line *line)
{
	static const struct {
		const char *name;
		unsigned option, actions; /* flags, any of which it takes */
	} BOUND[] = { { "--kick", OPTION_KICK, ACTION_LOGS_OUT | ACTION_MAY_LOG_OUT },
		{ "--no-password", OPTION_NO_PASSWORD, ACTION_NO_PASSWORD } };

	for (size_t i = 0; i < sizeof(BOUND) / sizeof(BOUND[0]); i++)
		if ((command->options & BOUND[i].option) &&
			!(command->action->flags & BOUND[i].actions))
			return wrong(
				line, "%s is not for %s", BOUND[i].name, command->action->name);
	return true;
}

static bool find_action(struct account_command *command, struct command_line *line,
	const struct account_action *actions)
{
	struct buffer names = { 0 };

	for (const struct account_action *action = actions; action->name; action++) {
		if (strcmp(action->name, line->words[0]) == 0)
			command->action = action;
		buffer_printf(&names, "%s%s", action == actions ? "" : ", ", action->name);
	}
	if (!command->action)
		wrong(line, "no such action: %s (there are %s)", line->words[0],
			buffer_text(&names) ? buffer_text(&names) : "others");
	buffer_free(&names);
	return command->action != NULL;
}

static bool check_words(const struct account_command *command, struct command_line *line)
{
	const struct account_action *action = command->action;

	if (command->list)
		return (action->flags & ACTION_CHANGES) ||
		       wrong(line, "%s takes no list", action->name);
	if (line->count <= action->least)
		return wrong(line, "%s needs more words", action->name);
	return line->count <= action->most + 1 || wrong(line, "%s takes fewer words", action->name);
}

/* "-" is a word, and so is a number that is less than nothing. */
static bool is_option(const char *text)
{
	return text[0] == '-' && text[1] != '\0' && !ascii_digit(text[1]);
}

/* The words behind the action; "-" alone stands for a list on standard input. */
static bool parse(struct account_command *command, struct command_line *line, int argc, char **argv,
	const struct account_action *actions)
{
	enum { WORDS = sizeof(line->words) / sizeof(line->words[0]) };

	for (int i = 1; i < argc; i++) {
		if (is_option(argv[i])) {
			if (!take_option(command, line, argc, argv, &i))
				return false;
		} else if (line->count == WORDS) {
			return wrong(
				line, "too many words: a list on standard input may be longer");
		} else {
			line->words[line->count++] = argv[i];
		}
	}
	if (line->count == 0 || !find_action(command, line, actions))
		return false;
	command->list = line->count == 2 && strcmp(line->words[1], "-") == 0;
	return check_options(command, line) && check_words(command, line);
}

/* --- what to do --- */

static bool one_record(struct account_command *command, const struct command_line *line)
{
	struct records *records = &command->records;
	struct record *record = records_add(records, RECORD_WORDS, NULL, 0);
	bool done = record != NULL;

	for (unsigned i = 1; done && i < line->count; i++)
		done = record_add_word(records, record, slice_from(line->words[i]));
	if (done && line->quota)
		done = (record->quota = arena_dup(&records->arena, slice_from(line->quota)));
	if (done && line->hash)
		done = (record->hash = arena_dup(&records->arena, slice_from(line->hash)));
	if (!done)
		cli_complain(command->name, "no memory");
	return done;
}

/* What keeps a record from the action; NULL: nothing. */
static const char *fault_of(const struct account_command *command, const struct record *record)
{
	const struct account_action *action = command->action;
	bool password = record->hash || record->password;

	if (record->word_count < action->least)
		return "fewer words than this needs";
	/* The word is not told: it may be of a password. */
	if (record->word_count > action->most && action->most < COMMAND_WORDS - 1)
		return "more words than this takes (a password with blanks needs the JSON form)";
	if (record->no_password && !(action->flags & ACTION_NO_PASSWORD))
		return "no_password is for new users";
	if (record->no_password && password)
		return "a password, and no_password";
	if ((action->flags & ACTION_PASSWORD) && !password && !record->no_password &&
		!(command->options & OPTION_NO_PASSWORD))
		return action->flags & ACTION_NO_PASSWORD
			       ? "no password: it needs hash, password or no_password"
			       : "no password: it needs hash or password";
	return NULL;
}

/* Told, and counted as refused when it is a record. */
static void refuse_line(struct account_command *command, struct record *record, const char *error)
{
	command->record = record;
	account_refuse(command, error);
	record->bad = true;
}

/* False: there is no room for a record that stands for a line. */
static bool take_line(struct account_command *command, struct slice line, unsigned number)
{
	const char *error = "the line is too long";
	struct record *record = NULL;
	bool good = line.length <= RECORDS_MAX_LINE &&
		    records_read_line(&command->records, line, number, &record, &error);

	if (good && !record)
		return true; /* a comment */
	if (good)
		error = fault_of(command, record);
	if (!record)
		record = records_add(&command->records, RECORD_WORDS, NULL, number);
	if (!record)
		cli_complain(command->name, "line %u: %s", number, error);
	else if (error)
		refuse_line(command, record, error);
	return record != NULL;
}

static bool read_list(struct account_command *command)
{
	unsigned number = 0;
	size_t capacity = 0;
	char *line = NULL;
	ssize_t length;
	bool done = true;

	while (done && (length = getline(&line, &capacity, stdin)) >= 0)
		done = take_line(command, slice_of(line, (size_t)length), ++number);
	if (ferror(stdin)) {
		cli_complain(command->name, "standard input: %s", strerror(errno));
		done = false;
	}
	if (line)
		explicit_bzero(line, capacity);
	free(line);
	return done;
}

/* "delete alias a@b.example c@d.example", "delete 12 of user by the list" */
static void write_question(
	const struct account_command *command, size_t good, struct buffer *question)
{
	const struct record *record = records_at(&command->records, 0);

	buffer_printf(question, "%s ", command->action->name);
	if (command->list)
		buffer_printf(question, "%zu of %s by the list", good, command->name);
	else
		buffer_add_text(question, command->name);
	for (unsigned i = 0; !command->list && i < record->word_count; i++)
		buffer_printf(question, " %s", record->words[i]);
	if (command->options & OPTION_PURGE_MAIL)
		buffer_add_text(question, " and its mail, for ever");
	buffer_add_text(question, "? [y/N] ");
}

/* How many records are not refused already. */
static size_t good_records(const struct account_command *command)
{
	size_t good = 0;

	for (size_t i = 0; i < command->records.list.count; i++)
		good += !records_at(&command->records, i)->bad;
	return good;
}

/* Asked on the terminal itself, wherever the standard streams lead. EX_OK when it may be done, or nothing would be. */
static int agreed(struct account_command *command)
{
	size_t good = good_records(command);
	struct buffer question = { 0 };
	char answer[16];
	FILE *terminal;
	bool yes;

	if (!(command->action->flags & ACTION_ASKS) || (command->options & OPTION_YES) ||
		good == 0 ||
		((command->options & OPTION_ALL_OR_NOTHING) && good < command->records.list.count))
		return EX_OK;
	terminal = fopen("/dev/tty", "r+e");
	if (!terminal) {
		cli_complain(command->name, "no terminal to ask on: %s needs --yes",
			command->action->name);
		return EX_USAGE;
	}
	write_question(command, good, &question);
	yes = buffer_text(&question) && fputs(buffer_text(&question), terminal) >= 0 &&
	      fflush(terminal) == 0 && fgets(answer, sizeof(answer), terminal) &&
	      (answer[0] == 'y' || answer[0] == 'Y');
	buffer_free(&question);
	fclose(terminal);
	return yes ? EX_OK : EX_DATAERR;
}

/* The password of the command line's record, unless it has a hash. */
static bool ask_password(struct account_command *command)
{
	struct record *record = records_at(&command->records, 0);
	char password[CREDENTIALS_MAX_PASSWORD + 2];
	bool done;

	if (command->list || !(command->action->flags & ACTION_PASSWORD) || record->hash ||
		(command->options & OPTION_NO_PASSWORD))
		return true;
	done = account_password(command, password);
	if (done)
		record->password = arena_dup(&command->records.arena, slice_from(password));
	explicit_bzero(password, sizeof(password));
	return done && record->password;
}

/* --- doing it --- */

struct tally {
	size_t done, refused;
};

static int run_records(struct account_command *command, struct tally *tally)
{
	struct progress progress;
	int status = EX_OK;

	progress_begin(&progress, command->action->done, command->records.list.count);
	for (size_t i = 0; i < command->records.list.count && !command->broken; i++) {
		int result = EX_DATAERR;

		command->record = records_at(&command->records, i);
		if (!command->record->bad)
			result = command->action->run(command);
		tally->done += result == EX_OK;
		tally->refused += result != EX_OK;
		status = result != EX_OK && status != EX_TEMPFAIL ? result : status;
		progress_tell(&progress, i);
	}
	progress_end(&progress, tally->done);
	return status;
}

static void purge(struct account_command *command)
{
	for (size_t i = 0; i < command->purge.count; i++) {
		const char *path = *(char **)vector_at(&command->purge, i);

		if (!account_purge(command->mail, path) && errno != ENOENT)
			cli_complain(command->name, "the mail in %s/%s is not gone: %s",
				command->mail, path, strerror(errno));
	}
}

static bool ends_sessions(const struct account_command *command)
{
	return (command->action->flags & ACTION_LOGS_OUT) || (command->options & OPTION_KICK);
}

static void tell_summary(const struct account_command *command, const struct tally *tally)
{
	struct buffer line = { 0 };

	if (command->options & OPTION_JSON) {
		buffer_printf(&line, "{\"%s\": %zu, \"refused\": %zu", command->action->done,
			tally->done, tally->refused);
		if (command->action->flags & (ACTION_LOGS_OUT | ACTION_MAY_LOG_OUT))
			buffer_printf(&line, ", \"sessions_%s\": %u",
				ends_sessions(command) ? "ended" : "open", command->sessions);
		account_add_aliases(command, &line);
		buffer_add_text(&line, "}");
		account_print(&line);
	} else if (command->list)
		printf("%zu %s, %zu refused\n", tally->done, command->action->done, tally->refused);
}

/* Nothing of it counts. */
static void take_back(struct account_command *command, struct tally *tally)
{
	joint_rollback(&command->joint);
	*tally = (struct tally){ .refused = command->records.list.count };
	command->aliases = 0;
	command->dangling = 0;
	buffer_clear(&command->dangling_text);
}

static int change(struct account_command *command)
{
	struct tally tally = { 0 };
	char error[400];
	int status = agreed(command);

	if (status != EX_OK)
		return status;
	if (!ask_password(command))
		return EX_DATAERR;
	if (!account_hash_passwords(command))
		return EX_OSERR;
	if (!joint_begin(&command->joint, error, sizeof(error)))
		return account_fail(command, error);
	status = run_records(command, &tally);
	command->record = NULL;
	if (!command->broken && account_find_dangling(command) != EX_OK)
		status = EX_TEMPFAIL;
	if (command->broken ||
		(tally.refused &&
			(tally.done == 0 || (command->options & OPTION_ALL_OR_NOTHING)))) {
		take_back(command, &tally);
	} else if (!joint_commit(&command->joint, error, sizeof(error))) {
		return account_fail(command, error);
	} else {
		/* First, so that none of them puts mail where it is being removed. */
		if (!account_sessions(command, ends_sessions(command)) && status == EX_OK)
			status = EX_TEMPFAIL;
		purge(command);
		account_tell_aliases(command);
	}
	tell_summary(command, &tally);
	return status;
}

static int run(struct account_command *command, const struct command_line *line)
{
	if (!(command->list ? read_list(command) : one_record(command, line)))
		return EX_DATAERR;
	command->record = records_at(&command->records, 0);
	return command->action->flags & ACTION_CHANGES ? change(command)
						       : command->action->run(command);
}

int account_run(int argc, char **argv, const struct account_action *actions, const char *usage)
{
	struct account_command command = { .name = argv[0] };
	struct command_line line = { 0 };
	int status = EX_UNAVAILABLE;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return EX_OK;
	}
	if (!parse(&command, &line, argc, argv, actions)) {
		if (line.error[0])
			cli_complain(command.name, "%s; \"postern %s --help\" tells how it is used",
				line.error, command.name);
		else
			fputs(usage, stderr);
		return EX_USAGE;
	}
	if (account_open(&command, command.action->flags & ACTION_CHANGES))
		status = run(&command, &line);
	account_close(&command);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = EX_IOERR;
	return status;
}
