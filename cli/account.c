// SPDX-License-Identifier: ISC
/* What postern domain, user and alias share. See account.h. */
#include "cli/account.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "config/config.h"

int account_refuse(const struct account_command *command, const char *error)
{
	cli_complain(command->name, "%s", error);
	return EX_DATAERR;
}

bool account_quota(const struct account_command *command, const char *text, int64_t *quota)
{
	char error[200];

	if (parameter_parse(parameter_info(PARAM_virtual_mailbox_limit), slice_from(text), quota,
		    error, sizeof(error)) &&
		*quota >= 0)
		return true;
	cli_complain(command->name, "a quota is a number of bytes, as 500M or 2G: %s", text);
	return false;
}

/* --- passwords --- */

/* One line, without its end. False at the end of input, when it is too long, or holds NUL. */
static bool read_line(char *text, size_t size)
{
	size_t length;

	if (!fgets(text, (int)size, stdin))
		return false;
	length = strlen(text);
	if (length == 0 || text[length - 1] != '\n')
		return feof(stdin) && length > 0;
	text[length - 1] = '\0';
	return true;
}

static bool ask_unseen(const char *prompt, char *text, size_t size)
{
	struct termios before, unseen;
	bool good;

	fprintf(stderr, "%s", prompt);
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return false;
	unseen = before;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
	good = read_line(text, size);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return good;
}

bool account_password(
	const struct account_command *command, char password[CREDENTIALS_MAX_PASSWORD + 2])
{
	char again[CREDENTIALS_MAX_PASSWORD + 2];
	bool same;

	if (!isatty(STDIN_FILENO)) {
		if (read_line(password, sizeof(again)))
			return true;
		cli_complain(command->name, "no password on standard input, or it is too long");
		return false;
	}
	if (!ask_unseen("Password: ", password, sizeof(again)) ||
		!ask_unseen("Again: ", again, sizeof(again))) {
		cli_complain(command->name, "no password");
		return false;
	}
	same = strcmp(password, again) == 0;
	explicit_bzero(again, sizeof(again));
	if (!same)
		cli_complain(command->name, "the two are not the same");
	return same;
}

/* --- the databases --- */

static bool open_files(
	struct account_command *command, const struct config *config, bool credentials)
{
	const char *data = config_text(config, PARAM_data_directory);
	const struct scheme_settings settings = { .cost = (int)config_int(
							  config, PARAM_password_hash_cost),
		.iterations = (unsigned)config_int(config, PARAM_auth_scram_iterations),
		.plain = config_bool(config, PARAM_auth_allow_plain_scheme) };
	char path[PATH_MAX], error[400];

	if (snprintf(path, sizeof(path), "%s/directory/accounts.db", data) >= (int)sizeof(path)) {
		cli_complain(command->name, "data_directory is too long");
		return false;
	}
	command->hash_cost = (int)config_int(config, PARAM_password_hash_cost);
	if (!accounts_open(path, false, &command->accounts, error, sizeof(error))) {
		cli_complain(command->name, "%s", error);
		return false;
	}
	snprintf(path, sizeof(path), "%s/auth/credentials.db", data);
	if (credentials &&
		!credentials_open(path, false, &command->credentials, error, sizeof(error))) {
		cli_complain(command->name, "%s", error);
		return false;
	}
	if (credentials)
		credentials_settings(command->credentials, &settings);
	return true;
}

static bool open_instance(struct account_command *command, bool credentials)
{
	static struct config_report report;
	struct config_source *source = config_read(cli_folder(NULL), &report);
	struct buffer snapshot = { 0 };
	struct config *config = NULL;
	bool done = false;

	if (source && config_snapshot(source, &snapshot, &report))
		config = config_open(buffer_slice(&snapshot));
	if (config)
		done = open_files(command, config, credentials);
	else
		config_report_print(&report, command->name, false, stderr);
	config_free(&config);
	buffer_free(&snapshot);
	config_source_free(&source);
	return done;
}

/* --- the command line --- */

static bool take_option(struct account_command *command, int argc, char **argv, int *i)
{
	const char *option = argv[*i];

	if (strcmp(option, "--json") == 0) {
		command->json = true;
		return true;
	}
	if (strcmp(option, "--no-password") == 0) {
		command->no_password = true;
		return true;
	}
	if (*i + 1 >= argc)
		return false;
	if (strcmp(option, "--quota") == 0)
		command->quota = argv[++*i];
	else if (strcmp(option, "--hash") == 0)
		command->hash = argv[++*i];
	else if (strcmp(option, "--services") == 0)
		command->services = argv[++*i];
	else
		return false;
	return true;
}

/* The action that fits, or NULL. */
static const struct account_action *parse(struct account_command *command, int argc, char **argv,
	const struct account_action *actions)
{
	enum { WORDS = sizeof(command->words) / sizeof(command->words[0]) };

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			if (!take_option(command, argc, argv, &i))
				return NULL;
		} else if (command->word_count == WORDS) {
			return NULL;
		} else {
			command->words[command->word_count++] = argv[i];
		}
	}
	for (; command->word_count > 0 && actions->name; actions++)
		if (strcmp(actions->name, command->words[0]) == 0 &&
			command->word_count > actions->least &&
			command->word_count <= actions->most + 1)
			return actions;
	return NULL;
}

int account_run(int argc, char **argv, const struct account_action *actions, const char *usage)
{
	struct account_command command = { .name = argv[0] };
	const struct account_action *action;
	int status = EX_UNAVAILABLE;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return EX_OK;
	}
	action = parse(&command, argc, argv, actions);
	if (!action) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	if (open_instance(&command, action->credentials))
		status = action->run(&command);
	accounts_close(&command.accounts);
	credentials_close(&command.credentials);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = EX_IOERR;
	return status;
}
